// One PostgreSQL connection of one worker thread, and the native handle below QtSql.
#pragma once
#include "base/Error.h"
#include <QSqlDatabase>
#include <chrono>
#include <libpq-fe.h>
#include <memory>

namespace power::storage {

// The libpq handle of an open QPSQL connection, for COPY and one-trip queries; null when it has none.
// Thread: the connection's.
PGconn *nativeHandle(const QSqlDatabase &connection);

// Prepares (does not open) the connection `name` for a postgres:// URL; "+asyncpg" in the scheme is ignored.
// Error: InvalidArgument, without the URL's password.
Result<QSqlDatabase> describeConnection(const QString &name, const QString &url, std::chrono::milliseconds connectTimeout);

// Opens it and sets what every session has: search_path power, time zone UTC. Blocks up to the connect timeout.
// Error: Unavailable, one sentence without secrets.
Result<Done> openConnection(QSqlDatabase &connection);

} // namespace power::storage
