// What an agent's SQL cannot do: the table of attacks on the role that runs it.
#include "Rig.h"
#include <QElapsedTimer>

using namespace power;
using namespace power::datasets;
using namespace std::chrono_literals;

class TestQueryWall : public QObject
{
    Q_OBJECT
    datasets::test::Rig m_rig;
    QString m_table, m_strange;

private Q_SLOTS:
    void initTestCase()
    {
        const QString problem = m_rig.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const auto mine = m_rig.store(QStringLiteral("sales"), "id,amount\n1,2.5\n2,3.5\n");
        QVERIFY2(mine, mine ? "" : qPrintable(mine.error().text()));
        m_table = mine->dataset.table;
        const auto theirs = m_rig.store(QStringLiteral("secrets"), "id,word\n1,hidden\n", QStringLiteral("s.csv"), QStringLiteral("somebody"));
        QVERIFY2(theirs, theirs ? "" : qPrintable(theirs.error().text()));
        m_strange = theirs->dataset.table;
        m_rig.database.rows("INSERT INTO power.api_keys (principal, key_sha256, prefix) VALUES ('owner', '\\x01', 'p')");
        m_rig.database.rows("CREATE TABLE public.ms_tokens (user_id text, token_data jsonb)");
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT sum(amount) FROM sales")), QByteArray("[[6]]"));
    }
    void cleanupTestCase() { m_rig.stop(); }

    void attacks_data()
    {
        QTest::addColumn<QString>("sql");
        const char *const attacks[] = {
            // what is not the principal's
            "SELECT * FROM power.store_secrets", "SELECT * FROM power.api_keys", "SELECT * FROM power.datasets", "TABLE power.runs",
            "SELECT * FROM public.ms_tokens", "SELECT * FROM %MINE_DIRECTLY%", "SELECT * FROM %THEIRS_DIRECTLY%", "SELECT * FROM secrets",
            "SELECT * FROM %THEIRS%", "EXPLAIN SELECT * FROM power.api_keys", "SELECT (SELECT count(*) FROM power.api_keys)",
            "SELECT * FROM sales WHERE id IN (SELECT 1 FROM power.api_keys)",
            // the catalog
            "SELECT * FROM pg_authid", "SELECT * FROM pg_shadow", "SELECT * FROM pg_class", "SELECT * FROM pg_attribute", "SELECT * FROM pg_stats",
            "SELECT * FROM pg_stat_activity", "SELECT * FROM pg_settings", "SELECT * FROM pg_roles", "SELECT * FROM pg_locks", "SELECT * FROM pg_file_settings",
            "SELECT * FROM pg_hba_file_rules", "SELECT current_setting('data_directory')", "SELECT pg_get_viewdef('sales'::regclass)",
            // files and programs
            "SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT pg_stat_file('/etc/passwd')",
            "SELECT pg_ls_waldir()", "SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/x')", "COPY (SELECT 1) TO PROGRAM 'id'",
            "COPY sales FROM PROGRAM 'id'", "COPY sales TO '/tmp/x'", "COPY sales TO STDOUT", "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t(a int)",
            "LOAD 'auto_explain'", "CREATE EXTENSION dblink", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'system'",
            // another role, other limits
            "SET ROLE power", "SELECT set_config('role', 'power', false)", "SET SESSION AUTHORIZATION power", "RESET ROLE",
            "SELECT set_config('statement_timeout', '0', false)", "SELECT set_config('transaction_read_only', 'off', true)", "SET work_mem = '10GB'",
            "ALTER ROLE CURRENT_USER SUPERUSER", "ALTER ROLE CURRENT_USER PASSWORD 'x'", "ALTER SYSTEM SET log_statement = 'all'", "GRANT power TO CURRENT_USER",
            // writing
            "INSERT INTO sales VALUES (3, 1)", "INSERT INTO sales VALUES (3, 1) RETURNING id", "UPDATE sales SET amount = 0", "DELETE FROM sales", "TRUNCATE sales",
            "DROP VIEW sales", "DROP TABLE %MINE_DIRECTLY%", "WITH gone AS (DELETE FROM sales RETURNING *) SELECT * FROM gone", "CREATE TABLE x (a int)",
            "CREATE TEMP TABLE x (a int)", "SELECT 1 AS a INTO x", "CREATE VIEW y AS SELECT 1", "CREATE SCHEMA z", "EXPLAIN ANALYZE DELETE FROM sales",
            "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1 AS a", "SELECT * FROM sales FOR UPDATE", "SELECT lo_create(0)", "SELECT lo_from_bytea(0, '\\x00')",
            "SELECT lo_creat(-1)", "SELECT lo_get(1)", "REFRESH MATERIALIZED VIEW sales", "COMMENT ON VIEW sales IS 'x'", "LOCK TABLE sales",
            // stalling and signalling others
            "SELECT pg_advisory_lock(7305808869232650)", "SELECT pg_try_advisory_xact_lock(1)", "SELECT pg_notify('x', 'y')", "NOTIFY x", "LISTEN x",
            "SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)", "SELECT pg_reload_conf()", "SELECT pg_switch_wal()", "CHECKPOINT", "VACUUM",
            "SELECT pg_logical_emit_message(false, 'a', 'b')", "SELECT pg_export_snapshot()", "SELECT pg_stat_reset()", "SELECT pg_rotate_logfile()",
            "SELECT pg_create_restore_point('x')", "SELECT pg_log_backend_memory_contexts(1)", "SELECT pg_blocking_pids(1)",
            // SQL inside of SQL, several statements, leaving the page
            "SELECT query_to_xml('SELECT 1', true, true, '')", "SELECT database_to_xml(true, true, '')", "SELECT * FROM ts_stat('SELECT NULL::tsvector')",
            "DO $$ BEGIN PERFORM 1; END $$", "CALL x()", "EXECUTE x", "PREPARE x AS SELECT 1", "DECLARE x CURSOR FOR SELECT 1", "FETCH ALL FROM x",
            "SELECT 1; SELECT 2", "SELECT 1; DROP VIEW sales; --", "BEGIN", "COMMIT", "ROLLBACK", "SHOW ALL", "DISCARD ALL",
            "SELECT 1) AS p(c0) LIMIT 1 OFFSET 0) AS q OFFSET 0) AS w; SELECT pg_sleep(60); --", "SELECT 1) x, (SELECT 2", "", ";", "-- nothing",
        };
        for (const char *attack : attacks)
            QTest::newRow(attack) << QString::fromLatin1(attack)
                                         .replace(QStringLiteral("%MINE_DIRECTLY%"), QStringLiteral("power_data.") + m_table)
                                         .replace(QStringLiteral("%THEIRS_DIRECTLY%"), QStringLiteral("power_data.") + m_strange)
                                         .replace(QStringLiteral("%THEIRS%"), m_strange);
    }
    void attacks()
    {
        QFETCH(QString, sql);
        const auto answer = m_rig.query(sql, {}, 1000, 0, 5s);
        QVERIFY2(!answer, answer ? QJsonDocument(answer->rows).toJson().left(500).constData() : "");
        const ErrorCode code = answer.error().code;
        QVERIFY2(code == ErrorCode::InvalidArgument || code == ErrorCode::Forbidden, qPrintable(answer.error().text()));
        QVERIFY2(!answer.error().message.isEmpty(), "no reason");
    }

    void nothingWasChanged()
    {
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT count(*), sum(amount) FROM sales")), QByteArray("[[2,6]]"));
        QCOMPARE(m_rig.database.number("SELECT count(*) FROM pg_largeobject_metadata"), 0);
        QCOMPARE(m_rig.database.number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0);
        QCOMPARE(m_rig.database.number("SELECT count(*) FROM pg_class WHERE relname IN ('x', 'y') AND relnamespace <> 'pg_catalog'::regnamespace"), 0);
        QCOMPARE(m_rig.database.number("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'power_read_%' AND (rolsuper OR rolcreaterole OR rolcreatedb)"), 0);
    }

    // What is there for everybody: the columns of one's own datasets, and nobody else's.
    void ownColumnsAreSeen()
    {
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT count(DISTINCT table_schema), bool_or(table_name = 'sales'), bool_or(table_name = 'secrets') "
                                           "FROM information_schema.columns WHERE table_schema NOT IN ('information_schema', 'pg_catalog')")),
                 QByteArray("[[1,true,false]]"));
    }

    void timeIsLimited()
    {
        QElapsedTimer clock;
        clock.start();
        for (const char *sql : {"SELECT pg_sleep(60)", "SELECT count(*) FROM generate_series(1, 100000000000) g"}) {
            const auto answer = m_rig.query(QLatin1String(sql), {}, 10, 0, 1s);
            QVERIFY(!answer);
            QCOMPARE(answer.error().code, ErrorCode::Timeout);
        }
        QVERIFY2(clock.elapsed() < 10'000, qPrintable(QString::number(clock.elapsed())));
        QTRY_COMPARE_WITH_TIMEOUT(m_rig.database.number("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'power_read_%'"), 0, 10'000);
    }

    // A backend is refused memory; the others, ours among them, go on.
    void memoryIsLimited()
    {
        const qint64 before = m_rig.database.number("SELECT extract(epoch FROM pg_postmaster_start_time())::bigint");
        for (const char *sql : {"SELECT repeat('x', 1000000000)", "SELECT array_agg(g) FROM generate_series(1, 400000000) g"}) {
            const auto answer = m_rig.query(QLatin1String(sql), {}, 10, 0, 30s);
            QVERIFY2(!answer, sql);
            QVERIFY2(answer.error().code != ErrorCode::Unavailable, qPrintable(answer.error().text()));
        }
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT count(*) FROM sales")), QByteArray("[[2]]"));
        QCOMPARE(m_rig.database.number("SELECT extract(epoch FROM pg_postmaster_start_time())::bigint"), before);
    }

    // Rows are taken until the answer is full, not before: 1 GB never reaches the server.
    void answersAreLimited()
    {
        const auto wide = m_rig.query(QStringLiteral("SELECT repeat('x', 1000000) FROM generate_series(1, 1000)"), {}, 1000);
        QVERIFY(!wide);
        QCOMPARE(wide.error().code, ErrorCode::TooLarge);
        const auto huge = m_rig.query(QStringLiteral("SELECT repeat('x', 40000000)"), {}, 1000);
        QVERIFY(!huge);
        QCOMPARE(huge.error().code, ErrorCode::TooLarge);
        const auto fits = m_rig.query(QStringLiteral("SELECT repeat('x', 1000000) FROM generate_series(1, 1000)"), {}, 10);
        QVERIFY(fits && fits->rows.size() == 10 && fits->hasMore);
    }

    void cancelEndsTheBackend()
    {
        CancelSource source;
        QueryOrder order;
        order.principal = QStringLiteral("owner");
        order.sql = QStringLiteral("SELECT pg_sleep(30)");
        order.cancel = source.token();
        QTimer::singleShot(500, this, [&source] { source.cancel(); });
        const auto answer = datasets::test::await(m_rig.service->query(std::move(order)));
        QVERIFY(!answer);
        QCOMPARE(answer.error().code, ErrorCode::Cancelled);
        QTRY_COMPARE_WITH_TIMEOUT(m_rig.database.number("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'power_read_%'"), 0, 10'000);
    }
};

QTEST_GUILESS_MAIN(TestQueryWall)
#include "tst_query_wall.moc"
