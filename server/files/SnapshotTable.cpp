#include "files/SnapshotTable.h"
#include "storage/Sql.h"

namespace power::files::snapshottable
{

namespace
{
Result<Done> finished(const Result<storage::Rows> &rows)
{
    return rows ? Result<Done>(Done{}) : Unexpected<Error>{rows.error()};
}

// "" rather than null.
QString textOf(const QString &text)
{
    return text.isNull() ? QStringLiteral("") : text;
}

QVariantList keyValues(const SnapshotKey &key)
{
    return {key.owner, key.session, textOf(key.name)};
}

SnapshotRow rowAt(const storage::Rows &rows, int i)
{
    SnapshotRow row;
    row.found = true;
    row.name = rows.text(i, 0);
    row.facts = snapshotFacts(rows.json(i, 1));
    row.fileSize = rows.number(i, 2);
    row.sha256 = rows.text(i, 3).toLatin1();
    return row;
}

// Room for `size` more bytes of `key`.
Result<Done> makeRoom(QSqlDatabase &connection, const SnapshotKey &key, qint64 size, qint64 limit)
{
    if (limit <= 0) return Done{};
    const auto others = [&]() -> Result<qint64> {
        const Result<storage::Rows> rows = storage::query(
            connection,
            "SELECT (SELECT coalesce(sum(size), 0) FROM power.snapshots WHERE (owner, session_id, name) <> ($1, $2, $3)) + (SELECT "
            "coalesce(sum(size), 0) FROM power.snapshot_files WHERE (owner, session_id, name) <> ($1, $2, $3))::bigint",
            keyValues(key));
        if (!rows) return Unexpected<Error>{rows.error()};
        return rows->number(0, 0);
    };
    Result<qint64> used = others();
    if (!used) return Unexpected<Error>{used.error()};
    if (*used + size <= limit) return Done{};
    const Result<Done> dropped = finished(storage::query(
        connection,
        "UPDATE power.snapshots s SET sha256 = '', size = 0 FROM (SELECT owner, session_id, size, sum(size) OVER (ORDER BY created_at, owner, session_id) AS "
        "freed FROM power.snapshots WHERE name = '' AND owner NOT LIKE '.%' AND size > 0 AND (owner, session_id) <> ($1, $2)) old WHERE s.owner = old.owner AND "
        "s.session_id = old.session_id AND s.name = '' AND freed - old.size < $3",
        {key.owner, key.session, *used + size - limit}));
    if (!dropped) return dropped;
    used = others();
    if (!used) return Unexpected<Error>{used.error()};
    return *used + size <= limit ? Result<Done>(Done{}) : snapshotsFull(size, limit);
}
} // namespace

Result<Done> put(QSqlDatabase &connection, const SnapshotKey &key, const SnapshotRow &row, qint64 limit)
{
    const Result<Done> room = makeRoom(connection, key, row.fileSize, limit);
    if (!room) return room;
    return finished(storage::query(
        connection,
        "INSERT INTO power.snapshots (owner, session_id, name, facts, size, sha256, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON "
        "CONFLICT (owner, session_id, name) DO UPDATE SET facts = $4, size = $5, sha256 = $6, created_at = $7, set_aside = false",
        keyValues(key) << snapshotJson(row.facts) << row.fileSize << QString::fromLatin1(row.sha256) << row.facts.created));
}

Result<SnapshotRow> get(QSqlDatabase &connection, const SnapshotKey &key)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT name, facts, size, sha256 FROM power.snapshots WHERE owner = $1 AND session_id = $2 AND name = $3 AND NOT set_aside",
        keyValues(key));
    if (!rows) return Unexpected<Error>{rows.error()};
    return rows->isEmpty() ? SnapshotRow() : rowAt(*rows, 0);
}

Result<QList<SnapshotRow>> named(QSqlDatabase &connection, const QString &owner, const QString &session)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT name, facts, size, sha256 FROM power.snapshots WHERE owner = $1 AND session_id = $2 AND name <> '' ORDER BY name",
        {owner, session});
    if (!rows) return Unexpected<Error>{rows.error()};
    QList<SnapshotRow> all;
    for (int i = 0; i < rows->size(); ++i)
        all << rowAt(*rows, i);
    return all;
}

Result<Done> setAside(QSqlDatabase &connection, const SnapshotKey &key)
{
    return finished(storage::query(
        connection, "UPDATE power.snapshots SET set_aside = true WHERE owner = $1 AND session_id = $2 AND name = $3", keyValues(key)));
}

Result<Done> remove(QSqlDatabase &connection, const SnapshotKey &key, bool everything)
{
    QVariantList values = keyValues(key);
    values << everything;
    const Result<Done> itself = finished(storage::query(
        connection, "DELETE FROM power.snapshots WHERE owner = $1 AND session_id = $2 AND (name = $3 OR $4::boolean)", values));
    if (!itself) return itself;
    return finished(storage::query(
        connection, "DELETE FROM power.snapshot_files WHERE owner = $1 AND session_id = $2 AND (name = $3 OR $4::boolean)", values));
}

Result<Done> putFiles(QSqlDatabase &connection, const SnapshotKey &key, const QList<SessionFile> &files, qint64 limit)
{
    qint64 size = 0;
    for (const SessionFile &file : files)
        size += file.size;
    const Result<Done> room = makeRoom(connection, key, size, limit);
    if (!room) return room;
    Result<Done> done = finished(storage::query(
        connection, "DELETE FROM power.snapshot_files WHERE owner = $1 AND session_id = $2 AND name = $3", keyValues(key)));
    for (qsizetype i = 0; done && i < files.size(); ++i) {
        const SessionFile &file = files.at(i);
        done = finished(storage::query(
            connection,
            "INSERT INTO power.snapshot_files (owner, session_id, name, path, size, mode, sha256) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            keyValues(key) << file.path << file.size << file.source.mode << QString::fromLatin1(file.sha256)));
    }
    return done;
}

Result<QList<SessionFile>> files(QSqlDatabase &connection, const SnapshotKey &key)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT path, size, mode, sha256 FROM power.snapshot_files WHERE owner = $1 AND session_id = $2 AND name = $3 ORDER BY path",
        keyValues(key));
    if (!rows) return Unexpected<Error>{rows.error()};
    QList<SessionFile> all;
    for (int i = 0; i < rows->size(); ++i) {
        SessionFile file;
        file.path = rows->text(i, 0);
        file.size = rows->number(i, 1);
        file.source.mode = int(rows->number(i, 2));
        file.sha256 = rows->text(i, 3).toLatin1();
        all << file;
    }
    return all;
}

} // namespace power::files::snapshottable
