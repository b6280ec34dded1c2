#include "mcp/Endpoint.h"
#include "base/Ids.h"
#include "mcp/Ladder.h"
#include "mcp/RunningCalls.h"
#include "mcp/ToolList.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::mcp {

using operations::Answer;
using operations::Caller;

// What one message is answered with; an empty body = nothing to say (notification, response).
// Coroutine frames hold it, so it is not in the anonymous namespace (unity builds warn).
struct Reply {
    int status = 200;
    QByteArray body;
    http::Headers headers;
};

namespace {
constexpr qsizetype kLargestBatch = 100;

Reply rejected(const Rejection &rejection)
{
    return {rejection.httpStatus, errorMessage(rejection.id, rejection.error), {}};
}

Reply shapeRejected(int status, int code, const QString &text)
{
    return {status, errorMessage({}, {code, text, {}}), {}};
}

bool isFormBody(const http::Request &request)
{
    const QByteArray type = request.headers.value("Content-Type").toLower();
    return type.startsWith("multipart/") || type.startsWith("application/x-www-form-urlencoded");
}

int silentStatus(Door door)
{
    return door == Door::Sse ? 204 : 202;
}

void send(const http::ExchangePtr &exchange, Door door, Reply reply)
{
    if (exchange->isAnswered())
        return;
    http::Response response = reply.body.isEmpty() ? http::Response::empty(silentStatus(door))
                                                   : http::Response::bytes(reply.status, "application/json", reply.body);
    for (const auto &field : reply.headers.fields())
        response.headers.add(field.name, field.value);
    exchange->reply(std::move(response));
}

void refuseMethod(const http::ExchangePtr &exchange)
{
    http::Response response = http::Response::json(
        405, {{QStringLiteral("error"), QStringLiteral("method_not_allowed")},
              {QStringLiteral("detail"), QStringLiteral("Send JSON-RPC messages with POST.")}});
    response.headers.set("Allow", "POST, OPTIONS");
    exchange->reply(std::move(response));
}

void notFound(const http::ExchangePtr &exchange)
{
    exchange->reply(http::Response::json(404, {{QStringLiteral("error"), QStringLiteral("not_found")}}));
}

// Arguments as an object; a text that holds one is accepted, null and missing are an empty one.
Result<QJsonObject> argumentsOf(const QJsonValue &given)
{
    if (given.isNull() || given.isUndefined())
        return QJsonObject();
    if (given.isObject())
        return given.toObject();
    if (given.isString()) {
        const QString text = given.toString().trimmed();
        if (text.isEmpty())
            return QJsonObject();
        if (const QJsonDocument parsed = QJsonDocument::fromJson(text.toUtf8()); parsed.isObject())
            return parsed.object();
    }
    return fail(ErrorCode::InvalidArgument, QStringLiteral("\"arguments\" must be a JSON object."),
                QStringLiteral("Send the arguments by name, for example {\"session_id\": \"default\"}."));
}
} // namespace

struct Endpoint::Core {
    const operations::Registry &registry;
    doors::Authenticator authenticate;
    EndpointConfig config;
    ToolList tools;
    RunningCalls running;

    Core(const operations::Registry &r, doors::Authenticator a, EndpointConfig c)
        : registry(r), authenticate(std::move(a)), config(std::move(c)), tools(registry)
    {
    }

    Reply answerAtOnce(const Inbound &inbound, const Method &method) const;
    std::optional<Reply> toolProblem(const Inbound &inbound) const;
    std::optional<Reply> selectTools(Inbound &inbound, const http::Request &request) const;
    void takeNotification(const Inbound &inbound, const Caller &caller, const http::Request &request);

    static void post(std::shared_ptr<Core> core, http::ExchangePtr exchange, Door door);
    static QCoro::Task<QByteArray> callTool(std::shared_ptr<Core> core, http::ExchangePtr exchange, Inbound inbound,
                                            Caller caller);
    static QCoro::Task<> serveCall(std::shared_ptr<Core> core, http::ExchangePtr exchange, Inbound inbound, Caller caller);
    static QCoro::Task<> serveBatch(std::shared_ptr<Core> core, http::ExchangePtr exchange, Door door, QJsonArray batch,
                                    Caller caller);
};

Reply Endpoint::Core::answerAtOnce(const Inbound &inbound, const Method &method) const
{
    const MethodAnswer answer = method.answer(inbound, config.facts, tools);
    Reply reply;
    if (const auto *error = std::get_if<RpcError>(&answer))
        reply.body = errorMessage(inbound.id, *error);
    else
        reply.body = resultMessage(inbound.id, std::get<QByteArray>(answer));
    // Only tells calls of different clients apart (cancellation); it is never required and any id is accepted.
    if (inbound.world == Legacy && inbound.method == QLatin1String("initialize"))
        reply.headers.set("Mcp-Session-Id", newUuid().toLatin1());
    return reply;
}

// Unknown tools are protocol errors; the original's code on its door.
std::optional<Reply> Endpoint::Core::toolProblem(const Inbound &inbound) const
{
    const QJsonValue name = inbound.params.value(QLatin1String("name"));
    if (!name.isString())
        return Reply{200, errorMessage(inbound.id, {InvalidParams, QStringLiteral("params.name must be a text."), {}}), {}};
    if (tools.find(name.toString(), inbound.tools))
        return std::nullopt;
    const int code = inbound.door == Door::Sse ? MethodNotFound : InvalidParams;
    return Reply{200, errorMessage(inbound.id, {code, tools.whyNot(name.toString(), inbound.tools), {}}), {}};
}

// A selection that cannot be read is said where it matters: to who asks for tools.
std::optional<Reply> Endpoint::Core::selectTools(Inbound &inbound, const http::Request &request) const
{
    inbound.tools = config.tools;
    if (!inbound.method.startsWith(QLatin1String("tools/")))
        return std::nullopt;
    Result<ToolSelection> selection = ToolSelection::of(request, config.tools, registry);
    if (!selection)
        return Reply{200, errorMessage(inbound.id, {InvalidParams, selection.error().text(), {}}), {}};
    inbound.tools = std::move(*selection);
    return std::nullopt;
}

void Endpoint::Core::takeNotification(const Inbound &inbound, const Caller &caller, const http::Request &request)
{
    // In the modern era closing the request's connection cancels it; this message belongs to the others.
    if (inbound.world != Modern && inbound.method == QLatin1String("notifications/cancelled"))
        running.cancel(RunningCalls::key(caller, request, inbound.params.value(QLatin1String("requestId"))));
}

QCoro::Task<QByteArray> Endpoint::Core::callTool(std::shared_ptr<Core> core, http::ExchangePtr exchange, Inbound inbound,
                                                 Caller caller)
{
    const QString name = inbound.params.value(QLatin1String("name")).toString();
    exchange->note(QStringLiteral("tool"), name);
    Result<QJsonObject> arguments = argumentsOf(inbound.params.value(QLatin1String("arguments")));
    ShapeRules rules = core->config.shape;
    rules.structured = rules.structured && inbound.door == Door::Mcp;
    rules.userErrorIsError = inbound.door == Door::Mcp;

    Result<Answer> answer = fail(ErrorCode::InvalidArgument, QString());
    if (arguments) {
        const auto cancel = std::make_shared<CancelSource>();
        caller.cancel = cancel->token();
        caller.readOnly = inbound.tools.isReadOnly();
        CancelToken::Registration disconnect;
        if (inbound.world == Modern)
            disconnect = exchange->disconnected().onCancel([cancel] { cancel->cancel(); });
        const QByteArray key = RunningCalls::key(caller, exchange->request(), inbound.id);
        core->running.add(key, cancel);
        QJsonObject values = std::move(arguments.value());
        QCoro::Task<Result<Answer>> call = core->registry.call(name, std::move(caller), std::move(values));
        Result<Answer> got = co_await call;
        core->running.remove(key, cancel);
        answer = std::move(got);
    } else {
        answer = Unexpected<Error>{arguments.error()};
    }
    if (!answer || answer->userError)
        exchange->note(QStringLiteral("tool_error"), answer ? QStringLiteral("user_code")
                                                            : QString(QLatin1String(errorWord(answer.error().code))));
    co_return resultMessage(inbound.id, finalized(shapeResult(answer, rules), inbound.world, core->config.facts));
}

QCoro::Task<> Endpoint::Core::serveCall(std::shared_ptr<Core> core, http::ExchangePtr exchange, Inbound inbound,
                                        Caller caller)
{
    const auto stream = std::make_shared<ProgressStream>(exchange, answerForms(inbound, exchange->request().headers),
                                                         inbound.progressToken, core->config.delays);
    if (!inbound.progressToken.isNull()) {
        caller.progress = [weak = std::weak_ptr(stream)](double done, double total, const QString &text) {
            if (const auto alive = weak.lock())
                alive->report(done, total, text);
        };
    }
    QCoro::Task<QByteArray> call = callTool(core, exchange, std::move(inbound), std::move(caller));
    const QByteArray message = co_await call;
    stream->finish(200, message, {});
}

QCoro::Task<> Endpoint::Core::serveBatch(std::shared_ptr<Core> core, http::ExchangePtr exchange, Door door,
                                         QJsonArray batch, Caller caller)
{
    QByteArray replies;
    for (const QJsonValue &element : std::as_const(batch)) {
        Classified classified = classify(door, exchange->request().headers, element);
        QByteArray reply;
        if (const auto *rejection = std::get_if<Rejection>(&classified)) {
            reply = rejected(*rejection).body;
        } else {
            Inbound &inbound = std::get<Inbound>(classified);
            if (inbound.kind != Inbound::Kind::Request) {
                core->takeNotification(inbound, caller, exchange->request());
            } else if (const auto rejection2 = climb(inbound, exchange->request().headers)) {
                reply = rejected(*rejection2).body;
            } else if (const auto unreadable = core->selectTools(inbound, exchange->request())) {
                reply = unreadable->body;
            } else if (const Method *method = findMethod(inbound.method, inbound.world); method->answer) {
                reply = core->answerAtOnce(inbound, *method).body;
            } else if (const auto problem = core->toolProblem(inbound)) {
                reply = problem->body;
            } else {
                QCoro::Task<QByteArray> call = callTool(core, exchange, inbound, caller);
                reply = co_await call;
            }
        }
        if (!reply.isEmpty())
            replies += (replies.isEmpty() ? "" : ",") + reply;
    }
    send(exchange, door, replies.isEmpty() ? Reply() : Reply{200, '[' + replies + ']', {}});
}

Endpoint::Endpoint(const operations::Registry &registry, doors::Authenticator authenticate, EndpointConfig config)
    : m_core(std::make_shared<Core>(registry, std::move(authenticate), std::move(config)))
{
}

Endpoint::~Endpoint() = default;

qsizetype Endpoint::runningCalls() const
{
    return m_core->running.count();
}

void Endpoint::Core::post(std::shared_ptr<Core> core, http::ExchangePtr exchange, Door door)
{
    const http::Request &request = exchange->request();
    Result<Caller> caller = core->authenticate(request);
    if (!caller) {
        http::Response refusal = http::errorResponse(caller.error(), request);
        if (caller.error().code == ErrorCode::Unauthenticated)
            refusal.headers.set("WWW-Authenticate", "Bearer realm=\"power-interpreter\"");
        exchange->reply(std::move(refusal));
        return;
    }
    if (door == Door::Mcp && isFormBody(request))
        return send(exchange, door, shapeRejected(415, InvalidRequest, QStringLiteral("Send JSON, not a form.")));
    QJsonValue message;
    if (!parseBody(request.body, message))
        return send(exchange, door, shapeRejected(400, ParseError, QStringLiteral("The body is not valid JSON.")));

    if (message.isArray()) {
        const QJsonArray batch = message.toArray();
        const QByteArray version = request.headers.value("MCP-Protocol-Version").trimmed();
        const bool allowed = door == Door::Sse || version.isEmpty() || version == "2025-03-26" || version == "2024-11-05";
        if (!allowed || (batch.isEmpty() && door == Door::Mcp) || batch.size() > kLargestBatch)
            return send(exchange, door,
                        shapeRejected(400, InvalidRequest,
                                      !allowed ? QStringLiteral("Batches are not part of this protocol version.")
                                               : QStringLiteral("A batch has 1 to %1 messages.").arg(kLargestBatch)));
        for (const QJsonValue &element : batch) {
            const QJsonValue claim = element[QLatin1String("params")][QLatin1String("_meta")][QLatin1String(kMetaVersion)];
            if (!claim.isUndefined())
                return send(exchange, door, shapeRejected(400, InvalidRequest,
                                                          QStringLiteral("Batches are not part of this protocol version.")));
        }
        exchange->note(QStringLiteral("mcp_batch"), batch.size());
        Core::serveBatch(core, exchange, door, batch, std::move(*caller));
        return;
    }

    Classified classified = classify(door, request.headers, message);
    if (const auto *rejection = std::get_if<Rejection>(&classified))
        return send(exchange, door, rejected(*rejection));
    Inbound &inbound = std::get<Inbound>(classified);
    exchange->note(QStringLiteral("mcp_method"), inbound.method);
    if (inbound.kind != Inbound::Kind::Request) {
        core->takeNotification(inbound, *caller, request);
        return send(exchange, door, {});
    }
    if (const auto rejection = climb(inbound, request.headers))
        return send(exchange, door, rejected(*rejection));
    const Method *method = findMethod(inbound.method, inbound.world);
    std::optional<Reply> reply = core->selectTools(inbound, request);
    if (!reply)
        reply = method->answer ? core->answerAtOnce(inbound, *method) : core->toolProblem(inbound);
    if (reply && !answerForms(inbound, request.headers).streamOnly)
        return send(exchange, door, std::move(*reply));
    if (reply) {
        ProgressStream stream(exchange, answerForms(inbound, request.headers), {}, core->config.delays);
        return stream.finish(reply->status, reply->body, reply->headers);
    }
    Core::serveCall(core, exchange, inbound, std::move(*caller));
}

void Endpoint::post(http::ExchangePtr exchange, Door door)
{
    Core::post(m_core, std::move(exchange), door);
}

void Endpoint::addRoutes(http::Dispatcher &dispatcher)
{
    http::RouteOptions options;
    options.maxBody = m_core->config.maxBody;
    options.cors = true;
    options.corsExpose = "Mcp-Session-Id, WWW-Authenticate";
    const auto core = m_core;
    for (const auto &[pattern, door] : {std::pair(QStringLiteral("/mcp"), Door::Mcp),
                                        std::pair(QStringLiteral("/mcp/sse"), Door::Sse)}) {
        dispatcher.add("POST", pattern, [core, at = door](http::ExchangePtr exchange) {
            Core::post(core, std::move(exchange), at);
        }, options);
        for (const char *method : {"GET", "DELETE"})
            dispatcher.add(method, pattern, [](http::ExchangePtr exchange) { refuseMethod(exchange); }, options);
    }
    // Clients look for an authorization server here and need to read that there is none.
    for (const char *method : {"GET", "POST"}) {
        dispatcher.add(method, QStringLiteral("/.well-known/{path*}"), [](http::ExchangePtr e) { notFound(e); }, options);
        dispatcher.add(method, QStringLiteral("/register"), [](http::ExchangePtr e) { notFound(e); }, options);
    }
}

} // namespace power::mcp
