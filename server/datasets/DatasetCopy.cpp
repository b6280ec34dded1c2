// copyOut(): a dataset's rows as CSV into a descriptor.
#include "datasets/DatasetServicePrivate.h"
#include "datasets/DatasetTable.h"
#include "storage/Copy.h"
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace power::datasets {

namespace {
constexpr int kLookAgainMs = 200;
constexpr int kMostStallMs = 60'000; // nobody reads the pipe
constexpr qsizetype kWriteAtOnce = 256 << 10;

struct CopyPlan {
    QString principal, name;
    QStringList columns;
    qint64 mostBytes = 0;
    int to = -1; // ours
    std::shared_ptr<std::atomic<bool>> stopped = std::make_shared<std::atomic<bool>>(false);
};

Result<Done> writeAll(const CopyPlan &plan, QByteArrayView bytes)
{
    int stalled = 0;
    while (!bytes.isEmpty()) {
        if (*plan.stopped)
            return fail(ErrorCode::Cancelled, QStringLiteral("The call was cancelled."));
        const ssize_t written = ::write(plan.to, bytes.data(), size_t(bytes.size()));
        if (written > 0) {
            bytes = bytes.sliced(written);
            stalled = 0;
            continue;
        }
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno != EAGAIN)
            return fail(errno == ENOSPC || errno == EFBIG || errno == EDQUOT ? ErrorCode::TooLarge : ErrorCode::Unavailable,
                        QStringLiteral("The rows of the dataset could not be written: %1.").arg(QString::fromLocal8Bit(std::strerror(errno))));
        pollfd writable{plan.to, POLLOUT, 0};
        stalled += ::poll(&writable, 1, kLookAgainMs) == 0 ? kLookAgainMs : 0;
        if (stalled >= kMostStallMs)
            return fail(ErrorCode::Timeout, QStringLiteral("Nobody read the rows of the dataset for a minute."));
    }
    return Done{};
}

Result<Copied> copyAll(QSqlDatabase &connection, const CopyPlan &plan)
{
    const auto found = table::find(connection, plan.principal, plan.name);
    if (!found)
        return Unexpected<Error>{found.error()};
    Copied copied;
    for (const Column &column : found->columns) {
        if (plan.columns.isEmpty() || plan.columns.contains(column.name))
            copied.columns.append(column);
    }
    for (const QString &wanted : plan.columns) {
        const bool there = std::any_of(copied.columns.cbegin(), copied.columns.cend(), [&wanted](const Column &column) { return column.name == wanted; });
        if (!there)
            return fail(ErrorCode::InvalidArgument, QStringLiteral("The dataset %1 has no column \"%2\".").arg(found->name, wanted.left(80)));
    }
    QByteArrayList names;
    for (const Column &column : std::as_const(copied.columns))
        names << table::quoted(column.name);
    QByteArray waiting;
    const auto flush = [&plan, &waiting, &copied]() -> Result<Done> {
        copied.bytes += waiting.size();
        if (plan.mostBytes > 0 && copied.bytes > plan.mostBytes)
            return fail(ErrorCode::TooLarge, QStringLiteral("The rows are above %1 MB as CSV.").arg(plan.mostBytes >> 20),
                        QStringLiteral("Select columns and rows in the query, or aggregate there: it is run by the database then."));
        const Result<Done> written = writeAll(plan, waiting);
        waiting.clear();
        return written;
    };
    const Result<qint64> rows = storage::copyOut(connection,
                                                 "COPY (SELECT " + names.join(", ") + " FROM " + table::quoted(found->schema, found->table)
                                                     + ") TO STDOUT (FORMAT csv, HEADER)",
                                                 [&waiting, &flush](const QByteArray &row) -> Result<Done> {
                                                     waiting += row;
                                                     return waiting.size() < kWriteAtOnce ? Result<Done>(Done{}) : flush();
                                                 });
    if (!rows)
        return Unexpected<Error>{rows.error()};
    const Result<Done> last = flush();
    if (!last)
        return Unexpected<Error>{last.error()};
    copied.rows = *rows;
    return copied;
}
} // namespace

QCoro::Task<Result<Copied>> DatasetService::copyOut(CopyOrder order)
{
    CopyPlan plan{order.principal, order.name, order.columns, order.mostBytes, ::fcntl(order.to, F_DUPFD_CLOEXEC, 3)};
    if (plan.to < 0)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The server has no file descriptor left."), QStringLiteral("Try again in a moment."));
    // The database's thread may outlive this call.
    const std::shared_ptr<void> ours(new int(plan.to), [](void *descriptor) {
        ::close(*static_cast<int *>(descriptor));
        delete static_cast<int *>(descriptor);
    });
    const auto stopping = order.cancel.onCancel([stopped = plan.stopped] { *stopped = true; });
    storage::Job<Copied> job = [plan, ours](QSqlDatabase &connection) { return copyAll(connection, plan); };
    auto copied = co_await d->database.run<Copied>(storage::Lane::Bulk, order.timeout, std::move(job), order.cancel);
    *plan.stopped = true;
    co_return copied;
}

} // namespace power::datasets
