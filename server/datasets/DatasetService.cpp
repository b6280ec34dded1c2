#include "base/Log.h"
#include "datasets/DatasetServicePrivate.h"
#include "datasets/DatasetTable.h"
#include "storage/Sql.h"
#include <QPointer>

namespace power::datasets {

using namespace std::chrono_literals;
using storage::Job;
using storage::Lane;

namespace {
constexpr std::chrono::milliseconds kShort = 15s, kLong = 120s;

// Roles, schemas and views of everybody who has datasets, and of the owner, who will.
struct Prepared {
    QMap<QString, Reader> readers;
    int adopted = 0, orphans = 0;
    Error refused; // why there are no roles
};

Result<Done> measureAdopted(QSqlDatabase &connection, const QString &principal, int &count)
{
    const auto all = table::list(connection, principal);
    if (!all)
        return Unexpected<Error>{all.error()};
    for (Dataset dataset : *all) {
        const bool known = !dataset.columns.isEmpty() && !dataset.columns.first().type.isEmpty();
        if (dataset.origin != u"original" || known)
            continue;
        const auto measured = table::measure(connection, dataset);
        if (!measured)
            return measured;
        const auto written = storage::query(connection, "UPDATE power.datasets SET columns = $2, column_count = $3, size_bytes = $4 WHERE id = $1",
                                            {dataset.id, columnsJson(dataset.columns), dataset.columns.size(), dataset.sizeBytes});
        if (!written)
            return Unexpected<Error>{written.error()};
        ++count;
    }
    return Done{};
}

Result<Prepared> prepare(QSqlDatabase &connection, bool own)
{
    Prepared prepared;
    const auto orphans = table::dropOrphans(connection);
    if (!orphans)
        return Unexpected<Error>{orphans.error()};
    prepared.orphans = *orphans;
    auto principals = table::principals(connection);
    if (!principals)
        return Unexpected<Error>{principals.error()};
    if (!principals->contains(QStringLiteral("owner")))
        *principals << QStringLiteral("owner");
    if (own) {
        const auto closed = closeCatalog(connection);
        if (!closed)
            return Unexpected<Error>{closed.error()};
    }
    for (const QString &principal : std::as_const(*principals)) {
        const auto measured = measureAdopted(connection, principal, prepared.adopted);
        if (!measured)
            return Unexpected<Error>{measured.error()};
        const auto reader = readerOf(connection, principal);
        if (!reader)
            return Unexpected<Error>{reader.error()};
        const auto made = makeReader(connection, *reader);
        if (!made) {
            prepared.refused = made.error();
            break;
        }
        const auto all = table::list(connection, principal);
        if (!all)
            return Unexpected<Error>{all.error()};
        for (const Dataset &dataset : *all) {
            const auto there = storage::query(connection, "SELECT to_regclass($1) IS NOT NULL",
                                              {QString::fromUtf8(table::quoted(reader->role, dataset.table))});
            if (there && there->flag(0, 0))
                continue;
            const auto shown = publish(connection, *reader, principal, dataset.name);
            if (!shown)
                return Unexpected<Error>{shown.error()};
        }
        prepared.readers.insert(principal, *reader);
    }
    return prepared;
}
} // namespace

DatasetService::DatasetService(Config config, storage::Database &database, supervisor::KernelHost &kernels)
    : d(std::make_shared<Private>(std::move(config), database, kernels))
{
}

DatasetService::~DatasetService()
{
    stop();
}

void DatasetService::stop()
{
    d->stop.cancel();
}

QCoro::Task<Result<Done>> DatasetService::start()
{
    const auto held = d;
    const bool own = held->config.ownCluster;
    Job<Prepared> job = [own](QSqlDatabase &connection) { return prepare(connection, own); };
    const Result<Prepared> prepared = co_await held->database.run<Prepared>(Lane::Bulk, kLong, std::move(job));
    if (!prepared) {
        held->readerProblem = prepared.error().message;
        co_return Unexpected<Error>{prepared.error()};
    }
    held->readers = prepared->readers;
    held->readerProblem = prepared->refused.message;
    if (!held->readerProblem.isEmpty())
        log::warning("datasets_without_reading_role", {{QStringLiteral("reason"), held->readerProblem}});
    if (prepared->orphans > 0 || prepared->adopted > 0)
        log::info("datasets_put_in_order", {{QStringLiteral("orphans"), prepared->orphans}, {QStringLiteral("adopted"), prepared->adopted}});
    co_return Done{};
}

QCoro::Task<Result<QList<Dataset>>> DatasetService::list(QString principal)
{
    Job<QList<Dataset>> job = [principal](QSqlDatabase &connection) { return table::list(connection, principal); };
    auto all = co_await d->database.run<QList<Dataset>>(Lane::Short, kShort, std::move(job));
    co_return all;
}

QCoro::Task<Result<Dataset>> DatasetService::find(QString principal, QString name)
{
    Job<Dataset> job = [principal, name](QSqlDatabase &connection) { return table::find(connection, principal, name); };
    auto found = co_await d->database.run<Dataset>(Lane::Short, kShort, std::move(job));
    co_return found;
}

QCoro::Task<Result<Dataset>> DatasetService::remove(QString principal, QString name)
{
    const QPointer<DatasetService> self(this);
    const bool published = d->readerProblem.isEmpty();
    Job<Dataset> job = [principal, name, published](QSqlDatabase &connection) -> Result<Dataset> {
        const auto mine = table::lockPrincipal(connection, principal);
        if (!mine)
            return Unexpected<Error>{mine.error()};
        const auto found = table::find(connection, principal, name);
        if (!found)
            return found;
        const auto forgotten = table::forget(connection, *found);
        if (!forgotten)
            return Unexpected<Error>{forgotten.error()};
        if (published) {
            const auto reader = readerOf(connection, principal);
            if (!reader)
                return Unexpected<Error>{reader.error()};
            const auto hidden = publish(connection, *reader, principal, found->name, {found->table});
            if (!hidden)
                return Unexpected<Error>{hidden.error()};
        }
        const auto dropped = table::dropTable(connection, *found);
        if (!dropped)
            return Unexpected<Error>{dropped.error()};
        return found;
    };
    auto removed = co_await d->database.run<Dataset>(Lane::Short, 60s, std::move(job));
    if (removed && self)
        Q_EMIT changed(principal);
    co_return removed;
}

QString DatasetService::queryProblem() const
{
    return d->readerProblem;
}

QJsonObject DatasetService::report() const
{
    return {{QStringLiteral("query_role"), d->readerProblem.isEmpty() ? QStringLiteral("ready") : d->readerProblem}};
}

} // namespace power::datasets
