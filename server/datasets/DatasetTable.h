// The rows of power.datasets and the tables they name. Only for this folder; each call is a part of one database job.
#pragma once
#include "base/Error.h"
#include "datasets/Dataset.h"
#include "storage/Database.h"
#include <optional>

namespace power::datasets::table {

// "a" for SQL, whatever is in it.
QByteArray quoted(const QString &name);
QByteArray quoted(const QString &schema, const QString &name);

Result<QList<Dataset>> list(QSqlDatabase &connection, const QString &principal);
// As DatasetService::find says. Error: NotFound, with what there is.
Result<Dataset> find(QSqlDatabase &connection, const QString &principal, const QString &name);
Result<std::optional<Dataset>> findExact(QSqlDatabase &connection, const QString &principal, const QString &name);
// Changes of one principal's datasets come one after the other: held until the end of the transaction.
Result<Done> lockPrincipal(QSqlDatabase &connection, const QString &principal);
Result<Done> insert(QSqlDatabase &connection, const QString &principal, const QString &session, const Dataset &dataset);
// The row alone.
Result<Done> forget(QSqlDatabase &connection, const Dataset &dataset);
// Waits for who reads it, at most 30 s. Errors: Busy (it is being read), Conflict (something of somebody else's needs it).
Result<Done> dropTable(QSqlDatabase &connection, const Dataset &dataset);

// Of an existing table: columns as its catalog has them, size and rows.
Result<Done> measure(QSqlDatabase &connection, Dataset &dataset);
Result<QStringList> principals(QSqlDatabase &connection);
// Tables of schema power_data without a row, which cannot be but for a hand that was at work: dropped. Value: how many.
Result<int> dropOrphans(QSqlDatabase &connection);

} // namespace power::datasets::table
