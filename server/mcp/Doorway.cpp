#include "mcp/Doorway.h"

namespace power::mcp {

std::optional<operations::Caller> enter(const Core &core, const http::ExchangePtr &exchange)
{
    Result<operations::Caller> caller = core.authenticate(exchange->request());
    if (caller) {
        caller->door = exchange->request().path == u"/mcp" || exchange->request().path == u"/mcp/" ? QStringLiteral("mcp") : QStringLiteral("mcp/sse");
        return std::move(*caller);
    }
    http::Response refusal = http::errorResponse(caller.error(), exchange->request());
    if (caller.error().code == ErrorCode::Unauthenticated)
        refusal.headers.set("WWW-Authenticate", "Bearer realm=\"power-interpreter\"");
    exchange->reply(std::move(refusal));
    return std::nullopt;
}

void sendReply(const http::ExchangePtr &exchange, Reply reply)
{
    if (exchange->isAnswered())
        return;
    http::Response response = reply.body.isEmpty() ? http::Response::empty(reply.status == 200 ? 202 : reply.status)
                                                   : http::Response::bytes(reply.status, "application/json", reply.body);
    for (const auto &field : reply.headers.fields())
        response.headers.add(field.name, field.value);
    exchange->reply(std::move(response));
}

void refuseMethod(const http::ExchangePtr &exchange, const QString &text)
{
    http::Response response = http::Response::json(405, {{QStringLiteral("error"), QStringLiteral("method_not_allowed")},
                                                         {QStringLiteral("detail"), text}});
    response.headers.set("Allow", "POST, GET, DELETE, OPTIONS");
    exchange->reply(std::move(response));
}

void sessionEnded(const http::ExchangePtr &exchange, const QJsonValue &id)
{
    sendReply(exchange, {404, errorMessage(id, {InvalidRequest, QStringLiteral("This session was ended. Send initialize to begin a new one.")}), {}});
}

bool acceptsStream(const http::Request &request)
{
    const QByteArray accept = request.headers.value("Accept").toLower();
    return accept.contains("text/event-stream") || accept.contains("*/*") || accept.contains("text/*");
}

} // namespace power::mcp
