// EXTRA_REQUIREMENTS from a directory of wheels: installed behind the start, seen by sessions, refused with a reason.
#include "app/ServerProcess.h"
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <sys/stat.h>

using namespace power::test;

class TestExtraPackages : public QObject
{
    Q_OBJECT
private:
    // Not below /tmp: sessions have one of their own.
    QTemporaryDir m_place{QStringLiteral("/var/tmp/power-packages-XXXXXX")};

    void write(const QString &name, const QByteArray &content)
    {
        QFile file(m_place.filePath(name));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(content);
    }
    QStringList flags()
    {
        return {QStringLiteral("--data-dir"), m_place.filePath(QStringLiteral("data")), QStringLiteral("--sandbox-dir"),
                m_place.filePath(QStringLiteral("sandbox")), QStringLiteral("--package-index"), m_place.path(),
                QStringLiteral("--extra-requirements"), m_place.filePath(QStringLiteral("requirements.txt"))};
    }
    static QString state(ServerProcess &server) { return server.health().value(QStringLiteral("extra_packages")).toString(); }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY(m_place.isValid());
        ::chmod(QFile::encodeName(m_place.path()).constData(), 0755);
        // Two wheels: a plain one, and one whose import starts a thread.
        write(QStringLiteral("make.py"),
              "import sys, zipfile\n"
              "for name, code in (('quietpackage', 'answer = 42\\n'), ('loudpackage', 'import threading, time\\n"
              "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\\nanswer = 43\\n')):\n"
              "    with zipfile.ZipFile(f'{sys.argv[1]}/{name}-1.0-py3-none-any.whl', 'w') as wheel:\n"
              "        info = f'{name}-1.0.dist-info'\n"
              "        files = {f'{name}.py': code, f'{info}/METADATA': f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n',\n"
              "                 f'{info}/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'}\n"
              "        for path, text in files.items(): wheel.writestr(path, text)\n"
              "        wheel.writestr(f'{info}/RECORD', ''.join(f'{path},,\\n' for path in [*files, f'{info}/RECORD']))\n");
        QCOMPARE(QProcess::execute(QStringLiteral("/usr/bin/python3"), {m_place.filePath(QStringLiteral("make.py")), m_place.path()}), 0);
    }

    void sessionsGetThem()
    {
        write(QStringLiteral("requirements.txt"), "quietpackage\nloudpackage==1.0\n");
        ServerProcess server;
        QVERIFY2(server.start(flags()), server.output().constData());
        QTRY_VERIFY2_WITH_TIMEOUT(state(server).startsWith(u"installed"), qPrintable(state(server)), 60'000);
        const ToolAnswer answer = server.run(QStringLiteral("import quietpackage, loudpackage\nprint(quietpackage.answer + loudpackage.answer)"));
        QVERIFY2(answer.text.contains(u"85"), qPrintable(answer.text));
        QFile imports(m_place.filePath(QStringLiteral("data/packages/site/.zygote-imports")));
        QVERIFY(imports.open(QIODevice::ReadOnly));
        QCOMPARE(imports.readAll(), QByteArray("quietpackage"));
        QVERIFY(server.stop());

        // Again: nothing to install, and the zygote has what it may have. In a session of its own: one that goes on gets its
        // own imports back from its snapshot.
        QVERIFY2(server.start(flags()), server.output().constData());
        QCOMPARE(state(server), QStringLiteral("installed"));
        const ToolAnswer warm = server.run(QStringLiteral("import sys\nprint('quietpackage' in sys.modules, 'loudpackage' in sys.modules)"),
                                           QStringLiteral("another"));
        QVERIFY2(warm.text.contains(u"True False"), qPrintable(warm.text));
        QVERIFY(server.stop());
    }

    void aFailureIsToldAndStopsNothing()
    {
        write(QStringLiteral("requirements.txt"), "no-such-package-anywhere\n");
        ServerProcess server;
        QVERIFY2(server.start(flags()), server.output().constData());
        QTRY_VERIFY2_WITH_TIMEOUT(state(server).startsWith(u"failed"), qPrintable(state(server)), 60'000);
        QVERIFY2(state(server).contains(u"no-such-package-anywhere"), qPrintable(state(server)));
        const ToolAnswer answer = server.run(QStringLiteral("import quietpackage, missing_package"));
        QVERIFY2(answer.text.contains(u"EXTRA_REQUIREMENTS"), qPrintable(answer.text));
        QVERIFY(server.output().contains("extra_packages_failed"));
        QVERIFY(server.stop());
    }
};

QTEST_GUILESS_MAIN(TestExtraPackages)
#include "tst_extra_packages.moc"
