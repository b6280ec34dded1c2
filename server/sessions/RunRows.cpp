#include "sessions/RunRows.h"
#include "storage/Sql.h"
#include <QJsonDocument>
#include <QUuid>

namespace power::sessions::rows {

using storage::query;

namespace {
constexpr qint64 kPruneEvery = 20; // runs of a session
#define POWER_RUN_COLUMNS                                                                                                 \
    "SELECT id, number, started_at, principal, door, code, context, status, COALESCE(cause, ''), error_name, error_value, " \
    "duration_ms, execution_count, facts::text, inputs::text, files::text, calls::text, code_sha256"

QJsonArray jsonArray(const QString &text)
{
    return QJsonDocument::fromJson(text.toUtf8()).array();
}

RunRow rowAt(const storage::Rows &found, int row)
{
    RunRow run;
    run.id = found.text(row, 0);
    run.number = found.number(row, 1);
    run.started = found.time(row, 2);
    run.principal = found.text(row, 3);
    run.door = found.text(row, 4);
    run.code = found.text(row, 5);
    run.context = found.text(row, 6);
    run.status = found.text(row, 7);
    run.cause = found.text(row, 8);
    run.errorName = found.text(row, 9);
    run.errorValue = found.text(row, 10);
    run.durationMs = found.number(row, 11);
    run.executionCount = int(found.number(row, 12));
    run.facts = found.json(row, 13);
    run.facts.insert(QStringLiteral("code_sha256"), found.text(row, 17));
    run.inputs = jsonArray(found.text(row, 14));
    run.files = jsonArray(found.text(row, 15));
    run.calls = jsonArray(found.text(row, 16));
    return run;
}

Result<Done> done(const Result<storage::Rows> &got)
{
    if (!got)
        return Unexpected<Error>{got.error()};
    return Done{};
}

Result<Done> keepNewest(QSqlDatabase &connection, const QJsonObject &record, qint64 number, const HistoryLimits &limits)
{
    return done(query(connection,
                      "DELETE FROM power.runs WHERE principal = $1 AND session_id = $2 AND (number <= $3 OR number <= "
                      "(SELECT max(number) FROM (SELECT number, sum(size_bytes) OVER (ORDER BY number DESC) AS total "
                      "FROM power.runs WHERE principal = $1 AND session_id = $2) sizes WHERE total > $4))",
                      {record.value(QStringLiteral("principal")).toString(), record.value(QStringLiteral("session_id")).toString(),
                       number - limits.runs, limits.bytes}));
}
} // namespace

Result<Done> insertRun(QSqlDatabase &connection, const QJsonObject &record, const HistoryLimits &limits)
{
    const auto text = [&record](const char *name) { return record.value(QLatin1String(name)).toString(); };
    const auto list = [&record](const char *name) { return QVariant(record.value(QLatin1String(name)).toArray()); };
    const QString outputs = record.contains(QStringLiteral("outputs")) ? text("outputs") : QStringLiteral("[]");
    const QString code = text("code");
    const auto inserted = query(
        connection,
        "INSERT INTO power.runs (id, principal, session_id, number, code_sha256, code_length, status, cause, started_at, "
        "duration_ms, facts, code, context, door, execution_count, error_name, error_value, inputs, files, calls, outputs, "
        "size_bytes) SELECT $1::uuid, $2::text, $3::text, COALESCE((SELECT max(number) FROM power.runs WHERE principal = $2 "
        "AND session_id = $3), 0) + 1, $4, $5::bigint, $6, NULLIF($7, ''), $8::timestamptz, $9::bigint, $10::jsonb, $11, $12, "
        "$13, $14::int, $15, $16, $17::jsonb, $18::jsonb, $19::jsonb, $20, $21::bigint ON CONFLICT (id) DO NOTHING RETURNING number",
        {text("id"), text("principal"), text("session_id"), text("code_sha256"), record.value(QStringLiteral("code_length")).toInteger(),
         text("status"), text("cause"), text("time"), record.value(QStringLiteral("duration_ms")).toInteger(),
         QVariant(record.value(QStringLiteral("facts")).toObject()), code, text("context"), text("door"),
         record.value(QStringLiteral("count")).toInteger(), text("error_name"), text("error_value"), list("inputs"), list("files"),
         list("calls"), outputs, qint64(outputs.size() + code.size() + 500)});
    if (!inserted)
        return Unexpected<Error>{inserted.error()};
    const qint64 number = inserted->isEmpty() ? 0 : inserted->number(0, 0);
    if (number > 0 && number % kPruneEvery == 0)
        return keepNewest(connection, record, number, limits);
    return Done{};
}

Result<Done> setInputs(QSqlDatabase &connection, const QJsonObject &record)
{
    return done(query(connection, "UPDATE power.runs SET inputs = $2::jsonb WHERE id = $1::uuid",
                      {record.value(QStringLiteral("id")).toString(), QVariant(record.value(QStringLiteral("inputs")).toArray())}));
}

Result<Done> removeRuns(QSqlDatabase &connection, const QString &principal, const QString &sessionId)
{
    return done(query(connection, "DELETE FROM power.runs WHERE principal = $1 AND session_id = $2", {principal, sessionId}));
}

Result<Done> pruneRuns(QSqlDatabase &connection, int days)
{
    return done(query(connection, "DELETE FROM power.runs WHERE started_at < now() - make_interval(days => $1::int)", {days}));
}

Result<Page> listRuns(QSqlDatabase &connection, const SessionKey &key, int limit, qint64 offset)
{
    const auto count = query(connection, "SELECT count(*) FROM power.runs WHERE principal = $1 AND session_id = $2",
                             {key.principal, key.id});
    if (!count)
        return Unexpected<Error>{count.error()};
    const auto found = query(connection,
                             POWER_RUN_COLUMNS " FROM power.runs WHERE principal = $1 AND session_id = $2 ORDER BY number DESC "
                                               "LIMIT $3::int OFFSET $4::bigint",
                             {key.principal, key.id, limit, offset});
    if (!found)
        return Unexpected<Error>{found.error()};
    Page page;
    page.total = count->number(0, 0);
    for (int row = 0; row < found->size(); ++row)
        page.runs << rowAt(*found, row);
    return page;
}

Result<std::optional<RunRow>> findRun(QSqlDatabase &connection, const SessionKey &key, const QString &run)
{
    bool isNumber = false;
    const qlonglong number = run.toLongLong(&isNumber);
    const QUuid id = QUuid::fromString(run);
    if (!isNumber && id.isNull())
        return std::optional<RunRow>();
    const auto found = query(connection,
                             POWER_RUN_COLUMNS ", outputs FROM power.runs WHERE principal = $1 AND session_id = $2 AND "
                                               "(number = $3::bigint OR id = $4::uuid)",
                             {key.principal, key.id, isNumber ? QVariant(number) : QVariant(),
                              isNumber ? QVariant() : QVariant(id.toString(QUuid::WithoutBraces))});
    if (!found)
        return Unexpected<Error>{found.error()};
    if (found->isEmpty())
        return std::optional<RunRow>();
    RunRow row = rowAt(*found, 0);
    row.outputs = jsonArray(found->text(0, 18));
    return std::optional<RunRow>(row);
}

Result<QList<RunRow>> wholeHistory(QSqlDatabase &connection, const SessionKey &key, qint64 mostBytes)
{
    const auto found = query(connection,
                             POWER_RUN_COLUMNS ", CASE WHEN sum(size_bytes) OVER (ORDER BY number DESC) <= $3::bigint THEN outputs "
                                               "ELSE '[]' END FROM power.runs WHERE principal = $1 AND session_id = $2 "
                                               "ORDER BY number",
                             {key.principal, key.id, mostBytes});
    if (!found)
        return Unexpected<Error>{found.error()};
    QList<RunRow> runs;
    for (int row = 0; row < found->size(); ++row) {
        runs << rowAt(*found, row);
        runs.last().outputs = jsonArray(found->text(row, 18));
    }
    return runs;
}

#undef POWER_RUN_COLUMNS
} // namespace power::sessions::rows
