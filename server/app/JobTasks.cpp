#include "app/JobTasks.h"
#include "operations/JobAnswers.h"
#include "operations/Services.h"

namespace power::app {

using jobs::Job;
using mcp::TaskFacts;
using operations::Answer;
using operations::Caller;

namespace {
// The server's own failures, as against what code or arguments did.
bool isServersFault(const Job &job)
{
    return !job.hasResult && (job.state == jobs::state::interrupted || job.cause == QLatin1String(errorWord(ErrorCode::Internal)));
}

ErrorCode codeOf(const QString &word)
{
    for (int code = int(ErrorCode::InvalidArgument); code <= int(ErrorCode::Internal); ++code) {
        if (word == QLatin1String(errorWord(ErrorCode(code))))
            return ErrorCode(code);
    }
    return ErrorCode::Unavailable;
}
} // namespace

JobTasks::JobTasks(jobs::JobService &jobs, int keepHours, std::shared_ptr<mcp::Changes> changes)
    : m_jobs(jobs), m_ttlMs(qint64(keepHours) * 3'600'000)
{
    QObject::connect(&jobs, &jobs::JobService::ended, &jobs, [changes](const QString &id) { changes->taskChanged(id); });
}

TaskFacts JobTasks::factsOf(const Job &job) const
{
    TaskFacts facts;
    facts.id = job.id;
    facts.created = job.submitted;
    facts.updated = job.completed.isValid() ? job.completed : job.started.isValid() ? job.started : job.submitted;
    facts.ttlMs = m_ttlMs;
    if (!jobs::isFinal(job.state)) {
        facts.status = QStringLiteral("working");
        facts.message = job.progress.value(QStringLiteral("text")).toString(job.state == jobs::state::queued ? QStringLiteral("waiting for its turn") : QString());
    } else if (job.state == jobs::state::cancelled) {
        facts.status = job.state;
    } else {
        facts.status = isServersFault(job) ? QStringLiteral("failed") : QStringLiteral("completed");
        facts.hasError = job.state != jobs::state::succeeded;
        facts.message = job.errorMessage.left(300);
    }
    return facts;
}

QCoro::Task<Result<TaskFacts>> JobTasks::begin(Caller caller, QString tool, QJsonObject arguments, CancelSource stop)
{
    const auto key = operations::sessionKey(caller, arguments);
    jobs::Order order;
    order.key = key ? *key : sessions::SessionKey{caller.principal, caller.slug, QStringLiteral("default")};
    order.code = arguments.value(QStringLiteral("code")).toString().toUtf8();
    order.door = caller.door;
    order.timeoutSeconds = arguments.value(QStringLiteral("timeout")).toInt();
    order.options = {{QStringLiteral("tool"), tool}};
    const Result<jobs::RunningPtr> adopted = co_await m_jobs.adopt(std::move(order));
    if (!adopted)
        co_return Unexpected<Error>{adopted.error()};
    const auto end = [stop]() mutable { stop.cancel(); };
    const jobs::RunningPtr running = *adopted;
    m_held.insert(running->job.id, {running, running->cancel.token().onCancel(end)});
    co_return factsOf(running->job);
}

QCoro::Task<> JobTasks::end(QString id, Result<Answer> answer)
{
    const Held held = m_held.take(id);
    if (!held.running)
        co_return;
    jobs::Ending ending;
    ending.executionMs = held.running->job.submitted.msecsTo(QDateTime::currentDateTimeUtc());
    const bool stopped = held.running->why != jobs::Running::Why::None;
    if (!answer) {
        ending.cause = QLatin1String(errorWord(answer.error().code));
        ending.message = answer.error().text();
        ending.state = answer.error().code == ErrorCode::Cancelled ? jobs::state::cancelled : jobs::state::failed;
    } else {
        const QString cause = answer->data.value(QStringLiteral("failure")).toObject().value(QStringLiteral("cause")).toString();
        ending.state = !answer->userError                                    ? jobs::state::succeeded
                       : cause == u"timeout"                                 ? jobs::state::timedOut
                       : stopped || cause == u"cancelled"                    ? jobs::state::cancelled
                                                                             : jobs::state::failed;
        ending.cause = answer->userError ? cause : QString();
        ending.message = answer->data.value(QStringLiteral("error_message")).toString();
        ending.traceback = answer->data.value(QStringLiteral("error_traceback")).toString();
        ending.result = answer->data;
        ending.blocks = operations::storedBlocks(answer->blocks);
    }
    if (held.running->why == jobs::Running::Why::Stopping && ending.state != jobs::state::succeeded) {
        ending.state = jobs::state::interrupted;
        ending.cause = QStringLiteral("server_stopped");
        ending.result = {};
    }
    co_await m_jobs.runner().settle(held.running, std::move(ending));
}

QCoro::Task<Result<TaskFacts>> JobTasks::get(Caller caller, QString id)
{
    const jobs::table::Part part = jobs::table::Part::Facts;
    const QString principal = caller.principal;
    const Result<Job> job = co_await m_jobs.get(principal, id, part);
    if (!job)
        co_return Unexpected<Error>{job.error()};
    co_return factsOf(*job);
}

QCoro::Task<Result<TaskFacts>> JobTasks::wait(Caller caller, QString id, CancelToken stop)
{
    const std::chrono::hours longest{24 * 20}; // what a timer can count
    const std::chrono::milliseconds most = longest;
    const QString principal = caller.principal;
    const Result<Job> job = co_await m_jobs.await(principal, id, most, stop);
    if (!job)
        co_return Unexpected<Error>{job.error()};
    co_return factsOf(*job);
}

QCoro::Task<Result<Answer>> JobTasks::result(Caller caller, QString id)
{
    const jobs::table::Part part = jobs::table::Part::Answer;
    const QString principal = caller.principal;
    const Result<Job> job = co_await m_jobs.get(principal, id, part);
    if (!job)
        co_return Unexpected<Error>{job.error()};
    if (isServersFault(*job))
        co_return fail(ErrorCode::Internal, job->errorMessage.isEmpty() ? QStringLiteral("The task was interrupted.") : job->errorMessage);
    if (!job->hasResult && job->state == jobs::state::failed && job->kind == u"run")
        co_return fail(codeOf(job->cause), job->errorMessage);
    co_return operations::jobAnswer(*job, caller.baseUrl);
}

QCoro::Task<Result<Done>> JobTasks::cancel(Caller caller, QString id)
{
    const QString principal = caller.principal;
    const Result<Job> job = co_await m_jobs.cancel(principal, id);
    if (!job && !job.error().details.contains(QStringLiteral("state")))
        co_return Unexpected<Error>{job.error()};
    co_return Done{};
}

QCoro::Task<Result<QList<TaskFacts>>> JobTasks::list(Caller caller)
{
    jobs::Filter filter;
    filter.principal = caller.principal;
    filter.limit = 200;
    filter.runsToo = true;
    const auto found = co_await m_jobs.list(filter);
    if (!found)
        co_return Unexpected<Error>{found.error()};
    QList<TaskFacts> tasks;
    for (const Job &job : *found)
        tasks << factsOf(job);
    co_return tasks;
}

} // namespace power::app
