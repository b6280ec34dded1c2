// _tables, _rows and _query: what SQL and loading inside of a session ask of the persistent datasets.
#include "operations/DatasetAsking.h"
#include "base/Ids.h"
#include "base/Offload.h"
#include "datasets/DatasetService.h"
#include "operations/FileTools.h"
#include "operations/RunText.h"
#include <QJsonDocument>

namespace power::operations {

namespace {
constexpr qint64 kSmall = 256ll << 20;      // bytes of tables that are brought on a chance
constexpr int kNamesTold = 200;
constexpr qint64 kMostRows = 50'000;        // of one answer to code; more are brought as a file
constexpr qsizetype kMostAnswer = 12 << 20; // as JSON; an answer to code has at most 16 MiB

using Datasets = QList<datasets::Dataset>;

QCoro::Task<Result<Datasets>> datasetsOf(Services *services, QString principal)
{
    if (!services->datasets)
        co_return Datasets();
    QCoro::Task<Result<Datasets>> listing = services->datasets->list(principal);
    Result<Datasets> found = co_await listing;
    co_return found;
}

// By name, table name or id; by another case of the name when that is one alone.
const datasets::Dataset *named(const Datasets &all, const QString &name)
{
    const datasets::Dataset *same = nullptr;
    int count = 0;
    for (const datasets::Dataset &dataset : all) {
        if (dataset.name == name || dataset.table == name || dataset.id == name)
            return &dataset;
        if (dataset.name.compare(name, Qt::CaseInsensitive) == 0) {
            same = &dataset;
            ++count;
        }
    }
    return count == 1 ? same : nullptr;
}

QJsonArray typedColumns(const QList<datasets::Column> &columns)
{
    QJsonArray list;
    for (const datasets::Column &column : columns)
        list.append(QJsonObject{{QStringLiteral("name"), column.name}, {QStringLiteral("type"), column.type}});
    return list;
}

QCoro::Task<Result<Answer>> findTables(Services *services, Caller caller, QJsonObject arguments)
{
    const QString principal = caller.principal;
    QCoro::Task<Result<Datasets>> listing = datasetsOf(services, principal);
    const Result<Datasets> all = co_await listing;
    if (!all)
        co_return Unexpected<Error>{all.error()};
    QJsonObject found;
    for (const QJsonValue &name : arguments.value(QStringLiteral("names")).toArray()) {
        if (const datasets::Dataset *dataset = named(*all, name.toString()))
            found.insert(name.toString(), QJsonObject{{QStringLiteral("name"), dataset->name}, {QStringLiteral("columns"), typedColumns(dataset->columns)}});
    }
    QJsonArray names;
    for (const datasets::Dataset &dataset : all->mid(0, kNamesTold))
        names.append(dataset.name);
    Answer answer;
    answer.data = {{QStringLiteral("found"), found}, {QStringLiteral("names"), names}};
    co_return answer;
}

// A new file in the session's /tmp, its owner's from the beginning of its use, and how much may go into it.
struct RowsFile {
    std::shared_ptr<workspace::Workspace::Writer> writer;
    QString path;
    qint64 room = 0;
};

Result<RowsFile> rowsFile(workspace::Workspace &space, qint64 most)
{
    RowsFile file;
    file.path = QStringLiteral("/tmp/.power-rows-%1.csv").arg(newUuid());
    const qint64 used = most > 0 ? space.bytesOnDisk() : 0;
    file.room = most > 0 ? most - used : 0;
    if (most > 0 && file.room <= 0)
        return fail(ErrorCode::TooLarge,
                    QStringLiteral("The session's files have %1; it may have %2 in all, so no rows can be brought to it.").arg(humanSize(used), humanSize(most)),
                    QStringLiteral("Delete files of it (delete_file), or use another session_id."));
    auto writer = space.create(file.path);
    if (!writer)
        return Unexpected<Error>{writer.error()};
    file.writer = std::move(*writer);
    return file;
}

QCoro::Task<Result<Answer>> bringRows(Services *services, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    if (!services->datasets)
        co_return fail(ErrorCode::NotFound, QStringLiteral("This server keeps no datasets."));
    const auto opened = services->sessions.existingWorkspace(*key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const std::shared_ptr<workspace::Workspace> space = *opened;
    const qint64 most = services->sessions.config().kernel.diskBytes;
    std::function<Result<RowsFile>()> make = [space, most] { return rowsFile(*space, most); };
    const Result<RowsFile> file = co_await offload<RowsFile>(std::move(make));
    if (!file)
        co_return Unexpected<Error>{file.error()};
    datasets::CopyOrder order;
    order.principal = caller.principal;
    order.name = arguments.value(QStringLiteral("name")).toString();
    for (const QJsonValue &column : arguments.value(QStringLiteral("columns")).toArray())
        order.columns << column.toString();
    order.mostBytes = file->room;
    order.to = file->writer->descriptor();
    order.cancel = caller.cancel;
    QCoro::Task<Result<datasets::Copied>> copying = services->datasets->copyOut(std::move(order));
    const Result<datasets::Copied> copied = co_await copying;
    if (!copied && copied.error().code == ErrorCode::TooLarge)
        co_return fail(ErrorCode::TooLarge, copied.error().message,
                       QStringLiteral("Ask for fewer columns; or let PostgreSQL do it: query the dataset alone, aggregated, and join the result."));
    if (!copied)
        co_return Unexpected<Error>{copied.error()};
    const auto writer = file->writer;
    std::function<Result<workspace::FileFacts>()> finish = [writer] { return writer->commit(); };
    const Result<workspace::FileFacts> facts = co_await offload<workspace::FileFacts>(std::move(finish));
    if (!facts)
        co_return Unexpected<Error>{facts.error()};
    Answer answer;
    answer.data = {{QStringLiteral("file"), file->path}, {QStringLiteral("columns"), typedColumns(copied->columns)}, {QStringLiteral("rows"), copied->rows}};
    co_return answer;
}

Answer elsewhere(const QString &why)
{
    Answer answer;
    answer.data = {{QStringLiteral("elsewhere"), why}};
    return answer;
}

QCoro::Task<Result<Answer>> queryForCode(Services *services, Caller caller, QJsonObject arguments)
{
    if (!services->datasets || !services->datasets->queryProblem().isEmpty())
        co_return elsewhere(QStringLiteral("there is no role for it"));
    datasets::QueryOrder order;
    order.principal = caller.principal;
    order.sql = arguments.value(QStringLiteral("query")).toString();
    order.parameters = arguments.value(QStringLiteral("params"));
    if (order.parameters.isUndefined())
        order.parameters = QJsonValue();
    order.limit = kMostRows;
    order.timeout = std::chrono::seconds(services->limits.maxExecutionSeconds);
    order.cancel = caller.cancel;
    const QString sql = order.sql, principal = caller.principal;
    QCoro::Task<Result<datasets::QueryAnswer>> asking = services->datasets->query(std::move(order));
    const Result<datasets::QueryAnswer> found = co_await asking;
    if (!found && isOtherDialect(found.error())) {
        QCoro::Task<bool> weighing = isSmall(services, principal, sql);
        const bool small = co_await weighing;
        if (small)
            co_return elsewhere(found.error().message);
    }
    if (!found && found.error().code == ErrorCode::TooLarge)
        co_return elsewhere(found.error().message);
    if (!found)
        co_return Unexpected<Error>{found.error()};
    if (found->hasMore || QJsonDocument(found->rows).toJson(QJsonDocument::Compact).size() > kMostAnswer)
        co_return elsewhere(QStringLiteral("The answer has more than %1 rows.").arg(kMostRows));
    Answer answer;
    answer.data = {{QStringLiteral("columns"), QJsonArray::fromStringList(found->columns)},
                   {QStringLiteral("types"), QJsonArray::fromStringList(found->types)},
                   {QStringLiteral("rows"), found->rows}};
    co_return answer;
}

// For the kernel's own Python (resources/kernel/tablequery.py, tableload.py), not for user code: not in help(power).
Operation asked(const char *name, const char *inside, const QList<Parameter> &parameters)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = operation.name;
    operation.description = QStringLiteral("For SQL and loading inside of a session.");
    operation.parameters = parameters;
    operation.hints = {true, false, true, false};
    operation.scope = QStringLiteral("run");
    operation.toolset = QStringLiteral("data");
    operation.isTool = false;
    operation.inside = {QLatin1String(inside), {}, {}, {}};
    return operation;
}

Parameter listParameter(const char *name, const char *description)
{
    Parameter parameter = textParameter(name, description);
    parameter.type = Parameter::Type::StringList;
    return parameter;
}
} // namespace

bool isOtherDialect(const Error &error)
{
    return error.code == ErrorCode::InvalidArgument && error.details.value(QStringLiteral("sqlstate")).toString().startsWith(u"42");
}

QCoro::Task<bool> isSmall(Services *services, QString principal, QString sql)
{
    QCoro::Task<Result<Datasets>> listing = datasetsOf(services, principal);
    const Result<Datasets> all = co_await listing;
    qint64 sum = 0;
    for (const datasets::Dataset &dataset : all ? *all : Datasets()) {
        if (sql.contains(dataset.name, Qt::CaseInsensitive) || sql.contains(dataset.table))
            sum += dataset.sizeBytes;
    }
    co_return all && sum <= kSmall;
}

QCoro::Task<QStringList> shadowNotes(Services *services, QString principal, QJsonArray frames)
{
    QStringList notes;
    if (frames.isEmpty() || !services->datasets)
        co_return notes;
    QCoro::Task<Result<Datasets>> listing = datasetsOf(services, principal);
    const Result<Datasets> all = co_await listing;
    for (const QJsonValue &frame : frames) {
        const datasets::Dataset *dataset = all ? named(*all, frame.toString()) : nullptr;
        if (dataset)
            notes << QStringLiteral("%1 is the session's DataFrame; the dataset of that name is %2 in SQL.").arg(frame.toString(), dataset->table);
    }
    co_return notes;
}

void addDatasetAsking(Registry &registry, Services &services)
{
    Operation tables = asked("find_tables", "_tables", {listParameter("names", "Names in a statement.")});
    tables.method = boundFile(services, findTables);
    registry.add(tables);

    Operation rows = asked("bring_rows", "_rows", {textParameter("name", "The dataset.", true), listParameter("columns", "All when left out."), sessionParameter()});
    rows.method = boundFile(services, bringRows);
    registry.add(rows);

    Parameter parameters = textParameter("params", "Values.");
    parameters.type = Parameter::Type::Object;
    Operation query = asked("query_for_code", "_query", {textParameter("query", "SQL.", true), parameters});
    query.method = boundFile(services, queryForCode);
    registry.add(query);
}

} // namespace power::operations
