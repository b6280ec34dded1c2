// Tools that are called as tasks, and a provider that keeps what becomes of them in memory.
#include "Fixture.h"
#include "base/Ids.h"
#include "base/OneShot.h"

namespace power::conformance {

using namespace operations;
using namespace mcp;

namespace {
struct Kept {
    TaskFacts facts;
    std::optional<Result<Answer>> end;
    OneShot<Done> ended;
    CancelSource stop;
};

class MemoryTasks final : public TaskProvider
{
public:
    QCoro::Task<Result<TaskFacts>> begin(Caller, QString, QJsonObject, CancelSource stop) override
    {
        const auto kept = std::make_shared<Kept>();
        kept->facts.id = newUuid();
        kept->facts.status = QStringLiteral("working");
        kept->facts.created = kept->facts.updated = QDateTime::currentDateTimeUtc();
        kept->facts.ttlMs = 600'000;
        kept->stop = stop;
        m_tasks.insert(kept->facts.id, kept);
        const TaskFacts facts = kept->facts; // what is returned is moved from
        co_return facts;
    }
    QCoro::Task<> end(QString id, Result<Answer> answer) override
    {
        const auto kept = m_tasks.value(id);
        const bool cancelled = !answer && answer.error().code == ErrorCode::Cancelled;
        const bool failed = !answer && answer.error().code == ErrorCode::Internal;
        kept->facts.status = cancelled ? QStringLiteral("cancelled") : failed ? QStringLiteral("failed") : QStringLiteral("completed");
        kept->facts.hasError = !answer || answer->userError;
        kept->facts.updated = QDateTime::currentDateTimeUtc();
        kept->end = std::move(answer);
        kept->ended.resolve(Done{});
        co_return;
    }
    QCoro::Task<Result<TaskFacts>> get(Caller, QString id) override
    {
        const auto kept = m_tasks.value(id);
        if (!kept)
            co_return fail(ErrorCode::NotFound, QStringLiteral("no such task"));
        const TaskFacts facts = kept->facts;
        co_return facts;
    }
    QCoro::Task<Result<TaskFacts>> wait(Caller, QString id, CancelToken stop) override
    {
        const auto kept = m_tasks.value(id);
        if (!kept)
            co_return fail(ErrorCode::NotFound, QStringLiteral("no such task"));
        const std::chrono::milliseconds longest{60'000};
        const OneShot<Done> ended = kept->ended;
        const Result<Done> waited = co_await ended.wait(longest, stop);
        Q_UNUSED(waited);
        const TaskFacts facts = kept->facts;
        co_return facts;
    }
    QCoro::Task<Result<Answer>> result(Caller, QString id) override
    {
        const auto kept = m_tasks.value(id);
        if (!kept || !kept->end)
            co_return fail(ErrorCode::NotFound, QStringLiteral("no such task, or it is not over"));
        const Result<Answer> answer = *kept->end;
        co_return answer;
    }
    QCoro::Task<Result<Done>> cancel(Caller, QString id) override
    {
        const auto kept = m_tasks.value(id);
        if (!kept)
            co_return fail(ErrorCode::NotFound, QStringLiteral("no such task"));
        kept->stop.cancel();
        co_return Done{};
    }
    QCoro::Task<Result<QList<TaskFacts>>> list(Caller) override
    {
        QList<TaskFacts> all;
        for (const auto &kept : std::as_const(m_tasks))
            all << kept->facts;
        co_return all;
    }

private:
    QHash<QString, std::shared_ptr<Kept>> m_tasks;
};

// False: cancelled meanwhile.
QCoro::Task<bool> pause(std::chrono::milliseconds time, CancelToken cancel)
{
    const OneShot<Done> never;
    if (time.count() <= 0)
        co_return !cancel.isCancelled();
    const Result<Done> waited = co_await never.wait(time, cancel);
    co_return waited.error().code != ErrorCode::Cancelled;
}

Result<Answer> wasCancelled()
{
    return fail(ErrorCode::Cancelled, QStringLiteral("cancelled"));
}

QCoro::Task<Result<Answer>> greet(Caller, QJsonObject arguments)
{
    co_return textAnswer(QStringLiteral("Hello, %1!").arg(arguments.value(QStringLiteral("name")).toString()));
}

QCoro::Task<Result<Answer>> slowCompute(Caller caller, QJsonObject arguments)
{
    const std::chrono::milliseconds time{qint64(arguments.value(QStringLiteral("seconds")).toDouble() * 1000)};
    const CancelToken cancel = caller.cancel;
    const bool whole = co_await pause(time, cancel);
    if (!whole)
        co_return wasCancelled();
    co_return textAnswer(QStringLiteral("computed for %1 ms").arg(time.count()));
}

QCoro::Task<Result<Answer>> failingJob(Caller caller, QJsonObject)
{
    const std::chrono::milliseconds time{1'000};
    const CancelToken cancel = caller.cancel;
    const bool whole = co_await pause(time, cancel);
    if (!whole)
        co_return wasCancelled();
    Answer answer = textAnswer(QStringLiteral("this tool always fails"));
    answer.userError = true;
    co_return answer;
}

QCoro::Task<Result<Answer>> protocolErrorJob(Caller caller, QJsonObject)
{
    const std::chrono::milliseconds time{200};
    const CancelToken cancel = caller.cancel;
    const bool whole = co_await pause(time, cancel);
    Q_UNUSED(whole);
    co_return fail(ErrorCode::Internal, QStringLiteral("the tool broke"));
}

InputNeed confirmation(const QString &key)
{
    return elicitation(key, QStringLiteral("Go on?"),
                       parsed("{'type':'object','properties':{'confirm':{'type':'boolean'}},'required':['confirm']}"));
}

QCoro::Task<Result<Answer>> confirmDelete(Caller caller, QJsonObject arguments)
{
    const QString key = QStringLiteral("confirm");
    Answer answer;
    if (caller.inputResponses.contains(key))
        answer = textAnswer(QStringLiteral("deleted ") + arguments.value(QStringLiteral("filename")).toString());
    else
        answer.need = confirmation(key);
    co_return answer;
}

QCoro::Task<Result<Answer>> multiInput(Caller caller, QJsonObject)
{
    const QString one = QStringLiteral("first"), two = QStringLiteral("second");
    Answer answer = textAnswer(QStringLiteral("both answered"));
    if (!caller.inputResponses.contains(one) || !caller.inputResponses.contains(two)) {
        answer = {};
        answer.need = confirmation(one);
        answer.need->requests.insert(two, confirmation(two).requests.value(two));
    }
    co_return answer;
}

// Asks as a call, works as a task.
QCoro::Task<Result<Answer>> askThenWork(Caller caller, QJsonObject)
{
    const QString key = QStringLiteral("user_name");
    Answer answer;
    if (!caller.inputResponses.contains(key)) {
        answer.need = elicitation(key, QStringLiteral("What is your name?"),
                                  parsed("{'type':'object','properties':{'name':{'type':'string'}},'required':['name']}"));
        co_return answer;
    }
    const QString name = caller.inputResponses.value(key)[QLatin1String("content")][QLatin1String("name")].toString();
    const std::chrono::milliseconds time{1'000};
    const CancelToken cancel = caller.cancel;
    const bool whole = co_await pause(time, cancel);
    if (!whole)
        co_return wasCancelled();
    co_return textAnswer(QStringLiteral("Done for %1").arg(name));
}

void addTaskTool(Registry &registry, const char *name, Method method, Operation::Task task, int afterMs, const char *schema)
{
    addTool(registry, name, "A tool whose call may be a task", std::move(method), parsed(schema));
    Operation operation = *registry.find(QLatin1String(name));
    operation.task = task;
    operation.taskAfterMs = afterMs;
    registry.add(std::move(operation));
}
} // namespace

void addTaskTools(Registry &registry)
{
    constexpr char nothing[] = "{'type':'object','properties':{}}";
    using Task = Operation::Task;
    addTool(registry, "greet", "Greets", greet, parsed("{'type':'object','properties':{'name':{'type':'string'}}}"));
    addTaskTool(registry, "slow_compute", slowCompute, Task::Optional, 300,
                "{'type':'object','properties':{'seconds':{'type':'number'},'label':{'type':'string'}}}");
    addTaskTool(registry, "failing_job", failingJob, Task::Required, 0, nothing);
    addTaskTool(registry, "protocol_error_job", protocolErrorJob, Task::Optional, 0, nothing);
    addTaskTool(registry, "confirm_delete", confirmDelete, Task::Optional, 0, "{'type':'object','properties':{'filename':{'type':'string'}}}");
    addTaskTool(registry, "multi_input", multiInput, Task::Optional, 0, nothing);
    addTaskTool(registry, "test_tool_with_task", askThenWork, Task::Required, 300, nothing);
}

std::shared_ptr<TaskProvider> tasksInMemory()
{
    return std::make_shared<MemoryTasks>();
}

} // namespace power::conformance
