// install_package: off by default; for one session, from wheels, unpacked inside its sandbox; there after restarts and kills.
#include "Wheels.h"
#include "app/ServerProcess.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QTemporaryDir>
#include <QTest>
#include <sys/stat.h>

using namespace power::test;

class TestSessionPackages : public QObject
{
    Q_OBJECT
private:
    // Read by nobody and seen by sessions: not below /tmp.
    QTemporaryDir m_place{QStringLiteral("/var/tmp/power-wheels-XXXXXX")};
    ServerProcess m_server;

    QStringList flags() { return {QStringLiteral("--allow-install"), QStringLiteral("true"), QStringLiteral("--package-max-mb"), QStringLiteral("1"),
                                  QStringLiteral("--package-index"), m_place.path()}; }
    ToolAnswer install(const QString &package, const QString &session = QStringLiteral("mine"))
    {
        return m_server.tool("install_package", {{QStringLiteral("package"), package}, {QStringLiteral("session_id"), session}});
    }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY(m_place.isValid());
        ::chmod(QFile::encodeName(m_place.path()).constData(), 0755);
        const QString place = m_place.path();
        QVERIFY(makeWheel(place, QStringLiteral("outerpackage"), QStringLiteral("1.0"), QStringLiteral("import innerpackage\nanswer = innerpackage.answer + 1\n"),
                          QStringLiteral("innerpackage")));
        QVERIFY(makeWheel(place, QStringLiteral("innerpackage"), QStringLiteral("2.1"), QStringLiteral("answer = 41\n")));
        QVERIFY(makeWheel(place, QStringLiteral("outerpackage"), QStringLiteral("0.9"), QStringLiteral("answer = 9\n")));
        QVERIFY(makeWheel(place, QStringLiteral("greedypackage"), QStringLiteral("1.0"), QStringLiteral("answer = 1\n"), QStringLiteral("numpy<1.0")));
        QVERIFY(makeWheel(place, QStringLiteral("hugepackage"), QStringLiteral("1.0"), QStringLiteral("text = '") + QString(2 << 20, u'x') + u'\''));
        // A source package whose build would leave a mark.
        const QString mark = place + QStringLiteral("/built");
        QCOMPARE(QProcess::execute(QStringLiteral("/usr/bin/python3"),
                                   {QStringLiteral("-c"), QStringLiteral("import io, sys, tarfile\nplace, mark = sys.argv[1:]\n"
                                                                         "with tarfile.open(place + '/sourcepackage-1.0.tar.gz', 'w:gz') as archive:\n"
                                                                         "    text = f'open({mark!r}, \"w\").close()'.encode()\n"
                                                                         "    entry = tarfile.TarInfo('sourcepackage-1.0/setup.py')\n"
                                                                         "    entry.size = len(text)\n"
                                                                         "    archive.addfile(entry, io.BytesIO(text))\n"),
                                    place, mark}), 0);
    }
    void cleanupTestCase() { m_server.stop(); }

    void offByDefault()
    {
        QVERIFY2(m_server.start(), m_server.output().constData());
        const QJsonObject listed = m_server.rpc(QStringLiteral("/mcp?tools=all"), {{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                                                                                 {QStringLiteral("id"), 1},
                                                                                 {QStringLiteral("method"), QStringLiteral("tools/list")}});
        QVERIFY(!QString::fromUtf8(QJsonDocument(listed).toJson()).contains(u"install_package"));
        QVERIFY(install(QStringLiteral("outerpackage")).isError);
        const ToolAnswer missing = m_server.run(QStringLiteral("import outerpackage"));
        QVERIFY2(missing.text.contains(u"EXTRA_REQUIREMENTS") && !missing.text.contains(u"install_package"), qPrintable(missing.text));
        QVERIFY(m_server.stop());
        QVERIFY2(m_server.start(flags()), m_server.output().constData());
    }

    void installsForOneSession()
    {
        const ToolAnswer missing = m_server.run(QStringLiteral("kept = 7\nimport outerpackage"), QStringLiteral("mine"));
        QVERIFY2(missing.isError && missing.text.contains(u"install_package"), qPrintable(missing.text));
        const ToolAnswer done = install(QStringLiteral("outerpackage"));
        QVERIFY2(!done.isError && done.text.contains(u"outerpackage 1.0") && done.text.contains(u"innerpackage 2.1"), qPrintable(done.text));
        const ToolAnswer used = m_server.run(QStringLiteral("import outerpackage\nprint(outerpackage.answer, kept)"), QStringLiteral("mine"));
        QVERIFY2(used.text.contains(u"42 7"), qPrintable(used.text));
        const ToolAnswer other = m_server.run(QStringLiteral("import outerpackage"), QStringLiteral("other"));
        QVERIFY2(other.isError && other.text.contains(u"ModuleNotFoundError"), qPrintable(other.text));
        const ToolAnswer older = install(QStringLiteral("outerpackage == 0.9"));
        QVERIFY2(!older.isError && older.text.contains(u"0.9") && older.text.contains(u"reload"), qPrintable(older.text));
        const ToolAnswer there = install(QStringLiteral("numpy"));
        QVERIFY2(!there.isError && there.text.contains(u"there already"), qPrintable(there.text));
        QVERIFY(m_server.output().contains("install_package"));
        const ToolAnswer files = m_server.tool("list_files", {{QStringLiteral("session_id"), QStringLiteral("mine")}});
        QVERIFY2(!files.text.contains(u"outerpackage"), qPrintable(files.text));
    }

    void refused_data()
    {
        QTest::addColumn<QString>("package");
        QTest::addColumn<QString>("reason");
        QTest::newRow("option") << QStringLiteral("--index-url=http://evil.example") << QStringLiteral("must be the name of a package");
        QTest::newRow("address") << QStringLiteral("git+https://evil.example/x") << QStringLiteral("must be the name of a package");
        QTest::newRow("direct reference") << QStringLiteral("x @ https://evil.example/x.whl") << QStringLiteral("must be the name of a package");
        QTest::newRow("path") << QStringLiteral("./outerpackage") << QStringLiteral("must be the name of a package");
        QTest::newRow("file") << QStringLiteral("/etc/passwd") << QStringLiteral("must be the name of a package");
        QTest::newRow("two") << QStringLiteral("outerpackage\ninnerpackage") << QStringLiteral("must be the name of a package");
        QTest::newRow("source") << QStringLiteral("sourcepackage") << QStringLiteral("wheels");
        QTest::newRow("unknown") << QStringLiteral("no-such-package-anywhere") << QStringLiteral("no-such-package-anywhere");
        QTest::newRow("against the environment") << QStringLiteral("greedypackage") << QStringLiteral("was not installed");
    }
    void refused()
    {
        QFETCH(QString, package);
        QFETCH(QString, reason);
        const ToolAnswer answer = install(package);
        QVERIFY2(answer.isError && answer.text.contains(reason), qPrintable(answer.text));
        QVERIFY(!QFile::exists(m_place.filePath(QStringLiteral("built"))));
    }

    void tooLarge()
    {
        const ToolAnswer answer = install(QStringLiteral("hugepackage"));
        QVERIFY2(answer.isError && answer.text.contains(u"1 MB"), qPrintable(answer.text));
    }

    void outlivesServerAndKernel()
    {
        QVERIFY(!m_server.run(QStringLiteral("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"), QStringLiteral("mine")).text.isEmpty());
        ToolAnswer used = m_server.run(QStringLiteral("import importlib, outerpackage\nprint(importlib.reload(outerpackage).answer)"), QStringLiteral("mine"));
        QVERIFY2(used.text.contains(u"9"), qPrintable(used.text));
        m_server.kill();
        QVERIFY2(m_server.start(flags()), m_server.output().constData());
        used = m_server.run(QStringLiteral("import innerpackage, outerpackage\nprint(outerpackage.answer + innerpackage.answer)"), QStringLiteral("mine"));
        QVERIFY2(used.text.contains(u"50"), qPrintable(used.text));
        QVERIFY(!m_server.tool("delete_session", {{QStringLiteral("session_id"), QStringLiteral("mine")}}).isError);
        QVERIFY(m_server.run(QStringLiteral("import innerpackage"), QStringLiteral("mine")).isError);
    }
};

QTEST_GUILESS_MAIN(TestSessionPackages)
#include "tst_session_packages.moc"
