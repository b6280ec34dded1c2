#include "mcp/Dispatch.h"
#include "mcp/Ladder.h"
#include "mcp/Methods.h"
#include "mcp/Retry.h"
#include "mcp/Views.h"

namespace power::mcp {

namespace {
constexpr int kMostRounds = 100; // as many times as one run may ask

Reply rejected(const Rejection &rejection)
{
    return {rejection.httpStatus, errorMessage(rejection.id, rejection.error), {}};
}

void takeOther(Core &core, const Arrival &arrival, const Inbound &inbound)
{
    if (inbound.kind == Inbound::Kind::Response) {
        core.asks.answer(arrival.caller.principal, inbound.response);
        return;
    }
    // In the modern era over HTTP closing the request's connection cancels it; this message belongs to the others.
    const bool byMessage = inbound.world != Modern || arrival.door == Door::Stdio;
    if (byMessage && inbound.method == QLatin1String("notifications/cancelled"))
        core.running.cancel(runningKey(arrival, inbound.params.value(QLatin1String("requestId"))));
}

Reply replyOf(Core &core, Call &call, const Method &method, Outcome outcome)
{
    const Inbound &inbound = call.inbound;
    Reply reply;
    reply.headers = call.replyHeaders;
    if (const auto *error = std::get_if<RpcError>(&outcome)) {
        reply.status = error->httpStatus;
        reply.body = errorMessage(inbound.id, *error);
    } else if (const auto *ready = std::get_if<Ready>(&outcome)) {
        reply.body = resultMessage(inbound.id, ready->result);
    } else if (auto *result = std::get_if<QJsonObject>(&outcome)) {
        const bool isRetry = inbound.world == Modern && inbound.params.contains(QLatin1String("inputResponses"));
        const Caching caching = isRetry && method.caching == Caching::Private ? Caching::Fresh : method.caching;
        reply.body = resultMessage(inbound.id, finalized(std::move(*result), inbound.world, core.config.facts, caching));
    }
    return reply;
}

void connectLog(Call &call)
{
    const QString wanted = call.inbound.world == Modern ? call.inbound.meta.value(QLatin1String(kMetaLogLevel)).toString()
                         : call.from.session            ? call.from.session->logLevel
                                                        : QString();
    if (wanted.isEmpty() || !call.outlet->canCarry())
        return;
    call.caller.log = [outlet = std::weak_ptr<Outlet>(call.outlet), wanted](const QString &level, const QString &logger,
                                                                            const QJsonValue &data) {
        const auto open = outlet.lock();
        if (!open || !isLoggedAt(level, wanted))
            return;
        QJsonObject params{{QStringLiteral("level"), level}, {QStringLiteral("data"), data}};
        if (!logger.isEmpty())
            params.insert(QStringLiteral("logger"), logger);
        open->carry(notificationMessage(QStringLiteral("notifications/message"), params));
    };
}
} // namespace

Reply badMessage(int status, int code, const QString &text)
{
    return {status, errorMessage({}, {code, text}), {}};
}

QByteArray runningKey(const Arrival &arrival, const QJsonValue &id)
{
    return arrival.caller.principal.toUtf8() + '\n' + arrival.scope + '\n' + jsonBytes(id);
}

Begun begin(Core &core, const Arrival &arrival, const QJsonValue &message)
{
    Classified classified = classify(arrival.door, arrival.headers, message);
    if (const auto *rejection = std::get_if<Rejection>(&classified))
        return rejected(*rejection);
    Inbound &inbound = std::get<Inbound>(classified);
    if (inbound.kind != Inbound::Kind::Request) {
        takeOther(core, arrival, inbound);
        return Reply{arrival.door == Door::Sse ? 204 : 202, {}, {}};
    }
    if (arrival.tools)
        inbound.tools = *arrival.tools;
    if (const auto rejection = climb({inbound, arrival.headers, core.tools, core.features()}))
        return rejected(*rejection);

    if (!arrival.tools && inbound.method.startsWith(QLatin1String("tools/")))
        return Reply{200, errorMessage(inbound.id, {InvalidParams, arrival.tools.error().text()}), {}};
    const Method *method = findMethod(inbound.method, inbound.world, core.features());
    auto call = std::make_shared<Call>();
    call->inbound = std::move(inbound);
    call->from = arrival;
    call->caller = arrival.caller;
    call->caller.readOnly = call->inbound.tools.isReadOnly();
    call->caller.client = call->inbound.world == Modern ? call->inbound.meta.value(QLatin1String(kMetaCapabilities)).toObject()
                        : arrival.session               ? arrival.session->capabilities
                                                        : QJsonObject();
    call->inbound.tools.setViews(declaresViews(call->caller.client));
    if (!method->quick)
        return call;
    Outcome outcome = method->quick(core, *call);
    return replyOf(core, *call, *method, std::move(outcome));
}

QCoro::Task<Reply> serve(CorePtr core, CallPtr call)
{
    const Method *method = findMethod(call->inbound.method, call->inbound.world, core->features());
    if (call->inbound.world == Modern && method->mayAsk) {
        if (auto problem = takeRetry(*core, *call))
            co_return replyOf(*core, *call, *method, std::move(*problem));
    }
    call->caller.canBeAsked = method->mayAsk && (call->inbound.world == Modern || call->outlet->canCarry());
    const auto cancel = std::make_shared<CancelSource>();
    call->caller.cancel = cancel->token();
    const auto hangUp = [cancel] { cancel->cancel(); };
    const CancelToken::Registration disconnect = call->from.gone.onCancel(hangUp);
    const auto meter = std::make_shared<ProgressMeter>(call->outlet, call->inbound.progressToken, core->config.delays);
    if (!call->inbound.progressToken.isNull())
        call->caller.progress = [meter](double done, double total, const QString &text) { meter->report(done, total, text); };
    connectLog(*call);
    call->caller.dropConnection = [outlet = std::weak_ptr<Outlet>(call->outlet)] {
        if (const auto open = outlet.lock())
            open->disconnect();
    };
    const QByteArray key = runningKey(call->from, call->inbound.id);
    core->running.add(key, cancel);

    Outcome outcome = NoAnswer{};
    for (int round = 1;; ++round) {
        QCoro::Task<Outcome> running = method->later(core, call);
        Outcome made = co_await running;
        outcome = std::move(made);
        const auto *need = std::get_if<operations::InputNeed>(&outcome);
        if (!need)
            break;
        const auto abandoned = need->abandoned;
        if (call->inbound.world == Modern) {
            Outcome interim = askedBack(*core, *call, *need);
            outcome = std::move(interim);
            if (abandoned && !std::holds_alternative<QJsonObject>(outcome))
                abandoned();
            break;
        }
        operations::InputNeed questions = *need;
        QCoro::Task<std::optional<Error>> asking = askClient(core, call, std::move(questions));
        std::optional<Error> problem = co_await asking;
        if (!problem && round > kMostRounds)
            problem = Error{ErrorCode::InvalidArgument, QStringLiteral("This call asks too often."), {}, {}};
        if (problem) {
            outcome = cannotAsk(*core, *call, *problem);
            if (abandoned)
                abandoned();
            break;
        }
    }
    core->running.remove(key, cancel);
    meter->stop();
    // A cancelled request is not answered where silence is possible; a POST must get something.
    if (cancel->token().isCancelled() && (unsigned(call->from.door) & (unsigned(Door::Stdio) | unsigned(Door::Stream))))
        outcome = NoAnswer{};
    co_return replyOf(*core, *call, *method, std::move(outcome));
}

} // namespace power::mcp
