#include "datasets/DatasetTable.h"
#include "storage/Sql.h"
#include <QJsonDocument>

namespace power::datasets::table {

using storage::query;
using storage::script;

namespace {
#define POWER_DATASET_FIELDS                                                                                                   \
    "SELECT id, name, table_schema, table_name, coalesce(description, ''), format, coalesce(source, ''), origin, row_count, "   \
    "size_bytes, columns::text, created_at, updated_at FROM power.datasets "

Dataset datasetAt(const storage::Rows &rows, int row)
{
    Dataset dataset;
    dataset.id = rows.text(row, 0);
    dataset.name = rows.text(row, 1);
    dataset.schema = rows.text(row, 2);
    dataset.table = rows.text(row, 3);
    dataset.description = rows.text(row, 4);
    dataset.format = rows.text(row, 5);
    dataset.source = rows.text(row, 6);
    dataset.origin = rows.text(row, 7);
    dataset.rows = rows.number(row, 8);
    dataset.sizeBytes = rows.number(row, 9);
    dataset.columns = columnsFrom(QJsonDocument::fromJson(rows.wire(row, 10)).array());
    dataset.created = rows.time(row, 11);
    dataset.updated = rows.time(row, 12);
    return dataset;
}

Unexpected<Error> unknownDataset(QSqlDatabase &connection, const QString &principal, const QString &name)
{
    QStringList names;
    if (const auto all = list(connection, principal)) {
        for (const Dataset &each : *all)
            names << each.name;
    }
    const QString known = names.size() > 20 ? names.mid(0, 20).join(QStringLiteral(", ")) + QStringLiteral(" ...") : names.join(QStringLiteral(", "));
    return fail(ErrorCode::NotFound, QStringLiteral("There is no dataset \"%1\".").arg(name.left(80)),
                names.isEmpty() ? QStringLiteral("upload_dataset stores one.") : QStringLiteral("There are: %1.").arg(known));
}
} // namespace

QByteArray quoted(const QString &name)
{
    return '"' + name.toUtf8().replace('"', "\"\"") + '"';
}

QByteArray quoted(const QString &schema, const QString &name)
{
    return quoted(schema) + '.' + quoted(name);
}

Result<QList<Dataset>> list(QSqlDatabase &connection, const QString &principal)
{
    const auto rows = query(connection, POWER_DATASET_FIELDS "WHERE principal = $1 ORDER BY name", {principal});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QList<Dataset> all;
    for (int i = 0; i < rows->size(); ++i)
        all.append(datasetAt(*rows, i));
    return all;
}

Result<Dataset> find(QSqlDatabase &connection, const QString &principal, const QString &name)
{
    const auto rows = query(connection,
                            POWER_DATASET_FIELDS "WHERE principal = $1 AND (name = $2 OR table_name = $2 OR id::text = $2 OR lower(name) = lower($2)) "
                                                 "ORDER BY name = $2 DESC, table_name = $2 DESC, id::text = $2 DESC, updated_at DESC LIMIT 1",
                            {principal, name});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    if (rows->isEmpty())
        return unknownDataset(connection, principal, name);
    return datasetAt(*rows, 0);
}

Result<std::optional<Dataset>> findExact(QSqlDatabase &connection, const QString &principal, const QString &name)
{
    const auto rows = query(connection, POWER_DATASET_FIELDS "WHERE principal = $1 AND name = $2", {principal, name});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    return rows->isEmpty() ? std::optional<Dataset>() : std::optional<Dataset>(datasetAt(*rows, 0));
}

Result<Done> lockPrincipal(QSqlDatabase &connection, const QString &principal)
{
    const auto locked = query(connection, "SELECT 1 FROM power.principals WHERE id = $1 FOR NO KEY UPDATE", {principal});
    if (!locked)
        return Unexpected<Error>{locked.error()};
    return Done{};
}

Result<Done> insert(QSqlDatabase &connection, const QString &principal, const QString &session, const Dataset &dataset)
{
    const auto done = query(connection,
                            "INSERT INTO power.datasets (id, principal, session_id, name, table_schema, table_name, description, format, "
                            "source, row_count, column_count, columns, size_bytes, origin, created_at) "
                            "VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                            {dataset.id, principal, session, dataset.name, dataset.schema, dataset.table, dataset.description, dataset.format,
                             dataset.source, dataset.rows, dataset.columns.size(), columnsJson(dataset.columns), dataset.sizeBytes,
                             dataset.origin, dataset.created});
    if (!done)
        return Unexpected<Error>{done.error()};
    return Done{};
}

Result<Done> forget(QSqlDatabase &connection, const Dataset &dataset)
{
    const auto done = query(connection, "DELETE FROM power.datasets WHERE id = $1", {dataset.id});
    if (!done)
        return Unexpected<Error>{done.error()};
    return Done{};
}

Result<Done> dropTable(QSqlDatabase &connection, const Dataset &dataset)
{
    const auto patient = script(connection, "SET LOCAL lock_timeout = '30s'");
    if (!patient)
        return patient;
    const auto dropped = script(connection, "DROP TABLE IF EXISTS " + quoted(dataset.schema, dataset.table));
    if (dropped)
        return dropped;
    const QString state = dropped.error().details.value(QStringLiteral("sqlstate")).toString();
    if (state == u"55P03")
        return fail(ErrorCode::Busy, QStringLiteral("The dataset %1 is being read; it was not removed.").arg(dataset.name), QStringLiteral("Try again."));
    if (state == u"2BP01")
        return fail(ErrorCode::Conflict, QStringLiteral("Something else in the database needs the table %1 of dataset %2; nothing was removed.")
                                             .arg(dataset.table, dataset.name),
                    QStringLiteral("The administrator can find it with \\d+ in psql."));
    return dropped;
}

Result<Done> measure(QSqlDatabase &connection, Dataset &dataset)
{
    const QString name = QString::fromUtf8(quoted(dataset.schema, dataset.table));
    const auto columns = query(connection,
                               "SELECT attname, format_type(atttypid, NULL), NOT attnotnull FROM pg_attribute "
                               "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                               {name});
    if (!columns)
        return Unexpected<Error>{columns.error()};
    dataset.columns.clear();
    for (int i = 0; i < columns->size(); ++i)
        dataset.columns.append({columns->text(i, 0), columns->text(i, 1), columns->flag(i, 2)});
    const auto size = query(connection, "SELECT coalesce(pg_total_relation_size(to_regclass($1)), 0)", {name});
    if (!size)
        return Unexpected<Error>{size.error()};
    dataset.sizeBytes = size->number(0, 0);
    return Done{};
}

Result<QStringList> principals(QSqlDatabase &connection)
{
    const auto rows = query(connection, "SELECT DISTINCT principal FROM power.datasets");
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QStringList all;
    for (int i = 0; i < rows->size(); ++i)
        all << rows->text(i, 0);
    return all;
}

Result<int> dropOrphans(QSqlDatabase &connection)
{
    const auto rows = query(connection,
                            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                            "WHERE n.nspname = 'power_data' AND c.relkind = 'r' AND NOT EXISTS (SELECT 1 FROM power.datasets d "
                            "WHERE d.table_schema = 'power_data' AND d.table_name = c.relname)");
    if (!rows)
        return Unexpected<Error>{rows.error()};
    for (int i = 0; i < rows->size(); ++i) {
        const auto dropped = script(connection, "DROP TABLE IF EXISTS " + quoted(QStringLiteral("power_data"), rows->text(i, 0)) + " CASCADE");
        if (!dropped)
            return Unexpected<Error>{dropped.error()};
    }
    return rows->size();
}

} // namespace power::datasets::table
