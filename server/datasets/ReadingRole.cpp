#include "datasets/ReadingRole.h"
#include "datasets/DatasetTable.h"
#include "storage/Connection.h"
#include "storage/SharedSecret.h"
#include "storage/Sql.h"
#include <QCryptographicHash>
#include <QMessageAuthenticationCode>
#include <QRandomGenerator>

namespace power::datasets {

using storage::query;
using storage::script;

namespace {
// What holds whatever a query does; a role cannot raise temp_file_limit itself.
constexpr const char *kRoleSettings[] = {
    "default_transaction_read_only = on", "statement_timeout = '300s'", "lock_timeout = '20s'",
    "idle_in_transaction_session_timeout = '60s'", "work_mem = '32MB'", "jit = off", "max_parallel_workers_per_gather = 0",
};

Result<QByteArray> secretOf(QSqlDatabase &connection)
{
    QByteArray fresh(32, Qt::Uninitialized);
    for (char &byte : fresh)
        byte = char(QRandomGenerator::system()->bounded(256));
    return storage::sharedSecret(connection, QStringLiteral("dataset_roles"), fresh);
}

QString stamp(const QByteArray &secret, const QByteArray &what, int characters)
{
    return QString::fromLatin1(QMessageAuthenticationCode::hash(what, secret, QCryptographicHash::Sha256).toHex().left(characters));
}

// Runs it so that a refusal does not end the transaction.
Result<Done> tried(QSqlDatabase &connection, const QByteArray &sql)
{
    const auto begun = script(connection, "SAVEPOINT attempt");
    if (!begun)
        return begun;
    const auto done = script(connection, sql);
    const auto ended = script(connection, done ? "RELEASE SAVEPOINT attempt" : "ROLLBACK TO SAVEPOINT attempt");
    return done ? ended : done;
}
} // namespace

Result<Reader> readerOf(QSqlDatabase &connection, const QString &principal)
{
    const Result<QByteArray> secret = secretOf(connection);
    if (!secret)
        return Unexpected<Error>{secret.error()};
    // Roles belong to the whole cluster, in which another server's database may lie: the name is this database's own.
    Reader reader;
    reader.role = QStringLiteral("power_read_") + stamp(*secret, "role " + principal.toUtf8(), 16);
    reader.password = stamp(*secret, "password " + principal.toUtf8(), 48);
    return reader;
}

Result<Done> makeReader(QSqlDatabase &connection, const Reader &reader)
{
    const QByteArray role = table::quoted(reader.role);
    const auto known = query(connection, "SELECT 1 FROM pg_roles WHERE rolname = $1", {reader.role});
    if (!known)
        return Unexpected<Error>{known.error()};
    if (known->isEmpty()) {
        // Another server may make it at the same moment.
        const auto made = tried(connection, "CREATE ROLE " + role + " LOGIN NOINHERIT CONNECTION LIMIT 32");
        if (!made && made.error().code != ErrorCode::Conflict && made.error().details.value(QStringLiteral("sqlstate")).toString() != u"42710")
            return made;
    }
    // The server's log never sees the password, only what verifies it.
    const std::unique_ptr<char, void (*)(void *)> verifier(
        PQencryptPasswordConn(storage::nativeHandle(connection), reader.password.toLatin1().constData(), reader.role.toUtf8().constData(),
                              "scram-sha-256"),
        &PQfreemem);
    if (!verifier)
        return fail(ErrorCode::Unavailable, QStringLiteral("The password of the reading role could not be made."));
    const auto set = tried(connection, "ALTER ROLE " + role + " PASSWORD '" + QByteArray(verifier.get()) + '\'');
    if (!set)
        return set;
    for (const char *setting : kRoleSettings) {
        const auto done = tried(connection, "ALTER ROLE " + role + " SET " + setting);
        if (!done)
            return done;
    }
    const auto limited = tried(connection, "ALTER ROLE " + role + " SET temp_file_limit = '2GB'");
    if (!limited && limited.error().code != ErrorCode::Forbidden) // only a superuser may; then the disk's space is the limit
        return limited;
    const auto schema = tried(connection, "CREATE SCHEMA IF NOT EXISTS " + role);
    if (!schema)
        return schema;
    return tried(connection, "GRANT USAGE ON SCHEMA " + role + " TO " + role);
}

Result<Done> closeCatalog(QSqlDatabase &connection)
{
    return script(connection,
                  "REVOKE ALL ON SCHEMA public FROM PUBLIC;"
                  "REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;"
                  "REVOKE SELECT ON ALL TABLES IN SCHEMA pg_catalog FROM PUBLIC;"
                  "DO $close$ DECLARE each record; BEGIN FOR each IN SELECT oid::regprocedure AS f FROM pg_proc "
                  "WHERE pronamespace = 'pg_catalog'::regnamespace AND (proname ~ '^(pg_(try_)?advisory_|lo_|pg_stat_|pg_ls_|pg_read_|"
                  "pg_logical_|pg_replication_|pg_relation_(size|file)|pg_tablespace_|pg_lock_|pg_get_(view|function)def|"
                  "pg_(database|total_relation|table|indexes)_size)' "
                  "OR proname ~ '^(query|cursor|table|schema|database)_to_xml' "
                  "OR proname IN ('loread', 'lowrite', 'pg_notify', 'set_config', 'pg_cancel_backend', 'pg_terminate_backend', "
                  "'pg_export_snapshot', 'pg_blocking_pids', 'pg_safe_snapshot_blocking_pids', 'pg_show_all_settings', 'ts_stat')) "
                  "LOOP EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', each.f); END LOOP; END $close$");
}

Result<Done> publish(QSqlDatabase &connection, const Reader &reader, const QString &principal, const QString &name, const QStringList &gone)
{
    const auto place = query(connection, "SELECT 1 FROM pg_namespace WHERE nspname = $1", {reader.role});
    if (!place)
        return Unexpected<Error>{place.error()};
    if (place->isEmpty()) { // the first dataset of this principal
        const auto made = makeReader(connection, reader);
        if (!made)
            return made;
    }
    const auto all = query(connection,
                           "SELECT name, table_schema, table_name FROM power.datasets WHERE principal = $1 AND lower(name) = lower($2) "
                           "ORDER BY created_at DESC",
                           {principal, name});
    if (!all)
        return Unexpected<Error>{all.error()};
    const auto folded = [](const QString &text) { return QString::fromUtf8(text.toUtf8().toLower()); }; // as SQL does: ASCII alone
    QStringList old{name, folded(name)};
    old << gone;
    QList<std::pair<QString, QByteArray>> views; // name of the view, what it shows
    QStringList names;
    for (int i = 0; i < all->size(); ++i)
        names << all->text(i, 0);
    for (int i = 0; i < all->size(); ++i) {
        const QByteArray from = table::quoted(all->text(i, 1), all->text(i, 2));
        QStringList called{all->text(i, 2)};
        for (const QString &wanted : {names[i], folded(names[i])}) {
            const bool taken = wanted != names[i] && names.contains(wanted);
            const bool fits = wanted.toUtf8().size() <= 63; // longer ones of the original are reached by their table's name
            if (!taken && fits && !called.contains(wanted))
                called << wanted;
        }
        for (const QString &each : std::as_const(called)) {
            const bool first = std::none_of(views.cbegin(), views.cend(), [&each](const auto &view) { return view.first == each; });
            if (first)
                views.append({each, from});
            old << each;
        }
    }
    old.removeDuplicates();
    for (const QString &each : std::as_const(old)) {
        const auto dropped = script(connection, "DROP VIEW IF EXISTS " + table::quoted(reader.role, each));
        if (!dropped)
            return dropped;
    }
    const QByteArray role = table::quoted(reader.role);
    for (const auto &[each, from] : std::as_const(views)) {
        const QByteArray view = table::quoted(reader.role, each);
        const auto made = script(connection, "CREATE VIEW " + view + " AS SELECT * FROM " + from + "; GRANT SELECT ON " + view + " TO " + role);
        if (!made)
            return made;
    }
    return Done{};
}

} // namespace power::datasets
