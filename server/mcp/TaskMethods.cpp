// tasks/*: both flavours over one provider.
#include "mcp/Methods.h"
#include "mcp/TaskCalls.h"
#include <QJsonArray>

namespace power::mcp {

using operations::Answer;

namespace {
QString taskIdOf(const Call &call)
{
    return call.inbound.params.value(QLatin1String("taskId")).toString();
}

RpcError noTask(const Error &error)
{
    if (error.code == ErrorCode::NotFound)
        return {InvalidParams, QStringLiteral("There is no such task; it may have been removed after its time.")};
    return protocolError(error);
}

QJsonObject errorObject(const RpcError &error)
{
    QJsonObject object{{QStringLiteral("code"), error.code}, {QStringLiteral("message"), error.message}};
    if (!error.data.isEmpty())
        object.insert(QStringLiteral("data"), error.data);
    return object;
}
} // namespace

QCoro::Task<Outcome> wholeTask(CorePtr core, operations::Caller caller, QString id)
{
    const operations::Caller asker = caller;
    auto facts = co_await core->features().tasks->get(std::move(caller), id);
    if (!facts)
        co_return noTask(facts.error());
    QJsonObject task = taskObject(*facts, Modern);
    const TaskRunPtr run = core->taskRuns.find(id, asker.principal);
    if (run && run->need && facts->status == u"working") {
        task.insert(QStringLiteral("status"), QStringLiteral("input_required"));
        task.insert(QStringLiteral("inputRequests"), run->openRequests());
    } else if (facts->status == u"completed" || facts->status == u"failed") {
        operations::Caller again = asker;
        const Result<Answer> answer = co_await core->features().tasks->result(std::move(again), id);
        if (facts->status == u"completed")
            task.insert(QStringLiteral("result"), shapeResult(answer, core->config.shape));
        else
            task.insert(QStringLiteral("error"), errorObject(answer ? RpcError{InternalError, facts->message} : protocolError(answer.error())));
    }
    co_return task;
}

QCoro::Task<Outcome> getTask(CorePtr core, CallPtr call)
{
    const QString id = taskIdOf(*call);
    operations::Caller caller = call->caller;
    if (call->inbound.world == Modern) {
        QCoro::Task<Outcome> reading = wholeTask(core, std::move(caller), id);
        Outcome task = co_await reading;
        co_return task;
    }
    auto facts = co_await core->features().tasks->get(std::move(caller), id);
    if (!facts)
        co_return noTask(facts.error());
    co_return taskObject(*facts, Legacy);
}

QCoro::Task<Outcome> updateTask(CorePtr core, CallPtr call)
{
    const QString id = taskIdOf(*call);
    operations::Caller caller = call->caller;
    auto facts = co_await core->features().tasks->get(std::move(caller), id);
    if (!facts)
        co_return noTask(facts.error());
    const QJsonValue given = call->inbound.params.value(QLatin1String("inputResponses"));
    if (!given.isObject())
        co_return RpcError{InvalidParams, QStringLiteral("params.inputResponses must be an object.")};
    const TaskRunPtr run = core->taskRuns.find(id, call->caller.principal);
    if (run && run->need) {
        const QJsonObject open = run->openRequests(), responses = given.toObject();
        for (auto it = responses.begin(); it != responses.end(); ++it) {
            if (open.contains(it.key()) && it.value().isObject())
                run->responses.insert(it.key(), it.value());
        }
        const OneShot<Done> answered = run->answered;
        if (run->openRequests().isEmpty())
            answered.resolve(Done{});
    }
    co_return QJsonObject();
}

QCoro::Task<Outcome> cancelTask(CorePtr core, CallPtr call)
{
    const QString id = taskIdOf(*call);
    const bool modern = call->inbound.world == Modern;
    operations::Caller caller = call->caller;
    auto facts = co_await core->features().tasks->get(std::move(caller), id);
    if (!facts)
        co_return noTask(facts.error());
    if (!modern && facts->status != u"working")
        co_return RpcError{InvalidParams, QStringLiteral("The task is over already: %1.").arg(facts->status)};
    if (const TaskRunPtr run = core->taskRuns.find(id, call->caller.principal))
        run->stop.cancel();
    operations::Caller again = call->caller;
    const Result<Done> cancelled = co_await core->features().tasks->cancel(std::move(again), id);
    if (!cancelled)
        co_return noTask(cancelled.error());
    if (modern)
        co_return QJsonObject();
    operations::Caller once = call->caller;
    auto now = co_await core->features().tasks->get(std::move(once), id);
    if (!now)
        co_return noTask(now.error());
    co_return taskObject(*now, Legacy);
}

// Blocks until the task is over, and then answers as the call itself would have.
QCoro::Task<Outcome> taskResult(CorePtr core, CallPtr call)
{
    const QString id = taskIdOf(*call);
    operations::Caller caller = call->caller;
    const CancelToken stop = call->caller.cancel;
    auto facts = co_await core->features().tasks->wait(std::move(caller), id, stop);
    if (!facts)
        co_return noTask(facts.error());
    operations::Caller again = call->caller;
    const Result<Answer> answer = co_await core->features().tasks->result(std::move(again), id);
    if (!answer && facts->status == u"failed")
        co_return protocolError(answer.error());
    QJsonObject result = shapeResult(answer, core->config.shape);
    result.insert(QStringLiteral("_meta"), QJsonObject{{QLatin1String(kMetaRelatedTask), QJsonObject{{QStringLiteral("taskId"), id}}}});
    co_return result;
}

QCoro::Task<Outcome> listTasks(CorePtr core, CallPtr call)
{
    operations::Caller caller = call->caller;
    auto tasks = co_await core->features().tasks->list(std::move(caller));
    if (!tasks)
        co_return protocolError(tasks.error());
    QJsonArray all;
    for (const TaskFacts &facts : *tasks)
        all.append(taskObject(facts, Legacy));
    co_return pageOf(call->inbound, QStringLiteral("tasks"), all, core->features().pageSize);
}

} // namespace power::mcp
