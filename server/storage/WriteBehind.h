// Records that must not slow an answer down: written within 200 ms, in order, spooled to disk while the database is away.
#pragma once
#include "storage/Database.h"
#include <QJsonObject>

namespace power::storage {

// WriteBehind: append() returns at once. Batches go to `apply` in a Short-lane transaction, in order. While the
// database is away records are appended to <spoolFile> (fsync per batch; its directory is made), and replayed in order before newer ones.
// Bounded: above 5,000 records or 32 MiB in memory they go to the spool as well; when the disk refuses that too, the newest
// above 50,000 or 128 MiB are dropped and counted. `apply` may see a record again after a crash or a lost COMMIT, so it must be idempotent
// (ON CONFLICT DO NOTHING on the record's id). A record that can never be stored is dropped, counted and logged.
// Thread: the event loop's; `apply` runs in a worker. Destroying it puts what is left into the spool.
class WriteBehind : public QObject
{
    Q_OBJECT
public:
    using Apply = std::function<Result<Done>(QSqlDatabase &, const QList<QJsonObject> &)>;
    WriteBehind(Database &database, QString spoolFile, Apply apply, QObject *parent = nullptr);
    ~WriteBehind() override;
    // bytes: about what the record takes in memory.
    void append(QJsonObject record, qint64 bytes = 1'024);
    int pending() const;
    qint64 spoolBytes() const; // waiting on disk
    qint64 dropped() const;
    // Everything appended so far is in the database, or in the spool while that is away, when it resolves without an error. Errors: Unavailable
    // (neither takes it, it waits in memory), Timeout (15 s).
    QCoro::Task<Result<Done>> flush();

private:
    class Private;
    std::unique_ptr<Private> d;
};

} // namespace power::storage
