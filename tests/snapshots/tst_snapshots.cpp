// Sessions outlive their server: restarts, kill -9, eviction, and snapshots that are damaged, foreign, hostile or too large.
#include "../app/ServerProcess.h"
#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QRegularExpression>
#include <QTcpSocket>
#include <QTest>

using namespace power::test;

namespace {
QString snapshotFile(const ServerProcess &server, const QString &session)
{
    return server.dataDirectory() + QStringLiteral("/snapshots/owner/") + session + QStringLiteral("/latest.snapshot");
}

// The cell after which the stored snapshot is; -1: there is none.
int storedCell(const ServerProcess &server, const QString &session)
{
    QFile file(snapshotFile(server, session));
    if (!file.open(QIODevice::ReadOnly))
        return -1;
    const QByteArray head = file.read(4096);
    return QJsonDocument::fromJson(head.mid(head.indexOf('\n') + 1).trimmed()).object().value(QStringLiteral("cell")).toInt(-1);
}

bool replaceInFile(const QString &path, qint64 from, const QByteArray &what, const QByteArray &by)
{
    QFile file(path);
    if (!file.open(QIODevice::ReadWrite))
        return false;
    file.seek(from);
    const QByteArray bytes = file.readAll();
    const qsizetype at = what.isEmpty() ? 0 : bytes.indexOf(what);
    if (at < 0 || !file.seek(from + at))
        return false;
    return file.write(by) == by.size();
}
} // namespace

class tst_Snapshots : public QObject
{
    Q_OBJECT

    ServerProcess m_server;
    QJsonArray m_kinds, m_around;

    QString ok(const QString &code, const QString &session)
    {
        const ToolAnswer answer = m_server.run(code, session);
        if (answer.isError)
            qWarning("%s: %s", qPrintable(code.left(80)), qPrintable(answer.text));
        return answer.text;
    }

private Q_SLOTS:
    void initTestCase()
    {
        QProcess python;
        python.start(QStringLiteral("/usr/bin/python3"), {QStringLiteral("-B"), qEnvironmentVariable("POWER_SOURCE") + QStringLiteral("/tests/snapshots/kinds.py")});
        QVERIFY(python.waitForFinished());
        const QJsonObject all = QJsonDocument::fromJson(python.readAllStandardOutput()).object();
        m_kinds = all.value(QStringLiteral("kinds")).toArray();
        m_around = all.value(QStringLiteral("around")).toArray();
        QVERIFY(m_kinds.size() >= 40);
        QVERIFY2(m_server.start({QStringLiteral("--tool-profile"), QStringLiteral("all")}), m_server.output().constData());
    }
    void cleanupTestCase() { m_server.stop(); }

    void everythingIsMade()
    {
        QString code = QStringLiteral("import random\n");
        for (const QJsonValue &kind : std::as_const(m_kinds))
            code += kind.toArray().at(1).toString() + u'\n';
        for (const QJsonValue &one : std::as_const(m_around))
            code += one.toArray().at(0).toString() + u'\n';
        const ToolAnswer made = m_server.run(code, QStringLiteral("kinds"), 120);
        QVERIFY2(!made.isError, qPrintable(made.text));
        ok(QStringLiteral("treasure = 'gold'"), QStringLiteral("damaged"));
        ok(QStringLiteral("treasure = 'gold'"), QStringLiteral("foreign"));
        ok(QStringLiteral("treasure = 'gold'"), QStringLiteral("unread"));
        ok(QStringLiteral("import os, time\n"
                          "class Slow:\n"
                          "    def __getstate__(self):\n        return {'treasure': 'gold'}\n"
                          "    def __setstate__(self, state):\n"
                          "        self.__dict__.update(state)\n"
                          "        again = os.path.exists('restoring.txt')\n"
                          "        open('restoring.txt', 'w').close()\n"
                          "        while not again:\n"
                          "            try:\n                time.sleep(1)\n"
                          "            except BaseException:\n                pass\n"
                          "slow = Slow()"), QStringLiteral("slow"));
        ok(QStringLiteral("class Evil:\n"
                          "    def __reduce__(self):\n"
                          "        return exec, (\"import os; open('evil.txt', 'w').write(os.getcwd() + ' ' + str(os.path.exists('%1')))\",)\n"
                          "evil = Evil()\n"
                          "class Deadly:\n"
                          "    def __reduce__(self):\n"
                          "        return os._exit, (3,)\n"
                          "good = 1").arg(m_server.dataDirectory() + QStringLiteral("/snapshots")),
           QStringLiteral("hostile"));
        ok(QStringLiteral("class Deadly:\n    def __reduce__(self):\n        return os._exit, (3,)\ndeadly = Deadly()"), QStringLiteral("deadly"));
        // Soon after the last run, without anything being asked for.
        QTRY_VERIFY_WITH_TIMEOUT(storedCell(m_server, QStringLiteral("deadly")) == 1, 30'000);
    }

    void everythingComesBack()
    {
        QVERIFY(m_server.stop());
        QVERIFY(replaceInFile(snapshotFile(m_server, QStringLiteral("damaged")), 4200, {}, QByteArray(16, 'x')));
        QVERIFY(replaceInFile(snapshotFile(m_server, QStringLiteral("foreign")), 0, "\"python\":\"3.", "\"python\":\"2."));
        QVERIFY2(m_server.start({QStringLiteral("--tool-profile"), QStringLiteral("all")}), m_server.output().constData());
        const ToolAnswer first = m_server.run(QStringLiteral("1"), QStringLiteral("kinds"), 120);
        QVERIFY2(first.text.contains(u"Restored from its snapshot to after cell 1"), qPrintable(first.text));
        const QJsonObject facts = QJsonDocument::fromJson(m_server.http("POST", QStringLiteral("/api/execute"), R"({"code":"1","session_id":"hostile"})"))
                                      .object().value(QStringLiteral("kernel_info")).toObject().value(QStringLiteral("restored")).toObject();
        QCOMPARE(facts.value(QStringLiteral("cell")).toInt(), 1);
        QVERIFY(facts.value(QStringLiteral("restored")).toArray().contains(QStringLiteral("good")));
    }

    // Equal, or not there (test_snapshots.py checks remarks and reasons one by one).
    void everyKindIsAsItWas()
    {
        QString code = QStringLiteral("wrong = {}\ndef check(name, text):\n    try:\n        if not eval(text, globals()):\n"
                                      "            wrong[name] = 'differs'\n    except Exception as error:\n        wrong[name] = repr(error)\n");
        const auto add = [&code](const QString &name, const QString &check) {
            const QByteArray pair = QJsonDocument(QJsonArray{name, check}).toJson(QJsonDocument::Compact);
            code += QStringLiteral("check(*%1)\n").arg(QString::fromUtf8(pair));
        };
        for (const QJsonValue &value : std::as_const(m_kinds)) {
            const QJsonArray kind = value.toArray();
            const QString name = kind.at(0).toString(), outcome = kind.at(3).toString();
            const bool restored = outcome == u"restored" || outcome == u"remark";
            add(name, restored ? kind.at(2).toString() : QStringLiteral("'%1' not in globals()").arg(name));
        }
        for (const QJsonValue &one : std::as_const(m_around))
            add(one.toArray().at(1).toString(), one.toArray().at(1).toString());
        const ToolAnswer answer = m_server.run(code + QStringLiteral("print('wrong:', wrong)"), QStringLiteral("kinds"));
        QVERIFY2(answer.text.contains(u"wrong: {}"), qPrintable(answer.text));
    }

    void aDamagedOneIsRefused()
    {
        const QString answer = ok(QStringLiteral("print('treasure' in globals())"), QStringLiteral("damaged"));
        QVERIFY2(answer.contains(u"False") && answer.contains(u"is damaged"), qPrintable(answer));
        QVERIFY(QFile::exists(snapshotFile(m_server, QStringLiteral("damaged")) + QStringLiteral(".damaged")));
    }
    // The disk or the database has a bad moment: nothing runs in its place, and nothing is given up.
    void oneThatCannotBeReadNowIsKept()
    {
        const QString path = snapshotFile(m_server, QStringLiteral("unread"));
        QVERIFY(QFile::rename(path, path + QStringLiteral(".x")) && QFile::link(path, path)); // too many levels of links
        const ToolAnswer refused = m_server.run(QStringLiteral("print('ran')"), QStringLiteral("unread"));
        QVERIFY2(refused.isError && refused.text.contains(u"cannot be brought back just now") && !refused.text.contains(u"ran\n"), qPrintable(refused.text));
        QVERIFY(QFile::remove(path) && QFile::rename(path + QStringLiteral(".x"), path));
        const QString answer = ok(QStringLiteral("print(treasure)"), QStringLiteral("unread"));
        QVERIFY2(answer.contains(u"gold") && answer.contains(u"Restored from its snapshot"), qPrintable(answer));
    }

    // The client hangs up while its session is brought back, and the kernel has to be killed for it.
    void oneWhoseCallerLeavesIsKept()
    {
        QTcpSocket client;
        client.connectToHost(m_server.url().host(), quint16(m_server.url().port()));
        QVERIFY(client.waitForConnected());
        const QByteArray body = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_code","arguments":{"code":"1","session_id":"slow"},)"
                                R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}})";
        client.write("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n"
                     "Mcp-Method: tools/call\r\nMcp-Name: execute_code\r\nContent-Length: " + QByteArray::number(body.size()) + "\r\n\r\n" + body);
        client.flush();
        QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(m_server.dataDirectory() + QStringLiteral("/sandbox/slow/restoring.txt")), 20'000);
        client.abort();
        QTRY_VERIFY_WITH_TIMEOUT(m_server.output().contains("cause=cancelled"), 60'000);
        const QString answer = ok(QStringLiteral("print(slow.treasure)"), QStringLiteral("slow"));
        QVERIFY2(answer.contains(u"gold") && answer.contains(u"Restored from its snapshot"), qPrintable(answer));
    }

    void oneOfAnotherPythonIsRefused()
    {
        const QString answer = ok(QStringLiteral("print('treasure' in globals())"), QStringLiteral("foreign"));
        QVERIFY2(answer.contains(u"False") && answer.contains(u"was made by Python 2."), qPrintable(answer));
    }
    void aHostileOneRunsInTheSandbox()
    {
        const QString answer = ok(QStringLiteral("print(good, open('evil.txt').read())"), QStringLiteral("hostile"));
        QVERIFY2(answer.contains(u"1 ") && answer.contains(u"hostile") && !answer.contains(u" True"), qPrintable(answer));
        const QString dead = ok(QStringLiteral("print('deadly' in globals())"), QStringLiteral("deadly"));
        QVERIFY2(dead.contains(u"False") && dead.contains(u"could not be restored"), qPrintable(dead));
        QVERIFY(ok(QStringLiteral("print('next')"), QStringLiteral("deadly")).contains(u"next"));
    }

    // The copy of a branch fails: its name is as free as before.
    void halfABranchIsNone()
    {
        ok(QStringLiteral("open('a.txt', 'w').write('a'); treasure = 'gold'"), QStringLiteral("torn"));
        QTRY_VERIFY_WITH_TIMEOUT(storedCell(m_server, QStringLiteral("torn")) == 1, 30'000);
        QVERIFY(replaceInFile(snapshotFile(m_server, QStringLiteral("torn")), 4200, {}, QByteArray(16, 'x')));
        for (int i = 0; i < 2; ++i) {
            const ToolAnswer refused = m_server.tool("fork_session", {{QStringLiteral("session_id"), QStringLiteral("torn")},
                                                                     {QStringLiteral("new_session_id"), QStringLiteral("half")}});
            QVERIFY2(refused.isError && refused.text.contains(u"damaged"), qPrintable(refused.text));
        }
        QVERIFY(!QFile::exists(m_server.dataDirectory() + QStringLiteral("/sandbox/half")));
    }

    void sessionsBranchAndGoBack()
    {
        const auto named = [](const char *name, const QString &value) {
            return QJsonObject{{QLatin1String(name), value}, {QStringLiteral("session_id"), QStringLiteral("origin")}};
        };
        ok(QStringLiteral("import threading\nplan = [1]; guard = threading.Lock(); open('notes.txt', 'w').write('first')"), QStringLiteral("origin"));
        const ToolAnswer kept = m_server.tool("checkpoint_session", named("name", QStringLiteral("good")));
        QVERIFY2(!kept.isError && kept.text.contains(u"guard") && kept.text.contains(u"locks belong"), qPrintable(kept.text));
        ok(QStringLiteral("plan.append(2); open('notes.txt', 'w').write('second'); open('new.txt', 'w').write('n')"), QStringLiteral("origin"));
        const ToolAnswer forked = m_server.tool("fork_session", named("new_session_id", QStringLiteral("branch")));
        QVERIFY2(!forked.isError, qPrintable(forked.text));
        const QString branch = ok(QStringLiteral("plan.append(3); print(plan, open('notes.txt').read())"), QStringLiteral("branch"));
        QVERIFY2(branch.contains(u"[1, 2, 3] second") && branch.contains(u"it was forked from session 'origin'"), qPrintable(branch));
        const ToolAnswer again = m_server.tool("fork_session", named("new_session_id", QStringLiteral("branch")));
        QVERIFY2(again.isError && again.text.contains(u"already"), qPrintable(again.text));
        const ToolAnswer back = m_server.tool("restore_session", named("name", QStringLiteral("good")));
        QVERIFY2(!back.isError && back.text.contains(u"notes.txt"), qPrintable(back.text));
        const QString now = ok(QStringLiteral("print(plan, 'guard' in globals(), open('notes.txt').read(), open('new.txt').read())"), QStringLiteral("origin"));
        QVERIFY2(now.contains(u"[1] False first n"), qPrintable(now));
        const ToolAnswer none = m_server.tool("restore_session", named("name", QStringLiteral("nope")));
        QVERIFY2(none.isError && none.text.contains(u"It has: good"), qPrintable(none.text));
    }

    // The server is killed in the moment after the answer.
    void goingBackOutlivesAKill()
    {
        const QJsonObject name{{QStringLiteral("name"), QStringLiteral("then")}, {QStringLiteral("session_id"), QStringLiteral("back")}};
        ok(QStringLiteral("plan = 'kept'; open('plan.txt', 'w').write('kept')"), QStringLiteral("back"));
        QVERIFY(!m_server.tool("checkpoint_session", name).isError);
        ok(QStringLiteral("plan = 'given up'; open('plan.txt', 'w').write('given up')"), QStringLiteral("back"));
        QTRY_VERIFY_WITH_TIMEOUT(storedCell(m_server, QStringLiteral("back")) == 2, 30'000);
        const ToolAnswer back = m_server.tool("restore_session", name);
        m_server.kill();
        QVERIFY2(!back.isError && back.text.contains(u"are those of checkpoint 'then'") && !back.text.contains(u"not stored"), qPrintable(back.text));
        QVERIFY2(m_server.start({QStringLiteral("--tool-profile"), QStringLiteral("all")}), m_server.output().constData());
        const QString answer = ok(QStringLiteral("print(plan, open('plan.txt').read())"), QStringLiteral("back"));
        QVERIFY2(answer.contains(u"kept kept") && !answer.contains(u"lost"), qPrintable(answer));
    }

    // Values that take a minute each to be written; the fifth session does not wait for any of them.
    void slowOnesHoldUpNobody()
    {
        for (int i = 0; i < 4; ++i)
            ok(QStringLiteral("import time\nclass Slow:\n    def __reduce__(self): time.sleep(60); return (int, ())\nslow = Slow()"), QStringLiteral("slow%1").arg(i));
        ok(QStringLiteral("quick = 1"), QStringLiteral("quick"));
        QTRY_VERIFY_WITH_TIMEOUT(storedCell(m_server, QStringLiteral("quick")) == 1, 20'000);
        QVERIFY(storedCell(m_server, QStringLiteral("slow3")) == -1);
        for (int i = 0; i < 4; ++i)
            QVERIFY(!m_server.tool("delete_session", {{QStringLiteral("session_id"), QStringLiteral("slow%1").arg(i)}}).isError);
    }

    void aKillLosesTheLastCellsAndNamesThem()
    {
        ok(QStringLiteral("kept = 1"), QStringLiteral("killed"));
        QTRY_VERIFY_WITH_TIMEOUT(storedCell(m_server, QStringLiteral("killed")) == 1, 30'000);
        ok(QStringLiteral("lost = 2"), QStringLiteral("killed"));
        ok(QStringLiteral("lost = 3"), QStringLiteral("killed"));
        const auto known = [this] { // the history is written behind
            return QJsonDocument::fromJson(m_server.http("GET", QStringLiteral("/api/sessions/killed/runs"))).object()
                       .value(QStringLiteral("runs")).toArray().size();
        };
        QTRY_COMPARE_WITH_TIMEOUT(known(), 3, 5'000);
        QVERIFY(storedCell(m_server, QStringLiteral("killed")) == 1);
        ok(QStringLiteral("lost = 4"), QStringLiteral("never-stored"));
        m_server.kill();
        QVERIFY2(m_server.start({QStringLiteral("--max-sessions"), QStringLiteral("2"), QStringLiteral("--snapshot-max-mb"), QStringLiteral("1")}),
                 m_server.output().constData());
        const QString answer = ok(QStringLiteral("print(kept, 'lost' in globals())"), QStringLiteral("killed"));
        QVERIFY2(answer.contains(u"1 False") && answer.contains(u"Cells 2 to 3 were lost"), qPrintable(answer));
        const QString none = ok(QStringLiteral("print('lost' in globals())"), QStringLiteral("never-stored"));
        QVERIFY2(none.contains(u"False") && none.contains(u"variables are gone (no state of them had been stored when the server ended)"), qPrintable(none));
    }

    // Two kernels at most: the third session takes the place of the longest unused one.
    void evictionLosesNothing()
    {
        const auto evicting = [this](const QString &code, const QString &session) {
            ToolAnswer answer;
            for (int i = 0; i < 100; ++i) {
                answer = m_server.run(code, session);
                if (!answer.text.contains(u"kernels are in use"))
                    break;
                QTest::qWait(250);
            }
            return answer.text;
        };
        evicting(QStringLiteral("first = 'a'"), QStringLiteral("one"));
        evicting(QStringLiteral("big = np.random.rand(400_000); small = 5"), QStringLiteral("two"));
        evicting(QStringLiteral("1"), QStringLiteral("three"));
        evicting(QStringLiteral("1"), QStringLiteral("four"));
        const QString one = evicting(QStringLiteral("print(first)"), QStringLiteral("one"));
        QVERIFY2(one.contains(u"a\n") && one.contains(u"ended to make room") && one.contains(u"Restored from its snapshot"), qPrintable(one));
        const QString two = evicting(QStringLiteral("print(small, 'big' in globals())"), QStringLiteral("two"));
        QVERIFY2(two.contains(u"5 False") && two.contains(u"big (ndarray: too large: the snapshot may have 1 MB"), qPrintable(two));
    }

    // SNAPSHOTS_TOTAL_MB: the oldest makes room, is told so, and is written again before its kernel goes.
    void theCapOfAllStates()
    {
        QVERIFY(m_server.stop());
        m_server.wipe();
        QVERIFY2(m_server.start({QStringLiteral("--snapshots-total-mb"), QStringLiteral("8"), QStringLiteral("--tool-profile"), QStringLiteral("all")}), m_server.output().constData());
        const auto size = [this](const char *session) { return QFile(snapshotFile(m_server, QLatin1String(session))).size(); };
        const qint64 whole = 3'000'000;
        for (const char *session : {"oldest", "middle", "newest"}) {
            ok(QStringLiteral("import os; state = os.urandom(3_000_000); mark = 7"), QLatin1String(session));
            QTRY_VERIFY_WITH_TIMEOUT(size(session) > whole, 30'000);
        }
        QCOMPARE(size("oldest"), 4096);
        QVERIFY(size("middle") > whole);
        // Larger than all: said in the log, and nobody makes room for it in vain.
        ok(QStringLiteral("import os; state = os.urandom(12_000_000); mark = 7"), QStringLiteral("huge"));
        QTRY_VERIFY_WITH_TIMEOUT(m_server.output().contains("no room for"), 30'000);
        QVERIFY(size("middle") > whole && size("newest") > whole && size("huge") <= 0);
        QVERIFY(ok(QStringLiteral("print(mark)"), QStringLiteral("oldest")).contains(u'7')); // its variables live on
        QTRY_VERIFY_WITH_TIMEOUT(size("oldest") > whole, 30'000);
        QTRY_COMPARE_WITH_TIMEOUT(size("middle"), 4096, 10'000);
        m_server.kill();
        QVERIFY2(m_server.start({QStringLiteral("--snapshots-total-mb"), QStringLiteral("8"), QStringLiteral("--tool-profile"), QStringLiteral("all")}), m_server.output().constData());
        const QString dropped = ok(QStringLiteral("print('mark' in globals())"), QStringLiteral("middle"));
        QVERIFY2(dropped.contains(u"False") && dropped.contains(u"make room") && dropped.contains(u"SNAPSHOTS_TOTAL_MB"), qPrintable(dropped));
        for (const char *session : {"oldest", "newest"})
            QVERIFY(ok(QStringLiteral("print(mark, len(state))"), QLatin1String(session)).contains(u"7 3000000"));
        const QString huge = ok(QStringLiteral("print('mark' in globals())"), QStringLiteral("huge"));
        QVERIFY2(huge.contains(u"False") && huge.contains(u"variables are gone"), qPrintable(huge));
    }

    void withoutSnapshotsItIsSaid()
    {
        ok(QStringLiteral("first = 'a'"), QStringLiteral("one"));
        QVERIFY(m_server.stop());
        QVERIFY2(m_server.start({QStringLiteral("--snapshot-max-mb"), QStringLiteral("0")}), m_server.output().constData());
        const QString answer = ok(QStringLiteral("print('first' in globals())"), QStringLiteral("one"));
        QVERIFY2(answer.contains(u"False") && answer.contains(u"Earlier variables are gone (snapshots are switched off"), qPrintable(answer));
        m_server.tool("delete_session", {{QStringLiteral("session_id"), QStringLiteral("one")}});
        QVERIFY(!QFile::exists(snapshotFile(m_server, QStringLiteral("one"))));
    }
};

QTEST_GUILESS_MAIN(tst_Snapshots)
#include "tst_snapshots.moc"
