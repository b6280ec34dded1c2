// Two servers on one database: who runs a job and hears of its cancellation at once, and the session's variables that go along.
#include "app/ServerProcess.h"
#include "storage/TestDatabase.h"
#include <QJsonDocument>
#include <QScopeGuard>
#include <QSemaphore>
#include <QTest>
#include <csignal>

using namespace power;
using namespace power::test;
using namespace std::chrono_literals;

class TestJobState : public QObject
{
    Q_OBJECT
    storage::test::TestDatabase m_database;
    ServerProcess m_one, m_two;

    bool start(ServerProcess &server, int lease)
    {
        return server.start({QStringLiteral("--max-memory-mb"), QStringLiteral("512"), QStringLiteral("--job-lease-seconds"), QString::number(lease),
                             QStringLiteral("--max-concurrent-jobs"), QStringLiteral("1")},
                            {QStringLiteral("DATABASE_URL=") + m_database.url()});
    }
    qint64 kept() { return m_database.number("SELECT count(*) FROM power.snapshots WHERE owner = '.jobs'"); }
    static QJsonObject rest(ServerProcess &server, const char *method, const QString &path, const QJsonObject &body = {})
    {
        return QJsonDocument::fromJson(server.http(method, path, body.isEmpty() ? QByteArray() : QJsonDocument(body).toJson())).object();
    }
    static QString submit(ServerProcess &server, const char *code, const char *session, bool inherit = false, const char *ifLost = "interrupt")
    {
        return rest(server, "POST", QStringLiteral("/api/jobs/submit"),
                    {{QStringLiteral("code"), QString::fromUtf8(code)}, {QStringLiteral("session_id"), QLatin1String(session)},
                     {QStringLiteral("inherit"), inherit}, {QStringLiteral("if_lost"), QLatin1String(ifLost)}})
            .value(QStringLiteral("job_id")).toString();
    }
    static QString state(ServerProcess &server, const QString &id)
    {
        return rest(server, "GET", QStringLiteral("/api/jobs/%1/status").arg(id)).value(QStringLiteral("state")).toString();
    }
    static QJsonObject result(ServerProcess &server, const QString &id) { return rest(server, "GET", QStringLiteral("/api/jobs/%1/result?wait=40").arg(id)); }

private Q_SLOTS:
    void initTestCase()
    {
        QCOMPARE(m_database.start(), QString());
        // Beats come every 8.6 s: what is faster was told by a notification.
        QVERIFY2(start(m_one, 60), m_one.output().constData());
        QVERIFY2(start(m_two, 60), m_two.output().constData());
    }
    void cleanupTestCase()
    {
        QVERIFY2(m_one.stop(), m_one.output().right(3000).constData());
        QVERIFY2(m_two.stop(), m_two.output().right(3000).constData());
        m_database.stop();
    }

    void notificationsWakeServers()
    {
        const QString first = submit(m_one, "import time; time.sleep(60)", "a");
        QTRY_COMPARE_WITH_TIMEOUT(state(m_one, first), QStringLiteral("running"), 2'500);
        const QString second = submit(m_one, "import time; print('here', flush=True); time.sleep(60)", "b");
        QTRY_COMPARE_WITH_TIMEOUT(state(m_one, second), QStringLiteral("running"), 2'500); // on the other one
        QCOMPARE(m_database.number("SELECT count(DISTINCT node) FROM power.jobs WHERE state = 'running'"), 2);
        QTRY_VERIFY_WITH_TIMEOUT(QByteArray(m_one.http("GET", QStringLiteral("/api/jobs/%1/status").arg(second))).contains("here"), 12'000); // seen from here
        QElapsedTimer clock;
        clock.start();
        for (const QString &id : {first, second})
            QCOMPARE(rest(m_one, "POST", QStringLiteral("/api/jobs/%1/cancel").arg(id)).value(QStringLiteral("state")).toString(), QStringLiteral("cancelled"));
        QVERIFY2(clock.elapsed() < 3'000, qPrintable(QString::number(clock.elapsed())));
    }

    // However such a job ends, what was kept for it goes.
    void keptVariablesGoWithTheirJob()
    {
        QVERIFY(!m_one.run(QStringLiteral("text = 'x' * 1000\nnumber = 6"), QStringLiteral("s")).isError);
        const QJsonObject done = result(m_one, submit(m_one, "print(len(text) * number)", "s", true));
        QVERIFY2(done.value(QStringLiteral("stdout")).toString() == u"6000\n", QJsonDocument(done).toJson().constData());
        QTRY_COMPARE_WITH_TIMEOUT(kept(), 0, 5'000);
        QCOMPARE(result(m_one, submit(m_one, "number / 0", "s", true)).value(QStringLiteral("state")).toString(), QStringLiteral("failed"));
        QTRY_COMPARE_WITH_TIMEOUT(kept(), 0, 5'000);
        const QString runs = submit(m_one, "import time; time.sleep(60)", "s", true);
        QTRY_COMPARE_WITH_TIMEOUT(state(m_one, runs), QStringLiteral("running"), 5'000);
        const QString waits = submit(m_one, "1", "s", true);
        QCOMPARE(state(m_one, waits), QStringLiteral("queued"));
        QCOMPARE(kept(), 2);
        rest(m_one, "POST", QStringLiteral("/api/jobs/%1/cancel").arg(waits));
        QTRY_COMPARE_WITH_TIMEOUT(kept(), 1, 5'000);
        rest(m_one, "POST", QStringLiteral("/api/jobs/%1/cancel").arg(runs));
        QTRY_COMPARE_WITH_TIMEOUT(kept(), 0, 5'000);
    }

    // The session's server dies: another one runs its job, with the variables and files of the session.
    void variablesReachAnotherServer()
    {
        QVERIFY(!m_one.run(QStringLiteral("import pandas as pd\nframe = pd.DataFrame({'a': range(100)})\nopen('in.txt', 'w').write('with it')"), QStringLiteral("far")).isError);
        QTRY_COMPARE_WITH_TIMEOUT(m_database.number("SELECT count(*) FROM power.session_files WHERE session_id = 'far'"), 1, 10'000);
        const QString blocker = submit(m_one, "import time; time.sleep(60)", "far", false);
        QTRY_COMPARE_WITH_TIMEOUT(state(m_one, blocker), QStringLiteral("running"), 5'000);
        const QString id = submit(m_one, "print(frame.a.sum(), open('in.txt').read())", "far", true);
        QCOMPARE(state(m_two, id), QStringLiteral("queued")); // it waits for its session's server
        m_one.kill();
        QVERIFY(m_two.stop());
        QVERIFY2(start(m_two, 3), m_two.output().constData());
        const QJsonObject done = result(m_two, id);
        QVERIFY2(done.value(QStringLiteral("stdout")).toString() == u"4950 with it\n", QJsonDocument(done).toJson().constData());
        QTRY_COMPARE_WITH_TIMEOUT(kept(), 0, 5'000);
    }

    // Claimed in the moment in which the server stops: nobody has run it, and it waits as before.
    void claimedWhileStopping()
    {
        QSemaphore locked, release;
        storage::Job<Done> hold = [&locked, &release](QSqlDatabase &connection) -> Result<Done> {
            const Result<Done> taken = storage::script(connection, "LOCK TABLE power.job_attempts IN ACCESS EXCLUSIVE MODE");
            locked.release();
            release.tryAcquire(1, 30'000);
            return taken;
        };
        const auto holding = m_database->run<Done>(storage::Lane::Bulk, 60s, std::move(hold));
        QVERIFY(locked.tryAcquire(1, 10'000));
        const auto whatever = qScopeGuard([&release] { release.release(); });
        QVERIFY(!submit(m_two, "open('ran', 'w').write('it did')", "late").isEmpty());
        const char *const waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'power.job_attempts'::regclass";
        QTRY_COMPARE_WITH_TIMEOUT(m_database.number(waiting), 1, 10'000);
        ::kill(pid_t(m_two.pid()), SIGTERM);
        QTRY_VERIFY_WITH_TIMEOUT(m_two.output().contains("jobs_stopping"), 15'000);
        release.release();
        QTRY_VERIFY_WITH_TIMEOUT(!m_two.isRunning(), 30'000); // a second signal would end it in the middle
        const storage::Rows job = m_database.rows("SELECT j.state, j.attempts, (SELECT count(*) FROM power.job_attempts a WHERE a.job_id = j.id) FROM power.jobs j WHERE session_id = 'late'");
        QCOMPARE(job.text(0, 0), QStringLiteral("queued"));
        QCOMPARE(job.number(0, 1), 0);
        QCOMPARE(job.number(0, 2), 0);
    }
};

QTEST_GUILESS_MAIN(TestJobState)
#include "tst_job_state.moc"
