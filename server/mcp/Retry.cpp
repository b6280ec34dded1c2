#include "mcp/Retry.h"
#include "mcp/Ladder.h"
#include "mcp/Methods.h"
#include <QCryptographicHash>
#include <QDateTime>
#include <QJsonDocument>

namespace power::mcp {

using operations::InputNeed;

namespace {
constexpr char kStatePurpose[] = "request state";
constexpr qint64 kStateSeconds = 3'600;

// A state belongs to one method with one set of parameters.
QString digestOf(const Inbound &inbound)
{
    QJsonObject params = inbound.params;
    for (const char *name : {"_meta", "inputResponses", "requestState"})
        params.remove(QLatin1String(name));
    const QByteArray text = inbound.method.toUtf8() + '\n' + jsonBytes(params);
    return QString::fromLatin1(QCryptographicHash::hash(text, QCryptographicHash::Sha256).toBase64(QByteArray::OmitTrailingEquals));
}

Outcome forged(const char *why)
{
    return RpcError{InvalidParams, QStringLiteral("requestState is not valid here: %1. Call again without it.").arg(QLatin1String(why))};
}

// elicitation had one form before 2025-11-25.
QJsonObject paramsFor(const Session *session, const QString &method, QJsonObject params)
{
    if (method == QLatin1String("elicitation/create") && !(session && session->isAtLeast(QLatin1String("2025-11-25"))))
        params.remove(QLatin1String("mode"));
    return params;
}
} // namespace

std::optional<Outcome> takeRetry(Core &core, Call &call)
{
    const QJsonObject &params = call.inbound.params;
    const QJsonValue responses = params.value(QLatin1String("inputResponses"));
    if (!responses.isUndefined() && !responses.isObject())
        return RpcError{InvalidParams, QStringLiteral("params.inputResponses must be an object.")};
    call.caller.inputResponses = responses.toObject();
    for (const QJsonValue &response : std::as_const(call.caller.inputResponses)) {
        if (!response.isObject())
            return RpcError{InvalidParams, QStringLiteral("Every member of params.inputResponses must be an object.")};
    }
    const QJsonValue state = params.value(QLatin1String("requestState"));
    if (state.isUndefined() || state.isNull())
        return std::nullopt;
    const auto payload = core.config.sealer.open(kStatePurpose, state.toString().toLatin1());
    if (!payload)
        return forged("it was not made by this server or was changed");
    const QJsonObject carried = QJsonDocument::fromJson(*payload).object();
    if (carried.value(QLatin1String("p")).toString() != call.caller.principal)
        return forged("it belongs to somebody else");
    if (carried.value(QLatin1String("d")).toString() != digestOf(call.inbound))
        return forged("it belongs to a call with other parameters");
    if (carried.value(QLatin1String("e")).toInteger() < QDateTime::currentSecsSinceEpoch())
        return forged("it is too old");
    call.caller.inputState = carried.value(QLatin1String("s")).toObject();
    return std::nullopt;
}

Outcome askedBack(Core &core, const Call &call, const InputNeed &need)
{
    const QJsonObject missing = undeclared(call.caller.client, need.requests);
    if (!missing.isEmpty())
        return RpcError{MissingCapability, QStringLiteral("Missing required client capability"),
                        {{QStringLiteral("requiredCapabilities"), missing}}, 400};
    QJsonObject result{{QStringLiteral("resultType"), QStringLiteral("input_required")}};
    if (!need.requests.isEmpty())
        result.insert(QStringLiteral("inputRequests"), need.requests);
    if (!need.state.isEmpty() || need.requests.isEmpty()) {
        const QJsonObject carried{{QStringLiteral("p"), call.caller.principal},
                                  {QStringLiteral("d"), digestOf(call.inbound)},
                                  {QStringLiteral("e"), QDateTime::currentSecsSinceEpoch() + kStateSeconds},
                                  {QStringLiteral("s"), need.state}};
        result.insert(QStringLiteral("requestState"),
                      QString::fromLatin1(core.config.sealer.seal(kStatePurpose, jsonBytes(carried))));
    }
    return result;
}

QCoro::Task<std::optional<Error>> askClient(CorePtr core, CallPtr call, InputNeed need)
{
    const QJsonObject missing = undeclared(call->caller.client, need.requests);
    if (!missing.isEmpty() || !call->outlet->canCarry()) {
        const QString what = missing.isEmpty() ? QStringLiteral("it reads no event stream")
                                               : QStringLiteral("it did not declare %1").arg(missing.keys().join(QStringLiteral(", ")));
        co_return Error{ErrorCode::InvalidArgument,
                        QStringLiteral("This call needs an answer of the user, and this client cannot be asked: %1.").arg(what),
                        QStringLiteral("Give the value as an argument or in the code, or use a client that can be asked."),
                        {{QStringLiteral("cause"), QStringLiteral("client_cannot_be_asked")}}};
    }
    struct Question {
        QString key, method;
        Asks::Ask ask;
    };
    QList<Question> questions;
    for (auto it = need.requests.begin(); it != need.requests.end(); ++it) {
        const QString method = it.value()[QLatin1String("method")].toString();
        const QJsonObject params = paramsFor(call->from.session.get(), method, it.value()[QLatin1String("params")].toObject());
        questions.append({it.key(), method, core->asks.send(*call->outlet, call->caller.principal, method, params)});
    }
    QJsonObject responses;
    std::optional<Error> problem;
    if (!call->outlet->isFlowing())
        problem = Error{ErrorCode::Cancelled, QStringLiteral("The client went away before it could be asked."), {}, {}};
    const std::chrono::milliseconds patience = core->config.inputTimeout;
    for (const Question &question : std::as_const(questions)) {
        if (problem) {
            core->asks.drop(question.ask.id);
            continue;
        }
        const OneShot<QJsonObject> shot = question.ask.answer;
        const CancelToken cancelled = call->caller.cancel;
        const Result<QJsonObject> response = co_await shot.wait(patience, cancelled);
        core->asks.drop(question.ask.id);
        if (!response) {
            call->outlet->carry(notificationMessage(QStringLiteral("notifications/cancelled"),
                                                    {{QStringLiteral("requestId"), question.ask.id}}));
            problem = Error{response.error().code, QStringLiteral("The client did not answer %1.").arg(question.method),
                            QStringLiteral("Try again when somebody is there to answer."), {}};
        } else if (const QJsonObject error = response->value(QLatin1String("error")).toObject(); !error.isEmpty()) {
            problem = Error{ErrorCode::Upstream,
                            QStringLiteral("The client refused %1: %2").arg(question.method, error.value(QLatin1String("message")).toString().left(300)),
                            {}, {}};
        } else {
            responses.insert(question.key, response->value(QLatin1String("result")).toObject());
        }
    }
    call->caller.inputResponses = responses;
    call->caller.inputState = need.state;
    co_return problem;
}

Outcome cannotAsk(Core &core, const Call &call, const Error &problem)
{
    if (call.inbound.method == QLatin1String("tools/call"))
        return shapeResult(Unexpected<Error>{problem}, core.config.shape);
    return protocolError(problem);
}

} // namespace power::mcp
