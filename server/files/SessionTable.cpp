#include "files/SessionTable.h"
#include "storage/Sql.h"

namespace power::files::sessiontable
{

namespace
{
Result<Done> ended(const Result<storage::Rows> &rows)
{
    return rows ? Result<Done>(Done{}) : Unexpected<Error>{rows.error()};
}

QVariantList valuesOf(const SessionRef &session, const SessionFile &file)
{
    return {session.principal, session.sessionId, file.path, file.size, file.source.mode, QString::fromLatin1(file.sha256),
            file.source.modifiedNs, file.source.changedNs, qint64(file.source.inode)};
}
} // namespace

Result<Done> put(QSqlDatabase &connection, const SessionRef &session, const QList<SessionFile> &files)
{
    for (const SessionFile &file : files) {
        const Result<Done> stored = ended(storage::query(
            connection,
            "INSERT INTO power.session_files AS s (principal, session_id, path, size, mode, sha256, modified_ns, changed_ns, inode) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (principal, session_id, path_key) DO UPDATE SET size = $4, "
            "mode = $5, sha256 = $6, modified_ns = $7, changed_ns = $8, inode = $9 WHERE s.changed_ns <= $8",
            valuesOf(session, file)));
        if (!stored) return stored;
    }
    return Done{};
}

Result<QList<SessionFile>> all(QSqlDatabase &connection, const SessionRef &session)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT path, size, mode, sha256, modified_ns, changed_ns, inode FROM power.session_files WHERE principal = $1 AND session_id = $2",
        {session.principal, session.sessionId});
    if (!rows) return Unexpected<Error>{rows.error()};
    QList<SessionFile> files;
    files.reserve(rows->size());
    for (int i = 0; i < rows->size(); ++i) {
        SessionFile file;
        file.path = rows->text(i, 0);
        file.size = rows->number(i, 1);
        file.sha256 = rows->text(i, 3).toLatin1();
        file.source = {rows->number(i, 4), rows->number(i, 5), quint64(rows->number(i, 6)), int(rows->number(i, 2))};
        files << file;
    }
    return files;
}

Result<bool> isKept(QSqlDatabase &connection, const SessionRef &session, const SessionFile &file)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT 1 FROM power.session_files WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND size = $4 AND modified_ns = $5 "
        "AND changed_ns = $6 AND inode = $7",
        {session.principal, session.sessionId, file.path, file.size, file.source.modifiedNs, file.source.changedNs, qint64(file.source.inode)});
    if (!rows) return Unexpected<Error>{rows.error()};
    return !rows->isEmpty();
}

Result<Done> remove(QSqlDatabase &connection, const SessionRef &session, const QList<SessionFile> &files)
{
    for (const SessionFile &file : files) {
        const Result<Done> gone = ended(storage::query(connection,
                                                       "DELETE FROM power.session_files WHERE principal = $1 AND session_id = $2 AND "
                                                       "path_key = md5($3) AND changed_ns = $4 AND inode = $5",
                                                       {session.principal, session.sessionId, file.path, file.source.changedNs,
                                                        qint64(file.source.inode)}));
        if (!gone) return gone;
    }
    return Done{};
}

Result<Done> forget(QSqlDatabase &connection, const SessionRef &session, const QString &path)
{
    if (path.isEmpty()) {
        const Result<Done> home = ended(storage::query(
            connection, "DELETE FROM power.session_homes WHERE principal = $1 AND session_id = $2", {session.principal, session.sessionId}));
        if (!home) return home;
    }
    return ended(storage::query(
        connection, "DELETE FROM power.session_files WHERE principal = $1 AND session_id = $2 AND ($3 = '' OR path_key = md5($3))",
        {session.principal, session.sessionId, path.isEmpty() ? QStringLiteral("") : path}));
}

Result<Done> moved(QSqlDatabase &connection, const SessionRef &session, const QList<SessionFile> &files)
{
    for (const SessionFile &file : files) {
        const Result<Done> told = ended(storage::query(connection,
                                                       "UPDATE power.session_files SET modified_ns = $4, changed_ns = $5, inode = $6, mode = $7 "
                                                       "WHERE principal = $1 AND session_id = $2 AND path_key = md5($3)",
                                                       {session.principal, session.sessionId, file.path, file.source.modifiedNs,
                                                        file.source.changedNs, qint64(file.source.inode), file.source.mode}));
        if (!told) return told;
    }
    return Done{};
}

Result<Done> setHome(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool move)
{
    return ended(storage::query(connection,
                                "WITH changed AS (INSERT INTO power.session_homes AS h (principal, session_id, home) VALUES ($1, $2, $3::uuid) "
                                "ON CONFLICT (principal, session_id) DO UPDATE SET home = excluded.home, since = now() WHERE $4::boolean AND "
                                "h.home <> $3::uuid RETURNING 1) SELECT pg_notify($5, json_build_object('home', $3::text, 'principal', "
                                "$1::text, 'session', $2::text)::text) FROM changed",
                                {session.principal, session.sessionId, home, move, QLatin1String(kHomesChannel)}));
}

Result<QString> home(QSqlDatabase &connection, const SessionRef &session, bool *any)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT (SELECT home::text FROM power.session_homes WHERE principal = $1 AND session_id = $2), EXISTS (SELECT 1 FROM "
        "power.session_files WHERE principal = $1 AND session_id = $2)",
        {session.principal, session.sessionId});
    if (!rows) return Unexpected<Error>{rows.error()};
    *any = !rows->isNull(0, 0) || rows->flag(0, 1);
    return rows->text(0, 0);
}

Result<QByteArray> secret(QSqlDatabase &connection, const QString &name, const QByteArray &fresh)
{
    const Result<storage::Rows> added = storage::query(
        connection, "INSERT INTO power.store_secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", {name, fresh});
    if (!added) return Unexpected<Error>{added.error()};
    return storage::queryBytes(connection, "SELECT value FROM power.store_secrets WHERE name = $1", {name});
}

} // namespace power::files::sessiontable
