// serve --supervise: a killed server answers again by itself with its sessions; signals are passed on; no loop over settings.
#include "app/ServerProcess.h"
#include <QFile>
#include <QTcpServer>
#include <QTemporaryDir>
#include <QTest>
#include <csignal>

using namespace power::test;

class TestSupervise : public QObject
{
    Q_OBJECT
private:
    static QString freePort()
    {
        QTcpServer server;
        return server.listen(QHostAddress::LocalHost) ? QString::number(server.serverPort()) : QString();
    }
    // The server: the child of the supervisor that has its program.
    static pid_t childOf(qint64 supervisor)
    {
        QFile children(QStringLiteral("/proc/%1/task/%1/children").arg(supervisor));
        return children.open(QIODevice::ReadOnly) ? pid_t(children.readAll().split(' ').value(0).toInt()) : 0;
    }

private Q_SLOTS:
    void answersAgain()
    {
        ServerProcess server;
        QVERIFY2(server.start({QStringLiteral("--supervise"), QStringLiteral("--port"), freePort()}), server.output().constData());
        QVERIFY(!server.run(QStringLiteral("kept = 41"), QStringLiteral("mine")).isError);
        // Its snapshot follows within seconds; then the server may die.
        QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(server.dataDirectory() + QStringLiteral("/snapshots/owner/mine/latest.snapshot")), 20'000);
        const pid_t first = childOf(server.pid());
        QVERIFY(first > 0);
        ::kill(first, SIGKILL);
        QTRY_VERIFY_WITH_TIMEOUT(childOf(server.pid()) > 0 && childOf(server.pid()) != first, 10'000);
        QTRY_COMPARE_WITH_TIMEOUT(server.run(QStringLiteral("1")).status, 200, 30'000);
        const ToolAnswer answer = server.run(QStringLiteral("print(kept + 1)"), QStringLiteral("mine"));
        QVERIFY2(answer.text.contains(u"42"), qPrintable(answer.text));
        QVERIFY2(server.output().contains("was ended by signal 9"), server.output().constData());
        const pid_t second = childOf(server.pid());
        QVERIFY(server.stop()); // passed on, and the exit code is the server's: 0
        QVERIFY(::kill(second, 0) != 0);
    }

    // Killed again and again, each time as soon as it serves: the pauses stay short.
    void pausesOfAServingServerStayShort()
    {
        ServerProcess server;
        QVERIFY2(server.start({QStringLiteral("--supervise"), QStringLiteral("--port"), freePort()}), server.output().constData());
        for (int deaths = 1; deaths <= 4; ++deaths) {
            QTRY_COMPARE_WITH_TIMEOUT(server.output().count("is ready."), deaths, 30'000);
            const pid_t child = childOf(server.pid());
            QVERIFY(child > 0);
            ::kill(child, SIGKILL);
            QTRY_COMPARE_WITH_TIMEOUT(server.output().count("starting it again in"), deaths, 10'000);
        }
        for (const char *pause : {"in 0.2 s", "in 0.4 s", "in 0.8 s", "in 1.0 s"})
            QVERIFY2(server.output().contains(pause), pause);
        QVERIFY(server.stop());
    }

    // One that cannot even begin is not tried over and over.
    void pausesOfAUselessServerGrow()
    {
        QTcpServer taken;
        QVERIFY(taken.listen(QHostAddress::LocalHost));
        QTemporaryDir data;
        QProcess process;
        process.setProcessChannelMode(QProcess::MergedChannels);
        process.start(programPath("power-interpreter"), {QStringLiteral("--supervise"), QStringLiteral("--host"), QStringLiteral("127.0.0.1"),
                                                         QStringLiteral("--port"), QString::number(taken.serverPort()), QStringLiteral("--data-dir"),
                                                         data.path(), QStringLiteral("--sandbox-dir"), data.path() + QStringLiteral("/sandbox")});
        QByteArray said;
        QTRY_VERIFY_WITH_TIMEOUT((said += process.readAll()).contains("ended with exit code 1; starting it again in 3.2 s"), 20'000);
        process.terminate();
        QVERIFY(process.waitForFinished(10'000));
        QCOMPARE(process.exitCode(), 0);
    }

    void unusableSettingsEndIt()
    {
        QProcess process;
        process.start(programPath("power-interpreter"), {QStringLiteral("--supervise"), QStringLiteral("--port"), QStringLiteral("none")});
        QVERIFY(process.waitForFinished(10'000));
        QCOMPARE(process.exitCode(), 2);
        process.start(programPath("power-interpreter"), {QStringLiteral("--supervise"), QStringLiteral("--stdio")});
        QVERIFY(process.waitForFinished(10'000));
        QCOMPARE(process.exitCode(), 2);
    }
};

QTEST_GUILESS_MAIN(TestSupervise)
#include "tst_supervise.moc"
