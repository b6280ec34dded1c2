// A server that starts on an empty disk with the database of the one before: sessions, their files, links and variables
// are there again; after an orderly stop, after kill -9, and after a loss of the database in between.
#include "../app/ServerProcess.h"
#include "storage/TestDatabase.h"
#include <QDir>
#include <QJsonArray>
#include <QJsonDocument>
#include <QProcess>
#include <QRegularExpression>
#include <QTest>

using namespace power;
using namespace power::test;
using storage::test::await;

class tst_EmptyDisk : public QObject
{
    Q_OBJECT

    storage::test::TestDatabase m_database;
    ServerProcess m_server;
    QString m_link, m_bigHash;

    QString ok(const QString &code, const QString &session = QStringLiteral("work"))
    {
        const ToolAnswer answer = m_server.run(code, session, 120);
        if (answer.isError)
            qWarning("%s: %s", qPrintable(code.left(80)), qPrintable(answer.text));
        return answer.text;
    }
    bool start(const QStringList &more = {})
    {
        const bool up = m_server.start(QStringList{QStringLiteral("--tool-profile"), QStringLiteral("all")} + more, {QStringLiteral("DATABASE_URL=") + m_database.url()});
        if (!up)
            qWarning("%s", m_server.output().constData());
        return up;
    }
    qint64 sql(const char *text) { return m_database.number(text); }
    static QString linkIn(const QString &text)
    {
        static const QRegularExpression link(QStringLiteral("https?://[^/\\s]+(/dl/[0-9a-f-]{36}/[^\\s)]+)"));
        QString found; // the last one: names are in their order
        for (auto each = link.globalMatch(text); each.hasNext();)
            found = each.next().captured(1);
        return found;
    }

private Q_SLOTS:
    void initTestCase()
    {
        QCOMPARE(m_database.start(), QString());
        QVERIFY(start());
    }
    void cleanupTestCase()
    {
        m_server.stop();
        m_database.stop();
    }

    void everythingIsMade()
    {
        const QString made = ok(QStringLiteral(
            "import os, numpy, hashlib\n"
            "os.makedirs('zz'); os.makedirs('empty/here'); os.makedirs('.hidden')\n"
            "open('zz/Über 表.csv', 'w').write('a,b\\n1,2\\n')\n"
            "open('.hidden/state', 'w').write('secret')\n"
            "open('run.sh', 'w').write('echo hi'); os.chmod('run.sh', 0o755)\n"
            "open('gone.txt', 'w').write('gone'); open('a-twice.txt', 'w').write('one')\n"
            "treasure = {'gold': 3}; frame = numpy.arange(1000)"));
        m_link = linkIn(made);
        QVERIFY2(!m_link.isEmpty(), qPrintable(made));
        ok(QStringLiteral("os.remove('gone.txt'); open('a-twice.txt', 'w').write('two')"));
        // Above SANDBOX_FILE_MAX_MB: no link, and kept all the same.
        const QString big = ok(QStringLiteral("data = os.urandom(70_000_000); open('big.bin', 'wb').write(data); print(hashlib.sha256(data).hexdigest()); del data"));
        static const QRegularExpression sum(QStringLiteral("[0-9a-f]{64}"));
        m_bigHash = sum.match(big).captured();
        QVERIFY(!m_bigHash.isEmpty());
        QCOMPARE(sql("SELECT count(*) FROM power.session_files WHERE path = 'big.bin' AND size = 70000000"), 1); // before the answer
        const ToolAnswer up = m_server.tool("upload_file", {{QStringLiteral("filename"), QStringLiteral("in.txt")},
                                                            {QStringLiteral("content_base64"), QStringLiteral("aGVsbG8=")},
                                                            {QStringLiteral("session_id"), QStringLiteral("work")}});
        QVERIFY2(!up.isError, qPrintable(up.text));
        const ToolAnswer kept = m_server.tool("checkpoint_session", {{QStringLiteral("name"), QStringLiteral("good")}, {QStringLiteral("session_id"), QStringLiteral("work")}});
        QVERIFY2(!kept.isError, qPrintable(kept.text));
        ok(QStringLiteral("treasure['gold'] = 4; open('a-twice.txt', 'w').write('three')"));
        ok(QStringLiteral("only = 'variables'"), QStringLiteral("nofiles"));
        m_server.tool("create_session", {{QStringLiteral("session_id"), QStringLiteral("fresh")}, {QStringLiteral("description"), QStringLiteral("d")}});
    }

    void afterAnOrderlyStop()
    {
        QVERIFY(m_server.stop());
        m_server.wipe();
        QVERIFY(QDir(m_server.dataDirectory()).isEmpty(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot));
        QVERIFY(start());
        const QString sessions = m_server.tool("list_sessions", {}).text;
        QVERIFY2(sessions.contains(u"work") && sessions.contains(u"fresh"), qPrintable(sessions));
        // Files without a kernel, first of all.
        const ToolAnswer listed = m_server.tool("list_files", {{QStringLiteral("session_id"), QStringLiteral("work")}});
        QVERIFY2(listed.text.contains(QStringLiteral("Über 表.csv")) && listed.text.contains(u"in.txt") && !listed.text.contains(u"gone.txt"), qPrintable(listed.text));
        const QString again = ok(QStringLiteral(
            "print(treasure, frame.sum(), open('zz/Über 表.csv').read(), open('.hidden/state').read(), os.path.isdir('empty/here'),"
            " oct(os.stat('run.sh').st_mode)[-3:], os.path.exists('gone.txt'), open('a-twice.txt').read(), open('in.txt').read(),"
            " hashlib.sha256(open('big.bin', 'rb').read()).hexdigest())"));
        QVERIFY2(again.contains(QStringLiteral("{'gold': 4} 499500 a,b\n1,2\n secret True 755 False three hello ") + m_bigHash), qPrintable(again));
        QVERIFY(ok(QStringLiteral("print(only)"), QStringLiteral("nofiles")).contains(u"variables"));
        int status = 0;
        QCOMPARE(m_server.http("GET", m_link, {}, &status), QByteArray("a,b\n1,2\n"));
        QCOMPARE(status, 200);
        const ToolAnswer back = m_server.tool("restore_session", {{QStringLiteral("name"), QStringLiteral("good")}, {QStringLiteral("session_id"), QStringLiteral("work")}});
        QVERIFY2(!back.isError, qPrintable(back.text));
        const QString restored = ok(QStringLiteral("print(treasure, open('a-twice.txt').read())"));
        QVERIFY2(restored.contains(u"{'gold': 3} two"), qPrintable(restored));
    }

    void afterAKill()
    {
        // Kept behind the run: what no answer told of.
        ok(QStringLiteral("import os; os.makedirs('.hidden'); open('.hidden/late', 'w').write('late'); late = 1"), QStringLiteral("killed"));
        QTRY_COMPARE_WITH_TIMEOUT(sql("SELECT count(*) FROM power.session_files WHERE path = '.hidden/late'"), 1, 20'000);
        QTRY_COMPARE_WITH_TIMEOUT(sql("SELECT count(*) FROM power.snapshots WHERE session_id = 'killed'"), 1, 20'000);
        const QString answered = ok(QStringLiteral("open('told.txt', 'w').write('told'); lost = 1"), QStringLiteral("killed"));
        const QString link = linkIn(answered);
        QVERIFY2(!link.isEmpty(), qPrintable(answered));
        m_server.kill(); // at once: the answer said that it is there
        m_server.wipe();
        QVERIFY(start());
        QCOMPARE(m_server.http("GET", link), QByteArray("told"));
        const QString now = ok(QStringLiteral("print(open('told.txt').read(), open('.hidden/late').read(), late, 'lost' in globals())"), QStringLiteral("killed"));
        QVERIFY2(now.contains(u"told late 1 "), qPrintable(now));
    }

    // What was just going into the database when the server died never appears.
    void aKillInTheMiddle()
    {
        const QByteArray body = QJsonDocument(QJsonObject{{QStringLiteral("session_id"), QStringLiteral("middle")},
                                                          {QStringLiteral("code"), QStringLiteral("import os; open('half.bin', 'wb').write(os.urandom(400_000_000))")}})
                                    .toJson(QJsonDocument::Compact);
        QProcess client;
        client.start(QStringLiteral("curl"), {QStringLiteral("-s"), QStringLiteral("-H"), QStringLiteral("Content-Type: application/json"), QStringLiteral("-d"),
                                              QString::fromUtf8(body), m_server.url().toString() + QStringLiteral("/api/execute")});
        QTRY_VERIFY_WITH_TIMEOUT(sql("SELECT count(*) FROM power.content_pieces p JOIN power.contents c ON c.id = p.content WHERE NOT c.whole AND c.size = 400000000") > 8, 60'000);
        m_server.kill();
        client.waitForFinished(10'000);
        QVERIFY(!client.readAllStandardOutput().contains("half.bin"));
        m_server.wipe();
        QVERIFY(start());
        QCOMPARE(sql("SELECT count(*) FROM power.session_files WHERE path = 'half.bin'"), 0);
        QCOMPARE(sql("SELECT count(*) FROM power.contents WHERE whole AND size = 400000000"), 0);
        const QString now = ok(QStringLiteral("import os; print(os.path.exists('half.bin'))"), QStringLiteral("middle"));
        QVERIFY2(now.contains(u"False"), qPrintable(now));
    }

    // The disk survives the kill, with what the database was not told of yet: the disk counts.
    void aDiskThatIsNewer()
    {
        ok(QStringLiteral("open('a.txt', 'w').write('old'); open('b.txt', 'w').write('b')"), QStringLiteral("newer"));
        QTRY_COMPARE_WITH_TIMEOUT(sql("SELECT count(*) FROM power.session_homes WHERE session_id = 'newer'"), 1, 20'000);
        m_server.kill();
        const QString place = m_server.dataDirectory() + QStringLiteral("/sandbox/newer/");
        QFile changed(place + QStringLiteral("a.txt"));
        QVERIFY(changed.open(QIODevice::WriteOnly));
        changed.write("new");
        changed.close();
        QVERIFY(QFile::remove(place + QStringLiteral("b.txt")));
        QVERIFY(start());
        const QString now = ok(QStringLiteral("import os; print(open('a.txt').read(), os.path.exists('b.txt'))"), QStringLiteral("newer"));
        QVERIFY2(now.contains(u"new False"), qPrintable(now));
        QVERIFY(m_server.stop());
        m_server.wipe();
        QVERIFY(start());
        const QString later = ok(QStringLiteral("import os; print(open('a.txt').read(), os.path.exists('b.txt'))"), QStringLiteral("newer"));
        QVERIFY2(later.contains(u"new False"), qPrintable(later));
    }

    void withoutTheDatabase()
    {
        ok(QStringLiteral("open('before.txt', 'w').write('before')"), QStringLiteral("away"));
        QCoro::waitFor(m_database.cluster().cluster().stop());
        const QString during = ok(QStringLiteral("open('during.txt', 'w').write('during'); print('ran')"), QStringLiteral("away"));
        QVERIFY2(during.contains(u"ran") && during.contains(u"during.txt") && linkIn(during).isEmpty() && during.contains(u"database"), qPrintable(during));
        const ToolAnswer unknown = m_server.run(QStringLiteral("1"), QStringLiteral("nobody-knows"));
        QVERIFY2(unknown.text.contains(u"while the database is away"), qPrintable(unknown.text));
        QVERIFY2(m_database.cluster().start().isEmpty(), "restart");
        QTRY_VERIFY_WITH_TIMEOUT(sql("SELECT 1") == 1, 30'000);
        QTRY_COMPARE_WITH_TIMEOUT(sql("SELECT count(*) FROM power.session_files WHERE path = 'during.txt'"), 1, 40'000);
    }

    void unusedSessionsEnd()
    {
        QVERIFY(m_server.stop());
        QCOMPARE(sql("UPDATE power.sessions SET last_used = now() - interval '2 hours' WHERE session_id = 'newer'"), 1);
        QVERIFY(start({QStringLiteral("--session-ttl-hours"), QStringLiteral("1")}));
        QTRY_COMPARE_WITH_TIMEOUT(sql("SELECT count(*) FROM power.sessions WHERE session_id = 'newer'"), 0, 20'000);
        QCOMPARE(sql("SELECT count(*) FROM power.session_files WHERE session_id = 'newer'"), 0);
        const QString sessions = m_server.tool("list_sessions", {}).text;
        QVERIFY2(sessions.contains(u"expires_at") && sessions.contains(u"SESSION_TTL_HOURS") && !sessions.contains(u"newer"), qPrintable(sessions));
    }

    void aDeletedSessionIsGone()
    {
        const ToolAnswer gone = m_server.tool("delete_session", {{QStringLiteral("session_id"), QStringLiteral("work")}});
        QVERIFY2(!gone.isError, qPrintable(gone.text));
        QCOMPARE(sql("SELECT count(*) FROM power.session_files WHERE session_id = 'work'"), 0);
        QCOMPARE(sql("SELECT count(*) FROM power.snapshots WHERE session_id = 'work'"), 0);
        QCOMPARE(sql("SELECT count(*) FROM power.session_homes WHERE session_id = 'work'"), 0);
    }
};

QTEST_GUILESS_MAIN(tst_EmptyDisk)
#include "tst_empty_disk.moc"
