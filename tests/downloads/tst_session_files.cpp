// Session files as bytes: /api/files/{session}/{path}/content and /api/sessions/{session}/archive of a real server.
#include "../app/ServerProcess.h"
#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QProcess>
#include <QTest>

using namespace power::test;

class tst_SessionFiles : public QObject
{
    Q_OBJECT

    ServerProcess m_server;
    QTemporaryDir m_dir;

    QByteArray get(const QString &path, int *status = nullptr, const QByteArray &range = {})
    {
        QList<QPair<QByteArray, QByteArray>> headers{{"Accept-Encoding", "identity"}};
        if (!range.isEmpty())
            headers << qMakePair(QByteArray("Range"), range);
        return m_server.http("GET", path, {}, status, headers);
    }
    // What Python's zipfile finds wrong, and what is in it.
    QString unzipped(const QByteArray &archive, const QString &script)
    {
        QFile file(m_dir.filePath(QStringLiteral("a.zip")));
        if (!file.open(QIODevice::WriteOnly) || file.write(archive) != archive.size())
            return QStringLiteral("not written");
        file.close();
        QProcess python;
        python.start(QStringLiteral("/usr/bin/python3"),
                     {QStringLiteral("-I"), QStringLiteral("-c"),
                      QStringLiteral("import sys, zipfile, hashlib\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n") + script, file.fileName()});
        python.waitForFinished(60'000);
        return QString::fromUtf8(python.readAllStandardOutput() + python.readAllStandardError()).trimmed();
    }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY2(m_server.start(), m_server.output().constData());
        const ToolAnswer made = m_server.run(QStringLiteral(
            "import os\nos.makedirs('out/sub')\n"
            "open('out/Über 表 100%.csv', 'w').write('a,b\\n1,2\\n')\n"
            "open('out/sub/digits.txt', 'w').write('0123456789')\n"
            "open('page.html', 'w').write('<script>1</script>')\n"
            "open('empty', 'w').close(); open('content', 'w').write('named content')\n"
            "f = open('big.bin', 'wb')\n"
            "for i in range(80): f.write(bytes([i]) * 1_000_000)\n"
            "f.close(); os.symlink('/etc/passwd', 'link')"), QStringLiteral("s"));
        QVERIFY2(!made.isError, qPrintable(made.text));
    }
    void cleanupTestCase() { m_server.stop(); }

    void contents()
    {
        int status = 0;
        QCOMPARE(get(QStringLiteral("/api/files/s/out/%C3%9Cber%20%E8%A1%A8%20100%25.csv/content"), &status), QByteArray("a,b\n1,2\n"));
        QCOMPARE(status, 200);
        QCOMPARE(get(QStringLiteral("/api/files/s/content/content")), QByteArray("named content"));
        QCOMPARE(get(QStringLiteral("/api/files/s/empty/content"), &status), QByteArray());
        QCOMPARE(status, 200);
        QCOMPARE(get(QStringLiteral("/api/files/s/out/sub/digits.txt/content"), &status, "bytes=3-5"), QByteArray("345"));
        QCOMPARE(status, 206);
        get(QStringLiteral("/api/files/s/out/sub/digits.txt/content"), &status, "bytes=10-");
        QCOMPARE(status, 416);
        // Above every limit of links.
        const QByteArray big = get(QStringLiteral("/api/files/s/big.bin/content"), &status);
        QCOMPARE(big.size(), 80'000'000);
        QVERIFY(big.at(0) == 0 && big.at(big.size() - 1) == 79 && big.at(40'000'000) == 40);
        QCOMPARE(get(QStringLiteral("/api/files/s/big.bin/content"), &status, "bytes=79999999-"), QByteArray(1, char(79)));
        QProcess head; // Qt would wait for the body
        head.start(QStringLiteral("curl"), {QStringLiteral("-sI"), m_server.url().toString() + QStringLiteral("/api/files/s/big.bin/content")});
        QVERIFY(head.waitForFinished(20'000));
        const QByteArray fields = head.readAllStandardOutput();
        QVERIFY2(fields.contains(" 200 ") && fields.contains("Content-Length: 80000000") && fields.contains("Accept-Ranges: bytes"), fields.constData());
    }

    void nothingElse()
    {
        int status = 0;
        for (const char *path : {"/api/files/s/none/content", "/api/files/nobody/x/content"}) {
            get(QString::fromLatin1(path), &status);
            QCOMPARE(status, 404);
        }
        for (const char *path : {"/api/files/s/link/content", "/api/files/s/..%2f..%2fetc%2fpasswd/content", "/api/files/s/out/content",
                                 "/api/files/s/%2fetc%2fpasswd/content", "/api/files/..%2fs/x/content"}) {
            const QByteArray body = get(QString::fromLatin1(path), &status);
            QVERIFY2(status >= 400 && status < 500 && !body.contains("root:"), path);
        }
    }

    void archives()
    {
        int status = 0;
        const QByteArray all = get(QStringLiteral("/api/sessions/s/archive"), &status);
        QCOMPARE(status, 200);
        const QString names = unzipped(all, QStringLiteral("print(sorted(z.namelist()), len(z.read('s/big.bin')), z.read('s/out/sub/digits.txt').decode(), z.getinfo('s/empty').file_size)"));
        QCOMPARE(names, QStringLiteral("['s/big.bin', 's/content', 's/empty', 's/out/sub/digits.txt', 's/out/Über 表 100%.csv', 's/page.html'] 80000000 0123456789 0"));
        const QByteArray some = get(QStringLiteral("/api/sessions/s/archive?glob=out/**"), &status);
        QCOMPARE(unzipped(some, QStringLiteral("print(len(z.namelist()))")), QStringLiteral("2"));
        QCOMPARE(unzipped(get(QStringLiteral("/api/sessions/s/archive?glob=*.csv")), QStringLiteral("print(z.read(z.namelist()[0]).decode())")), QStringLiteral("a,b\n1,2"));
        get(QStringLiteral("/api/sessions/s/archive?glob=*.nothing"), &status);
        QCOMPARE(status, 404);
        get(QStringLiteral("/api/sessions/s/archive?glob=%5Bab"), &status);
        QCOMPARE(status, 400);
    }

    // Sizes that need ZIP64: a sparse file, read by a second implementation.
    void largeArchives()
    {
        if (!qEnvironmentVariableIsSet("POWER_TEST_FULL"))
            return;
        QVERIFY(m_server.stop());
        QVERIFY(m_server.start({QStringLiteral("--max-session-disk-mb"), QStringLiteral("8000")}));
        const ToolAnswer made = m_server.run(QStringLiteral("f = open('huge', 'wb'); f.truncate(4_500_000_000); f.close(); open('zz', 'w').write('after')"), QStringLiteral("large"));
        QVERIFY2(!made.isError, qPrintable(made.text));
        QProcess tool;
        const QString file = m_dir.filePath(QStringLiteral("large.zip"));
        tool.start(QStringLiteral("curl"), {QStringLiteral("-sf"), QStringLiteral("-o"), file, m_server.url().toString() + QStringLiteral("/api/sessions/large/archive")});
        QVERIFY(tool.waitForFinished(120'000) && tool.exitCode() == 0);
        tool.start(QStringLiteral("/usr/bin/python3"), {QStringLiteral("-I"), QStringLiteral("-c"),
                   QStringLiteral("import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), z.getinfo('large/huge').file_size, z.read('large/zz').decode())"), file});
        QVERIFY(tool.waitForFinished(120'000));
        QCOMPARE(tool.readAllStandardOutput().trimmed(), QByteArray("None 4500000000 after"));
        QFile::remove(file);
    }
};

QTEST_GUILESS_MAIN(tst_SessionFiles)
#include "tst_session_files.moc"
