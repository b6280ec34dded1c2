// Many jobs over three servers on one database, two of which are killed again and again: every job ends exactly once.
// 36 jobs; 1,000 with POWER_TEST_FULL=1.
#include "app/ServerProcess.h"
#include "storage/TestDatabase.h"
#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QRandomGenerator>
#include <QTest>

using namespace power;
using namespace power::test;
using namespace std::chrono_literals;

class TestJobServers : public QObject
{
    Q_OBJECT
    storage::test::TestDatabase m_database;
    std::vector<std::unique_ptr<ServerProcess>> m_servers;
    QRandomGenerator m_random{7};
    QStringList m_wrong; // jobs that ran more often than they were attempted

    bool start(ServerProcess &server)
    {
        return server.start({QStringLiteral("--max-memory-mb"), QStringLiteral("512"), QStringLiteral("--job-lease-seconds"), QStringLiteral("3"),
                             QStringLiteral("--max-concurrent-jobs"), QStringLiteral("2")},
                            {QStringLiteral("DATABASE_URL=") + m_database.url()});
    }
    storage::Rows rows(const char *sql) { return m_database.rows(sql); }
    qint64 number(const char *sql) { return m_database.number(sql); }
    QString submit(ServerProcess &server, int n)
    {
        const QJsonObject body{{QStringLiteral("code"), QStringLiteral("import time, uuid\nopen('ran', 'a').write(uuid.uuid4().hex + '\\n')\ntime.sleep(%1)\nprint('done %2')")
                                                            .arg(n * 7 % 30 / 100.0).arg(n)},
                               {QStringLiteral("session_id"), QStringLiteral("j%1").arg(n)},
                               {QStringLiteral("idempotency_key"), QStringLiteral("key%1").arg(n)},
                               {QStringLiteral("timeout"), 60},
                               {QStringLiteral("if_lost"), n % 3 ? QStringLiteral("requeue") : QStringLiteral("interrupt")}};
        const QByteArray answer = server.http("POST", QStringLiteral("/api/jobs/submit"), QJsonDocument(body).toJson());
        return QJsonDocument::fromJson(answer).object().value(QStringLiteral("job_id")).toString();
    }

private Q_SLOTS:
    void initTestCase()
    {
        QCOMPARE(m_database.start(), QString());
        for (int i = 0; i < 3; ++i) {
            m_servers.push_back(std::make_unique<ServerProcess>());
            QVERIFY2(start(*m_servers.back()), m_servers.back()->output().constData());
        }
    }
    void cleanupTestCase()
    {
        for (const auto &server : m_servers)
            QVERIFY2(server->stop(), server->output().right(3000).constData());
        m_database.stop();
    }

    void everyJobEndsOnce()
    {
        const bool full = qEnvironmentVariableIntValue("POWER_TEST_FULL") == 1;
        const int all = full ? 1'000 : 36;
        const int kills = full ? 12 : 2;
        QElapsedTimer clock;
        clock.start();
        for (int n = 0; n < all; ++n)
            QVERIFY2(!submit(*m_servers[n % 3], n).isEmpty(), qPrintable(QString::number(n)));
        const QString again = submit(*m_servers[0], 5); // by its key
        QVERIFY(!again.isEmpty());
        QCOMPARE(submit(*m_servers[1], 5), again);
        int done = 0;
        for (int killed = 0; killed < kills; ++killed) {
            const int next = all * (killed + 1) / (kills + 2) + m_random.bounded(std::max(1, all / 20));
            QElapsedTimer wait;
            wait.start();
            while ((done = int(number("SELECT count(*) FROM power.jobs WHERE state NOT IN ('queued', 'running')"))) < next && wait.elapsed() < 60'000)
                QTest::qWait(20);
            ServerProcess &victim = *m_servers[1 + killed % 2];
            victim.kill();
            QVERIFY2(start(victim), victim.output().constData());
        }
        const int patience = full ? 600'000 : 60'000; // the macro takes no expression: it would look only once
        QTRY_COMPARE_WITH_TIMEOUT(number("SELECT count(*) FROM power.jobs WHERE state NOT IN ('queued', 'running')"), qint64(all), patience);

        QCOMPARE(number("SELECT count(*) FROM power.jobs"), qint64(all));
        // One attempt of each ended it; those before were put back; nothing was written without the fence.
        QCOMPARE(number("SELECT count(*) FROM power.jobs j WHERE (SELECT count(*) FROM power.job_attempts a WHERE a.job_id = j.id AND a.ending = j.state) <> 1"), 0);
        QCOMPARE(number("SELECT count(*) FROM power.job_attempts WHERE ended_at IS NULL"), 0);
        QCOMPARE(number("SELECT count(*) FROM power.jobs j WHERE attempts <> (SELECT count(*) FROM power.job_attempts a WHERE a.job_id = j.id)"), 0);
        QCOMPARE(number("SELECT count(*) FROM power.jobs j JOIN power.job_attempts a ON a.job_id = j.id AND a.ending = j.state "
                        "WHERE a.fence <> (SELECT max(fence) FROM power.job_attempts b WHERE b.job_id = j.id)"), 0);
        QCOMPARE(number("SELECT count(*) FROM power.jobs WHERE state NOT IN ('succeeded', 'interrupted')"), 0);
        QCOMPARE(number("SELECT count(*) FROM power.jobs WHERE state = 'interrupted' AND requeue_if_lost"), 0);
        // What the code did, counted where it did it.
        const storage::Rows jobs = rows("SELECT session_id, state, attempts, result FROM power.jobs");
        int runs = 0, attempts = 0;
        for (int row = 0; row < jobs.size(); ++row) {
            // Every run leaves a line of its own; a session's files may have gone along to another server.
            QSet<QByteArray> lines;
            QStringList where;
            for (const auto &server : m_servers) {
                QFile file(server->dataDirectory() + QStringLiteral("/sandbox/%1/ran").arg(jobs.text(row, 0)));
                const QList<QByteArray> here = file.open(QIODevice::ReadOnly) ? file.readAll().trimmed().split('\n') : QList<QByteArray>();
                lines.unite(QSet<QByteArray>(here.cbegin(), here.cend()));
                where << QString::number(here.size());
            }
            const qint64 ran = lines.size();
            if (ran > jobs.number(row, 2))
                m_wrong << QStringLiteral("%1: %2 attempts, runs %3").arg(jobs.text(row, 0)).arg(jobs.number(row, 2)).arg(where.join(u'+'));
            if (jobs.text(row, 1) == u"succeeded") {
                QVERIFY2(ran >= 1, qPrintable(jobs.text(row, 0)));
                QVERIFY(jobs.text(row, 3).contains(QStringLiteral("done %1\\n").arg(jobs.text(row, 0).mid(1))));
            }
            runs += int(ran);
            attempts += int(jobs.number(row, 2));
        }
        if (!m_wrong.isEmpty()) {
            const storage::Rows list = rows("SELECT j.session_id, string_agg(a.attempt || ' fence ' || a.fence || ' ' || left(a.node, 4) || ' ' || "
                                            "a.started_at::time || '-' || coalesce(a.ended_at::time::text, '') || ' ' || a.ending, '; ' ORDER BY a.attempt) "
                                            "FROM power.jobs j JOIN power.job_attempts a ON a.job_id = j.id GROUP BY 1");
            for (int row = 0; row < list.size(); ++row) {
                for (const QString &wrong : std::as_const(m_wrong)) {
                    if (wrong.startsWith(list.text(row, 0) + u':'))
                        qWarning("%s", qPrintable(wrong + u' ' + list.text(row, 1)));
                }
            }
            for (const auto &server : m_servers)
                qWarning("%s", server->output().right(100'000).constData());
        }
        QVERIFY2(m_wrong.isEmpty(), qPrintable(m_wrong.join(u'\n')));
        const storage::Rows spread = rows("SELECT count(DISTINCT node), count(*) FILTER (WHERE attempts > 1), count(*) FILTER (WHERE state = 'interrupted') FROM power.jobs");
        QVERIFY(spread.number(0, 0) == 3);
        qInfo("%d jobs over 3 servers, %d kills: %lld s, %d runs in %d attempts, %lld jobs ran again, %lld interrupted", all, kills,
              (long long)(clock.elapsed() / 1000), runs, attempts, (long long)spread.number(0, 1), (long long)spread.number(0, 2));
    }
};

QTEST_GUILESS_MAIN(TestJobServers)
#include "tst_job_servers.moc"
