// Records that must not slow an answer down: written within 200 ms, in order, spooled to disk while the database is away.
#pragma once
#include "storage/Database.h"
#include <QJsonObject>

namespace power::storage {

// WriteBehind: append() returns at once. Batches go to `apply` in a Short-lane transaction, in order. While the
// database is away records are appended to <spoolFile> (fsync per batch), and replayed in order before newer ones.
// Bounded: above `capacity` records in memory they go to the spool as well; a full disk drops the newest and counts it.
class WriteBehind : public QObject
{
    Q_OBJECT
public:
    using Apply = std::function<Result<Done>(QSqlDatabase &, const QList<QJsonObject> &)>;
    WriteBehind(Database &database, QString spoolFile, Apply apply, QObject *parent = nullptr);
    ~WriteBehind() override;
    void append(QJsonObject record);
    int pending() const;
    qint64 dropped() const;
    // Everything appended so far is in the database or in the spool when it resolves.
    QCoro::Task<> flush();

private:
    class Private;
    std::unique_ptr<Private> d;
};

} // namespace power::storage
