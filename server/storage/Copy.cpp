#include "storage/Copy.h"
#include "storage/Connection.h"
#include "storage/Sql.h"

namespace power::storage {

namespace {
using CopyAnswer = std::unique_ptr<PGresult, decltype(&PQclear)>;

Unexpected<Error> copyError(PGconn *handle, const CopyAnswer &answer)
{
    const bool isAlive = handle && PQstatus(handle) == CONNECTION_OK;
    return {sqlError(isAlive ? QByteArray(PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE)) : QByteArray())};
}

// Reads what the backend says at the end of a COPY and leaves the connection usable.
Result<qint64> copyOutcome(PGconn *handle)
{
    CopyAnswer answer(PQgetResult(handle), &PQclear);
    Result<qint64> outcome = QByteArray(PQcmdTuples(answer.get())).toLongLong();
    if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK)
        outcome = copyError(handle, answer);
    while (PGresult *more = PQgetResult(handle))
        PQclear(more);
    return outcome;
}
} // namespace

Result<qint64> copyIn(QSqlDatabase &connection, const QByteArray &statement, const std::function<Result<QByteArray>()> &next)
{
    PGconn *handle = nativeHandle(connection);
    const CopyAnswer begun(PQexec(handle, statement.constData()), &PQclear);
    if (PQresultStatus(begun.get()) != PGRES_COPY_IN)
        return copyError(handle, begun);
    for (;;) {
        const Result<QByteArray> piece = next();
        if (!piece) {
            PQputCopyEnd(handle, "the source failed");
            copyOutcome(handle).ok();
            return Unexpected<Error>{piece.error()};
        }
        if (piece->isEmpty())
            break;
        if (PQputCopyData(handle, piece->constData(), int(piece->size())) != 1)
            return copyOutcome(handle);
    }
    PQputCopyEnd(handle, nullptr);
    return copyOutcome(handle);
}

Result<qint64> copyOut(QSqlDatabase &connection, const QByteArray &statement,
                       const std::function<Result<Done>(const QByteArray &)> &take)
{
    PGconn *handle = nativeHandle(connection);
    const CopyAnswer begun(PQexec(handle, statement.constData()), &PQclear);
    if (PQresultStatus(begun.get()) != PGRES_COPY_OUT)
        return copyError(handle, begun);
    Result<Done> taken = Done{};
    for (;;) {
        char *row = nullptr;
        const int length = PQgetCopyData(handle, &row, 0);
        if (length <= 0)
            break;
        if (taken) // after an error the rest is read and dropped, which keeps the connection usable
            taken = take(QByteArray::fromRawData(row, length));
        PQfreemem(row);
    }
    const Result<qint64> outcome = copyOutcome(handle);
    if (!taken)
        return Unexpected<Error>{taken.error()};
    return outcome;
}

} // namespace power::storage
