// The SQL of stored files: table power.files, and power.original_file() for rows of the Python original.
#pragma once
#include "files/FileStore.h"
#include <QJsonObject>
#include <QSqlDatabase>

namespace power::files
{

// A row: the file and where its content is ("sha256:<hex>" on disk, "db:<hex>" in the database; empty = expired and
// deleted; "original" = in `bytes`).
struct FileRow {
    StoredFile file;
    QString location;
    QByteArray bytes;
    bool found = false;
};

// For the spool; `fromJson` gives the same row back.
QJsonObject toJson(const FileRow &row);
FileRow fromJson(const QJsonObject &object);

// All functions are bodies of jobs: a worker's thread and connection.
namespace table
{

// Renews the row of the same principal, session, name and content that has not expired, else inserts this
// one. Gives the row as it stands.
Result<FileRow> put(QSqlDatabase &connection, const FileRow &row);
// found = false when there is none; falls back to the original's table.
Result<FileRow> byId(QSqlDatabase &connection, const QString &id);
Result<FileRow> newestChart(QSqlDatabase &connection, const QString &chartSlug, const QString &name);
Result<QList<FileRow>> newestOfSession(QSqlDatabase &connection, const QString &principal,
                                       const QString &sessionId);
// An empty name: all of the session. Its files in the database too; `home` (empty = none) is the disk they are gone from,
// and the servers of the others are told.
Result<Done> forget(QSqlDatabase &connection, const QString &principal, const QString &sessionId,
                    const QString &name, const QString &home);
Result<Done> countDownload(QSqlDatabase &connection, const QString &id, int times);
// Whether put() would renew a row of the same content.
Result<bool> isStored(QSqlDatabase &connection, const FileRow &row);
// Bytes stored for a session. Above `limit` (0 = none) its oldest replaced versions expire now, as many as it takes.
Result<qint64> chargedTo(QSqlDatabase &connection, const QString &principal, const QString &sessionId, qint64 limit);
// Marks what has expired, deletes rows that did so 30 days ago; gives how many files expired.
Result<int> expire(QSqlDatabase &connection);
// Those of `contents` that no row refers to.
Result<QList<QByteArray>> unreferenced(QSqlDatabase &connection, const QList<QByteArray> &contents);

// One record of the write-behind journal: {"op": "put", ...row} | {"op": "forget", principal, session_id,
// name, home} |
// {"op": "count", id}. Idempotent but for a count.
Result<Done> apply(QSqlDatabase &connection, const QJsonObject &record);

} // namespace table
} // namespace power::files
