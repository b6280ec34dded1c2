// What every HTTP route of the MCP doors does first and last. Only for this folder.
#pragma once
#include "mcp/Core.h"

namespace power::mcp {

// Who asks; nothing = the refusal was sent (401 with a challenge, never 404 or 500).
std::optional<operations::Caller> enter(const Core &core, const http::ExchangePtr &exchange);

void sendReply(const http::ExchangePtr &exchange, Reply reply);
// 405 with Allow.
void refuseMethod(const http::ExchangePtr &exchange, const QString &text);
// 404 as a JSON-RPC error: the client must begin a new session.
void sessionEnded(const http::ExchangePtr &exchange, const QJsonValue &id);

// Whether Accept allows an event stream to be the answer of a GET.
bool acceptsStream(const http::Request &request);

inline constexpr char kSessionHeader[] = "Mcp-Session-Id";

} // namespace power::mcp
