// Jobs in the sandbox tiers below `full`: they work in the session's files, end whole, and can be ended.
#include "app/ServerProcess.h"
#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QTest>

using namespace power::test;

class TestJobTiers : public QObject
{
    Q_OBJECT
    ServerProcess m_server;

    QJsonObject rest(const char *method, const QString &path, const QJsonObject &body = {}, int *status = nullptr)
    {
        return QJsonDocument::fromJson(m_server.http(method, path, body.isEmpty() ? QByteArray() : QJsonDocument(body).toJson(), status)).object();
    }
    QString submit(const char *code, bool inherit = false)
    {
        return rest("POST", QStringLiteral("/api/jobs/submit"),
                    {{QStringLiteral("code"), QString::fromUtf8(code)}, {QStringLiteral("session_id"), QStringLiteral("tier")}, {QStringLiteral("inherit"), inherit}})
            .value(QStringLiteral("job_id")).toString();
    }
    QJsonObject result(const QString &id) { return rest("GET", QStringLiteral("/api/jobs/%1/result?wait=30").arg(id)); }
    // Living processes with this word among their arguments.
    static int living(const QByteArray &word)
    {
        int count = 0;
        const auto processes = QDir(QStringLiteral("/proc")).entryList({QStringLiteral("[0-9]*")}, QDir::Dirs);
        for (const QString &pid : processes) {
            QFile command(QStringLiteral("/proc/%1/cmdline").arg(pid));
            count += command.open(QIODevice::ReadOnly) && command.readAll().split('\0').contains(word);
        }
        return count;
    }

private Q_SLOTS:
    void initTestCase()
    {
        const QString tier = qEnvironmentVariable("POWER_TIER");
        if (tier == u"nonroot")
            m_server.runAs(64123);
        QVERIFY2(m_server.start({QStringLiteral("--sandbox-tier"), tier, QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}), m_server.output().constData());
        QCOMPARE(m_server.health().value(QStringLiteral("sandbox")).toObject().value(QStringLiteral("tier")).toString(), tier);
    }
    void cleanupTestCase() { QVERIFY2(m_server.stop(), m_server.output().right(3000).constData()); }

    void readsAndWrites()
    {
        const bool ownUids = qEnvironmentVariable("POWER_TIER") != u"nonroot";
        const ToolAnswer before = m_server.run(QStringLiteral("import os\nopen('in.txt', 'w').write('of the session')\nos.makedirs('deep', exist_ok=True)\n"
                                                              "count = 41\nprint('uid', os.getuid())"), QStringLiteral("tier"));
        QVERIFY2(!before.isError, qPrintable(before.text));
        const QJsonObject record = result(submit("import os, subprocess\nprint(open('in.txt').read())\nopen('in.txt', 'a').write(' and the job')\n"
                                                 "open('deep/out.txt', 'w').write('made')\nopen('/tmp/note.txt', 'w').write('tmp')\n"
                                                 "subprocess.Popen(['sleep', '86399.25'])\nprint('count' in globals(), 'uid', os.getuid())\nRESULT = 7"));
        QVERIFY2(record.value(QStringLiteral("state")).toString() == u"succeeded", QJsonDocument(record).toJson().constData());
        const QString printed = record.value(QStringLiteral("stdout")).toString();
        QVERIFY2(printed.startsWith(u"of the session\nFalse uid "), qPrintable(printed));
        QCOMPARE(record.value(QStringLiteral("result")).toObject().value(QStringLiteral("result")).toInt(), 7);
        const QByteArray files = QJsonDocument(record.value(QStringLiteral("files_created")).toArray()).toJson();
        QVERIFY2(files.contains("in.txt") && files.contains("deep/out.txt"), files.constData());
        const QString uid = printed.trimmed().section(u' ', -1);
        QCOMPARE(!before.text.contains(QStringLiteral("uid ") + uid), ownUids);
        QTRY_COMPARE_WITH_TIMEOUT(living("86399.25"), 0, 5'000); // it ends with all that it started
        const ToolAnswer after = m_server.run(QStringLiteral("print(open('in.txt').read(), open('deep/out.txt').read(), open('/tmp/note.txt').read())\n"
                                                             "open('deep/out.txt', 'a').write('!'); os.remove('deep/out.txt'); os.remove('/tmp/note.txt'); os.rmdir('deep')"), QStringLiteral("tier"));
        QVERIFY2(!after.isError && after.text.contains(u"of the session and the job made tmp"), qPrintable(after.text));
        const QJsonObject carried = result(submit("print(count + 1)", true));
        QVERIFY2(carried.value(QStringLiteral("stdout")).toString() == u"42\n", QJsonDocument(carried).toJson().constData());
    }

    void isEnded()
    {
        const QString id = submit("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('go', flush=True)\nwhile True:\n    try:\n        pass\n    except BaseException:\n        pass");
        const auto tail = [this, id] { return rest("GET", QStringLiteral("/api/jobs/%1/status").arg(id)).value(QStringLiteral("output_tail")).toString(); };
        QTRY_VERIFY_WITH_TIMEOUT(tail().contains(QStringLiteral("go")), 15'000);
        QElapsedTimer clock;
        clock.start();
        const QJsonObject answer = rest("POST", QStringLiteral("/api/jobs/%1/cancel").arg(id));
        QCOMPARE(answer.value(QStringLiteral("state")).toString(), QStringLiteral("cancelled"));
        QVERIFY2(clock.elapsed() < 3'000, qPrintable(QString::number(clock.elapsed())));
    }
};

QTEST_GUILESS_MAIN(TestJobTiers)
#include "tst_job_tiers.moc"
