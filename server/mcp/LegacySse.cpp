// HTTP+SSE of 2024-11-05: one stream carries every answer, messages come in by POST beside it.
#include "base/Ids.h"
#include "mcp/Dispatch.h"
#include "mcp/Doorway.h"
#include "mcp/Endpoint.h"
#include "mcp/LineOutlet.h"
#include <QUrl>
#include <QUrlQuery>

namespace power::mcp {

namespace {
QCoro::Task<> serveOnLine(CorePtr core, CallPtr call)
{
    QCoro::Task<Reply> serving = serve(core, call);
    Reply reply = co_await serving;
    call->outlet->finish(std::move(reply));
}

QCoro::Task<> serveBatchOnLine(CorePtr core, Arrival arrival, QJsonArray batch)
{
    const SessionPtr session = arrival.session;
    QCoro::Task<Reply> serving = serveBatch(core, std::move(arrival), std::move(batch));
    const Reply reply = co_await serving;
    LineOutlet(session).finish(reply);
}
} // namespace

void Endpoint::openStream(http::ExchangePtr exchange)
{
    const std::optional<operations::Caller> caller = enter(*m_core, exchange);
    if (!caller)
        return;
    if (exchange->request().method == "HEAD" || !acceptsStream(exchange->request()))
        return refuseMethod(exchange, QStringLiteral("Send JSON-RPC messages with POST, or open the event stream with Accept: text/event-stream."));
    const auto stream = exchange->startSse();
    const SessionPtr session = m_core->sessions.beginWithLine(
        caller->principal, [stream](const QByteArray &message) { stream->send("message", message); });
    session->tools = ToolSelection::of(exchange->request(), m_core->config.tools, m_core->registry);
    m_core->lines.insert(session->id, session);
    const std::weak_ptr<Core> weak = m_core;
    // The session lives as long as its stream: the registration is kept beside it and goes with it.
    const auto over = [weak, stream, id = session->id] {
        stream->finish();
        if (const auto core = weak.lock())
            core->lines.remove(id);
    };
    session->whileOpen = {exchange->disconnected().onCancel(over), m_core->closing.token().onCancel(over)};
    // The prefix of a PUBLIC_URL belongs to the address as well.
    stream->send("endpoint", QUrl(caller->baseUrl).path().toUtf8() + "/mcp/messages/?session_id=" + session->id);
}

void Endpoint::postToStream(http::ExchangePtr exchange)
{
    const http::Request &request = exchange->request();
    const std::optional<operations::Caller> caller = enter(*m_core, exchange);
    if (!caller)
        return;
    QString id = request.query.queryItemValue(QStringLiteral("session_id"));
    if (id.isEmpty())
        id = request.query.queryItemValue(QStringLiteral("sessionId"));
    if (id.isEmpty())
        return sendReply(exchange, badMessage(400, InvalidRequest, QStringLiteral("The address lacks session_id; use the one the stream of GET /mcp/sse named.")));
    const SessionPtr session = m_core->lines.value(id.toLatin1());
    if (!session || session->principal != caller->principal)
        return sendReply(exchange, badMessage(404, InvalidRequest, QStringLiteral("That stream is closed. Open a new one with GET /mcp/sse.")));
    QJsonValue message;
    if (!parseBody(request.body, message))
        return sendReply(exchange, badMessage(400, ParseError, QStringLiteral("The body is not valid JSON.")));

    Arrival arrival;
    arrival.door = Door::Stream;
    arrival.caller = *caller;
    arrival.session = session;
    arrival.scope = "stream " + session->id;
    arrival.headers = request.headers;
    arrival.tools = session->tools;
    if (message.isArray()) {
        if (const auto problem = batchProblem(arrival, message.toArray()))
            return sendReply(exchange, badMessage(400, InvalidRequest, *problem));
        exchange->reply(http::Response::empty(202));
        serveBatchOnLine(m_core, std::move(arrival), message.toArray());
        return;
    }
    exchange->reply(http::Response::empty(202));
    Begun begun = begin(*m_core, arrival, message);
    if (const auto *reply = std::get_if<Reply>(&begun)) {
        LineOutlet(session).finish(*reply);
        return;
    }
    const CallPtr call = std::get<CallPtr>(begun);
    call->outlet = std::make_shared<LineOutlet>(session);
    serveOnLine(m_core, call);
}

} // namespace power::mcp
