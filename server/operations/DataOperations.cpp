// query_dataset: SQL over the DataFrames of a session (DuckDB, beside the kernel, so that its threads never stay there).
#include "operations/RunText.h"
#include "operations/Services.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::operations {

namespace {
Unexpected<Error> taskFailure(const supervisor::RunOutcome &outcome, const QString &what)
{
    if (outcome.status == supervisor::RunStatus::Error)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("%1 failed: %2: %3").arg(what, outcome.errorName, outcome.errorValue),
                    outcome.hint);
    return fail(outcome.cause == u"timeout" ? ErrorCode::Timeout : ErrorCode::Unavailable,
                QStringLiteral("%1 did not finish: %2 %3").arg(what, outcome.cause, outcome.limit).trimmed()
                    + (outcome.restored ? QStringLiteral(". ") + outcome.restored->text() : QString()),
                QStringLiteral("Select fewer rows or columns, or run it in execute_code with duckdb.sql()."),
                {{QStringLiteral("cause"), outcome.cause},
                 {QStringLiteral("limit"), outcome.limit},
                 {QStringLiteral("variables_survived"), outcome.variablesSurvived}});
}

// Rows as objects (contract 8.2). Of columns with one name the later ones get a number.
QJsonArray rowObjects(const QJsonArray &columns, const QJsonArray &rows)
{
    QStringList names;
    for (const auto column : columns) {
        QString name = column.toString();
        for (int n = 2; names.contains(name); ++n)
            name = column.toString() + u'_' + QString::number(n);
        names << name;
    }
    QJsonArray objects;
    for (const auto row : rows) {
        const QJsonArray cells = row.toArray();
        QJsonObject object;
        for (qsizetype i = 0; i < names.size(); ++i)
            object.insert(names[i], cells.at(i));
        objects.append(object);
    }
    return objects;
}

QCoro::Task<Result<Answer>> queryDataset(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    const int limit = arguments.value(QStringLiteral("limit")).toInt(1000);
    const int offset = arguments.value(QStringLiteral("offset")).toInt(0);
    const QJsonObject parameters{{QStringLiteral("sql"), arguments.value(QStringLiteral("query"))},
                                 {QStringLiteral("limit"), limit},
                                 {QStringLiteral("offset"), offset}};
    const QString task = QStringLiteral("query");
    const std::chrono::milliseconds timeout{60'000};
    const CancelToken cancel = caller.cancel;
    auto outcome = co_await services->sessions.task(named, task, parameters, timeout, cancel);
    if (!outcome)
        co_return Unexpected<Error>{outcome.error()};
    if (outcome->status != supervisor::RunStatus::Ok)
        co_return taskFailure(*outcome, QStringLiteral("The query"));
    Answer answer;
    answer.data = QJsonDocument::fromJson(outcome->payload).object();
    const QJsonArray columns = answer.data.value(QStringLiteral("columns")).toArray();
    answer.data.insert(QStringLiteral("data"), rowObjects(columns, answer.data.value(QStringLiteral("data")).toArray()));
    answer.data.insert(QStringLiteral("limit"), limit);
    answer.data.insert(QStringLiteral("offset"), offset);
    co_return answer;
}
} // namespace

void addDataOperations(Registry &registry, Services &services)
{
    Operation query;
    query.name = QStringLiteral("query_dataset");
    query.title = QStringLiteral("SQL query");
    query.description = QStringLiteral("Run one SQL SELECT (DuckDB dialect) over the DataFrames of a session by their variable names, "
                                       "e.g. SELECT vendor, SUM(amount) AS total FROM df GROUP BY vendor.");
    Parameter sql;
    sql.name = QStringLiteral("query");
    sql.aliases = {QStringLiteral("sql")};
    sql.description = QStringLiteral("SQL text. Tables are DataFrame variables of the session.");
    sql.required = true;
    Parameter limit;
    limit.name = QStringLiteral("limit");
    limit.type = Parameter::Type::Integer;
    limit.description = QStringLiteral("Most rows to return.");
    limit.defaultValue = 1000;
    limit.minimum = 1;
    limit.maximum = 10'000;
    limit.clamp = true;
    Parameter offset = limit;
    offset.name = QStringLiteral("offset");
    offset.description = QStringLiteral("Rows to skip.");
    offset.defaultValue = 0;
    offset.minimum = 0;
    offset.maximum = QJsonValue();
    query.parameters = {sql, sessionParameter(), limit, offset};
    query.hints = {true, false, true, false};
    query.scope = QStringLiteral("run");
    query.toolset = QStringLiteral("data");
    query.method = [&services](Caller caller, QJsonObject arguments) {
        return queryDataset(&services, std::move(caller), std::move(arguments));
    };
    registry.add(query);
}

} // namespace power::operations
