// Statements inside a job: one trip each, values bound, errors as this project's.
#pragma once
#include "base/Error.h"
#include <QDateTime>
#include <QJsonObject>
#include <QSqlDatabase>
#include <QSqlError>
#include <QVariant>
#include <libpq-fe.h>
#include <memory>

namespace power::storage {

// Rows: the answer of query(). Cells outside it are null. Thread: the worker's; copy values out of the job.
class Rows
{
public:
    explicit Rows(PGresult *result) : m_result(result, &PQclear) {}
    int size() const { return PQntuples(m_result.get()); }
    bool isEmpty() const { return size() == 0; }
    qint64 affected() const;      // rows inserted, updated, deleted or selected
    bool isNull(int row, int column) const;
    QString text(int row, int column) const;
    qint64 number(int row, int column) const;
    double real(int row, int column) const;
    bool flag(int row, int column) const;
    QByteArray bytes(int row, int column) const;     // bytea
    QByteArray wire(int row, int column) const;      // as it came
    QDateTime time(int row, int column) const;       // timestamptz or a timestamp in UTC; invalid when null
    QJsonObject json(int row, int column) const;

private:
    std::shared_ptr<PGresult> m_result;
};

// One statement with $1, $2 ... Values: null, bool, numbers, QString, QByteArray (bytea), QDateTime, QJsonObject and
// QJsonArray (json), QStringList (text[]). About 12 microseconds on a local socket; the worker's connection only.
Result<Rows> query(QSqlDatabase &connection, const char *sql, const QVariantList &values = {});

// The first cell of the first row as it is on the wire: a large bytea without escaping. Null when there is no row.
Result<QByteArray> queryBytes(QSqlDatabase &connection, const char *sql, const QVariantList &values = {});

// Several statements without values, as in a migration. The first failure ends it.
Result<Done> script(QSqlDatabase &connection, const QByteArray &sql);

// Error of an SQLSTATE: 23505 Conflict, 57014 Timeout, lost connection or shutdown Unavailable, serialisation Busy,
// the rest Internal. details["sqlstate"]. Never a statement's text or a row's data.
Error sqlError(const QByteArray &sqlState);
// The same for code that uses QSqlQuery.
Error sqlError(const QSqlError &error);

} // namespace power::storage
