// Between sessions and persistent datasets: what query_dataset and code in a session need of DatasetService.
#pragma once
#include "operations/Services.h"
#include <QJsonArray>

namespace power::operations {

// PostgreSQL does not know what the statement names or how it says it: DuckDB may.
bool isOtherDialect(const Error &error);

// The datasets that `sql` may name are few enough bytes to be brought to a session on the chance that DuckDB understands it.
QCoro::Task<bool> isSmall(Services *services, QString principal, QString sql);

// A note for each of `frames` that has the name of a dataset.
QCoro::Task<QStringList> shadowNotes(Services *services, QString principal, QJsonArray frames);

} // namespace power::operations
