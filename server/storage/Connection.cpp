#include "storage/Connection.h"
#include "storage/Sql.h"
#include <QSqlDriver>
#include <QSqlError>
#include <QUrl>
#include <QVariant>

// QPSQL hands its connection out as this type (its name is pg_conn*, so the type is compared, not the text).
Q_DECLARE_OPAQUE_POINTER(PGconn *)

namespace power::storage {

PGconn *nativeHandle(const QSqlDatabase &connection)
{
    const QVariant handle = connection.driver() ? connection.driver()->handle() : QVariant();
    if (handle.metaType() != QMetaType::fromType<PGconn *>())
        return nullptr;
    return *static_cast<PGconn *const *>(handle.constData());
}

namespace {
// 'value' for a libpq connection string. QPSQL splits options at semicolons, so those cannot be passed on.
QString quotedOption(QString value)
{
    value.replace(u'\\', QStringLiteral("\\\\")).replace(u'\'', QStringLiteral("\\'"));
    return u'\'' + value + u'\'';
}
} // namespace

Result<QSqlDatabase> describeConnection(const QString &name, const QString &url, std::chrono::milliseconds connectTimeout)
{
    QString plain = url.trimmed();
    if (const qsizetype plus = plain.indexOf(u'+'), colon = plain.indexOf(u':'); plus >= 0 && plus < colon)
        plain.remove(plus, colon - plus);
    char *problem = nullptr;
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption *)> parsed(
        PQconninfoParse(plain.toUtf8().constData(), &problem), &PQconninfoFree);
    if (problem)
        PQfreemem(problem); // it quotes parts of the URL, which may be the password
    if (!parsed)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("DATABASE_URL cannot be read as a PostgreSQL address."),
                    QStringLiteral("Write postgres://user:password@host:port/database and percent-encode special "
                                   "characters of the password."));
    QSqlDatabase connection = QSqlDatabase::addDatabase(QStringLiteral("QPSQL"), name);
    QStringList options{QStringLiteral("application_name=power-interpreter")};
    bool hasTimeout = false;
    for (const PQconninfoOption *option = parsed.get(); option->keyword; ++option) {
        if (!option->val || !*option->val)
            continue;
        const QLatin1String key(option->keyword);
        const QString value = QString::fromUtf8(option->val);
        if (key == QLatin1String("host"))
            connection.setHostName(value);
        else if (key == QLatin1String("port"))
            connection.setPort(value.toInt());
        else if (key == QLatin1String("user"))
            connection.setUserName(value);
        else if (key == QLatin1String("password"))
            connection.setPassword(value);
        else if (key == QLatin1String("dbname"))
            connection.setDatabaseName(value);
        else if (key != QLatin1String("application_name") && !value.contains(u';')) {
            options += key + u'=' + quotedOption(value);
            hasTimeout = hasTimeout || key == QLatin1String("connect_timeout");
        }
    }
    if (!hasTimeout) {
        const auto seconds = std::max<qint64>(2, std::chrono::ceil<std::chrono::seconds>(connectTimeout).count());
        options += QStringLiteral("connect_timeout=%1").arg(seconds);
    }
    // A host that vanished is noticed on an idle connection within about a minute.
    options += QStringLiteral("keepalives_idle=30;keepalives_interval=10;keepalives_count=3;tcp_user_timeout=30000");
    connection.setConnectOptions(options.join(u';'));
    return connection;
}

Result<Done> openConnection(QSqlDatabase &connection)
{
    if (connection.open()) {
        // libpq prints notices to stderr otherwise.
        PQsetNoticeProcessor(nativeHandle(connection), [](void *, const char *) {}, nullptr);
        const auto set = query(connection, "SELECT set_config('search_path', 'power', false), "
                                           "set_config('TimeZone', 'UTC', false)");
        if (set)
            return Done{};
        connection.close();
        return Unexpected<Error>{set.error()};
    }
    // The driver's text names host and user, never the password; its first line is the reason.
    QString reason = connection.lastError().driverText();
    if (const QString detail = connection.lastError().databaseText().trimmed(); !detail.isEmpty())
        reason = detail.section(u'\n', 0, 0);
    if (const QString password = connection.password(); !password.isEmpty())
        reason.replace(password, QStringLiteral("***"));
    return fail(ErrorCode::Unavailable, QStringLiteral("The database cannot be reached: %1.").arg(reason));
}

} // namespace power::storage
