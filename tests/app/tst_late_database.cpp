// A database that comes up later than the server: nothing fails for good, nothing is lost, nothing crashes meanwhile.
#include "app/ServerProcess.h"
#include "storage/Await.h"
#include "storage/ClusterFixture.h"
#include "storage/Sql.h"
#include <QTest>
#include <atomic>
#include <thread>

using namespace power;
using namespace power::storage;
using namespace power::storage::test;
using namespace power::test;

class TestLateDatabase : public QObject
{
    Q_OBJECT
private:
    static qint64 count(Database &database, const char *sql)
    {
        Job<qint64> job = [sql](QSqlDatabase &connection) -> Result<qint64> {
            const auto rows = query(connection, sql);
            return rows ? rows->number(0, 0) : -1;
        };
        const Result<qint64> got = await(database.run<qint64>(Lane::Short, std::chrono::seconds(10), std::move(job)));
        return got ? *got : -2;
    }

private Q_SLOTS:
    // A server that has not reached its database since it began: what is deleted then stays deleted, links and all.
    void deletionsBeforeItComes_data()
    {
        QTest::addColumn<QString>("store");
        QTest::newRow("files on disk") << QStringLiteral("FILE_STORE=disk");
        QTest::newRow("files in the database") << QStringLiteral("FILE_STORE=postgres");
    }
    void deletionsBeforeItComes()
    {
        QFETCH(QString, store);
        ClusterFixture fixture;
        const QString problem = fixture.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const QStringList environment{QStringLiteral("DATABASE_URL=") + fixture.url(), store};
        ServerProcess server;
        QVERIFY2(server.start({}, environment), server.output().constData());
        const auto link = [&server](const QString &session, const QString &name) {
            const ToolAnswer made = server.tool("upload_file", {{QStringLiteral("session_id"), session}, {QStringLiteral("filename"), name},
                                                                {QStringLiteral("text"), QStringLiteral("text")}});
            return made.text.mid(made.text.indexOf(QStringLiteral("/dl/")), 40);
        };
        const auto statusOf = [&server](const QString &path) {
            int status = 0;
            server.http("GET", path, {}, &status);
            return status;
        };
        const QString one = link(QStringLiteral("first"), QStringLiteral("one.txt")), two = link(QStringLiteral("first"), QStringLiteral("two.txt")),
                      other = link(QStringLiteral("second"), QStringLiteral("other.txt"));
        for (const QString &each : {one, two, other})
            QVERIFY2(each.startsWith(u"/dl/") && statusOf(each + QStringLiteral("/x")) == 200, qPrintable(each));
        QVERIFY(server.stop());
        QCoro::waitFor(fixture.cluster().stop());
        QVERIFY2(server.start({}, environment), server.output().constData());
        const ToolAnswer file = server.tool("delete_file", {{QStringLiteral("session_id"), QStringLiteral("first")}, {QStringLiteral("filename"), QStringLiteral("one.txt")}});
        const ToolAnswer session = server.tool("delete_session", {{QStringLiteral("session_id"), QStringLiteral("second")}});
        qInfo("%s / %s", qPrintable(file.text), qPrintable(session.text));
        const Result<Done> again = await(fixture.cluster().start());
        QVERIFY2(again.ok(), again ? "" : qPrintable(again.error().text()));
        QTRY_VERIFY_WITH_TIMEOUT(server.health().value(QStringLiteral("ready")).toBool(), 30'000);
        QTRY_COMPARE_WITH_TIMEOUT(statusOf(one + QStringLiteral("/x")), 404, 10'000);
        QTRY_COMPARE_WITH_TIMEOUT(statusOf(other + QStringLiteral("/x")), 404, 10'000);
        QCOMPARE(statusOf(two + QStringLiteral("/x")), 200);
        const ToolAnswer left = server.run(QStringLiteral("import os; print('left', sorted(os.listdir('.')))"), QStringLiteral("first"));
        QVERIFY2(left.text.contains(u"left ['two.txt']"), qPrintable(left.text));
        const ToolAnswer none = server.run(QStringLiteral("import os; print('left', sorted(os.listdir('.')))"), QStringLiteral("second"));
        QVERIFY2(none.text.contains(u"left []"), qPrintable(none.text));
        QVERIFY(server.stop());
    }

    void isUsedWhenItComes()
    {
        ClusterFixture fixture;
        const QString problem = fixture.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const QString url = fixture.url();
        QCoro::waitFor(fixture.cluster().stop());

        ServerProcess server;
        QVERIFY2(server.start({}, {QStringLiteral("DATABASE_URL=") + url, QStringLiteral("FILE_STORE=disk")}), server.output().constData());
        QCOMPARE(server.health().value(QStringLiteral("ready")).toBool(true), false);
        QCOMPARE(server.health().value(QStringLiteral("database")).toString(), QStringLiteral("disconnected"));
        const ToolAnswer early = server.run(QStringLiteral("open('a.txt', 'w').write('x'); kept = 41"), QStringLiteral("kept"));
        QVERIFY2(!early.isError && early.text.contains(u"/dl/"), qPrintable(early.text)); // files on disk have links without it
        server.run(QStringLiteral("open('b.txt', 'w').write('x')"), QStringLiteral("gone"));
        server.tool("delete_file", {{QStringLiteral("session_id"), QStringLiteral("gone")}, {QStringLiteral("filename"), QStringLiteral("b.txt")}});
        server.tool("delete_session", {{QStringLiteral("session_id"), QStringLiteral("gone")}});
        QVERIFY2(server.isRunning(), server.output().right(2000).constData());

        const Result<Done> again = await(fixture.cluster().start());
        QVERIFY2(again.ok(), again ? "" : qPrintable(again.error().text()));
        QCOMPARE(fixture.url(), url);
        QTRY_VERIFY_WITH_TIMEOUT(server.health().value(QStringLiteral("ready")).toBool(), 30'000);
        const ToolAnswer late = server.run(QStringLiteral("open('c.txt', 'w').write('x'); print(kept + 1)"), QStringLiteral("kept"));
        QVERIFY2(late.text.contains(u"42") && late.text.contains(u"/dl/"), qPrintable(late.text));
        const ToolAnswer job = server.tool("submit_job", {{QStringLiteral("session_id"), QStringLiteral("kept")}, {QStringLiteral("code"), QStringLiteral("print(7)")}});
        QVERIFY2(!job.isError, qPrintable(job.text));

        Database::Config with;
        with.url = url;
        Database database(with);
        const Result<Done> started = await(database.start());
        QVERIFY2(started.ok(), started ? "" : qPrintable(started.error().text()));
        // What was noted before the tables were there is in them now, and jobs are run.
        QTRY_COMPARE_WITH_TIMEOUT(count(database, "SELECT count(*) FROM power.runs WHERE session_id = 'kept'"), 3, 20'000);
        QTRY_COMPARE_WITH_TIMEOUT(count(database, "SELECT count(*) FROM power.jobs WHERE state = 'succeeded'"), 1, 20'000);
        QCOMPARE(count(database, "SELECT count(*) FROM power.sessions WHERE session_id = 'kept'"), 1);
        QCOMPARE(count(database, "SELECT count(*) FROM power.sessions WHERE session_id = 'gone'"), 0);
        // While a session is being forgotten nobody opens it anew, and what is made then is not forgotten with it.
        server.run(QStringLiteral("open('a.txt', 'w').write('x')"), QStringLiteral("again"));
        std::atomic<bool> locked = false, release = false;
        Job<Done> hold = [&locked, &release](QSqlDatabase &connection) -> Result<Done> {
            const auto got = query(connection, "LOCK TABLE power.files IN ACCESS EXCLUSIVE MODE");
            locked = got.ok();
            while (!release)
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            return Done{};
        };
        auto holding = database.run<Done>(Lane::Bulk, std::chrono::seconds(30), std::move(hold));
        QTRY_VERIFY_WITH_TIMEOUT(locked, 10'000);
        QProcess removal;
        removal.start(QStringLiteral("curl"), {QStringLiteral("-s"), server.url().toString() + QStringLiteral("/mcp"), QStringLiteral("-H"),
                                               QStringLiteral("Content-Type: application/json"), QStringLiteral("-d"),
                                               QStringLiteral("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":"
                                                              "\"delete_session\",\"arguments\":{\"session_id\":\"again\"}}}")});
        QTRY_VERIFY_WITH_TIMEOUT(count(database, "SELECT count(*) FROM pg_locks WHERE NOT granted") > 0, 10'000);
        const ToolAnswer meanwhile = server.run(QStringLiteral("1"), QStringLiteral("again"));
        release = true;
        QVERIFY2(meanwhile.isError && meanwhile.text.contains(u"just being deleted"), qPrintable(meanwhile.text));
        QVERIFY(removal.waitForFinished(30'000));
        QVERIFY2(removal.readAllStandardOutput().contains("\"isError\":false"), "delete_session");
        const Result<Done> held = await(std::move(holding));
        QVERIFY(held.ok());
        QVERIFY(!server.run(QStringLiteral("1"), QStringLiteral("again")).isError);
        QTRY_COMPARE_WITH_TIMEOUT(count(database, "SELECT count(*) FROM power.sessions WHERE session_id = 'again'"), 1, 10'000);
        QCoro::waitFor(database.stop());
        QVERIFY(server.stop());
    }
};

QTEST_GUILESS_MAIN(TestLateDatabase)
#include "tst_late_database.moc"
