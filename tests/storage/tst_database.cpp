// Lanes, deadlines, errors and migrations on a real PostgreSQL.
#include "ClusterFixture.h"
#include "storage/Connection.h"
#include "storage/Copy.h"
#include "storage/Migrations.h"
#include "storage/SharedSecret.h"
#include "storage/Sql.h"
#include <QElapsedTimer>
#include <QSignalSpy>
#include <QSqlQuery>
#include <QTest>
#include <QRegularExpression>
#include <csignal>
#include <thread>

using namespace power;
using namespace power::storage;
using namespace std::chrono_literals;

namespace {
// A job that runs one statement and gives its first cell.
Job<QString> cell(const char *sql, const QVariantList &values = {})
{
    return [sql, values](QSqlDatabase &connection) -> Result<QString> {
        const auto rows = query(connection, sql, values);
        if (!rows)
            return Unexpected<Error>{rows.error()};
        return rows->text(0, 0);
    };
}
} // namespace

class TestDatabase : public QObject
{
    Q_OBJECT
    std::unique_ptr<test::ClusterFixture> m_fixture;
    std::unique_ptr<Database> m_database;

    Result<QString> run(const char *sql, const QVariantList &values = {}, std::chrono::milliseconds limit = 5s, Lane lane = Lane::Short)
    {
        return test::await(m_database->run<QString>(lane, limit, cell(sql, values)));
    }

private Q_SLOTS:
    void initTestCase()
    {
        QElapsedTimer clock;
        clock.start();
        m_fixture = std::make_unique<test::ClusterFixture>();
        const QString problem = m_fixture->start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        qInfo("fresh cluster: %lld ms", clock.restart());
        m_database = std::make_unique<Database>(Database::Config{m_fixture->url()});
        const auto started = test::await(m_database->start());
        QVERIFY2(started, started ? "" : qPrintable(started.error().text()));
        qInfo("connect and migrate: %lld ms", clock.elapsed());
        QVERIFY(m_database->isConnected());
        QVERIFY(m_database->serverVersion().toDouble() >= 13);
    }

    void cleanupTestCase()
    {
        if (m_database)
            QCoro::waitFor(m_database->stop());
        m_database.reset();
        m_fixture.reset();
    }

    void valuesGoThereAndBack()
    {
        const QDateTime now = QDateTime::fromString(QStringLiteral("2026-02-03T04:05:06.789Z"), Qt::ISODateWithMs);
        Job<Done> job = [now](QSqlDatabase &connection) -> Result<Done> {
            const QByteArray blob("\0\x01\xff'\\", 5);
            const auto rows = query(connection, "SELECT $1::bigint, $2::text, $3::bytea, $4::timestamptz, $5::jsonb, $6::text[], "
                                                "$7::bool, $8::float8, $9::text",
                                    {qlonglong(1) << 40, QStringLiteral("ä'\"\\"), blob, now, QJsonObject{{QStringLiteral("a"), 1}},
                                     QStringList{QStringLiteral("x,\"y\\"), QString(QLatin1String(""))}, true, 0.1, QVariant()});
            if (!rows)
                return Unexpected<Error>{rows.error()};
            const QList<bool> same{rows->number(0, 0) == qlonglong(1) << 40, rows->text(0, 1) == QStringLiteral("ä'\"\\"),
                                   rows->bytes(0, 2) == blob, rows->time(0, 3) == now,
                                   rows->json(0, 4).value(QStringLiteral("a")).toInt() == 1,
                                   rows->text(0, 5) == QStringLiteral("{\"x,\\\"y\\\\\",\"\"}"), rows->flag(0, 6),
                                   rows->real(0, 7) == 0.1, rows->isNull(0, 8), rows->isNull(1, 0), rows->isNull(0, 99)};
            if (const auto wrong = same.indexOf(false); wrong >= 0)
                return fail(ErrorCode::Internal, QStringLiteral("value %1 came back differently").arg(wrong));
            QSqlQuery viaQt(connection);
            viaQt.prepare(QStringLiteral("SELECT ?"));
            viaQt.addBindValue(5);
            if (viaQt.exec() && viaQt.next() && viaQt.value(0).toInt() == 5)
                return Done{};
            return Unexpected<Error>{sqlError(viaQt.lastError())};
        };
        const auto got = test::await(m_database->run<Done>(Lane::Short, 5s, job));
        QVERIFY2(got, got ? "" : qPrintable(got.error().text()));
    }

    void textWithNulIsRefusedNotCut()
    {
        QCOMPARE(run("SELECT $1::text", {QString(QLatin1String("a\0b", 3))}).error().code, ErrorCode::InvalidArgument);
    }

    void aJobIsOneTransaction()
    {
        QVERIFY(run("CREATE TABLE power.probe (n int PRIMARY KEY)"));
        Job<Done> failing = [](QSqlDatabase &connection) -> Result<Done> {
            if (!query(connection, "INSERT INTO probe VALUES (1)"))
                return fail(ErrorCode::Internal, QStringLiteral("insert"));
            return fail(ErrorCode::InvalidArgument, QStringLiteral("changed my mind"));
        };
        QCOMPARE(test::await(m_database->run<Done>(Lane::Short, 5s, failing)).error().message, QStringLiteral("changed my mind"));
        QCOMPARE(*run("SELECT count(*) FROM probe"), QStringLiteral("0"));
        // A swallowed error must not look like a commit.
        Job<Done> swallowing = [](QSqlDatabase &connection) -> Result<Done> {
            query(connection, "INSERT INTO probe VALUES (2)").ok();
            query(connection, "SELECT 1/0").ok();
            return Done{};
        };
        QCOMPARE(test::await(m_database->run<Done>(Lane::Short, 5s, swallowing)).error().code, ErrorCode::Internal);
        QCOMPARE(*run("SELECT count(*) FROM probe"), QStringLiteral("0"));
        QVERIFY(run("DROP TABLE power.probe"));
    }

    void errorsNameNoData()
    {
        QVERIFY(run("CREATE TABLE power.probe (secret text PRIMARY KEY)"));
        QVERIFY(run("INSERT INTO probe VALUES ('geheim')"));
        const auto twice = run("INSERT INTO probe VALUES ('geheim')");
        QCOMPARE(twice.error().code, ErrorCode::Conflict);
        QVERIFY(!twice.error().text().contains(QStringLiteral("geheim")));
        const auto wrong = run("SELECT nothing FROM probe");
        QCOMPARE(wrong.error().code, ErrorCode::Internal);
        QVERIFY(wrong.error().message.contains(QStringLiteral("42703")));
        QVERIFY(run("DROP TABLE power.probe"));
    }

    void aStuckStatementEndsAtItsDeadlineWhileOthersProceed()
    {
        QElapsedTimer clock;
        clock.start();
        auto slow = m_database->run<QString>(Lane::Short, 300ms, cell("SELECT pg_sleep(30)"));
        for (int i = 0; i < 20; ++i)
            QVERIFY(run("SELECT 1"));
        QVERIFY(clock.elapsed() < 300);
        const auto got = test::await(std::move(slow));
        QCOMPARE(got.error().code, ErrorCode::Timeout);
        QVERIFY2(clock.elapsed() >= 270 && clock.elapsed() < 1000, qPrintable(QString::number(clock.elapsed())));
        QTRY_COMPARE(*run("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()"),
                     QStringLiteral("0"));
    }

    void aStoppedBackendCannotBlock()
    {
        // All three workers of the lane hang in backends that do not even answer a cancel.
        std::vector<QCoro::Task<Result<QString>>> hanging;
        std::vector<std::shared_ptr<std::atomic<int>>> pids;
        for (int i = 0; i < 3; ++i) {
            const auto pid = pids.emplace_back(std::make_shared<std::atomic<int>>(0));
            Job<QString> job = [pid](QSqlDatabase &connection) -> Result<QString> {
                const auto own = query(connection, "SELECT pg_backend_pid()");
                if (!own)
                    return Unexpected<Error>{own.error()};
                *pid = int(own->number(0, 0));
                ::kill(*pid, SIGSTOP);
                const auto rows = query(connection, "SELECT 1");
                if (!rows)
                    return Unexpected<Error>{rows.error()};
                return rows->text(0, 0);
            };
            hanging.push_back(m_database->run<QString>(Lane::Short, 400ms, job));
        }
        QElapsedTimer clock;
        clock.start();
        QVERIFY(run("SELECT 1", {}, 2s, Lane::Control)); // another lane is not concerned
        for (auto &task : hanging)
            QCOMPARE(test::await(std::move(task)).error().code, ErrorCode::Timeout);
        QVERIFY(clock.elapsed() < 1000);
        const auto after = run("SELECT 2", {}, 5s); // waits for fresh workers
        for (const auto &pid : pids)
            ::kill(*pid, SIGCONT);
        QVERIFY2(after, after ? "" : qPrintable(after.error().text()));
        QVERIFY2(clock.elapsed() < 3000, qPrintable(QString::number(clock.elapsed())));
    }

    void aWorkerThatHangsOutsideTheDatabaseIsReplaced()
    {
        const auto release = std::make_shared<std::atomic<bool>>(false); // the jobs outlive this function
        std::vector<QCoro::Task<Result<Done>>> hanging;
        for (int i = 0; i < 2; ++i) {
            Job<Done> job = [release](QSqlDatabase &) -> Result<Done> {
                while (!*release)
                    std::this_thread::sleep_for(5ms);
                return Done{};
            };
            hanging.push_back(m_database->run<Done>(Lane::Bulk, 100ms, job));
        }
        for (auto &task : hanging)
            QCOMPARE(test::await(std::move(task)).error().code, ErrorCode::Timeout);
        const auto after = run("SELECT 3", {}, 5s, Lane::Bulk);
        *release = true;
        QVERIFY(after);
    }

    void givenUpJobsAreNotCommitted()
    {
        QVERIFY(run("CREATE TABLE power.probe (n int)"));
        const auto inserted = std::make_shared<std::atomic<bool>>(false);
        CancelSource source;
        Job<Done> job = [inserted](QSqlDatabase &connection) -> Result<Done> {
            query(connection, "INSERT INTO probe VALUES (1)").ok();
            *inserted = true;
            std::this_thread::sleep_for(200ms);
            return Done{};
        };
        auto task = m_database->run<Done>(Lane::Short, 5s, job, source.token());
        QTRY_VERIFY(*inserted);
        source.cancel();
        QCOMPARE(test::await(std::move(task)).error().code, ErrorCode::Cancelled);
        QTRY_COMPARE(*run("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO probe%' AND state LIKE 'idle in%'"),
                     QStringLiteral("0"));
        QCOMPARE(*run("SELECT count(*) FROM probe"), QStringLiteral("0"));
        QVERIFY(run("DROP TABLE power.probe"));
        QCOMPARE(test::await(m_database->run<Done>(Lane::Short, 5s, job, source.token())).error().code, ErrorCode::Cancelled);
    }

    void killedBackendsAreNoticedAndReplaced()
    {
        run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
            "application_name = 'power-interpreter'").ok();
        for (int i = 0; i < 10; ++i) {
            const auto got = run("SELECT 1");
            QVERIFY2(got, got ? "" : qPrintable(got.error().text()));
        }
        QVERIFY(m_database->isConnected());
    }

    void notifications()
    {
        QSignalSpy heard(m_database.get(), &Database::notified);
        m_database->listen(QStringLiteral("Chan \"1\""));
        QTRY_VERIFY(run("SELECT 1", {}, 2s, Lane::Listen));
        QTRY_COMPARE(heard.size(), 1); // the beginning
        QVERIFY(heard.takeFirst().at(1).toString().isEmpty());
        QVERIFY(run("NOTIFY \"Chan \"\"1\"\"\", 'hello'"));
        QTRY_COMPARE(heard.size(), 1);
        QCOMPARE(heard.at(0).at(1).toString(), QStringLiteral("hello"));
        // On the listening connection itself they come along with the answers.
        QVERIFY(run("NOTIFY \"Chan \"\"1\"\"\", 'own'", {}, 2s, Lane::Listen));
        QTRY_COMPARE(heard.size(), 2);
        // Heard again from the first call on that a connection made in the place of a killed one has answered.
        const QString killed = *run("SELECT pg_backend_pid()", {}, 2s, Lane::Listen);
        QVERIFY(run("SELECT pg_terminate_backend($1)", {killed.toInt()}));
        QString now = killed;
        QTRY_VERIFY((now = run("SELECT pg_backend_pid()", {}, 2s, Lane::Listen).valueOr(killed)) != killed);
        QTRY_COMPARE(heard.size(), 3); // that something may have been missed
        QVERIFY(heard.at(2).at(1).toString().isEmpty());
        QVERIFY(run("NOTIFY \"Chan \"\"1\"\"\", 'again'"));
        QTRY_COMPARE(heard.size(), 4);
    }

    void copyInAndOut()
    {
        Job<qint64> job = [](QSqlDatabase &connection) -> Result<qint64> {
            query(connection, "CREATE TEMP TABLE bulk (a int, b text) ON COMMIT DROP").ok();
            int row = 0;
            const auto in = copyIn(connection, "COPY bulk FROM STDIN", [&row]() -> Result<QByteArray> {
                QByteArray piece;
                for (; piece.size() < 100'000 && row < 50'000; ++row)
                    piece += QByteArray::number(row) + "\ttext\n";
                return piece;
            });
            if (!in)
                return in;
            qint64 bytes = 0;
            const auto out = copyOut(connection, "COPY bulk TO STDOUT", [&bytes](const QByteArray &line) -> Result<Done> {
                bytes += line.size();
                return Done{};
            });
            if (!out || *out != *in || bytes < 50'000)
                return fail(ErrorCode::Internal, QStringLiteral("copy out"));
            return in;
        };
        const auto got = test::await(m_database->run<qint64>(Lane::Bulk, 20s, job));
        QVERIFY2(got, got ? "" : qPrintable(got.error().text()));
        QCOMPARE(*got, 50'000);
        Job<qint64> wrong = [](QSqlDatabase &connection) {
            return copyIn(connection, "COPY nowhere FROM STDIN", []() -> Result<QByteArray> { return QByteArray(); });
        };
        QCOMPARE(test::await(m_database->run<qint64>(Lane::Bulk, 20s, wrong)).error().code, ErrorCode::Internal);
    }

    void migrationsAreRecordedOnceAndChangesRefused()
    {
        QCOMPARE(run("SELECT count(*) FROM schema_migrations")->toInt(), migrations().size());
        Database second(Database::Config{m_fixture->url()});
        QVERIFY(test::await(second.start()));
        QVERIFY(run("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1"));
        const auto refused = test::await(second.start());
        QCOMPARE(refused.error().code, ErrorCode::Conflict);
        QVERIFY2(refused.error().message.contains(QStringLiteral("001_foundation")), qPrintable(refused.error().text()));
        QVERIFY(run("UPDATE schema_migrations SET checksum = $1 WHERE version = 1", {QString::fromLatin1(migrations().first().checksum)}));
        QVERIFY(run("INSERT INTO schema_migrations VALUES (99, 'later', 'x')"));
        QVERIFY(test::await(second.start()).error().message.contains(QStringLiteral("version 99")));
        QVERIFY(run("DELETE FROM schema_migrations WHERE version = 99"));
        QVERIFY(test::await(second.start()));
        QCoro::waitFor(second.stop());
    }

    // However many servers begin at once: one secret.
    void secretsAreMadeOnce()
    {
        Database second(Database::Config{m_fixture->url()});
        QVERIFY(test::await(second.start()));
        const QString name = QStringLiteral("test");
        QByteArrayList got;
        std::vector<QCoro::Task<>> asking;
        const auto ask = [](Database *database, QString what, QByteArray proposed, QByteArrayList *out) -> QCoro::Task<> {
            const Result<QByteArray> secret = co_await askSharedSecret(*database, what, proposed);
            out->append(secret ? *secret : QByteArray("none"));
        };
        for (int n = 0; n < 12; ++n)
            asking.push_back(ask(n % 2 ? &second : m_database.get(), name, QByteArray("\0\xff key ", 7) + QByteArray::number(n), &got));
        QTRY_COMPARE(got.size(), 12);
        QVERIFY(got.first().startsWith(QByteArray("\0\xff key ", 7)));
        QCOMPARE(QSet<QByteArray>(got.cbegin(), got.cend()).size(), 1);
        QCOMPARE(run("SELECT count(*) FROM power.store_secrets WHERE name = 'test'")->toInt(), 1);
        QCoro::waitFor(second.stop());
    }

    void wrongAddressesFailPrecisely()
    {
        Database unreadable(Database::Config{QStringLiteral("postgres://u:geheim@h:port/d")});
        const auto first = test::await(unreadable.start());
        QVERIFY(!first && !first.error().text().contains(QStringLiteral("geheim")));
        QString url = m_fixture->url();
        url.replace(QRegularExpression(QStringLiteral("power:[^@]*@")), QStringLiteral("power:geheim@"));
        Database refused(Database::Config{url});
        const auto second = test::await(refused.start());
        QCOMPARE(second.error().code, ErrorCode::Unavailable);
        QVERIFY2(second.error().message.contains(QStringLiteral("password authentication failed")), qPrintable(second.error().message));
        QVERIFY(!second.error().text().contains(QStringLiteral("geheim")));
        QVERIFY(!refused.isConnected() && !refused.lastProblem().isEmpty());
    }

    void roundTrips()
    {
        for (const Lane lane : {Lane::Control, Lane::Short, Lane::Bulk}) {
            std::vector<qint64> times;
            for (int i = 0; i < 300; ++i) {
                QElapsedTimer clock;
                clock.start();
                QVERIFY(run("SELECT 1", {}, 5s, lane));
                times.push_back(clock.nsecsElapsed() / 1000);
            }
            std::sort(times.begin(), times.end());
            qInfo("lane %d: p50 %lld us, p99 %lld us (BEGIN, SELECT, COMMIT, two thread changes)", int(lane), times[150], times[297]);
        }
    }
};

QTEST_GUILESS_MAIN(TestDatabase)
#include "tst_database.moc"
