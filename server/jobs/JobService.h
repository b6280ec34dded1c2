// Jobs: submitted, followed, cancelled. Durable before they are acknowledged, shared by all servers on one database.
#pragma once
#include "jobs/JobRunner.h"
#include <QMultiHash>

namespace power::jobs {

struct Submitted {
    QString id, state;
    bool isNew = true;       // else a job with that idempotency key was there
    QJsonObject inherited;   // what of the session's variables is carried, and what is not
};

// What a follower is told, in order.
struct FollowSink {
    std::function<void(const QString &kind, const QString &text, qint64 offset)> output; // `offset`: bytes before it
    std::function<void(const Job &job)> changed;   // state or progress
};

// JobService: everything asked by one principal sees that principal's jobs only. Thread: the event loop's.
class JobService : public QObject
{
    Q_OBJECT
public:
    struct Config {
        RunnerConfig runner;
        int keepHours = 24;  // jobs that ended longer ago go
    };
    JobService(Config config, storage::Database &database, sessions::SessionService &sessions,
               supervisor::KernelHost &kernels, Shaper shape, JobRunner::Tools tools, QObject *parent = nullptr);

    void start();
    QCoro::Task<> stop();
    QCoro::Task<> prune();
    JobRunner &runner() { return m_runner; }

    // Errors: Conflict (idempotency key of another request), Busy (too many), Unavailable (database away; not submitted),
    // those of SessionService::keepState with `inherit`.
    QCoro::Task<Result<Submitted>> submit(Order order, CancelToken cancel);
    // A run that somebody else does in the session's own kernel, from now on known as a job. It ends with runner().settle().
    QCoro::Task<Result<RunningPtr>> adopt(Order order);

    // All of these: NotFound for what is no id, unknown, or another principal's.
    QCoro::Task<Result<Job>> get(QString principal, QString id, table::Part part);
    // Waits at most `wait` for its end.
    QCoro::Task<Result<Job>> await(QString principal, QString id, std::chrono::milliseconds wait, CancelToken cancel);
    QCoro::Task<Result<QList<Job>>> list(Filter filter);
    QCoro::Task<Result<QJsonArray>> attempts(QString id);
    // Resolves when it has ended, or after some seconds in which its server did not end it: then still running, with
    // cancelRequested. NotFound also when it was over already (details.state).
    QCoro::Task<Result<Job>> cancel(QString principal, QString id);
    // Until its end or `stop`. A job of another server is looked at once a second.
    QCoro::Task<Result<Job>> follow(QString principal, QString id, FollowSink sink, CancelToken stop);

Q_SIGNALS:
    // It has ended, on whatever server; may come twice.
    void ended(const QString &id);

private:
    template <typename T>
    QCoro::Task<Result<T>> run(storage::Job<T> job);
    Job withLive(Job job) const;
    void hear(const QString &news);
    QCoro::Task<> endSession(sessions::SessionKey key);
    OneShot<Done> ear(const QString &id);
    void close(const QString &id, const OneShot<Done> &shot);

    Config m_config;
    storage::Database &m_database;
    sessions::SessionService &m_sessions;
    JobRunner m_runner;
    QMultiHash<QString, OneShot<Done>> m_waiting; // who waits for the end of a job
};

} // namespace power::jobs
