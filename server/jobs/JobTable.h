// All SQL of jobs and of the servers that run them. Everything runs inside of a storage job, in a worker's thread.
#pragma once
#include "jobs/Job.h"
#include <QSqlDatabase>
#include <optional>

namespace power::jobs::table {

// The channel of news: "queued", "ended <id>", "cancel <id>".
inline constexpr char kChannel[] = "power_jobs";
constexpr int kHomeLeases = 4;         // leases after which a silent server is not waited for by jobs of its sessions either
constexpr int kMostWaiting = 10'000;   // of one principal
constexpr int kMostLost = 5;           // times a job is put back because its server died

struct Inserted {
    QString id;
    bool isNew = true;                 // else the idempotency key was known
    QString state;
    qint64 fence = 0;                  // of one that runs already
};
// `id`: the new job's. `home`: the node it must run on while that lives. `runningOn` (node): not queued but running there,
// under a fence. Errors: Conflict (the idempotency key belongs to another request), Busy (too many waiting).
struct Insertion {
    QString id, home, runningOn;
    int leaseSeconds = 15;
    Order order;
    QJsonObject inherited;
};
Result<Inserted> insert(QSqlDatabase &connection, const Insertion &insertion);

enum class Part { Facts, Answer };     // Answer: with result and blocks
Result<std::optional<Job>> find(QSqlDatabase &connection, const QString &id, const QString &principal, Part part);
Result<QList<Job>> list(QSqlDatabase &connection, const Filter &filter);
Result<QJsonArray> attempts(QSqlDatabase &connection, const QString &id);

// The next jobs for this node, now running under new fences.
Result<QList<Job>> claim(QSqlDatabase &connection, const QString &node, int most, int leaseSeconds);

struct Beat {
    QString id, tail;
    qint64 fence = 0, outputBytes = 0;
    QJsonObject progress;
    bool told = false;                 // tail, outputBytes and progress are news
};
struct Pulse {
    QHash<QString, bool> held;         // still this node's -> its cancellation was asked for
    QStringList ended;                 // ended because their server was lost
    bool requeued = false;             // some wait again
};
// Tells that this node lives, prolongs its leases, and takes jobs from servers that are not heard of any more.
Result<Pulse> beat(QSqlDatabase &connection, const QString &node, const QString &instance, const QList<Beat> &beats, int leaseSeconds);

// The end of an attempt, written only under its fence. Nothing: the fence was lost. Otherwise the state it has now: that of
// the ending, or queued when it runs again.
Result<std::optional<QString>> finish(QSqlDatabase &connection, const QString &id, qint64 fence, const Ending &ending);

enum class Cancelling { NoSuchJob, WasOver, Done, Asked };
// A waiting job is over at once; a running one is asked to end.
Result<Cancelling> cancel(QSqlDatabase &connection, const QString &id, const QString &principal);
// The same for all of a session. Gives the ids that were asked.
Result<QStringList> cancelSession(QSqlDatabase &connection, const sessions::SessionKey &key);

// Jobs that ended longer ago go.
Result<int> prune(QSqlDatabase &connection, int hours);

} // namespace power::jobs::table
