// store(): file -> worker -> pipe -> COPY, in one transaction.
#include "base/Ids.h"
#include "base/Log.h"
#include "base/Offload.h"
#include "datasets/Cells.h"
#include "datasets/DatasetReader.h"
#include "datasets/DatasetServicePrivate.h"
#include "datasets/DatasetTable.h"
#include "storage/Copy.h"
#include "storage/Sql.h"
#include <QElapsedTimer>
#include <QFile>
#include <QPointer>
#include <sys/statvfs.h>

namespace power::datasets {

using namespace std::chrono_literals;
using storage::Job;
using storage::Lane;
using storage::query;
using storage::script;

namespace {
constexpr qsizetype kMostIndexes = 16;
constexpr qint64 kLookAtDisk = 64 << 20; // bytes between two looks
constexpr int kPreviewRows = 5;

// All that the database's thread needs.
struct LoadPlan {
    QString principal, session;
    Dataset dataset;
    std::shared_ptr<RowPipe> rows;
    QStringList notes;
    bool published = false;
    QString disk;
    qint64 diskReserve = 0;
};

qint64 freeBytes(const QString &directory)
{
    struct statvfs facts = {};
    if (directory.isEmpty() || ::statvfs(QFile::encodeName(directory).constData(), &facts) != 0)
        return -1;
    return qint64(facts.f_bavail) * qint64(facts.f_frsize);
}

Result<Done> roomOnDisk(const QString &directory, qint64 reserve)
{
    const qint64 free = freeBytes(directory);
    if (free < 0 || free >= reserve)
        return Done{};
    return fail(ErrorCode::TooLarge,
                QStringLiteral("The disk of the database has %1 MB left, %2 MB are kept free; nothing was stored.").arg(free >> 20).arg(reserve >> 20),
                QStringLiteral("Delete datasets that are not needed (delete_dataset), or ask the administrator for space."));
}

Result<Done> checkName(const QString &name)
{
    const QString rule = QStringLiteral("A name is 1 to 63 bytes of text without control characters; plain ones such as sales_2026 need no quotes in SQL.");
    const bool control = std::any_of(name.cbegin(), name.cend(), [](QChar c) { return c.category() == QChar::Other_Control; });
    if (name.isEmpty() || name.toUtf8().size() > 63 || control || !name.isValidUtf16())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("\"%1\" cannot be the name of a dataset.").arg(name.left(80)), rule);
    if (name.startsWith(u"data_") && name.size() == 41)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("Names such as \"%1\" are the server's own.").arg(name), rule);
    return Done{};
}

QByteArray columnList(const QList<Column> &columns)
{
    QByteArrayList parts;
    for (const Column &column : columns)
        parts << table::quoted(column.name) + ' ' + column.type.toLatin1();
    return parts.join(", ");
}

bool wantsIndex(const Column &column)
{
    if (column.type == u"jsonb" || column.type == u"bytea")
        return false;
    const QString name = column.name.toLower();
    return name == u"id" || name.endsWith(u"_id") || name.contains(u"date") || column.type == u"date" || column.type.startsWith(u"timestamp");
}

// An index that cannot be (a text too long for one) costs only itself.
Result<Done> makeIndexes(QSqlDatabase &connection, const Dataset &dataset, QStringList &notes)
{
    const auto memory = script(connection, "SET LOCAL maintenance_work_mem = '256MB'");
    if (!memory)
        return memory;
    qsizetype made = 0;
    for (const Column &column : dataset.columns) {
        if (!wantsIndex(column))
            continue;
        if (made++ == kMostIndexes) {
            notes << QStringLiteral("The first %1 columns that are dates or ids have an index, the others none.").arg(kMostIndexes);
            break;
        }
        const auto begun = script(connection, "SAVEPOINT index");
        const auto done = script(connection, "CREATE INDEX ON " + table::quoted(dataset.schema, dataset.table) + " (" + table::quoted(column.name) + ')');
        if (!done && (!begun || done.error().code == ErrorCode::Unavailable || done.error().code == ErrorCode::Timeout))
            return done;
        const auto ended = script(connection, done ? "RELEASE SAVEPOINT index" : "ROLLBACK TO SAVEPOINT index");
        if (!ended)
            return ended;
    }
    return Done{};
}

Error copyProblem(Error error)
{
    const QString state = error.details.value(QStringLiteral("sqlstate")).toString();
    if (state == u"54000")
        return {ErrorCode::TooLarge, QStringLiteral("A row of the file is too wide for a table (about 8 KB when nothing in it is text that can be set aside)."),
                QStringLiteral("Store fewer columns, or reshape them into rows (DataFrame.melt)."), error.details};
    if (error.code == ErrorCode::Internal && !state.isEmpty())
        return {ErrorCode::InvalidArgument, QStringLiteral("The database refused the rows (SQLSTATE %1); nothing was stored.").arg(state),
                QStringLiteral("Clean the file in execute_code, write it as Parquet and store that."), error.details};
    return error;
}

Result<Done> copyRows(QSqlDatabase &connection, const LoadPlan &plan, qint64 &rows)
{
    qint64 looked = 0;
    const auto next = [&plan, &looked]() -> Result<QByteArray> {
        if (plan.rows->bytes() - looked > kLookAtDisk) {
            looked = plan.rows->bytes();
            const auto room = roomOnDisk(plan.disk, plan.diskReserve);
            if (!room)
                return Unexpected<Error>{room.error()};
        }
        return plan.rows->next();
    };
    const Result<qint64> copied =
        storage::copyIn(connection, "COPY " + table::quoted(plan.dataset.schema, plan.dataset.table) + " FROM STDIN (FORMAT csv, FREEZE)", next);
    if (!copied)
        return Unexpected<Error>{copyProblem(copied.error())};
    rows = *copied;
    if (rows != plan.rows->rows())
        return fail(ErrorCode::Internal, QStringLiteral("The database counted %1 rows, the file had %2; nothing was stored.").arg(rows).arg(plan.rows->rows()));
    return Done{};
}

Result<Done> preview(QSqlDatabase &connection, Stored &stored)
{
    const auto rows = query(connection, ("SELECT * FROM " + table::quoted(stored.dataset.schema, stored.dataset.table) + " LIMIT "
                                         + QByteArray::number(kPreviewRows)).constData());
    if (!rows)
        return Unexpected<Error>{rows.error()};
    for (const Column &column : stored.dataset.columns)
        stored.previewColumns << column.name;
    for (int row = 0; row < rows->size(); ++row) {
        QJsonArray cells;
        for (int i = 0; i < stored.dataset.columns.size(); ++i) {
            QJsonValue cell = rows->isNull(row, i) ? QJsonValue() : cellOf(rows->wire(row, i), stored.dataset.columns[i].type);
            if (cell.toString().size() > 200)
                cell = cell.toString().left(200) + QStringLiteral("...");
            cells.append(cell);
        }
        stored.preview.append(cells);
    }
    return Done{};
}

// The new one takes the name; calls for one principal come one after the other from here to the end of the transaction.
Result<Done> takeName(QSqlDatabase &connection, const LoadPlan &plan, Stored &stored)
{
    const auto mine = table::lockPrincipal(connection, plan.principal);
    if (!mine)
        return mine;
    const auto old = table::findExact(connection, plan.principal, stored.dataset.name);
    if (!old)
        return Unexpected<Error>{old.error()};
    stored.replaced = old->has_value();
    if (stored.replaced) {
        const auto forgotten = table::forget(connection, **old);
        if (!forgotten)
            return forgotten;
    }
    const auto inserted = table::insert(connection, plan.principal, plan.session, stored.dataset);
    if (!inserted)
        return inserted;
    if (plan.published) {
        const auto reader = readerOf(connection, plan.principal);
        if (!reader)
            return Unexpected<Error>{reader.error()};
        const auto shown = publish(connection, *reader, plan.principal, stored.dataset.name, stored.replaced ? QStringList((*old)->table) : QStringList());
        if (!shown)
            return shown;
    }
    return stored.replaced ? table::dropTable(connection, **old) : Result<Done>(Done{});
}

Result<Stored> loadAll(QSqlDatabase &connection, const LoadPlan &plan)
{
    Stored stored;
    stored.dataset = plan.dataset;
    stored.notes = plan.notes;
    const auto created = script(connection, "CREATE TABLE " + table::quoted(plan.dataset.schema, plan.dataset.table) + " (" + columnList(plan.dataset.columns) + ')');
    if (!created)
        return Unexpected<Error>{copyProblem(created.error())};
    const auto copied = copyRows(connection, plan, stored.dataset.rows);
    if (!copied)
        return Unexpected<Error>{copied.error()};
    stored.notes << plan.rows->lateNotes();
    const auto indexed = makeIndexes(connection, stored.dataset, stored.notes);
    if (!indexed)
        return Unexpected<Error>{indexed.error()};
    const auto analysed = script(connection, "ANALYZE " + table::quoted(plan.dataset.schema, plan.dataset.table));
    if (!analysed)
        return Unexpected<Error>{analysed.error()};
    const auto size = query(connection, "SELECT pg_total_relation_size(to_regclass($1))",
                            {QString::fromUtf8(table::quoted(plan.dataset.schema, plan.dataset.table))});
    if (!size)
        return Unexpected<Error>{size.error()};
    stored.dataset.sizeBytes = size->number(0, 0);
    const auto seen = preview(connection, stored);
    if (!seen)
        return Unexpected<Error>{seen.error()};
    const auto named = takeName(connection, plan, stored);
    if (!named)
        return Unexpected<Error>{named.error()};
    return stored;
}

QJsonObject readArguments(const StoreOrder &order)
{
    QJsonObject arguments{{QStringLiteral("name"), order.fileName}};
    const std::pair<const char *, QString> options[] = {{"sheet_name", order.options.sheet}, {"delimiter", order.options.delimiter},
                                                        {"encoding", order.options.encoding}, {"pdf_pages", order.options.pdfPages}};
    for (const auto &[name, value] : options) {
        if (!value.isEmpty())
            arguments.insert(QLatin1String(name), value);
    }
    return arguments;
}
} // namespace

QCoro::Task<Result<Stored>> DatasetService::store(StoreOrder order)
{
    const std::shared_ptr<Private> held = d;
    const QPointer<DatasetService> self(this);
    order.name = order.name.trimmed();
    const Result<Done> named = checkName(order.name);
    if (!named)
        co_return Unexpected<Error>{named.error()};
    const Result<Done> room = roomOnDisk(held->config.disk, held->config.diskReserve);
    if (!room)
        co_return Unexpected<Error>{room.error()};
    const CancelToken cancel = order.cancel;
    QCoro::Task<Result<Turns::Turn>> waiting = held->loads.take(order.timeout, cancel);
    const Result<Turns::Turn> turn = co_await waiting;
    if (!turn)
        co_return Unexpected<Error>{turn.error()};
    if (order.progress)
        order.progress(0, QStringLiteral("Reading %1").arg(order.fileName));

    supervisor::FdPair ends = supervisor::makeReadPipe();
    if (!ends.ok())
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The server has no file descriptor left."), QStringLiteral("Try again in a moment."));
    QElapsedTimer clock;
    clock.start();
    const auto pipe = std::make_shared<RowPipe>(std::move(ends.ours));
    const auto theirs = std::make_shared<supervisor::Fd>(std::move(ends.theirs));
    // The worker goes on until the rows are stored, or nobody wants them.
    const auto stop = std::make_shared<CancelSource>();
    const CancelToken stopped = stop->token();
    const auto leave = [pipe, stop] {
        pipe->close();
        stop->cancel();
    };
    const auto giveUp = cancel.onCancel(leave);
    const auto shutDown = held->stop.token().onCancel(leave);
    const QJsonObject arguments = readArguments(order);
    const int file = order.file;
    QCoro::Task<Result<Done>> reading = held->kernels.load(arguments, file, theirs, order.timeout, stopped);
    std::function<Result<Found>()> looking = [pipe] { return pipe->schema(); };
    const Result<Found> found = co_await offload<Found>(std::move(looking));
    if (!found) {
        pipe->close();
        if (found.error().code != ErrorCode::Upstream)
            stop->cancel();
        const Result<Done> read = co_await reading;
        co_return Unexpected<Error>{found.error().code == ErrorCode::Upstream && !read ? read.error() : found.error()};
    }

    LoadPlan plan;
    plan.principal = order.principal;
    plan.session = order.session;
    plan.rows = pipe;
    plan.notes = found->notes;
    plan.published = held->readerProblem.isEmpty();
    plan.disk = held->config.disk;
    plan.diskReserve = held->config.diskReserve;
    plan.dataset.id = newUuid();
    plan.dataset.name = order.name;
    plan.dataset.schema = QStringLiteral("power_data");
    plan.dataset.table = QStringLiteral("data_") + QString(plan.dataset.id).replace(u'-', u'_');
    plan.dataset.format = found->format;
    plan.dataset.source = order.fileName;
    plan.dataset.origin = QStringLiteral("upload");
    plan.dataset.columns = found->columns;
    plan.dataset.created = plan.dataset.updated = QDateTime::currentDateTimeUtc();
    QTimer ticking;
    if (order.progress) {
        QObject::connect(&ticking, &QTimer::timeout, &ticking, [pipe, tell = order.progress] {
            tell(pipe->rows(), QStringLiteral("%L1 rows stored").arg(pipe->rows()));
        });
        ticking.start(500);
    }
    Job<Stored> job = [plan](QSqlDatabase &connection) { return loadAll(connection, plan); };
    const std::chrono::milliseconds limit = std::max(order.timeout - std::chrono::milliseconds(clock.elapsed()), std::chrono::milliseconds(1000));
    Result<Stored> stored = co_await held->database.run<Stored>(Lane::Bulk, limit, std::move(job), cancel);
    ticking.stop();
    pipe->close();
    if (stored) {
        log::info("dataset_stored", {{QStringLiteral("rows"), stored->dataset.rows}, {QStringLiteral("columns"), stored->dataset.columns.size()},
                                     {QStringLiteral("bytes"), stored->dataset.sizeBytes}, {QStringLiteral("ms"), clock.elapsed()}});
        if (self)
            Q_EMIT changed(order.principal);
        co_return stored;
    }
    const bool ended = stored.error().code == ErrorCode::Upstream;
    if (!ended)
        stop->cancel();
    const Result<Done> read = co_await reading;
    co_return ended && !read ? Unexpected<Error>{read.error()} : Unexpected<Error>{stored.error()};
}

} // namespace power::datasets
