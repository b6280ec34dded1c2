// power-interpreter --stdio: a client that starts the server itself, in both eras at once.
#include "app/ServerProcess.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QTest>

using namespace power::test;

class TestStdio : public QObject
{
    Q_OBJECT
    ServerProcess m_place; // for its data directory
    QProcess m_server;
    QByteArray m_received;

    static QByteArray line(const char *text) { return QByteArray(text).replace('\'', '"') + '\n'; }

    // The message with that id; what comes before it is kept in `before`.
    QJsonObject answer(int id, QList<QJsonObject> *before = nullptr, int timeoutMs = 120'000)
    {
        QElapsedTimer clock;
        clock.start();
        while (clock.elapsed() < timeoutMs) {
            for (qsizetype end; (end = m_received.indexOf('\n')) >= 0;) {
                const QJsonDocument message = QJsonDocument::fromJson(m_received.left(end));
                if (!message.isObject())
                    qWarning() << "not a message:" << m_received.left(end);
                m_received.remove(0, end + 1);
                if (message[QLatin1String("id")] == id)
                    return message.object();
                if (before)
                    before->append(message.object());
            }
            m_server.waitForReadyRead(200);
            m_received += m_server.readAllStandardOutput();
        }
        return {};
    }

private Q_SLOTS:
    void initTestCase()
    {
        QStringList args{QStringLiteral("--stdio"), QStringLiteral("--host"), QStringLiteral("127.0.0.1"), QStringLiteral("--data-dir"),
                         m_place.dataDirectory(), QStringLiteral("--sandbox-dir"), m_place.dataDirectory() + QStringLiteral("/sandbox")};
        if (!pythonEnvironment().isEmpty())
            args << QStringLiteral("--python-env") << pythonEnvironment();
        m_server.setStandardErrorFile(m_place.dataDirectory() + QStringLiteral("/log"));
        m_server.start(programPath("power-interpreter"), args);
        QVERIFY(m_server.waitForStarted());
    }

    void bothErasOnOneLine()
    {
        const QByteArray meta = "'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28','io.modelcontextprotocol/clientCapabilities':{}";
        // Before any initialize, and without kernels being ready.
        m_server.write(line("{'jsonrpc':'2.0','id':1,'method':'server/discover','params':{" + meta + "}}}"));
        QVERIFY(answer(1).value(QStringLiteral("result")).toObject().contains(QStringLiteral("supportedVersions")));
        m_server.write("{oops\n\n");
        m_server.write(line("{'jsonrpc':'2.0','id':2,'method':'initialize','params':{'protocolVersion':'2025-06-18','capabilities':{}}}"));
        QList<QJsonObject> before;
        QCOMPARE(answer(2, &before).value(QStringLiteral("result"))[QLatin1String("protocolVersion")].toString(), QStringLiteral("2025-06-18"));
        QCOMPARE(before.size(), 1);
        QCOMPARE(before[0].value(QStringLiteral("error"))[QLatin1String("code")].toInt(), -32700);
        m_server.write(line("{'jsonrpc':'2.0','method':'notifications/initialized'}"));
        m_server.write(line("{'jsonrpc':'2.0','id':3,'method':'tools/call','params':{'name':'execute_code','arguments':{'code':'import time\\nx = 41\\nfor i in range(3):\\n    print(i, flush=True)\\n    time.sleep(0.1)'},'_meta':{'progressToken':'p'}}}"));
        before.clear();
        QVERIFY(!answer(3, &before).value(QStringLiteral("result"))[QLatin1String("isError")].toBool(true));
        QVERIFY(std::any_of(before.cbegin(), before.cend(), [](const QJsonObject &message) {
            return message.value(QStringLiteral("method")) == QStringLiteral("notifications/progress");
        }));
    }

    void cancelledCallsKeepTheirVariables()
    {
        const QByteArray meta = ",'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28','io.modelcontextprotocol/clientCapabilities':{},'progressToken':9}";
        m_server.write(line("{'jsonrpc':'2.0','id':4,'method':'tools/call','params':{'name':'execute_code','arguments':{'code':'print(0, flush=True)\\ntime.sleep(60)'}" + meta + "}}"));
        QList<QJsonObject> before;
        while (before.isEmpty()) // it runs
            answer(4, &before, 200);
        m_server.write(line("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':4}}"));
        m_server.write(line("{'jsonrpc':'2.0','id':5,'method':'tools/call','params':{'name':'execute_code','arguments':{'code':'x + 1'}}}"));
        before.clear();
        const QJsonObject result = answer(5, &before).value(QStringLiteral("result")).toObject();
        QVERIFY(QJsonDocument(result).toJson().contains("42"));
        for (const QJsonObject &message : std::as_const(before))
            QVERIFY(message.value(QStringLiteral("id")) != 4); // a cancelled request is not answered
    }

    void endsWithItsClient()
    {
        m_server.closeWriteChannel();
        QVERIFY(m_server.waitForFinished(30'000));
        QCOMPARE(m_server.exitCode(), 0);
        m_received += m_server.readAllStandardOutput();
        const QList<QByteArray> rest = m_received.split('\n');
        for (const QByteArray &message : rest) // a list that changed is told at most 200 ms later; nothing else is owed
            QVERIFY2(message.isEmpty() || message.contains("\"notifications/resources/list_changed\""), message.constData());
    }

    void cleanupTestCase()
    {
        if (m_server.state() != QProcess::NotRunning) {
            m_server.kill();
            m_server.waitForFinished();
        }
    }
};

QTEST_GUILESS_MAIN(TestStdio)
#include "tst_stdio.moc"
