// In which form an answer may go out, from the Accept header (reference MCP 2.5). Nothing is ever refused with 406.
#pragma once
#include "mcp/Classifier.h"

namespace power::mcp {

struct AnswerForms {
    bool streamOnly = false;    // Accept names text/event-stream and no JSON: SSE even for a quick answer
    bool mayStream = false;     // SSE is possible when progress must flow
    bool mayKeepAlive = false;  // SSE is possible for a long call without progress (the client named it itself)
};

AnswerForms answerForms(const Inbound &inbound, const http::Headers &headers);

} // namespace power::mcp
