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

// Never null: that equals nothing.
QString sumOf(const SessionFile &file)
{
    return file.sha256.isEmpty() ? QStringLiteral("") : QString::fromLatin1(file.sha256);
}

QVariantList valuesOf(const SessionRef &session, const SessionFile &file, const QString &home)
{
    return {session.principal, session.sessionId, file.path, file.size, file.source.mode, sumOf(file),
            file.source.modifiedNs, file.source.changedNs, qint64(file.source.inode), home};
}

QList<SessionFile> filesOf(const storage::Rows &rows)
{
    QList<SessionFile> files;
    files.reserve(rows.size());
    for (int i = 0; i < rows.size(); ++i) {
        SessionFile file;
        file.path = rows.text(i, 0);
        file.size = rows.number(i, 1);
        file.sha256 = rows.text(i, 3).toLatin1();
        file.source = {rows.number(i, 4), rows.number(i, 5), quint64(rows.number(i, 6)), int(rows.number(i, 2))};
        file.home = rows.text(i, 7);
        files << file;
    }
    return files;
}

// What is left behind for the homes of rows that "before" took from them.
#define POWER_LEAVE_COPIES(where)                                                                                                  \
    "copies AS (INSERT INTO power.session_copies AS c (principal, session_id, home, path, size, mode, sha256, modified_ns, "       \
    "changed_ns, inode) SELECT principal, session_id, home, path, size, mode, sha256, modified_ns, changed_ns, inode FROM before " \
    "WHERE " where " ON CONFLICT (principal, session_id, home, path_key) DO UPDATE SET size = excluded.size, mode = "              \
    "excluded.mode, sha256 = excluded.sha256, modified_ns = excluded.modified_ns, changed_ns = excluded.changed_ns, inode = "      \
    "excluded.inode, since = now())"

constexpr char simplePut[] =
    "INSERT INTO power.session_files AS s (principal, session_id, path, size, mode, sha256, modified_ns, changed_ns, inode, home) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::uuid) ON CONFLICT (principal, session_id, path_key) DO UPDATE SET size = $4, "
    "mode = $5, sha256 = $6, modified_ns = $7, changed_ns = $8, inode = $9 WHERE s.home = $10::uuid AND s.changed_ns <= $8";

// Over another home's row.
constexpr char contestedPut[] =
    "WITH mine AS (SELECT sha256 FROM power.session_copies WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND home = "
    "$10::uuid), before AS (SELECT * FROM power.session_files WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND home "
    "<> $10::uuid AND (modified_ns <= $7 OR sha256 = (SELECT sha256 FROM mine)) FOR UPDATE), " POWER_LEAVE_COPIES("true")
    ", gone AS (DELETE FROM power.session_copies WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND home = $10::uuid "
    "AND EXISTS (SELECT 1 FROM before)) "
    "UPDATE power.session_files s SET size = $4, mode = $5, sha256 = $6, modified_ns = $7, changed_ns = $8, inode = $9, home = $10::uuid "
    "FROM before b WHERE s.principal = b.principal AND s.session_id = b.session_id AND s.path_key = b.path_key";
} // namespace

Result<Done> put(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &files)
{
    for (const SessionFile &file : files) {
        const QVariantList values = valuesOf(session, file, home);
        const Result<storage::Rows> stored = storage::query(connection, simplePut, values);
        if (!stored) return ended(stored);
        if (stored->affected() > 0) continue;
        const Result<Done> contested = ended(storage::query(connection, contestedPut, values));
        if (!contested) return contested;
    }
    return Done{};
}

Result<SessionState> state(QSqlDatabase &connection, const SessionRef &session, const QString &home)
{
    const Result<storage::Rows> owner = storage::query(
        connection, "SELECT home::text FROM power.session_homes WHERE principal = $1 AND session_id = $2", {session.principal, session.sessionId});
    const Result<storage::Rows> rows = storage::query(connection,
                                                      "SELECT path, size, mode, sha256, modified_ns, changed_ns, inode, home::text FROM "
                                                      "power.session_files WHERE principal = $1 AND session_id = $2",
                                                      {session.principal, session.sessionId});
    const Result<storage::Rows> copies = storage::query(connection,
                                                        "SELECT path, size, mode, sha256, modified_ns, changed_ns, inode, home::text FROM "
                                                        "power.session_copies WHERE principal = $1 AND session_id = $2 AND home = $3::uuid",
                                                        {session.principal, session.sessionId, home});
    if (!owner || !rows || !copies) return Unexpected<Error>{!owner ? owner.error() : !rows ? rows.error() : copies.error()};
    SessionState found{owner->text(0, 0), filesOf(*rows), {}};
    const QList<SessionFile> own = filesOf(*copies);
    for (const SessionFile &copy : own)
        found.copies.insert(copy.path, copy);
    return found;
}

Result<bool> isKept(QSqlDatabase &connection, const SessionRef &session, const QString &home, const SessionFile &file)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT 1 FROM power.session_files WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND size = $4 AND modified_ns = $5 "
        "AND changed_ns = $6 AND inode = $7 AND home = $8::uuid",
        {session.principal, session.sessionId, file.path, file.size, file.source.modifiedNs, file.source.changedNs, qint64(file.source.inode), home});
    if (!rows) return Unexpected<Error>{rows.error()};
    return !rows->isEmpty();
}

Result<Done> remove(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &files)
{
    for (const SessionFile &file : files) {
        const Result<Done> gone = ended(storage::query(
            connection,
            "WITH before AS (DELETE FROM power.session_files WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND sha256 = $4 AND "
            "(home <> $7::uuid OR (changed_ns = $5 AND inode = $6)) RETURNING *), " POWER_LEAVE_COPIES("home <> $7::uuid")
            " DELETE FROM power.session_copies WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND home = $7::uuid AND EXISTS "
            "(SELECT 1 FROM before)",
            {session.principal, session.sessionId, file.path, sumOf(file), file.source.changedNs, qint64(file.source.inode), home}));
        if (!gone) return gone;
    }
    return Done{};
}

Result<Done> drop(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QStringList &paths)
{
    return ended(storage::query(
        connection,
        "WITH before AS (DELETE FROM power.session_files s WHERE principal = $1 AND session_id = $2 AND path = ANY($4) AND (home = $3::uuid OR "
        "EXISTS (SELECT 1 FROM power.session_copies m WHERE m.principal = $1 AND m.session_id = $2 AND m.home = $3::uuid AND m.path_key = "
        "s.path_key AND m.sha256 = s.sha256)) RETURNING *), " POWER_LEAVE_COPIES("home <> $3::uuid")
        " DELETE FROM power.session_copies WHERE principal = $1 AND session_id = $2 AND home = $3::uuid AND path IN (SELECT path FROM before)",
        {session.principal, session.sessionId, home, paths}));
}

Result<Done> forget(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QString &path)
{
    // An empty home is that of a server without a disk of its own to tell of (FILE_STORE=disk): it has no rows here.
    const QString own = home.isEmpty() ? QStringLiteral("00000000-0000-0000-0000-000000000000") : home;
    const QVariantList values{session.principal, session.sessionId, path.isEmpty() ? QStringLiteral("") : path, own};
    const Result<Done> gone = ended(storage::query(
        connection,
        "WITH before AS (DELETE FROM power.session_files WHERE principal = $1 AND session_id = $2 AND ($3 = '' OR path_key = md5($3)) RETURNING "
        "*), " POWER_LEAVE_COPIES("home <> $4::uuid")
        " DELETE FROM power.session_copies WHERE principal = $1 AND session_id = $2 AND home = $4::uuid AND ($3 = '' OR path_key = md5($3))",
        values));
    if (!gone || !path.isEmpty()) return gone;
    return ended(storage::query(
        connection, "DELETE FROM power.session_homes WHERE principal = $1 AND session_id = $2", {session.principal, session.sessionId}));
}

Result<Done> moved(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &files)
{
    for (const SessionFile &file : files) {
        const Result<Done> told = ended(storage::query(
            connection,
            "WITH before AS (SELECT * FROM power.session_files WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND sha256 = $6 FOR "
            "UPDATE), " POWER_LEAVE_COPIES("home <> $10::uuid")
            ", gone AS (DELETE FROM power.session_copies WHERE principal = $1 AND session_id = $2 AND path_key = md5($3) AND home = $10::uuid AND "
            "EXISTS (SELECT 1 FROM before)) "
            "UPDATE power.session_files s SET size = $4, mode = $5, modified_ns = $7, changed_ns = $8, inode = $9, home = $10::uuid FROM before b "
            "WHERE s.principal = b.principal AND s.session_id = b.session_id AND s.path_key = b.path_key",
            valuesOf(session, file, home)));
        if (!told) return told;
    }
    return Done{};
}

Result<Done> followed(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &copies)
{
    for (const SessionFile &copy : copies) {
        const Result<Done> gone = ended(storage::query(connection,
                                                       "DELETE FROM power.session_copies WHERE principal = $1 AND session_id = $2 AND path_key = "
                                                       "md5($3) AND home = $4::uuid AND changed_ns = $5 AND inode = $6",
                                                       {session.principal, session.sessionId, copy.path, home, copy.source.changedNs,
                                                        qint64(copy.source.inode)}));
        if (!gone) return gone;
    }
    return Done{};
}

Result<QString> claim(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool move)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "WITH changed AS (INSERT INTO power.session_homes AS h (principal, session_id, home) VALUES ($1, $2, $3::uuid) "
        "ON CONFLICT (principal, session_id) DO UPDATE SET home = excluded.home, since = now() WHERE $4::boolean AND "
        "h.home <> $3::uuid RETURNING 1), told AS (SELECT pg_notify($5, json_build_object('home', $3::text, 'principal', "
        "$1::text, 'session', $2::text)::text) FROM changed) SELECT (SELECT count(*) FROM told), (SELECT home::text FROM power.session_homes "
        "WHERE principal = $1 AND session_id = $2)",
        {session.principal, session.sessionId, home, move, QLatin1String(kHomesChannel)});
    if (!rows) return Unexpected<Error>{rows.error()};
    return rows->number(0, 0) > 0 || rows->isNull(0, 1) ? home : rows->text(0, 1);
}

Result<Done> tell(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool deleted)
{
    return ended(storage::query(connection,
                                "SELECT pg_notify($4, json_build_object('home', $3::text, 'principal', $1::text, 'session', $2::text, 'deleted', "
                                "$5::boolean)::text)",
                                {session.principal, session.sessionId, home, QLatin1String(kHomesChannel), deleted}));
}

Result<bool> isElsewhere(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool *any)
{
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT h.home::text, EXISTS (SELECT 1 FROM power.session_files WHERE principal = $1 AND session_id = $2), EXISTS (SELECT 1 FROM "
        "power.session_files WHERE principal = $1 AND session_id = $2 AND home <> $3::uuid), EXISTS (SELECT 1 FROM power.session_copies WHERE "
        "principal = $1 AND session_id = $2 AND home = $3::uuid) FROM (SELECT 1) one LEFT JOIN power.session_homes h ON h.principal = $1 AND "
        "h.session_id = $2",
        {session.principal, session.sessionId, home});
    if (!rows) return Unexpected<Error>{rows.error()};
    *any = !rows->isNull(0, 0) || rows->flag(0, 1);
    if (rows->flag(0, 3)) return true;
    return *any && (rows->text(0, 0) != home || rows->flag(0, 2));
}

Result<Done> sweepCopies(QSqlDatabase &connection)
{
    return ended(storage::query(connection, "DELETE FROM power.session_copies WHERE since < now() - interval '30 days'"));
}

} // namespace power::files::sessiontable
