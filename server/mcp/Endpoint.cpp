#include "mcp/Endpoint.h"
#include "mcp/Dispatch.h"
#include "mcp/Doorway.h"
#include "mcp/HttpOutlet.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
bool isFormBody(const http::Request &request)
{
    const QByteArray type = request.headers.value("Content-Type").toLower();
    return type.startsWith("multipart/") || type.startsWith("application/x-www-form-urlencoded");
}

void notFound(const http::ExchangePtr &exchange)
{
    exchange->reply(http::Response::json(404, {{QStringLiteral("error"), QStringLiteral("not_found")}}));
}

StreamRules rulesFor(Core &core, const Call &call, const http::Request &request)
{
    StreamRules rules;
    rules.forms = answerForms(call.inbound, request.headers);
    if (call.inbound.method == QLatin1String("subscriptions/listen"))
        rules.forms.mayStream = true; // it has no other form
    rules.delays = core.config.delays;
    rules.wantsProgress = !call.inbound.progressToken.isNull();
    rules.principal = call.caller.principal;
    const SessionPtr session = call.from.session;
    if (call.inbound.world == Legacy && session && session->isAtLeast(QLatin1String("2025-03-26"))) {
        rules.logs = &core.logs;
        rules.prime = session->isAtLeast(QLatin1String("2025-11-25")); // older clients stumble over empty data
    }
    return rules;
}

QCoro::Task<> serveCall(CorePtr core, http::ExchangePtr exchange, CallPtr call)
{
    const auto outlet = std::make_shared<HttpOutlet>(exchange, rulesFor(*core, *call, exchange->request()));
    call->outlet = outlet;
    QCoro::Task<Reply> serving = serve(core, call);
    Reply reply = co_await serving;
    outlet->finish(std::move(reply));
}

QCoro::Task<> answerBatch(CorePtr core, http::ExchangePtr exchange, Arrival arrival, QJsonArray batch)
{
    QCoro::Task<Reply> serving = serveBatch(core, std::move(arrival), std::move(batch));
    Reply reply = co_await serving;
    sendReply(exchange, std::move(reply));
}

void servePost(const CorePtr &core, const http::ExchangePtr &exchange, Door door)
{
    const http::Request &request = exchange->request();
    std::optional<operations::Caller> caller = enter(*core, exchange);
    if (!caller)
        return;
    if (door == Door::Mcp && isFormBody(request))
        return sendReply(exchange, badMessage(415, InvalidRequest, QStringLiteral("Send JSON, not a form.")));
    QJsonValue message;
    if (!parseBody(request.body, message))
        return sendReply(exchange, badMessage(400, ParseError, QStringLiteral("The body is not valid JSON.")));

    Arrival arrival;
    arrival.door = door;
    arrival.caller = std::move(*caller);
    arrival.headers = request.headers;
    arrival.tools = ToolSelection::of(request, core->config.tools, core->registry);
    arrival.scope = "peer " + request.peer.toString().toLatin1();
    const bool isModern = message[QLatin1String("params")][QLatin1String("_meta")].toObject().contains(QLatin1String(kMetaVersion));
    if (isModern)
        arrival.gone = exchange->disconnected(); // in the era before, hanging up is no cancellation
    if (const QByteArray id = request.headers.value(kSessionHeader); !id.isEmpty() && !isModern) {
        arrival.scope = "session " + id;
        const bool isNew = message[QLatin1String("method")] == QLatin1String("initialize");
        if (door == Door::Mcp && !isNew) {
            arrival.session = core->sessions.find(arrival.caller.principal, id);
            if (!arrival.session)
                return sessionEnded(exchange, message[QLatin1String("id")]);
        }
    }
    if (message.isArray()) {
        const QJsonArray batch = message.toArray();
        if (const auto problem = batchProblem(arrival, batch))
            return sendReply(exchange, badMessage(400, InvalidRequest, *problem));
        exchange->note(QStringLiteral("mcp_batch"), batch.size());
        answerBatch(core, exchange, std::move(arrival), batch);
        return;
    }
    if (const QString method = message[QLatin1String("method")].toString(); !method.isEmpty())
        exchange->note(QStringLiteral("mcp_method"), method.left(80));

    const QString client = arrival.session ? arrival.session->clientName
                                           : message[QLatin1String("params")][QLatin1String("_meta")][QLatin1String(kMetaClientInfo)]
                                                    [QLatin1String("name")].toString().left(60);
    if (!client.isEmpty())
        exchange->note(QStringLiteral("mcp_client"), client);

    Begun begun = begin(*core, arrival, message);
    if (auto *reply = std::get_if<Reply>(&begun)) {
        Inbound shown;
        shown.door = door;
        const AnswerForms forms = answerForms(shown, request.headers);
        if (!forms.streamOnly || reply->status != 200)
            return sendReply(exchange, std::move(*reply));
        StreamRules rules;
        rules.forms = forms;
        return HttpOutlet(exchange, rules).finish(std::move(*reply));
    }
    const CallPtr call = std::get<CallPtr>(begun);
    call->note = [weak = std::weak_ptr<http::Exchange>(exchange)](const QString &key, const QJsonValue &value) {
        if (const auto open = weak.lock())
            open->note(key, value);
    };
    if (call->inbound.method == QLatin1String("tools/call"))
        exchange->note(QStringLiteral("tool"), call->inbound.params.value(QLatin1String("name")).toString().left(80));
    serveCall(core, exchange, call);
}

// GET /mcp: the stream for what belongs to no call, or the rest of a stream that was interrupted.
void serveGet(const CorePtr &core, const http::ExchangePtr &exchange)
{
    const http::Request &request = exchange->request();
    const std::optional<operations::Caller> caller = enter(*core, exchange);
    if (!caller)
        return;
    const QByteArray version = request.headers.value("MCP-Protocol-Version").trimmed();
    const QByteArray id = request.headers.value(kSessionHeader);
    if (modernVersions().contains(QString::fromLatin1(version)) || id.isEmpty() || request.method == "HEAD" || !acceptsStream(request))
        return refuseMethod(exchange, QStringLiteral("Send JSON-RPC messages with POST. GET opens the event stream of a session."));
    const SessionPtr session = core->sessions.find(caller->principal, id);
    if (!session)
        return sessionEnded(exchange, {});
    qint64 after = -1;
    std::shared_ptr<EventLog> log = core->logs.find(request.headers.value("Last-Event-ID").trimmed(), caller->principal, after);
    const bool isNew = !log;
    if (isNew) {
        if (session->stream) { // one message goes to exactly one stream
            session->stream->end();
            core->logs.ended(session->stream);
        }
        log = core->logs.make(caller->principal);
        session->stream = log;
    }
    log->attach(exchange->startSse(), after);
    if (isNew && session->isAtLeast(QLatin1String("2025-11-25")))
        log->prime();
}

void serveDelete(const CorePtr &core, const http::ExchangePtr &exchange)
{
    const std::optional<operations::Caller> caller = enter(*core, exchange);
    if (!caller)
        return;
    const http::Headers &headers = exchange->request().headers;
    const QByteArray id = headers.value(kSessionHeader);
    if (id.isEmpty() || modernVersions().contains(QString::fromLatin1(headers.value("MCP-Protocol-Version").trimmed())))
        return refuseMethod(exchange, QStringLiteral("DELETE ends a session, which the header Mcp-Session-Id names."));
    const SessionPtr session = core->sessions.find(caller->principal, id);
    if (!session)
        return sessionEnded(exchange, {});
    core->sessions.end(session);
    exchange->reply(http::Response::empty(204));
}
} // namespace

Endpoint::Endpoint(const operations::Registry &registry, doors::Authenticator authenticate, EndpointConfig config)
    : m_core(std::make_shared<Core>(registry, std::move(authenticate), std::move(config)))
{
}

Endpoint::~Endpoint()
{
    close();
}

void Endpoint::post(http::ExchangePtr exchange, Door door)
{
    servePost(m_core, exchange, door);
}

void Endpoint::get(http::ExchangePtr exchange)
{
    serveGet(m_core, exchange);
}

void Endpoint::remove(http::ExchangePtr exchange)
{
    serveDelete(m_core, exchange);
}

void Endpoint::close()
{
    m_core->closing.cancel();
    m_core->asks.cancelAll();
    m_core->sessions.closeStreams();
}

qsizetype Endpoint::runningCalls() const
{
    return m_core->running.count();
}

void Endpoint::addRoutes(http::Dispatcher &dispatcher)
{
    http::RouteOptions options;
    options.maxBody = m_core->config.maxBody;
    options.cors = true;
    options.corsExpose = "Mcp-Session-Id, WWW-Authenticate";
    const QString mcp = QStringLiteral("/mcp");
    const QString sse = QStringLiteral("/mcp/sse");
    const auto add = [&](const char *method, const QString &pattern, http::RouteAbout about, http::Handler handler) {
        about.group = "mcp";
        options.about = std::move(about);
        dispatcher.add(method, pattern, std::move(handler), options);
    };
    const http::RouteAbout message{.summary = "One MCP message (JSON-RPC), or a batch of the older protocols.",
                                   .text = "Every protocol version from 2024-11-05 to 2026-07-28.",
                                   .bodyType = "application/json",
                                   .replies = {{200, "The answer, as JSON or as events.", "application/json"},
                                               {202, "A notification was taken."},
                                               {401, "The server asks for a key (MCP_AUTH)."},
                                               {404, "The session has ended; initialize again."}}};
    const http::RouteAbout stream{.summary = "Messages of the server as events.",
                                  .replies = {{200, "Events.", "text/event-stream"}, {404, "The session has ended."}}};
    add("POST", mcp, message, [this](http::ExchangePtr exchange) { post(std::move(exchange), Door::Mcp); });
    add("GET", mcp, stream, [this](http::ExchangePtr exchange) { get(std::move(exchange)); });
    add("DELETE", mcp, {.summary = "End an MCP session.", .replies = {{204, "Ended."}, {404, "There is no such session."}}},
        [this](http::ExchangePtr exchange) { remove(std::move(exchange)); });
    add("POST", sse, message, [this](http::ExchangePtr exchange) { post(std::move(exchange), Door::Sse); });
    add("GET", sse, stream, [this](http::ExchangePtr exchange) { openStream(std::move(exchange)); });
    add("DELETE", sse, {.summary = "Refused: this door has no sessions to end.", .replies = {{405, "Send messages with POST."}}},
        [](http::ExchangePtr exchange) { refuseMethod(exchange, QStringLiteral("Send JSON-RPC messages with POST.")); });
    add("POST", QStringLiteral("/mcp/messages"), message, [this](http::ExchangePtr exchange) { postToStream(std::move(exchange)); });
    // Clients look for an authorization server here and need to read that there is none.
    const http::RouteAbout none{.summary = "Says that there is no authorization server here.", .replies = {{404, "There is none."}}};
    for (const char *method : {"GET", "POST"}) {
        add(method, QStringLiteral("/.well-known/{path*}"), none, [](http::ExchangePtr e) { notFound(e); });
        add(method, QStringLiteral("/register"), none, [](http::ExchangePtr e) { notFound(e); });
    }
}

} // namespace power::mcp
