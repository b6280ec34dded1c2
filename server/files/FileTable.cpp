#include "files/FileTable.h"
#include "files/SessionTable.h"
#include "storage/Sql.h"

namespace power::files
{

namespace
{
#define POWER_FILE_COLUMNS                                                                                   \
    "id, principal, session_id, charts_slug, name, mime, size, sha256, content_location, created_at, "       \
    "expires_at"

FileRow rowAt(const storage::Rows &rows, int i)
{
    FileRow row;
    row.found = true;
    row.file.id = rows.text(i, 0);
    row.file.principal = rows.text(i, 1);
    row.file.sessionId = rows.text(i, 2);
    row.file.chartSlug = rows.text(i, 3);
    row.file.name = rows.text(i, 4);
    row.file.mime = rows.text(i, 5);
    row.file.size = rows.number(i, 6);
    row.file.sha256 = rows.text(i, 7).toLatin1();
    row.location = rows.text(i, 8);
    row.file.created = rows.time(i, 9);
    row.file.expires = rows.time(i, 10);
    return row;
}

Result<FileRow> oneRow(Result<storage::Rows> rows)
{
    if (!rows) return Unexpected<Error>{rows.error()};
    return rows->isEmpty() ? FileRow() : rowAt(*rows, 0);
}

Result<Done> done(const Result<storage::Rows> &rows)
{
    return rows ? Result<Done>(Done{}) : Unexpected<Error>{rows.error()};
}

QVariant timeOrNull(const QDateTime &time)
{
    return time.isValid() ? QVariant(time) : QVariant();
}

Result<FileRow> ofTheOriginal(QSqlDatabase &connection, const QString &id)
{
    const Result<storage::Rows> rows =
        storage::query(connection,
                       "SELECT session_id, name, mime, sha256, content, created_at, expires_at FROM "
                       "power.original_file($1::uuid)",
                       {id});
    if (!rows) return Unexpected<Error>{rows.error()};
    FileRow row;
    if (rows->isEmpty()) return row;
    row.found = true;
    row.location = QStringLiteral("original");
    row.bytes = rows->bytes(0, 4);
    row.file.id = id;
    row.file.principal = QStringLiteral("owner");
    row.file.sessionId = row.file.chartSlug = rows->text(0, 0);
    row.file.name = rows->text(0, 1);
    row.file.mime = rows->text(0, 2);
    row.file.sha256 = rows->text(0, 3).toLatin1();
    row.file.size = row.bytes.size();
    row.file.created = rows->time(0, 5);
    row.file.expires = rows->time(0, 6);
    return row;
}
} // namespace

QJsonObject toJson(const FileRow &row)
{
    const StoredFile &file = row.file;
    const auto time = [](const QDateTime &when) {
        return when.isValid() ? QJsonValue(when.toUTC().toString(Qt::ISODateWithMs)) : QJsonValue();
    };
    return {{QStringLiteral("id"), file.id},
            {QStringLiteral("principal"), file.principal},
            {QStringLiteral("session_id"), file.sessionId},
            {QStringLiteral("charts_slug"), file.chartSlug},
            {QStringLiteral("name"), file.name},
            {QStringLiteral("mime"), file.mime},
            {QStringLiteral("size"), file.size},
            {QStringLiteral("sha256"), QString::fromLatin1(file.sha256)},
            {QStringLiteral("location"), row.location},
            {QStringLiteral("created_at"), time(file.created)},
            {QStringLiteral("expires_at"), time(file.expires)}};
}

FileRow fromJson(const QJsonObject &object)
{
    const auto text = [&object](const char *key) { return object.value(QLatin1String(key)).toString(); };
    FileRow row;
    row.found = true;
    row.file.id = text("id");
    row.file.principal = text("principal");
    row.file.sessionId = text("session_id");
    row.file.chartSlug = text("charts_slug");
    row.file.name = text("name");
    row.file.mime = text("mime");
    row.file.size = object.value(QLatin1String("size")).toInteger();
    row.file.sha256 = text("sha256").toLatin1();
    row.location = text("location");
    row.file.created = QDateTime::fromString(text("created_at"), Qt::ISODateWithMs);
    row.file.expires = QDateTime::fromString(text("expires_at"), Qt::ISODateWithMs);
    return row;
}

namespace table
{

Result<FileRow> put(QSqlDatabase &connection, const FileRow &row)
{
    const StoredFile &file = row.file;
    Result<FileRow> renewed = oneRow(storage::query(
        connection,
        "UPDATE power.files SET created_at = greatest(created_at, $5), expires_at = $6, content_location = $7 WHERE id = (SELECT id "
        "FROM power.files"
        " WHERE principal = $1 AND session_id = $2 AND name = $3 AND sha256 = $4 AND content_location <> ''"
        " AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at DESC LIMIT 1) "
        "RETURNING " POWER_FILE_COLUMNS,
        {file.principal, file.sessionId, file.name, QString::fromLatin1(file.sha256), file.created,
         timeOrNull(file.expires), row.location}));
    if (!renewed || renewed->found) return renewed;
    return oneRow(storage::query(
        connection,
        "INSERT INTO power.files (" POWER_FILE_COLUMNS
        ") VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at RETURNING " POWER_FILE_COLUMNS,
        {file.id, file.principal, file.sessionId, file.chartSlug, file.name, file.mime, file.size,
         QString::fromLatin1(file.sha256), row.location, file.created, timeOrNull(file.expires)}));
}

Result<bool> isStored(QSqlDatabase &connection, const FileRow &row)
{
    const StoredFile &file = row.file;
    const Result<storage::Rows> rows = storage::query(
        connection,
        "SELECT 1 FROM power.files WHERE principal = $1 AND session_id = $2 AND name = $3 AND sha256 = $4 AND content_location <> ''"
        " AND (expires_at IS NULL OR expires_at > now()) LIMIT 1",
        {file.principal, file.sessionId, file.name, QString::fromLatin1(file.sha256)});
    if (!rows) return Unexpected<Error>{rows.error()};
    return !rows->isEmpty();
}

Result<FileRow> byId(QSqlDatabase &connection, const QString &id)
{
    Result<FileRow> row = oneRow(storage::query(
        connection, "SELECT " POWER_FILE_COLUMNS " FROM power.files WHERE id = $1::uuid", {id}));
    if (!row || row->found) return row;
    return ofTheOriginal(connection, id);
}

Result<FileRow> newestChart(QSqlDatabase &connection, const QString &chartSlug, const QString &name)
{
    const auto search = [&](const char *condition) {
        const QByteArray sql =
            QByteArrayLiteral("SELECT " POWER_FILE_COLUMNS " FROM power.files WHERE charts_slug = $1 AND ") +
            condition + " ORDER BY created_at DESC LIMIT 1";
        return oneRow(storage::query(connection, sql.constData(), {chartSlug, name}));
    };
    Result<FileRow> row = search("name = $2");
    if (!row || row->found || name.contains(u'/')) return row;
    return search("right(name, length($2) + 1) = '/' || $2");
}

Result<QList<FileRow>> newestOfSession(QSqlDatabase &connection, const QString &principal,
                                       const QString &sessionId)
{
    const Result<storage::Rows> rows =
        storage::query(connection,
                       "SELECT DISTINCT ON (name) " POWER_FILE_COLUMNS
                       " FROM power.files WHERE principal = $1 AND session_id = $2"
                       " AND content_location <> '' AND (expires_at IS NULL OR expires_at > now()) ORDER BY "
                       "name, created_at DESC",
                       {principal, sessionId});
    if (!rows) return Unexpected<Error>{rows.error()};
    QList<FileRow> all;
    for (int i = 0; i < rows->size(); ++i)
        all << rowAt(*rows, i);
    return all;
}

Result<Done> forget(QSqlDatabase &connection, const QString &principal, const QString &sessionId,
                    const QString &name, const QString &home)
{
    const Result<Done> files = sessiontable::forget(connection, {principal, sessionId}, home, name);
    if (!files) return files;
    if (!home.isEmpty()) {
        const Result<Done> told = sessiontable::tell(connection, {principal, sessionId}, home, name.isEmpty());
        if (!told) return told;
    }
    return done(storage::query(
        connection,
        "DELETE FROM power.files WHERE principal = $1 AND session_id = $2 AND ($3 = '' OR name = $3)",
        {principal, sessionId, name}));
}

Result<Done> countDownload(QSqlDatabase &connection, const QString &id, int times)
{
    return done(storage::query(
        connection, "UPDATE power.files SET downloads = downloads + $2 WHERE id = $1::uuid", {id, times}));
}

Result<qint64> chargedTo(QSqlDatabase &connection, const QString &principal, const QString &sessionId, qint64 limit)
{
    const auto total = [&]() -> Result<qint64> {
        const Result<storage::Rows> rows = storage::query(
            connection,
            "SELECT coalesce(sum(size), 0)::bigint FROM power.files WHERE principal = $1 AND session_id = $2 AND content_location <> '' "
            "AND (expires_at IS NULL OR expires_at > now())",
            {principal, sessionId});
        if (!rows) return Unexpected<Error>{rows.error()};
        return rows->number(0, 0);
    };
    const Result<qint64> charged = total();
    if (!charged || limit <= 0 || *charged <= limit) return charged;
    const Result<storage::Rows> early = storage::query(
        connection,
        "UPDATE power.files SET expires_at = now(), content_location = '' WHERE id IN (SELECT id FROM (SELECT id, size, sum(size) OVER "
        "(ORDER BY created_at, id) AS freed FROM power.files f WHERE principal = $1 AND session_id = $2 AND content_location <> '' AND "
        "(expires_at IS NULL OR expires_at > now()) AND EXISTS (SELECT 1 FROM power.files n WHERE n.principal = $1 AND n.session_id = $2 "
        "AND n.name = f.name AND n.created_at > f.created_at)) replaced WHERE freed - size < $3)",
        {principal, sessionId, *charged - limit});
    if (!early) return Unexpected<Error>{early.error()};
    return total();
}

Result<int> expire(QSqlDatabase &connection)
{
    const Result<storage::Rows> expired = storage::query(
        connection,
        "UPDATE power.files SET content_location = '' WHERE expires_at <= now() AND content_location <> ''");
    if (!expired) return Unexpected<Error>{expired.error()};
    const Result<Done> old = done(
        storage::query(connection, "DELETE FROM power.files WHERE expires_at < now() - interval '30 days'"));
    if (!old) return Unexpected<Error>{old.error()};
    return int(expired->affected());
}

Result<QList<QByteArray>> unreferenced(QSqlDatabase &connection, const QList<QByteArray> &contents)
{
    QStringList names;
    for (const QByteArray &content : contents)
        names << QString::fromLatin1(content);
    const Result<storage::Rows> rows =
        storage::query(connection,
                       "SELECT c FROM unnest($1::text[]) c WHERE NOT EXISTS (SELECT 1 FROM power.files f "
                       "WHERE f.sha256 = c AND f.content_location = 'sha256:' || c)",
                       {names});
    if (!rows) return Unexpected<Error>{rows.error()};
    QList<QByteArray> free;
    for (int i = 0; i < rows->size(); ++i)
        free << rows->text(i, 0).toLatin1();
    return free;
}

Result<Done> apply(QSqlDatabase &connection, const QJsonObject &record)
{
    const auto text = [&record](const char *key) { return record.value(QLatin1String(key)).toString(); };
    const QString op = text("op");
    if (op == u"forget") return forget(connection, text("principal"), text("session_id"), text("name"), text("home"));
    if (op == u"count") return countDownload(connection, text("id"), 1);
    const Result<FileRow> row = put(connection, fromJson(record));
    return row ? Result<Done>(Done{}) : Unexpected<Error>{row.error()};
}

} // namespace table
} // namespace power::files
