// Two servers with disks of their own on one database, one session used at both in turn; a third one on an empty disk
// afterwards; and a resumable upload whose server is replaced in the middle.
#include "../app/ServerProcess.h"
#include "storage/ClusterFixture.h"
#include "storage/Sql.h"
#include <QEventLoop>
#include <QFileInfo>
#include <QNetworkReply>
#include <QTest>

using namespace power;
using namespace power::test;
using storage::test::await;

class tst_TwoDisks : public QObject
{
    Q_OBJECT

    std::unique_ptr<storage::test::ClusterFixture> m_cluster;
    std::unique_ptr<storage::Database> m_database;
    ServerProcess m_a, m_b;
    QNetworkAccessManager m_network;

    bool start(ServerProcess &server)
    {
        const bool up = server.start({QStringLiteral("--tool-profile"), QStringLiteral("all")}, {QStringLiteral("DATABASE_URL=") + m_cluster->url()});
        if (!up)
            qWarning("%s", server.output().constData());
        return up;
    }
    QString ok(ServerProcess &server, const QString &code, const QString &session = QStringLiteral("shared"))
    {
        const ToolAnswer answer = server.run(code, session, 60);
        if (answer.isError)
            qWarning("%s: %s", qPrintable(code.left(80)), qPrintable(answer.text));
        return answer.text;
    }
    qint64 sql(const char *text)
    {
        storage::Job<qint64> job = [text](QSqlDatabase &connection) -> Result<qint64> {
            const auto rows = storage::query(connection, text);
            if (!rows)
                return Unexpected<Error>{rows.error()};
            return rows->isEmpty() ? rows->affected() : rows->number(0, 0);
        };
        const auto got = await(m_database->run<qint64>(storage::Lane::Short, std::chrono::seconds(10), std::move(job)));
        return got ? *got : -1;
    }
    struct Reply {
        int status = 0;
        QByteArray offset, location, body;
    };
    Reply tus(ServerProcess &server, const char *method, const QString &path, const QList<QPair<QByteArray, QByteArray>> &headers,
              const QByteArray &body = {})
    {
        QNetworkRequest request(server.url().resolved(QUrl(path)));
        request.setRawHeader("Tus-Resumable", "1.0.0");
        request.setRawHeader("Connection", "close"); // Qt waits for the end of the connection after a HEAD that is refused
        for (const auto &[name, value] : headers)
            request.setRawHeader(name, value);
        const std::unique_ptr<QNetworkReply> reply(m_network.sendCustomRequest(request, method, body));
        QEventLoop loop;
        connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
        loop.exec();
        return {reply->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt(), reply->rawHeader("Upload-Offset"),
                reply->rawHeader("Location"), reply->readAll()};
    }
    static QString pathOf(const Reply &created)
    {
        return QUrl(QStringLiteral("http://server/api/uploads")).resolved(QUrl(QString::fromLatin1(created.location))).path();
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_cluster = std::make_unique<storage::test::ClusterFixture>();
        const QString problem = m_cluster->start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QVERIFY(start(m_a));
        QVERIFY(start(m_b));
        storage::Database::Config with;
        with.url = m_cluster->url();
        m_database = std::make_unique<storage::Database>(with);
        QVERIFY(await(m_database->start()).ok());
    }
    void cleanupTestCase()
    {
        m_a.stop();
        m_b.stop();
        if (m_database)
            QCoro::waitFor(m_database->stop());
        m_database.reset();
        m_cluster.reset();
    }

    void eachSeesWhatTheOtherMade()
    {
        const QString listing = QStringLiteral("import os; print(sorted(f for f in os.listdir() if f.endswith('.txt')))");
        ok(m_a, QStringLiteral("open('one.txt', 'w').write('1')"));
        const QString atB = ok(m_b, QStringLiteral("open('two.txt', 'w').write('2'); ") + listing);
        QVERIFY2(atB.contains(u"['one.txt', 'two.txt']"), qPrintable(atB));
        const QString atA = ok(m_a, QStringLiteral("open('three.txt', 'w').write('3'); open('one.txt', 'w').write('11'); ") + listing);
        QVERIFY2(atA.contains(u"['one.txt', 'three.txt', 'two.txt']"), qPrintable(atA));
        // Also by what looks without a kernel, in turn.
        const ToolAnswer listed = m_b.tool("list_files", {{QStringLiteral("session_id"), QStringLiteral("shared")}});
        QVERIFY2(listed.text.contains(u"three.txt"), qPrintable(listed.text));
        const QString again = ok(m_b, QStringLiteral("print(open('one.txt').read(), open('three.txt').read())"));
        QVERIFY2(again.contains(u"11 3"), qPrintable(again));
        // Long enough that each has kept what it has.
        QTest::qWait(4000);
        QCOMPARE(sql("SELECT count(*) FROM power.session_files WHERE session_id = 'shared' AND path LIKE '%.txt'"), 3);
    }

    // By a run and by delete_file, and looked at elsewhere right after the answer; a whole session too.
    void whatOneDeletesIsGoneAtTheOther()
    {
        const QString session = QStringLiteral("deleting");
        ok(m_a, QStringLiteral("import os; os.makedirs('d'); [open(n, 'w').write('old') for n in ('run.txt', 'tool.txt', 'd/deep.txt', 'stays.txt')]; kept = 1"), session);
        ok(m_b, QStringLiteral("import shutil, os; os.remove('run.txt'); shutil.rmtree('d'); open('stays.txt', 'w').write('new')"), session);
        const ToolAnswer gone = m_b.tool("delete_file", {{QStringLiteral("session_id"), session}, {QStringLiteral("filename"), QStringLiteral("tool.txt")}});
        QVERIFY2(!gone.isError, qPrintable(gone.text));
        const QString look = QStringLiteral("import os; print(sorted(os.listdir()), open('stays.txt').read())");
        const QString atA = ok(m_a, look, session);
        QVERIFY2(atA.contains(u"['stays.txt'] new"), qPrintable(atA));
        QTest::qWait(3000); // both have kept what they have
        const QString atB = ok(m_b, look, session);
        QVERIFY2(atB.contains(u"['stays.txt'] new"), qPrintable(atB));
        const ToolAnswer ended = m_b.tool("delete_session", {{QStringLiteral("session_id"), session}});
        QVERIFY2(!ended.isError, qPrintable(ended.text));
        QTRY_VERIFY_WITH_TIMEOUT(!QFileInfo::exists(m_a.dataDirectory() + QStringLiteral("/sandbox/deleting")), 10'000);
        const QString anew = ok(m_a, QStringLiteral("import os; print(os.listdir(), 'kept' in globals())"), session);
        QVERIFY2(anew.contains(u"[] False"), qPrintable(anew));
    }

    // A server that stays with a session asks nobody.
    void alone()
    {
        ok(m_a, QStringLiteral("1"), QStringLiteral("alone"));
        ok(m_a, QStringLiteral("open('x', 'w').write('x')"), QStringLiteral("alone"));
        ok(m_a, QStringLiteral("1"), QStringLiteral("alone"));
        sql("SELECT pg_stat_reset()");
        QTest::qWait(3000); // what is kept behind the answers
        const char *const scans = "SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'session_homes'";
        const qint64 before = sql(scans);
        const QString code = QStringLiteral("1"), session = QStringLiteral("alone");
        for (int i = 0; i < 20; ++i)
            ok(m_a, code, session);
        QTest::qWait(3000);
        // Keeping looks at it, once for all of them or twice; calls do not.
        const qint64 asked = sql(scans) - before;
        QVERIFY2(asked < 10, qPrintable(QString::number(asked)));
    }

    // The notice is not heard while the listening connection is away; that is noticed.
    void aNoticeThatWasMissed()
    {
        ok(m_a, QStringLiteral("open('m1.txt', 'w').write('1')"), QStringLiteral("missed"));
        ok(m_b, QStringLiteral("1"), QStringLiteral("elsewhere"));
        QVERIFY(sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'") > 0);
        ok(m_b, QStringLiteral("open('m2.txt', 'w').write('2')"), QStringLiteral("missed"));
        QString seen;
        for (int i = 0; i < 20 && !seen.contains(u"True"); ++i) {
            seen = ok(m_a, QStringLiteral("import os; print(os.path.exists('m2.txt'))"), QStringLiteral("missed"));
            QTest::qWait(250);
        }
        QVERIFY2(seen.contains(u"True"), qPrintable(seen));
    }

    void aThirdOneHasEverything()
    {
        QVERIFY(m_a.stop());
        QVERIFY(m_b.stop());
        m_a.wipe();
        QVERIFY(start(m_a));
        const QString all = ok(m_a, QStringLiteral("print(open('one.txt').read(), open('two.txt').read(), open('three.txt').read())"));
        QVERIFY2(all.contains(u"11 2 3"), qPrintable(all));
        const QString missed = ok(m_a, QStringLiteral("print(open('m1.txt').read(), open('m2.txt').read())"), QStringLiteral("missed"));
        QVERIFY2(missed.contains(u"1 2"), qPrintable(missed));
    }

    // The bytes of an unfinished upload lie on one disk: its successor says that it does not know it, never a wrong offset.
    void anUploadWhoseServerIsReplaced()
    {
        const QByteArray content(100'000, 'u');
        const QByteArray named = "filename " + QByteArray("up.bin").toBase64() + ",session_id " + QByteArray("up").toBase64();
        const QList<QPair<QByteArray, QByteArray>> begin{{"Upload-Length", QByteArray::number(content.size())}, {"Upload-Metadata", named}};
        const Reply begun = tus(m_a, "POST", QStringLiteral("/api/uploads"), begin);
        QCOMPARE(begun.status, 201);
        const QString path = pathOf(begun);
        const auto piece = [](qint64 offset) {
            return QList<QPair<QByteArray, QByteArray>>{{"Upload-Offset", QByteArray::number(offset)}, {"Content-Type", "application/offset+octet-stream"}};
        };
        const Reply first = tus(m_a, "PATCH", path, piece(0), content.first(40'000));
        QVERIFY2(first.status == 204, first.body.constData());
        QCOMPARE(tus(m_a, "HEAD", path, {}).offset, QByteArray("40000"));
        m_a.kill();
        QVERIFY(start(m_a)); // the same disk: goes on
        QCOMPARE(tus(m_a, "HEAD", path, {}).offset, QByteArray("40000"));
        m_a.kill();
        m_a.wipe();
        QVERIFY(start(m_a));
        const Reply asked = tus(m_a, "HEAD", path, {});
        QCOMPARE(asked.status, 404);
        QVERIFY(asked.offset.isEmpty());
        const Reply sent = tus(m_a, "PATCH", path, piece(40'000), content.mid(40'000));
        QCOMPARE(sent.status, 404);
        QVERIFY2(sent.offset.isEmpty() && sent.body.contains("begin a new one"), sent.body.constData());
        QCOMPARE(tus(m_a, "GET", path, {}).status, 404);
        const Reply fresh = tus(m_a, "POST", QStringLiteral("/api/uploads"), begin);
        QCOMPARE(fresh.status, 201);
        QCOMPARE(tus(m_a, "PATCH", pathOf(fresh), piece(0), content).status, 204);
        QVERIFY(ok(m_a, QStringLiteral("print(len(open('up.bin').read()))"), QStringLiteral("up")).contains(u"100000"));
    }
};

QTEST_GUILESS_MAIN(tst_TwoDisks)
#include "tst_two_disks.moc"
