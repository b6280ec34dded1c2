// query_dataset: SQL over DataFrames of a session and persistent datasets by their names. PostgreSQL answers what asks for
// datasets alone; DuckDB, beside the kernel, the rest.
#include "datasets/DatasetService.h"
#include "operations/DatasetAsking.h"
#include "operations/InsideTools.h"
#include "operations/RunText.h"
#include "operations/TaskFailure.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::operations {

namespace {
constexpr std::chrono::milliseconds kQueryTime{60'000};

struct Question {
    sessions::SessionKey key;
    QString sql;
    QJsonValue parameters;
    int limit = 0, offset = 0;
    bool asRows = false;
};

// Of columns with one name the later ones get a number.
QStringList uniqueNames(const QJsonArray &columns)
{
    QStringList names;
    for (const auto column : columns) {
        QString name = column.toString();
        for (int n = 2; names.contains(name); ++n)
            name = column.toString() + u'_' + QString::number(n);
        names << name;
    }
    return names;
}

// Rows as objects (contract 8.2).
QJsonArray rowObjects(const QStringList &names, const QJsonArray &rows)
{
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

Answer shaped(const Question &question, const QJsonArray &columns, const QJsonArray &rows, bool hasMore, const char *engine)
{
    const QStringList names = uniqueNames(columns);
    Answer answer;
    answer.data = {{QStringLiteral("columns"), QJsonArray::fromStringList(names)},
                   {QStringLiteral("row_count"), rows.size()},
                   {QStringLiteral("limit"), question.limit},
                   {QStringLiteral("offset"), question.offset},
                   {QStringLiteral("has_more"), hasMore},
                   {QStringLiteral("engine"), QLatin1String(engine)}};
    if (question.asRows)
        answer.data.insert(QStringLiteral("rows"), rows);
    else
        answer.data.insert(QStringLiteral("data"), rowObjects(names, rows));
    return answer;
}

QCoro::Task<Result<Answer>> inDatabase(Services *services, QString principal, Question question, CancelToken cancel)
{
    datasets::QueryOrder order;
    order.principal = principal;
    order.sql = question.sql;
    order.parameters = question.parameters;
    order.limit = question.limit;
    order.offset = question.offset;
    order.timeout = kQueryTime;
    order.cancel = cancel;
    QCoro::Task<Result<datasets::QueryAnswer>> asking = services->datasets->query(std::move(order));
    const Result<datasets::QueryAnswer> answer = co_await asking;
    if (!answer)
        co_return Unexpected<Error>{answer.error()};
    co_return shaped(question, QJsonArray::fromStringList(answer->columns), answer->rows, answer->hasMore, "postgresql");
}

// local: datasets are brought to the session even when nothing else is asked for. A null answer: PostgreSQL is to be asked.
QCoro::Task<Result<std::optional<Answer>>> inSession(Services *services, const Registry *registry, Caller caller, Question question, bool local)
{
    QJsonObject parameters{{QStringLiteral("sql"), question.sql}, {QStringLiteral("limit"), question.limit},
                           {QStringLiteral("offset"), question.offset}, {QStringLiteral("local"), local}};
    if (!question.parameters.isNull())
        parameters.insert(QStringLiteral("params"), question.parameters);
    const QString task = QStringLiteral("query");
    const CancelToken cancel = caller.cancel;
    supervisor::CellCall tools = insideTools(*registry, caller, question.key.id);
    const auto outcome = co_await services->sessions.task(question.key, task, parameters, kQueryTime, cancel, std::move(tools));
    if (!outcome)
        co_return Unexpected<Error>{outcome.error()};
    if (outcome->status != supervisor::RunStatus::Ok)
        co_return runFailure(*outcome, QStringLiteral("The query"),
                             QStringLiteral("Select fewer rows or columns, or run it in execute_code with duckdb.sql()."));
    const QJsonObject told = QJsonDocument::fromJson(outcome->payload).object();
    if (told.value(QStringLiteral("engine")) == QStringLiteral("postgresql"))
        co_return std::optional<Answer>();
    Answer answer = shaped(question, told.value(QStringLiteral("columns")).toArray(), told.value(QStringLiteral("data")).toArray(),
                           told.value(QStringLiteral("has_more")).toBool(), "duckdb");
    for (const QJsonValue &note : told.value(QStringLiteral("notes")).toArray())
        answer.notes << note.toString();
    const QJsonArray frames = told.value(QStringLiteral("frames")).toArray();
    QCoro::Task<QStringList> looking = shadowNotes(services, caller.principal, frames);
    const QStringList shadows = co_await looking;
    answer.notes += shadows;
    co_return std::optional<Answer>(std::move(answer));
}

// What PostgreSQL refused as no SQL of its own may be DuckDB's, or only differ in the case of a name.
QCoro::Task<Result<Answer>> inEitherDialect(Services *services, const Registry *registry, Caller caller, Question question)
{
    const QString principal = caller.principal;
    const CancelToken cancel = caller.cancel;
    QCoro::Task<Result<Answer>> asking = inDatabase(services, principal, question, cancel);
    Result<Answer> answer = co_await asking;
    if (answer || !isOtherDialect(answer.error()))
        co_return answer;
    const QString sql = question.sql;
    QCoro::Task<bool> weighing = isSmall(services, principal, sql);
    const bool small = co_await weighing;
    if (small) {
        QCoro::Task<Result<std::optional<Answer>>> trying = inSession(services, registry, std::move(caller), question, true);
        Result<std::optional<Answer>> second = co_await trying;
        if (second && *second) {
            (*second)->notes << QStringLiteral("PostgreSQL refused the statement (%1); DuckDB ran it.").arg(answer.error().message.section(u'\n', 0, 0));
            co_return std::move(**second);
        }
    }
    Error error = answer.error();
    if (error.nextStep.isEmpty())
        error.nextStep = QStringLiteral("Statements over persistent datasets alone are PostgreSQL's SQL; list_datasets shows their columns.");
    co_return Unexpected<Error>{error};
}

QCoro::Task<Result<Answer>> queryDataset(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    Question question{*key, arguments.value(QStringLiteral("query")).toString(), arguments.value(QStringLiteral("params")),
                      arguments.value(QStringLiteral("limit")).toInt(1000), arguments.value(QStringLiteral("offset")).toInt(0),
                      arguments.value(QStringLiteral("rows")).toBool()};
    if (question.parameters.isUndefined())
        question.parameters = QJsonValue();
    const bool hasDatabase = services->datasets && services->datasets->queryProblem().isEmpty();
    const bool hasSession = services->sessions.existingWorkspace(*key).ok();
    if (hasSession || !hasDatabase) {
        const Caller who = caller;
        QCoro::Task<Result<std::optional<Answer>>> trying = inSession(services, registry, who, question, !hasDatabase);
        Result<std::optional<Answer>> first = co_await trying;
        // Where no session can be, datasets can still be asked.
        const bool noSession = !first && first.error().code == ErrorCode::Unavailable && hasDatabase && !first.error().details.contains(QStringLiteral("cause"));
        if (!first && !noSession)
            co_return Unexpected<Error>{first.error()};
        if (first && *first)
            co_return std::move(**first);
    }
    QCoro::Task<Result<Answer>> asking = inEitherDialect(services, registry, std::move(caller), question);
    Result<Answer> answer = co_await asking;
    co_return answer;
}
} // namespace

void addDataOperations(Registry &registry, Services &services)
{
    Operation query;
    query.name = QStringLiteral("query_dataset");
    query.title = QStringLiteral("SQL query");
    query.description = QStringLiteral("Run one SQL SELECT over DataFrames of a session and persistent datasets by their names, also joined, "
                                       "e.g. SELECT vendor, SUM(amount) AS total FROM df GROUP BY vendor. DuckDB's SQL; datasets alone: PostgreSQL's.");
    Parameter sql;
    sql.name = QStringLiteral("query");
    sql.aliases = {QStringLiteral("sql")};
    sql.description = QStringLiteral("SQL text.");
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
    Parameter parameters;
    parameters.name = QStringLiteral("params");
    parameters.type = Parameter::Type::Object;
    parameters.description = QStringLiteral("Values of :name in the statement.");
    parameters.hidden = true;
    Parameter rows;
    rows.name = QStringLiteral("rows");
    rows.type = Parameter::Type::Boolean;
    rows.description = QStringLiteral("Rows as lists, under \"rows\", instead of objects.");
    rows.hidden = true;
    query.parameters = {sql, sessionParameter(), limit, offset, parameters, rows};
    query.hints = {true, false, true, false};
    query.scope = QStringLiteral("run");
    query.toolset = QStringLiteral("data");
    query.method = [&services, &registry](Caller caller, QJsonObject arguments) {
        return queryDataset(&services, &registry, std::move(caller), std::move(arguments));
    };
    registry.add(query);
    addLoadOperations(registry, services);
    addDatasetAsking(registry, services);
}

} // namespace power::operations
