// The SQL of snapshots in the database: power.snapshots and power.snapshot_files.
#pragma once
#include "files/SessionTable.h"
#include "files/SnapshotStore.h"
#include <QSqlDatabase>

namespace power::files
{

struct SnapshotRow {
    bool found = false;
    QString name;
    SnapshotFacts facts;
    QByteArray sha256; // of the whole file, head included; empty: it made room for others
    qint64 fileSize = 0;
};

// All functions are bodies of jobs.
namespace snapshottable
{

// In place of the one before. Above `limit` bytes of all snapshots (0 = none) the oldest automatic ones of other sessions
// make room. Error: TooLarge when that is not enough.
Result<Done> put(QSqlDatabase &connection, const SnapshotKey &key, const SnapshotRow &row, qint64 limit);
Result<SnapshotRow> get(QSqlDatabase &connection, const SnapshotKey &key);
// Those with a name.
Result<QList<SnapshotRow>> named(QSqlDatabase &connection, const QString &owner, const QString &session);
Result<Done> setAside(QSqlDatabase &connection, const SnapshotKey &key);
// With the files that belong to it. `everything`: of the session.
Result<Done> remove(QSqlDatabase &connection, const SnapshotKey &key, bool everything);

// In place of those before. Error as put.
Result<Done> putFiles(QSqlDatabase &connection, const SnapshotKey &key, const QList<SessionFile> &files, qint64 limit);
Result<QList<SessionFile>> files(QSqlDatabase &connection, const SnapshotKey &key);

} // namespace snapshottable
} // namespace power::files
