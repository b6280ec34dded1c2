#include "mcp/TaskCalls.h"

namespace power::mcp {

using operations::Answer;
using operations::Operation;

namespace {
constexpr int kPollMs = 2'000;
constexpr std::chrono::milliseconds kPatience{3'600'000}; // for the client to answer a task's questions

Unexpected<Error> stopped()
{
    return fail(ErrorCode::Cancelled, QStringLiteral("The task was cancelled."));
}

// A round after the other until the call has its answer; what the client must tell in between is asked as the task's input.
QCoro::Task<> drive(CorePtr core, TaskRunPtr run)
{
    while (true) {
        operations::Caller caller = run->caller;
        caller.cancel = run->stop.token();
        QJsonObject arguments = run->arguments;
        const QString tool = run->tool;
        QCoro::Task<Result<Answer>> calling = core->registry.call(tool, std::move(caller), std::move(arguments));
        Result<Answer> answer = co_await calling;
        const std::chrono::milliseconds untilMade{0};
        const CancelToken never;
        if (run->becoming) {
            const OneShot<Done> made = run->made;
            const Result<Done> waited = co_await made.wait(untilMade, never);
            Q_UNUSED(waited);
        }
        const bool isTask = !run->id.isEmpty();
        if (!isTask || !answer || !answer->need) {
            run->end = std::move(answer);
            break;
        }
        run->need = *answer->need;
        run->responses = {};
        run->answered = OneShot<Done>();
        core->features().changes->taskChanged(run->id);
        const OneShot<Done> told = run->answered;
        const CancelToken stop = run->stop.token();
        const Result<Done> waited = co_await told.wait(kPatience, stop);
        const operations::InputNeed need = *std::exchange(run->need, std::nullopt);
        if (!waited) {
            if (need.abandoned)
                need.abandoned();
            run->end = waited.error().code == ErrorCode::Timeout
                           ? Result<Answer>(fail(ErrorCode::Timeout, QStringLiteral("Nobody answered what the call asked."))) : Result<Answer>(stopped());
            break;
        }
        run->caller.inputResponses = run->responses;
        run->caller.inputState = need.state;
        core->features().changes->taskChanged(run->id);
    }
    if (!run->id.isEmpty()) {
        const QString id = run->id;
        Result<Answer> end = *run->end;
        co_await core->features().tasks->end(id, std::move(end));
        core->taskRuns.remove(id);
        core->features().changes->taskChanged(id);
    }
    run->ended.resolve(Done{});
}

bool declaresTasks(const operations::Caller &caller)
{
    return caller.client.value(QLatin1String("extensions")).toObject().value(QLatin1String(kTasksExtension)).isObject();
}
} // namespace

QJsonObject TaskRun::openRequests() const
{
    QJsonObject open;
    if (!need)
        return open;
    for (auto it = need->requests.begin(); it != need->requests.end(); ++it) {
        if (!responses.contains(it.key()))
            open.insert(it.key(), it.value());
    }
    return open;
}

TaskWish taskWish(const Core &core, const Call &call, const Operation &operation)
{
    TaskWish wish;
    if (!core.features().tasks)
        return wish;
    if (call.inbound.world == Modern) {
        wish.isOn = operation.task != Operation::Task::Never && declaresTasks(call.caller);
        wish.after = std::chrono::milliseconds(operation.taskAfterMs);
        return wish;
    }
    wish.isAsked = wish.isOn = call.inbound.world == Legacy && call.inbound.params.value(QLatin1String("task")).isObject();
    if (wish.isOn && operation.task == Operation::Task::Never)
        wish.problem = RpcError{MethodNotFound, QStringLiteral("%1 cannot be called as a task.").arg(operation.name)};
    else if (!wish.isOn && operation.task == Operation::Task::Required)
        wish.problem = RpcError{MethodNotFound, QStringLiteral("%1 can only be called as a task.").arg(operation.name)};
    return wish;
}

QJsonObject taskObject(const TaskFacts &facts, World world)
{
    const bool modern = world == Modern;
    const auto iso = [](const QDateTime &time) { return time.toUTC().toString(Qt::ISODateWithMs); };
    QJsonObject task{{QStringLiteral("taskId"), facts.id},
                     // Until 2025-11-25 a result that is an error is a failure.
                     {QStringLiteral("status"), !modern && facts.hasError && facts.status == u"completed" ? QStringLiteral("failed") : facts.status},
                     {QStringLiteral("createdAt"), iso(facts.created)},
                     {QStringLiteral("lastUpdatedAt"), iso(facts.updated)},
                     {modern ? QStringLiteral("ttlMs") : QStringLiteral("ttl"), facts.ttlMs < 0 ? QJsonValue() : QJsonValue(facts.ttlMs)},
                     {modern ? QStringLiteral("pollIntervalMs") : QStringLiteral("pollInterval"), kPollMs}};
    if (!facts.message.isEmpty())
        task.insert(QStringLiteral("statusMessage"), facts.message);
    return task;
}

QCoro::Task<TaskedCall> callAsTask(CorePtr core, CallPtr call, TaskWish wish, QString tool, QJsonObject arguments)
{
    const auto run = std::make_shared<TaskRun>();
    run->tool = tool;
    run->arguments = arguments;
    run->caller = call->caller;
    if (wish.isAsked)
        run->caller.canBeAsked = false; // its questions would need a stream of their own
    // Until it is a task, it ends with its request.
    const std::weak_ptr<TaskRun> weak = run;
    const auto hangUp = [weak] {
        if (const auto open = weak.lock())
            open->stop.cancel();
    };
    CancelToken::Registration withRequest = call->caller.cancel.onCancel(hangUp);
    const bool atOnce = wish.isAsked || wish.after.count() == 0;
    run->becoming = atOnce; // whatever its first round comes to, a question among it
    drive(core, run);
    const std::chrono::milliseconds untilEnded{0};
    const CancelToken never;
    if (!run->end && !atOnce) {
        const OneShot<Done> ended = run->ended;
        const CancelToken gone = call->caller.cancel;
        const std::chrono::milliseconds patience = wish.after;
        const Result<Done> waited = co_await ended.wait(patience, gone);
        run->ended = OneShot<Done>(); // of the next wait
        Q_UNUSED(waited);
    }
    TaskedCall called;
    if (!run->end && !call->caller.cancel.isCancelled()) {
        run->becoming = true;
        operations::Caller caller = call->caller;
        const CancelSource stop = run->stop;
        auto begun = co_await core->features().tasks->begin(std::move(caller), tool, arguments, stop);
        if (begun) {
            withRequest.reset();
            run->id = begun->id;
            run->caller.progress = {};
            core->taskRuns.add(run);
            const QJsonObject task = taskObject(*begun, call->inbound.world);
            called.created = call->inbound.world == Modern ? task : QJsonObject{{QStringLiteral("task"), task}};
            if (call->inbound.world == Modern)
                called.created->insert(QStringLiteral("resultType"), QStringLiteral("task"));
            run->made.resolve(Done{});
            co_return called;
        }
        run->made.resolve(Done{}); // it stays what it was: a call
        run->becoming = false;
    }
    if (!run->end) {
        const OneShot<Done> ended = run->ended;
        const Result<Done> waited = co_await ended.wait(untilEnded, never);
        Q_UNUSED(waited);
    }
    called.answer = *run->end;
    co_return called;
}

} // namespace power::mcp
