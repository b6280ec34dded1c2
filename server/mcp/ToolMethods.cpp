#include "mcp/Methods.h"
#include "mcp/TaskCalls.h"
#include "mcp/Views.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::mcp {

using operations::Answer;

namespace {
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

Outcome listTools(Core &core, Call &call)
{
    // The list is one page, so no cursor was ever handed out.
    if (!call.inbound.params.value(QLatin1String("cursor")).toString().isEmpty())
        return RpcError{InvalidParams, QStringLiteral("Unknown cursor: this list has one page.")};
    return Ready{core.tools.bytes(call.inbound.world, core.config.facts, call.inbound.tools)};
}

QCoro::Task<Outcome> callTool(CorePtr core, CallPtr call)
{
    const QJsonValue given = call->inbound.params.value(QLatin1String("name"));
    const QString name = given.toString();
    if (!given.isString())
        co_return RpcError{InvalidParams, QStringLiteral("params.name must be a text.")};
    if (!core->tools.find(name, call->inbound.tools)) {
        // Unknown tools are protocol errors; the original's code on its door.
        co_return RpcError{call->from.door == Door::Sse ? MethodNotFound : InvalidParams,
                           core->tools.whyNot(name, call->inbound.tools)};
    }
    ShapeRules rules = core->config.shape;
    rules.structured = rules.structured && call->from.door != Door::Sse;
    rules.userErrorIsError = call->from.door != Door::Sse;

    Result<QJsonObject> arguments = argumentsOf(call->inbound.params.value(QLatin1String("arguments")));
    if (!arguments)
        co_return shapeResult(Unexpected<Error>{arguments.error()}, rules);
    operations::Caller caller = call->caller;
    QJsonObject values = std::move(arguments.value());
    const TaskWish wish = taskWish(*core, *call, *core->tools.find(name, call->inbound.tools));
    if (wish.problem)
        co_return *wish.problem;
    if (wish.isOn) {
        QCoro::Task<TaskedCall> calling = callAsTask(core, call, wish, name, std::move(values));
        TaskedCall called = co_await calling;
        if (called.created)
            co_return *called.created;
        if (called.answer && called.answer->need)
            co_return *called.answer->need;
        co_return shapeResult(called.answer, rules);
    }
    QCoro::Task<Result<Answer>> running = core->registry.call(name, std::move(caller), std::move(values));
    Result<Answer> answer = co_await running;
    if (answer && answer->need)
        co_return *answer->need;
    if ((!answer || answer->userError) && call->note)
        call->note(QStringLiteral("tool_error"), answer ? QStringLiteral("user_code")
                                                        : QString(QLatin1String(errorWord(answer.error().code))));
    QJsonObject result = shapeResult(answer, rules);
    if (const QJsonObject facts = answer && call->inbound.tools.hasViews() ? viewFacts(name, answer->data) : QJsonObject(); !facts.isEmpty())
        result.insert(QStringLiteral("_meta"), facts);
    co_return result;
}

} // namespace power::mcp
