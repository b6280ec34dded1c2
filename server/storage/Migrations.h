// The schema `power`: numbered SQL files of resources/migrations, compiled in.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QList>
#include <QSqlDatabase>
#include <QString>

namespace power::storage {

struct Migration {
    int version = 0;
    QString name;        // "001_foundation"
    QByteArray sql;
    QByteArray checksum; // sha256 of sql, hex
};

// In order of version; numbers may be missing. A double number is a bug of the build and asserts.
const QList<Migration> &migrations();

// Inside the caller's transaction: takes the advisory lock of migrations, applies `migration` unless it is recorded.
// Errors: Conflict when it is recorded with another checksum; those of its statements.
Result<Done> applyMigration(QSqlDatabase &connection, const Migration &migration);

// After all: refuses (Conflict) a database that a newer server has migrated, then adopts what the Python original
// left (resources/adoption.sql; idempotent, so it runs at every start).
Result<Done> finishMigrations(QSqlDatabase &connection);

} // namespace power::storage
