#include "mcp/Negotiation.h"

namespace power::mcp {

AnswerForms answerForms(const Inbound &inbound, const http::Headers &headers)
{
    if (inbound.door == Door::Sse)
        return {}; // contract 6: always JSON in the body
    const QByteArray accept = headers.value("Accept").toLower();
    const bool anything = accept.contains("*/*");
    const bool json = accept.isEmpty() || anything || accept.contains("application/json") || accept.contains("application/*");
    const bool named = accept.contains("text/event-stream");
    return {named && !json, named || anything, named};
}

} // namespace power::mcp
