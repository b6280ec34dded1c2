#include "storage/Migrations.h"
#include "storage/Sql.h"
#include <QCryptographicHash>
#include <QDir>
#include <QFile>

namespace power::storage {

namespace {
QByteArray resource(const QString &name)
{
    QFile file(QStringLiteral(":/power/") + name);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

// One number for all servers of a database; released with the transaction.
Result<Done> lockMigrations(QSqlDatabase &connection)
{
    return script(connection, "SELECT pg_advisory_xact_lock(7305808869232650)");
}

Unexpected<Error> during(const QString &what, Error error)
{
    error.message = QStringLiteral("%1 failed: %2").arg(what, error.message);
    return {std::move(error)};
}
} // namespace

const QList<Migration> &migrations()
{
    static const QList<Migration> list = [] {
        QList<Migration> found;
        const QStringList names = QDir(QStringLiteral(":/power/migrations")).entryList(QDir::Files, QDir::Name);
        for (const QString &file : names) {
            const QByteArray sql = resource(QStringLiteral("migrations/") + file);
            found += Migration{file.section(u'_', 0, 0).toInt(), file.section(u'.', 0, 0), sql,
                               QCryptographicHash::hash(sql, QCryptographicHash::Sha256).toHex()};
            Q_ASSERT(found.last().version > (found.size() > 1 ? found.at(found.size() - 2).version : 0) && !sql.isEmpty());
        }
        return found;
    }();
    return list;
}

Result<Done> applyMigration(QSqlDatabase &connection, const Migration &migration)
{
    const QString what = QStringLiteral("Migration %1").arg(migration.name);
    if (const auto locked = lockMigrations(connection); !locked)
        return during(what, locked.error());
    // IF NOT EXISTS still needs the right to create; a role without it may use a schema made for it.
    const auto there = query(connection, "SELECT to_regnamespace('power') IS NOT NULL, "
                                         "to_regclass('power.schema_migrations') IS NOT NULL");
    if (!there)
        return during(what, there.error());
    QByteArray prepare;
    if (!there->flag(0, 0))
        prepare += "CREATE SCHEMA power;";
    if (!there->flag(0, 1))
        prepare += "CREATE TABLE power.schema_migrations (version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
                   "applied_at timestamptz NOT NULL DEFAULT now());";
    if (!prepare.isEmpty()) {
        if (const auto prepared = script(connection, prepare); !prepared)
            return during(what, prepared.error());
    }
    const auto known = query(connection, "SELECT checksum FROM power.schema_migrations WHERE version = $1", {migration.version});
    if (!known)
        return during(what, known.error());
    if (!known->isEmpty()) {
        const QString recorded = known->text(0, 0);
        if (recorded.toLatin1() == migration.checksum)
            return Done{};
        return fail(ErrorCode::Conflict,
                    QStringLiteral("%1 was applied to this database with other contents (sha256 %2 there, %3 in this program).")
                        .arg(what, recorded.left(12), QString::fromLatin1(migration.checksum.left(12))),
                    QStringLiteral("Run the release that made this database, or restore a backup; an applied migration is "
                                   "never edited, a new one is added."));
    }
    if (const auto applied = script(connection, migration.sql); !applied)
        return during(what, applied.error());
    const auto recorded = query(connection, "INSERT INTO power.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                                {migration.version, migration.name, QString::fromLatin1(migration.checksum)});
    if (!recorded)
        return during(what, recorded.error());
    return Done{};
}

Result<Done> finishMigrations(QSqlDatabase &connection)
{
    if (const auto locked = lockMigrations(connection); !locked)
        return locked;
    const auto newest = query(connection, "SELECT max(version) FROM power.schema_migrations");
    if (!newest)
        return Unexpected<Error>{newest.error()};
    const int known = migrations().last().version;
    if (newest->number(0, 0) > known)
        return fail(ErrorCode::Conflict,
                    QStringLiteral("This database was migrated to version %1 by a newer server; this one knows %2.")
                        .arg(newest->number(0, 0)).arg(known),
                    QStringLiteral("Start that newer release, or restore a backup from before it."));
    if (const auto adopted = script(connection, resource(QStringLiteral("adoption.sql"))); !adopted)
        return during(QStringLiteral("Adopting the tables of the Python original"), adopted.error());
    return Done{};
}

} // namespace power::storage
