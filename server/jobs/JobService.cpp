#include "jobs/JobService.h"
#include "base/Ids.h"
#include "base/Log.h"
#include <QPointer>
#include <QUuid>

namespace power::jobs {

using namespace std::chrono_literals;

namespace {
constexpr std::chrono::milliseconds kAnswerTime = 5s;
constexpr std::chrono::milliseconds kLook = 1s;       // at a job of another server, in case its news got lost
constexpr std::chrono::milliseconds kCancelWait = 5s;

Unexpected<Error> noSuchJob(const QString &id)
{
    return fail(ErrorCode::NotFound, QStringLiteral("There is no job \"%1\".").arg(id.left(60)),
                QStringLiteral("list_jobs shows those that are kept; finished ones are removed after a while."));
}
} // namespace

JobService::JobService(Config config, storage::Database &database, sessions::SessionService &sessions,
                       supervisor::KernelHost &kernels, Shaper shape, JobRunner::Tools tools, QObject *parent)
    : QObject(parent), m_config(config), m_database(database), m_sessions(sessions),
      m_runner(config.runner, database, sessions, kernels, std::move(shape), std::move(tools))
{
    connect(&m_runner, &JobRunner::ended, this, [this](const QString &id) { hear(QStringLiteral("ended ") + id); });
    connect(&m_database, &storage::Database::notified, this, [this](const QString &channel, const QString &payload) {
        if (channel == QLatin1String(table::kChannel))
            hear(payload);
    });
    connect(&m_sessions, &sessions::SessionService::sessionDeleted, this, [this](const sessions::SessionKey &key) { endSession(key); });
}

void JobService::start()
{
    m_database.listen(QLatin1String(table::kChannel));
    m_runner.start();
}

QCoro::Task<> JobService::stop()
{
    co_await m_runner.stop();
}

void JobService::hear(const QString &news)
{
    const QString id = news.section(u' ', 1);
    if (news == state::queued) {
        m_runner.wake();
    } else if (news.startsWith(u"cancel ")) {
        m_runner.cancel(id);
    } else if (news.startsWith(u"ended ")) {
        const auto waiting = m_waiting.values(id);
        m_waiting.remove(id);
        for (const OneShot<Done> &shot : waiting)
            shot.resolve(Done{});
        Q_EMIT ended(id);
    }
}

template <typename T>
QCoro::Task<Result<T>> JobService::run(storage::Job<T> job)
{
    const storage::Lane lane = storage::Lane::Short;
    Result<T> got = co_await m_database.run<T>(lane, kAnswerTime, std::move(job));
    co_return got;
}

QCoro::Task<Result<Submitted>> JobService::submit(Order order, CancelToken cancel)
{
    table::Insertion insertion;
    insertion.leaseSeconds = m_config.runner.leaseSeconds;
    insertion.id = newUuid();
    if (order.inherit) {
        const sessions::SessionKey key = order.key;
        const QString id = insertion.id;
        const Result<QJsonObject> kept = co_await m_sessions.keepState(key, id, cancel);
        if (!kept)
            co_return Unexpected<Error>{kept.error()};
        insertion.inherited = *kept;
    }
    // Files lie where the session lives; without any the job may begin anywhere.
    if (m_sessions.existingWorkspace(order.key))
        insertion.home = m_runner.node();
    insertion.order = std::move(order);
    storage::Job<table::Inserted> job = [insertion](QSqlDatabase &connection) { return table::insert(connection, insertion); };
    const Result<table::Inserted> inserted = co_await run(std::move(job));
    if (insertion.order.inherit && (!inserted || !inserted->isNew))
        m_sessions.dropState(insertion.id);
    if (!inserted)
        co_return Unexpected<Error>{inserted.error()};
    m_runner.wake();
    co_return Submitted{inserted->id, inserted->state, inserted->isNew, insertion.inherited};
}

QCoro::Task<Result<RunningPtr>> JobService::adopt(Order order)
{
    table::Insertion insertion;
    insertion.leaseSeconds = m_config.runner.leaseSeconds;
    insertion.id = newUuid();
    insertion.home = insertion.runningOn = m_runner.node();
    order.kind = QStringLiteral("run");
    insertion.order = std::move(order);
    storage::Job<table::Inserted> job = [insertion](QSqlDatabase &connection) { return table::insert(connection, insertion); };
    const Result<table::Inserted> inserted = co_await run(std::move(job));
    if (!inserted)
        co_return Unexpected<Error>{inserted.error()};
    const QString id = inserted->id;
    const QString principal = insertion.order.key.principal;
    const table::Part part = table::Part::Facts;
    Result<Job> made = co_await get(principal, id, part);
    if (!made)
        co_return Unexpected<Error>{made.error()};
    co_return m_runner.follow(std::move(*made));
}

// What this server knows better than the database, when it is the one that runs it.
Job JobService::withLive(Job job) const
{
    const RunningPtr running = m_runner.find(job.id);
    if (running && running->job.fence == job.fence && job.state == state::running) {
        job.tail = running->tail.text();
        job.outputBytes = running->tail.bytes();
        job.progress = running->progress;
    }
    return job;
}

QCoro::Task<Result<Job>> JobService::get(QString principal, QString id, table::Part part)
{
    if (QUuid::fromString(id).isNull())
        co_return noSuchJob(id);
    storage::Job<std::optional<Job>> job = [id, principal, part](QSqlDatabase &connection) { return table::find(connection, id, principal, part); };
    Result<std::optional<Job>> found = co_await run(std::move(job));
    if (!found)
        co_return Unexpected<Error>{found.error()};
    if (!*found)
        co_return noSuchJob(id);
    co_return withLive(std::move(**found));
}

// Resolved with the next news of its end; to be closed when nobody waits for it any more.
OneShot<Done> JobService::ear(const QString &id)
{
    const OneShot<Done> shot;
    m_waiting.insert(id, shot);
    return shot;
}

void JobService::close(const QString &id, const OneShot<Done> &shot)
{
    shot.resolve(Done{});
    const auto all = m_waiting.values(id);
    m_waiting.remove(id);
    for (const OneShot<Done> &other : all) {
        if (!other.isResolved())
            m_waiting.insert(id, other);
    }
}

QCoro::Task<Result<Job>> JobService::await(QString principal, QString id, std::chrono::milliseconds wait, CancelToken cancel)
{
    const QPointer<JobService> self(this);
    const auto until = std::chrono::steady_clock::now() + wait;
    const table::Part part = table::Part::Answer;
    while (true) {
        const OneShot<Done> shot = ear(id); // before looking, so that no end goes unheard
        Result<Job> job = co_await get(principal, id, part);
        if (!self)
            co_return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (job && !isFinal(job->state) && !cancel.isCancelled() && left.count() > 0) {
            // One that runs here cannot end unheard; the news of other servers may get lost.
            const std::chrono::milliseconds most = m_runner.find(id) ? left : std::min(left, kLook);
            const Result<Done> waited = co_await shot.wait(most, cancel);
            Q_UNUSED(waited);
            if (!self)
                co_return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
            close(id, shot);
            continue;
        }
        close(id, shot);
        co_return job;
    }
}

QCoro::Task<Result<QList<Job>>> JobService::list(Filter filter)
{
    storage::Job<QList<Job>> job = [filter](QSqlDatabase &connection) { return table::list(connection, filter); };
    Result<QList<Job>> jobs = co_await run(std::move(job));
    co_return jobs;
}

QCoro::Task<Result<QJsonArray>> JobService::attempts(QString id)
{
    storage::Job<QJsonArray> job = [id](QSqlDatabase &connection) { return table::attempts(connection, id); };
    Result<QJsonArray> list = co_await run(std::move(job));
    co_return list;
}

QCoro::Task<Result<Job>> JobService::cancel(QString principal, QString id)
{
    if (QUuid::fromString(id).isNull())
        co_return noSuchJob(id);
    storage::Job<table::Cancelling> job = [id, principal](QSqlDatabase &connection) { return table::cancel(connection, id, principal); };
    const Result<table::Cancelling> asked = co_await run(std::move(job));
    if (!asked)
        co_return Unexpected<Error>{asked.error()};
    if (*asked == table::Cancelling::NoSuchJob)
        co_return noSuchJob(id);
    const table::Part part = table::Part::Facts;
    if (*asked == table::Cancelling::WasOver) {
        const Result<Job> over = co_await get(principal, id, part);
        if (!over)
            co_return over;
        co_return fail(ErrorCode::NotFound, QStringLiteral("Job %1 is over already: %2.").arg(id, over->state),
                       QStringLiteral("get_job_result shows what came of it."), {{QStringLiteral("state"), over->state}});
    }
    m_runner.cancel(id);
    if (*asked == table::Cancelling::Done) // it was still waiting
        m_sessions.dropState(id);
    const CancelToken none;
    Result<Job> ended = co_await await(principal, id, kCancelWait, none);
    co_return ended;
}

QCoro::Task<> JobService::endSession(sessions::SessionKey key)
{
    if (!m_database.isConnected())
        co_return;
    const QPointer<JobService> self(this);
    storage::Job<QStringList> job = [key](QSqlDatabase &connection) { return table::cancelSession(connection, key); };
    const Result<QStringList> asked = co_await run(std::move(job));
    if (!self || !asked)
        co_return;
    for (const QString &id : *asked) {
        m_runner.cancel(id);
        if (!m_runner.find(id)) // one that was waiting
            m_sessions.dropState(id);
    }
}

QCoro::Task<> JobService::prune()
{
    if (!m_database.isConnected())
        co_return;
    const int hours = m_config.keepHours;
    storage::Job<int> job = [hours](QSqlDatabase &connection) { return table::prune(connection, hours); };
    const Result<int> gone = co_await run(std::move(job));
    if (!gone)
        log::warning("jobs_not_pruned", {{QStringLiteral("reason"), gone.error().message}});
}

QCoro::Task<Result<Job>> JobService::follow(QString principal, QString id, FollowSink sink, CancelToken stop)
{
    const QPointer<JobService> self(this);
    const table::Part part = table::Part::Answer;
    QString state;
    qint64 told = 0; // bytes of output
    int attempt = 0;
    while (true) {
        const OneShot<Done> shot = ear(id);
        Result<Job> job = co_await get(principal, id, part);
        if (!self)
            co_return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
        if (!job || stop.isCancelled()) {
            close(id, shot);
            co_return job;
        }
        if (job->attempts != attempt) { // it begins anew
            attempt = job->attempts;
            told = job->outputBytes < told ? 0 : told; // unless this one's first pieces were heard before it was seen
        }
        const bool moved = job->state != state;
        state = job->state;
        if (moved && sink.changed)
            sink.changed(*job);
        const QByteArray tail = job->tail.toUtf8();
        const qint64 fresh = std::min<qint64>(job->outputBytes - told, tail.size());
        if (fresh > 0 && sink.output)
            sink.output(QStringLiteral("stdout"), QString::fromUtf8(tail.right(fresh)), job->outputBytes - fresh);
        told = std::max(told, job->outputBytes);
        if (isFinal(job->state)) {
            close(id, shot);
            co_return job;
        }
        std::chrono::milliseconds most = kLook;
        QObject here; // live pieces until the next look
        connect(&m_runner, &JobRunner::begun, &here, [&](const QString &of) {
            if (of == id)
                shot.resolve(Done{});
        });
        if (m_runner.find(id)) {
            most = std::chrono::seconds(15);
            connect(&m_runner, &JobRunner::output, &here, [&](const QString &of, const QString &kind, const QString &text, qint64 offset) {
                if (of == id && offset >= told && sink.output) {
                    sink.output(kind, text, offset);
                    told = offset + text.toUtf8().size();
                }
            });
            connect(&m_runner, &JobRunner::progressed, &here, [&](const QString &of) {
                if (of != id || !sink.changed)
                    return;
                Job now = *job;
                now.now = QDateTime::currentDateTimeUtc();
                sink.changed(withLive(std::move(now)));
            });
        }
        const Result<Done> waited = co_await shot.wait(most, stop);
        Q_UNUSED(waited);
        if (!self)
            co_return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
        close(id, shot);
    }
}

} // namespace power::jobs
