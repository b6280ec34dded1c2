// What all servers on one database must know and nobody else, e.g. the key of what clients carry for us. Table
// power.store_secrets.
#pragma once
#include "storage/Database.h"

namespace power::storage {

// The secret of that name: the one in the database; when there is none yet, `proposed` becomes it. However many servers ask
// at once, all get the same. Inside a job; its errors are those of the statements.
Result<QByteArray> sharedSecret(QSqlDatabase &connection, const QString &name, const QByteArray &proposed);
// The same as a job of its own. Errors: those of Database::run().
QCoro::Task<Result<QByteArray>> askSharedSecret(Database &database, QString name, QByteArray proposed);

} // namespace power::storage
