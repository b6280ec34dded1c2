#include "files/ContentTable.h"
#include "storage/Sql.h"

namespace power::files::contents
{

namespace
{
constexpr int piecesPerStep = 256;

Result<Done> doneOf(const Result<storage::Rows> &rows)
{
    return rows ? Result<Done>(Done{}) : Unexpected<Error>{rows.error()};
}

// Nobody is told before a row that refers to the content is committed, and that commit takes this one along.
Result<Done> commitLazily(QSqlDatabase &connection)
{
    return doneOf(storage::query(connection, "SET LOCAL synchronous_commit TO off"));
}
} // namespace

Result<bool> renew(QSqlDatabase &connection, const QByteArray &sha256)
{
    const Result<Done> lazily = commitLazily(connection);
    if (!lazily) return Unexpected<Error>{lazily.error()};
    const Result<storage::Rows> rows =
        storage::query(connection, "UPDATE power.contents SET touched_at = now() WHERE sha256 = $1 AND whole",
                       {QString::fromLatin1(sha256)});
    if (!rows) return Unexpected<Error>{rows.error()};
    return rows->affected() > 0;
}

Result<Done> begin(QSqlDatabase &connection, const QString &id, const QByteArray &sha256, qint64 size)
{
    const Result<Done> lazily = commitLazily(connection);
    if (!lazily) return lazily;
    return doneOf(storage::query(connection, "INSERT INTO power.contents (id, sha256, size) VALUES ($1::uuid, $2, $3)",
                                 {id, QString::fromLatin1(sha256), size}));
}

Result<Done> addPieces(QSqlDatabase &connection, const QString &id, int first, const QList<QByteArray> &pieces)
{
    const Result<Done> lazily = commitLazily(connection);
    if (!lazily) return lazily;
    for (int i = 0; i < pieces.size(); ++i) {
        const Result<Done> added =
            doneOf(storage::query(connection, "INSERT INTO power.content_pieces (content, n, bytes) VALUES ($1::uuid, $2, $3)",
                                  {id, first + i, pieces.at(i)}));
        if (!added) return added;
    }
    return Done{};
}

Result<Done> finish(QSqlDatabase &connection, const QString &id)
{
    const Result<Done> lazily = commitLazily(connection);
    if (!lazily) return lazily;
    const Result<storage::Rows> rows =
        storage::query(connection, "UPDATE power.contents SET whole = true, touched_at = now() WHERE id = $1::uuid", {id});
    if (rows && rows->affected() == 0) return fail(ErrorCode::NotFound, QStringLiteral("The content was swept while it was written."));
    return doneOf(rows);
}

Result<QString> find(QSqlDatabase &connection, const QByteArray &sha256)
{
    const QString sum = QString::fromLatin1(sha256);
    const Result<storage::Rows> rows = storage::query(
        connection, "SELECT id, touched_at < now() - interval '30 minutes' FROM power.contents WHERE sha256 = $1 AND whole", {sum});
    if (!rows) return Unexpected<Error>{rows.error()};
    if (rows->isEmpty()) return QString();
    if (rows->flag(0, 1)) {
        const Result<bool> renewed = renew(connection, sha256);
        if (!renewed) return Unexpected<Error>{renewed.error()};
    }
    return rows->text(0, 0);
}

Result<QByteArray> piece(QSqlDatabase &connection, const QString &id, int n)
{
    return storage::queryBytes(connection, "SELECT bytes FROM power.content_pieces WHERE content = $1::uuid AND n = $2", {id, n});
}

Result<Done> release(QSqlDatabase &connection, const QByteArray &sha256)
{
    return doneOf(storage::query(
        connection,
        "UPDATE power.contents SET whole = false, touched_at = 'epoch' WHERE sha256 = $1 AND whole AND touched_at < now() - interval "
        "'10 seconds' AND NOT EXISTS (SELECT 1 FROM power.content_references r WHERE r.sha256 = contents.sha256)",
        {QString::fromLatin1(sha256)}));
}

Result<qint64> allBytes(QSqlDatabase &connection)
{
    const Result<storage::Rows> rows =
        storage::query(connection, "SELECT coalesce(sum(size), 0)::bigint FROM power.contents WHERE whole");
    if (!rows) return Unexpected<Error>{rows.error()};
    return rows->number(0, 0);
}

Result<int> sweepStep(QSqlDatabase &connection, std::chrono::seconds age)
{
    // First nobody finds it any more, then its pieces go, then itself: each step is short, and any may be the last one.
    const Result<storage::Rows> hidden = storage::query(
        connection,
        "UPDATE power.contents c SET whole = false WHERE whole AND touched_at <= now() - make_interval(secs => $1) AND NOT EXISTS "
        "(SELECT 1 FROM power.content_references r WHERE r.sha256 = c.sha256) AND id IN (SELECT id FROM power.contents WHERE whole "
        "AND touched_at <= now() - make_interval(secs => $1) AND NOT EXISTS (SELECT 1 FROM power.content_references r WHERE "
        "r.sha256 = contents.sha256) LIMIT 500)",
        {qint64(age.count())});
    if (!hidden) return Unexpected<Error>{hidden.error()};
    const Result<storage::Rows> pieces = storage::query(
        connection,
        "DELETE FROM power.content_pieces p USING (SELECT content, n FROM power.content_pieces JOIN power.contents ON id = content "
        "WHERE NOT whole AND touched_at <= now() - make_interval(secs => $1) LIMIT $2) d WHERE p.content = d.content AND p.n = d.n",
        {qint64(age.count()), piecesPerStep});
    if (!pieces) return Unexpected<Error>{pieces.error()};
    if (pieces->affected() == piecesPerStep) return piecesPerStep;
    const Result<storage::Rows> rows = storage::query(
        connection,
        "DELETE FROM power.contents c WHERE NOT whole AND touched_at <= now() - make_interval(secs => $1) AND NOT EXISTS "
        "(SELECT 1 FROM power.content_pieces p WHERE p.content = c.id)",
        {qint64(age.count())});
    if (!rows) return Unexpected<Error>{rows.error()};
    return int(hidden->affected() + pieces->affected() + rows->affected());
}

} // namespace power::files::contents
