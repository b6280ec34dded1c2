// COPY through the native handle: bulk data without a row's worth of overhead. Bulk lane only; blocks its thread.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QSqlDatabase>
#include <functional>

namespace power::storage {

// statement: COPY ... FROM STDIN. next() gives the next piece (any size, about 256 KiB is best), empty = end.
// An error of next() ends the COPY and becomes the result. Value: rows copied.
Result<qint64> copyIn(QSqlDatabase &connection, const QByteArray &statement, const std::function<Result<QByteArray>()> &next);

// statement: COPY ... TO STDOUT. take() gets each row's bytes, which live for the call only. Value: rows copied.
Result<qint64> copyOut(QSqlDatabase &connection, const QByteArray &statement,
                       const std::function<Result<Done>(const QByteArray &)> &take);

} // namespace power::storage
