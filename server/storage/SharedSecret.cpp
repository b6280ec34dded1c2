#include "storage/SharedSecret.h"
#include "storage/Sql.h"

namespace power::storage {

Result<QByteArray> sharedSecret(QSqlDatabase &connection, const QString &name, const QByteArray &proposed)
{
    // The second statement sees what another server wrote while the first waited for it.
    const Result<Rows> made = query(connection, "INSERT INTO power.store_secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", {name, proposed});
    if (!made)
        return Unexpected<Error>{made.error()};
    return queryBytes(connection, "SELECT value FROM power.store_secrets WHERE name = $1", {name});
}

QCoro::Task<Result<QByteArray>> askSharedSecret(Database &database, QString name, QByteArray proposed)
{
    const Job<QByteArray> job = [name, proposed](QSqlDatabase &connection) { return sharedSecret(connection, name, proposed); };
    const std::chrono::milliseconds deadline{10'000};
    const CancelToken never;
    QCoro::Task<Result<QByteArray>> asking = database.run<QByteArray>(Lane::Short, deadline, job, never);
    Result<QByteArray> secret = co_await asking;
    co_return secret;
}

} // namespace power::storage
