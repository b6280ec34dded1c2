#include "storage/Sql.h"
#include "storage/Connection.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QTimeZone>

namespace power::storage {

namespace {
struct Bound {
    QByteArray bytes;
    bool isNull = false;
    bool isBinary = false;
};

QByteArray arrayLiteral(const QStringList &list)
{
    QStringList quoted;
    for (QString item : list) {
        item.replace(u'\\', QStringLiteral("\\\\")).replace(u'"', QStringLiteral("\\\""));
        quoted += u'"' + item + u'"';
    }
    return '{' + quoted.join(u',').toUtf8() + '}';
}

Bound bound(const QVariant &value)
{
    if (!value.isValid() || value.isNull())
        return {{}, true};
    switch (value.typeId()) {
    case QMetaType::QByteArray: return {value.toByteArray(), false, true};
    case QMetaType::Bool: return {value.toBool() ? "t" : "f"};
    case QMetaType::Double: return {QByteArray::number(value.toDouble(), 'g', 17)};
    case QMetaType::QDateTime: return {value.toDateTime().toUTC().toString(Qt::ISODateWithMs).toLatin1()};
    case QMetaType::QJsonObject: return {QJsonDocument(value.toJsonObject()).toJson(QJsonDocument::Compact)};
    case QMetaType::QJsonArray: return {QJsonDocument(value.toJsonArray()).toJson(QJsonDocument::Compact)};
    case QMetaType::QStringList: return {arrayLiteral(value.toStringList())};
    default: return {value.toString().toUtf8()};
    }
}

Result<Rows> checked(PGconn *handle, PGresult *result)
{
    Rows rows(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return rows;
    if (PQstatus(handle) != CONNECTION_OK)
        return Unexpected<Error>{sqlError(QByteArray())};
    return Unexpected<Error>{sqlError(QByteArray(PQresultErrorField(result, PG_DIAG_SQLSTATE)))};
}
} // namespace

qint64 Rows::affected() const { return QByteArray(PQcmdTuples(m_result.get())).toLongLong(); }

bool Rows::isNull(int row, int column) const
{
    return row >= size() || column >= PQnfields(m_result.get()) || PQgetisnull(m_result.get(), row, column);
}

QString Rows::text(int row, int column) const
{
    if (isNull(row, column))
        return {};
    return QString::fromUtf8(PQgetvalue(m_result.get(), row, column), PQgetlength(m_result.get(), row, column));
}

qint64 Rows::number(int row, int column) const { return text(row, column).toLongLong(); }
double Rows::real(int row, int column) const { return text(row, column).toDouble(); }
bool Rows::flag(int row, int column) const { return text(row, column) == u"t"; }

QByteArray Rows::bytes(int row, int column) const
{
    if (isNull(row, column))
        return {};
    // Results are text; QPSQL sets bytea_output to escape, other sessions have hex: libpq reads both.
    size_t length = 0;
    const std::unique_ptr<unsigned char, decltype(&PQfreemem)> plain(
        PQunescapeBytea(reinterpret_cast<const unsigned char *>(PQgetvalue(m_result.get(), row, column)), &length), &PQfreemem);
    return QByteArray(reinterpret_cast<const char *>(plain.get()), qsizetype(length));
}

QByteArray Rows::wire(int row, int column) const
{
    if (isNull(row, column))
        return {};
    return QByteArray(PQgetvalue(m_result.get(), row, column), PQgetlength(m_result.get(), row, column));
}

QDateTime Rows::time(int row, int column) const
{
    // 2026-01-02 03:04:05.123456+00, or without the offset; the session's time zone is UTC.
    QString value = text(row, column);
    if (value.endsWith(QStringLiteral("+00")))
        value.chop(3);
    QDateTime time = QDateTime::fromString(value.replace(u' ', u'T').left(23), Qt::ISODateWithMs);
    time.setTimeZone(QTimeZone::utc());
    return time;
}

QJsonObject Rows::json(int row, int column) const
{
    return QJsonDocument::fromJson(text(row, column).toUtf8()).object();
}

namespace {
Result<Rows> execute(QSqlDatabase &connection, const char *sql, const QVariantList &values, int resultFormat)
{
    PGconn *handle = nativeHandle(connection);
    if (!handle)
        return Unexpected<Error>{sqlError(QByteArray())};
    std::vector<Bound> held;
    std::vector<const char *> pointers;
    std::vector<int> lengths, formats;
    std::vector<Oid> types;
    held.reserve(size_t(values.size()));
    for (const QVariant &value : values) {
        const Bound &item = held.emplace_back(bound(value));
        // libpq would take the text only up to it, and the entry would be another one than was asked for.
        if (!item.isBinary && item.bytes.contains('\0'))
            return fail(ErrorCode::InvalidArgument, QStringLiteral("Text for the database must not contain the NUL character."));
        pointers.push_back(item.isNull ? nullptr : item.bytes.constData());
        lengths.push_back(int(item.bytes.size()));
        formats.push_back(item.isBinary ? 1 : 0);
        types.push_back(item.isBinary ? Oid(17) : Oid(0)); // 17 = bytea; 0 = as the statement needs it
    }
    return checked(handle, PQexecParams(handle, sql, int(held.size()), types.data(), pointers.data(), lengths.data(),
                                        formats.data(), resultFormat));
}
} // namespace

Result<Rows> query(QSqlDatabase &connection, const char *sql, const QVariantList &values)
{
    return execute(connection, sql, values, 0);
}

Result<QByteArray> queryBytes(QSqlDatabase &connection, const char *sql, const QVariantList &values)
{
    const Result<Rows> rows = execute(connection, sql, values, 1);
    if (!rows)
        return Unexpected<Error>{rows.error()};
    return rows->wire(0, 0);
}

Result<Done> script(QSqlDatabase &connection, const QByteArray &sql)
{
    PGconn *handle = nativeHandle(connection);
    if (!handle)
        return Unexpected<Error>{sqlError(QByteArray())};
    const auto got = checked(handle, PQexec(handle, sql.constData()));
    if (!got)
        return Unexpected<Error>{got.error()};
    return Done{};
}

Error sqlError(const QByteArray &sqlState)
{
    const QString shown = QString::fromLatin1(sqlState);
    const QJsonObject details{{QStringLiteral("sqlstate"), shown}};
    const auto kind = sqlState.left(2);
    if (sqlState.isEmpty() || kind == "08" || sqlState == "57P01" || sqlState == "57P02" || sqlState == "57P03")
        return {ErrorCode::Unavailable, QStringLiteral("The database went away during the call."),
                QStringLiteral("Try again in a few seconds; the server reconnects by itself."), {}};
    if (sqlState == "23505")
        return {ErrorCode::Conflict, QStringLiteral("An entry with this key exists already."), {}, details};
    if (sqlState == "57014")
        return {ErrorCode::Timeout, QStringLiteral("The database call took too long and was stopped."),
                QStringLiteral("Try again, with less data if you can."), details};
    if (kind == "40" || sqlState == "55P03")
        return {ErrorCode::Busy, QStringLiteral("Another call changed the same entries at the same time."),
                QStringLiteral("Try again."), details};
    if (kind == "53")
        return {ErrorCode::Unavailable, QStringLiteral("The database is out of space, memory or connections (SQLSTATE %1).").arg(shown),
                QStringLiteral("Free some, or ask the operator."), details};
    if (sqlState == "42501")
        return {ErrorCode::Forbidden, QStringLiteral("The database role lacks a right this needs (SQLSTATE 42501)."),
                QStringLiteral("Grant the role of DATABASE_URL CREATE on the database and ownership of schema power."), details};
    return {ErrorCode::Internal, QStringLiteral("The database refused the statement (SQLSTATE %1).").arg(shown), {}, details};
}

Error sqlError(const QSqlError &error)
{
    return sqlError(error.nativeErrorCode().toLatin1());
}

} // namespace power::storage
