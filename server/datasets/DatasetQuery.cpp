// query(): an agent's SQL, run by the reading role.
#include "base/Log.h"
#include "datasets/Cells.h"
#include "datasets/DatasetServicePrivate.h"
#include "datasets/DatasetTable.h"
#include "datasets/SqlText.h"
#include "storage/Guest.h"
#include "storage/InThread.h"
#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <sys/resource.h>

namespace power::datasets {

using namespace std::chrono_literals;
using storage::Guest;
using storage::GuestResult;

namespace {
constexpr qint64 kMostAnswer = 32 << 20;
constexpr int kMostColumns = 1600;

// All that the query's thread needs.
struct Ask {
    QString url, principal;
    Reader reader;
    SqlText text;
    Guest::Values values;
    qint64 limit = 0, offset = 0;
    std::chrono::steady_clock::time_point until;
    std::chrono::milliseconds timeout{0};
    qint64 memory = 0; // of the backend, where it runs on this machine; 0 = not limited
    std::shared_ptr<storage::GuestStop> stop;
};

QByteArray valueText(const QJsonValue &value)
{
    if (value.isString())
        return value.toString().toUtf8();
    if (value.isBool())
        return value.toBool() ? "true" : "false";
    if (value.isDouble())
        return QJsonDocument(QJsonArray{value}).toJson(QJsonDocument::Compact).chopped(1).mid(1);
    return value.isArray() ? QJsonDocument(value.toArray()).toJson(QJsonDocument::Compact) : QJsonDocument(value.toObject()).toJson(QJsonDocument::Compact);
}

std::optional<QByteArray> bound(const QJsonValue &value)
{
    if (value.isNull() || value.isUndefined())
        return {};
    return valueText(value);
}

// Fills text and values. Error: InvalidArgument.
Result<Done> readOrder(const QueryOrder &order, Ask &ask)
{
    if (order.sql.contains(QChar(0)))
        return fail(ErrorCode::InvalidArgument, QStringLiteral("The query contains a NUL character."));
    QSet<QByteArray> names;
    const QJsonObject given = order.parameters.toObject();
    for (auto it = given.begin(); it != given.end(); ++it)
        names.insert(it.key().toUtf8());
    ask.text = readSql(order.sql.toUtf8(), names);
    if (ask.text.firstWord.isEmpty())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("The query is empty."), QStringLiteral("Send one SELECT."));
    for (const QByteArray &name : std::as_const(ask.text.named))
        ask.values << bound(given.value(QString::fromUtf8(name)));
    for (const QJsonValue &value : order.parameters.toArray())
        ask.values << bound(value);
    for (const auto &value : std::as_const(ask.values)) {
        if (value && value->contains('\0'))
            return fail(ErrorCode::InvalidArgument, QStringLiteral("A parameter of the query contains a NUL character."));
    }
    return Done{};
}

Unexpected<Error> notAQuery()
{
    return fail(ErrorCode::InvalidArgument, QStringLiteral("Only one statement that reads can be run: SELECT, WITH ... SELECT, VALUES, TABLE or EXPLAIN."),
                QStringLiteral("upload_dataset stores a dataset or replaces one, delete_dataset removes one."));
}

// What PostgreSQL says of the statement, with the place in it.
Unexpected<Error> refusedStatement(const Guest &guest, const Ask &ask, Error error)
{
    const storage::StatementProblem &problem = guest.problem();
    if (error.code != ErrorCode::InvalidArgument || problem.state.isEmpty())
        return Unexpected<Error>{std::move(error)};
    QString text = QStringLiteral("PostgreSQL refused the query: ") + problem.message;
    const QString sql = QString::fromUtf8(ask.text.sql);
    if (problem.position > 0 && problem.position <= sql.size()) {
        const QString before = sql.left(problem.position - 1);
        text += QStringLiteral(" (line %1, at \"%2\")").arg(before.count(u'\n') + 1).arg(sql.mid(problem.position - 1, 30).section(u'\n', 0, 0));
    }
    if (!problem.detail.isEmpty())
        text += QStringLiteral(". ") + problem.detail;
    error.message = text;
    if (problem.state == "42601" && problem.message.contains(u"multiple commands"))
        return notAQuery();
    if (problem.state == "42501" || problem.state == "25006") {
        error.code = ErrorCode::Forbidden;
        error.nextStep = QStringLiteral("Queries read your datasets and nothing else; list_datasets shows them.");
    }
    if (problem.state == "53200")
        error.nextStep = QStringLiteral("The query needed more memory than one may use: select less, or aggregate in steps.");
    if (problem.state == "53400")
        error.nextStep = QStringLiteral("The query needed more temporary files than one may use: filter or aggregate first.");
    if (error.nextStep.isEmpty() && problem.state.startsWith("42"))
        error.nextStep = QStringLiteral("It is PostgreSQL's dialect; names with capitals or blanks need double quotes.");
    return Unexpected<Error>{std::move(error)};
}

// What a backend of ours may make its own: a huge value ends the statement and not the database.
void limitMemory(qint64 pid, qint64 bytes)
{
    const rlimit limit{rlim_t(bytes), rlim_t(bytes)};
    if (bytes > 0 && pid > 0 && ::prlimit(pid_t(pid), RLIMIT_DATA, &limit, nullptr) != 0)
        log::debug("query_memory_not_limited", {{QStringLiteral("errno"), errno}});
}

// As PostgreSQL calls the types of a result's columns.
Result<QStringList> typeNames(Guest &guest, PGresult *result)
{
    QByteArrayList oids;
    for (int i = 0; i < PQnfields(result); ++i)
        oids << QByteArray::number(qulonglong(PQftype(result, i)));
    const auto named = guest.run("SELECT pg_catalog.format_type(o, NULL) FROM unnest($1::oid[]) WITH ORDINALITY AS t(o, n) ORDER BY n",
                                 {'{' + oids.join(',') + '}'});
    if (!named)
        return Unexpected<Error>{named.error()};
    QStringList names;
    for (int i = 0; i < PQntuples(named->get()); ++i)
        names << QString::fromUtf8(PQgetvalue(named->get(), i, 0));
    return names;
}

// The statement with the page of rows wanted, and how large each is, so that none is sent that is too large to take.
QByteArray pageOf(const Ask &ask, int columns)
{
    QByteArrayList inner, outer;
    for (int i = 0; i < columns; ++i) {
        const QByteArray name = 'c' + QByteArray::number(i);
        inner << name;
        outer << "CASE WHEN w.s <= " + QByteArray::number(kMostAnswer) + " THEN w." + name + " END";
    }
    return "SELECT " + outer.join(", ") + ", w.s FROM (SELECT q.*, pg_catalog.octet_length((q.*)::text) AS s FROM (SELECT * FROM (\n" + ask.text.sql
           + "\n) AS p(" + inner.join(", ") + ") LIMIT " + QByteArray::number(ask.limit + 1) + " OFFSET " + QByteArray::number(ask.offset)
           + ") AS q OFFSET 0) AS w";
}

Unexpected<Error> tooLarge()
{
    return fail(ErrorCode::TooLarge, QStringLiteral("The answer is above 32 MB."), QStringLiteral("Ask for fewer rows or columns."));
}

// Collects rows into an answer, no more than fits.
struct Collector {
    QueryAnswer &answer;
    const Ask &ask;
    int columns;
    bool sized;       // the last column is the row's size
    qint64 bytes = 0;
    bool full = false;

    bool take(PGresult *row)
    {
        for (int r = 0; r < PQntuples(row); ++r) {
            if (answer.rows.size() == ask.limit) {
                answer.hasMore = true;
                return false;
            }
            QJsonArray cells;
            full = sized && QByteArray(PQgetvalue(row, r, columns)).toLongLong() > kMostAnswer; // its cells stayed there
            for (int i = 0; i < columns; ++i) {
                bytes += PQgetlength(row, r, i);
                cells.append(PQgetisnull(row, r, i) ? QJsonValue() : cellOf({PQgetvalue(row, r, i), PQgetlength(row, r, i)}, answer.types[i]));
            }
            full = full || bytes > kMostAnswer;
            if (full)
                return false;
            answer.rows.append(cells);
        }
        return true;
    }
};

Result<QueryAnswer> answerOf(Guest &guest, const Ask &ask)
{
    const auto refused = [&guest, &ask](const Error &error) { return refusedStatement(guest, ask, error); };
    const auto begun = guest.run("BEGIN READ ONLY");
    if (!begun)
        return refused(begun.error());
    const auto prepared = guest.prepare(ask.text.sql);
    if (!prepared)
        return refused(prepared.error());
    const auto described = guest.describe();
    if (!described)
        return refused(described.error());
    const int columns = PQnfields(described->get());
    if (columns == 0)
        return notAQuery();
    if (columns >= kMostColumns)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("The query has %1 columns; at most %2 can be answered.").arg(columns).arg(kMostColumns - 1),
                    QStringLiteral("Select the columns you need."));
    QueryAnswer answer;
    for (int i = 0; i < columns; ++i)
        answer.columns << QString::fromUtf8(PQfname(described->get(), i));
    const auto types = typeNames(guest, described->get());
    if (!types)
        return refused(types.error());
    answer.types = *types;

    const bool whole = ask.text.firstWord == "EXPLAIN"; // cannot stand in a FROM; its answer is small
    Collector collector{answer, ask, columns, !whole};
    const auto take = [&collector](PGresult *row) { return collector.take(row); };
    if (!whole && ask.text.firstWord != "SELECT" && ask.text.firstWord != "WITH" && ask.text.firstWord != "VALUES" && ask.text.firstWord != "TABLE")
        return notAQuery();
    const auto read = guest.rows(whole ? ask.text.sql : pageOf(ask, columns), ask.values, take);
    if (collector.full)
        return tooLarge();
    if (!read && !answer.hasMore)
        return refused(read.error());
    return answer;
}

Result<QueryAnswer> visit(const Ask &ask)
{
    Guest::Config config;
    config.url = ask.url;
    config.user = ask.reader.role;
    config.password = ask.reader.password;
    config.until = ask.until;
    // The time on its server too: a backend must not go on when this one is gone.
    config.options = "-c statement_timeout=" + QByteArray::number(qint64(ask.timeout.count())) + " -c search_path=" + ask.reader.role.toUtf8()
                     + " -c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=1"
                       " -c default_transaction_read_only=on -c jit=off -c max_parallel_workers_per_gather=0";
    auto guest = Guest::open(config, ask.stop);
    if (!guest)
        return Unexpected<Error>{guest.error()};
    limitMemory((*guest)->backendPid(), ask.memory);
    return answerOf(**guest, ask);
}

// A name that is not there: those that are.
QCoro::Task<Error> withNames(storage::Database *database, QString principal, Error error)
{
    if (error.details.value(QStringLiteral("sqlstate")).toString() != u"42P01")
        co_return error;
    storage::Job<QList<Dataset>> job = [principal](QSqlDatabase &connection) { return table::list(connection, principal); };
    const auto all = co_await database->run<QList<Dataset>>(storage::Lane::Short, 5s, std::move(job));
    if (!all)
        co_return error;
    QStringList names;
    for (const Dataset &each : *all)
        names << each.name;
    const QString known = names.mid(0, 30).join(QStringLiteral(", ")) + (names.size() > 30 ? QStringLiteral(" ...") : QString());
    error.nextStep = names.isEmpty() ? QStringLiteral("There are no datasets: upload_dataset stores one.")
                                     : QStringLiteral("Datasets: %1. Names with capitals or blanks need double quotes.").arg(known);
    co_return error;
}
} // namespace

QCoro::Task<Result<Reader>> DatasetService::Private::readerFor(std::shared_ptr<Private> held, QString principal, bool again)
{
    if (!again && held->readers.contains(principal))
        co_return held->readers.value(principal);
    storage::Job<Reader> job = [principal](QSqlDatabase &connection) -> Result<Reader> {
        const auto reader = readerOf(connection, principal);
        if (!reader)
            return reader;
        const auto made = makeReader(connection, *reader);
        if (!made)
            return Unexpected<Error>{made.error()};
        return reader;
    };
    const Result<Reader> made = co_await held->database.run<Reader>(storage::Lane::Short, 15s, std::move(job));
    if (made)
        held->readers.insert(principal, *made);
    co_return made;
}

QCoro::Task<Result<QueryAnswer>> DatasetService::query(QueryOrder order)
{
    const std::shared_ptr<Private> held = d;
    if (!held->readerProblem.isEmpty())
        co_return fail(ErrorCode::Unavailable, QStringLiteral("SQL on datasets is not there: %1").arg(held->readerProblem));
    Ask ask;
    const Result<Done> read = readOrder(order, ask);
    if (!read)
        co_return Unexpected<Error>{read.error()};
    QCoro::Task<Result<Turns::Turn>> waiting = held->queries.take(order.timeout, order.cancel);
    const Result<Turns::Turn> turn = co_await waiting;
    if (!turn)
        co_return Unexpected<Error>{turn.error()};
    ask.principal = order.principal;
    ask.url = held->database.url();
    ask.limit = std::max<qint64>(order.limit, 1);
    ask.offset = std::max<qint64>(order.offset, 0);
    ask.timeout = order.timeout;
    ask.memory = held->config.ownCluster ? held->config.queryMemory : 0;
    ask.stop = std::make_shared<storage::GuestStop>();
    const auto stopping = order.cancel.onCancel([stop = ask.stop] { stop->stop(); });
    const auto closing = held->stop.token().onCancel([stop = ask.stop] { stop->stop(); });
    for (int attempt = 0;; ++attempt) {
        const bool again = attempt > 0;
        QCoro::Task<Result<Reader>> finding = Private::readerFor(held, order.principal, again);
        const Result<Reader> reader = co_await finding;
        if (!reader)
            co_return Unexpected<Error>{reader.error()};
        ask.reader = *reader;
        ask.until = std::chrono::steady_clock::now() + order.timeout;
        // A Result in a Result: whether the thread's answer came, and what it was.
        const OneShot<Result<QueryAnswer>> asked = storage::inThread<Result<QueryAnswer>>([ask] { return visit(ask); });
        const std::chrono::milliseconds untilDone{0};
        const Result<Result<QueryAnswer>> came = co_await asked.wait(untilDone);
        if (!came)
            co_return Unexpected<Error>{came.error()};
        if (*came)
            co_return *came;
        // Roles are the cluster's: somebody may have restored another database beside this one.
        const Error error = came->error();
        if (!again && error.code == ErrorCode::Unavailable && error.message.contains(ask.reader.role))
            continue;
        QCoro::Task<Error> naming = withNames(&held->database, order.principal, error);
        const Error told = co_await naming;
        co_return Unexpected<Error>{told};
    }
}

} // namespace power::datasets
