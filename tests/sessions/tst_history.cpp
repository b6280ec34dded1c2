// The run history through the doors: what is recorded, paging, bounds, and the database lost and found.
#include "app/ServerProcess.h"
#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QTest>
#include <csignal>

using namespace power::test;

class TestHistory : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;

    QJsonObject get(const QString &path, int *status = nullptr)
    {
        return QJsonDocument::fromJson(m_server->http("GET", path, {}, status)).object();
    }
    QJsonArray runs(const QString &session, const QString &query = {})
    {
        return get(QStringLiteral("/api/sessions/%1/runs%2").arg(session, query)).value(QStringLiteral("runs")).toArray();
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_server = std::make_unique<ServerProcess>();
        QVERIFY2(m_server->start({QStringLiteral("--history-runs"), QStringLiteral("25")}), m_server->output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server->stop(), m_server->output().right(4000).constData()); }

    void aRunIsRecordedWhole()
    {
        const QString session = QStringLiteral("whole");
        m_server->run(QStringLiteral("open('data.csv', 'w').write('a,b\\n1,2\\n')"), session);
        m_server->http("POST", QStringLiteral("/api/execute"),
                       "{\"session_id\":\"whole\",\"code\":\"df = pd.read_csv('data.csv')\\nprint(chr(0), n)\\ndf\",\"context\":{\"n\":7}}");
        m_server->run(QStringLiteral("1/0"), session);
        m_server->run(QStringLiteral("while True: pass"), session, 1);

        const QJsonArray list = runs(session);
        QCOMPARE(list.size(), 4);
        QCOMPARE(list[0].toObject().value(QStringLiteral("cause")).toString(), QStringLiteral("timeout"));
        QCOMPARE(list[0].toObject().value(QStringLiteral("status")).toString(), QStringLiteral("interrupted"));
        QCOMPARE(list[1].toObject().value(QStringLiteral("error")).toString(), QStringLiteral("ZeroDivisionError"));
        QCOMPARE(list[3].toObject().value(QStringLiteral("door")).toString(), QStringLiteral("mcp"));

        int status = 0;
        QJsonObject read = get(QStringLiteral("/api/sessions/whole/runs/2"), &status);
        QCOMPARE(status, 200);
        QCOMPARE(read.value(QStringLiteral("door")).toString(), QStringLiteral("rest"));
        QCOMPARE(read.value(QStringLiteral("principal")).toString(), QStringLiteral("owner"));
        QVERIFY(read.value(QStringLiteral("code")).toString().startsWith(u"df = pd.read_csv"));
        QCOMPARE(read.value(QStringLiteral("context")).toString(), QStringLiteral("{\"n\":7}"));
        const QJsonArray outputs = read.value(QStringLiteral("outputs")).toArray();
        QCOMPARE(outputs.size(), 2);
        QVERIFY(outputs[0].toObject().value(QStringLiteral("text")).toString().endsWith(u"7\n"));
        QVERIFY(outputs[1].toObject().value(QStringLiteral("data")).toObject().contains(QStringLiteral("text/html")));
        const QString hash = QString::fromLatin1(QCryptographicHash::hash("a,b\n1,2\n", QCryptographicHash::Sha256).toHex());
        const auto firstFile = [](const QJsonObject &run, const char *list_) {
            return run.value(QLatin1String(list_)).toArray().at(0).toObject();
        };
        QCOMPARE(firstFile(read, "files_read").value(QStringLiteral("path")).toString(), QStringLiteral("data.csv"));
        QCOMPARE(firstFile(read, "files_read").value(QStringLiteral("sha256")).toString(), hash);
        QCOMPARE(firstFile(list[3].toObject(), "files_written").value(QStringLiteral("sha256")).toString(), hash);
        const QString id = read.value(QStringLiteral("run_id")).toString();
        QCOMPARE(get(QStringLiteral("/api/sessions/whole/runs/") + id).value(QStringLiteral("number")).toInt(), 2);
        get(QStringLiteral("/api/sessions/whole/runs/99"), &status);
        QCOMPARE(status, 404);
        get(QStringLiteral("/api/sessions/whole/runs/x%27y"), &status);
        QCOMPARE(status, 404);
    }

    // A file put there by the server is no output of a cell, but what a cell reads is hashed all the same.
    void inputsAreHashedBehindTheAnswer()
    {
        const QByteArray content(3'000'000, 'z');
        m_server->tool("upload_file", {{QStringLiteral("filename"), QStringLiteral("big.bin")},
                                       {QStringLiteral("content_base64"), QString::fromLatin1(content.toBase64())},
                                       {QStringLiteral("session_id"), QStringLiteral("inputs")}});
        m_server->run(QStringLiteral("len(open('big.bin', 'rb').read())"), QStringLiteral("inputs"));
        const QString hash = QString::fromLatin1(QCryptographicHash::hash(content, QCryptographicHash::Sha256).toHex());
        const auto known = [&] {
            return runs(QStringLiteral("inputs"))[0].toObject().value(QStringLiteral("files_read")).toArray()[0].toObject()
                .value(QStringLiteral("sha256")).toString();
        };
        QTRY_COMPARE(known(), hash);
    }

    void pagesAndBounds()
    {
        const QString session = QStringLiteral("pages");
        for (int i = 1; i <= 45; ++i)
            m_server->run(QString::number(i), session);
        const QJsonObject page = get(QStringLiteral("/api/sessions/pages/runs?limit=3&offset=2"));
        QCOMPARE(page.value(QStringLiteral("count")).toInt(), 3);
        QVERIFY(page.value(QStringLiteral("has_more")).toBool());
        QCOMPARE(page.value(QStringLiteral("runs")).toArray()[0].toObject().value(QStringLiteral("number")).toInt(), 43);
        // Removed at every twentieth run: at 40 those up to 15.
        QCOMPARE(page.value(QStringLiteral("total_count")).toInt(), 30);
        QCOMPARE(m_server->http("DELETE", QStringLiteral("/api/sessions/pages")).isEmpty(), false);
        int status = 0;
        get(QStringLiteral("/api/sessions/pages/runs"), &status);
        QCOMPARE(status, 404);
    }

    void outputsAreBounded()
    {
        const QString session = QStringLiteral("bounded");
        m_server->run(QStringLiteral("print('x' * 900_000)\nfrom IPython.display import Image\n"
                                     "display({'image/png': b'\\x89PNG' + bytes(2_000_000), 'text/plain': 'a picture'}, raw=True)"),
                      session);
        const QJsonArray outputs = get(QStringLiteral("/api/sessions/bounded/runs/1")).value(QStringLiteral("outputs")).toArray();
        const QString text = outputs[0].toObject().value(QStringLiteral("text")).toString();
        QVERIFY2(text.size() < 70'000 && text.contains(u"left out"), qPrintable(QString::number(text.size())));
        const QJsonObject data = outputs[1].toObject().value(QStringLiteral("data")).toObject();
        QVERIFY(!data.contains(QStringLiteral("image/png")));
        QCOMPARE(data.value(QStringLiteral("text/plain")).toString(), QStringLiteral("a picture"));
    }

    // What was answered is in the history after the server was killed or stopped right behind the answer.
    void historySurvivesTheServer()
    {
        m_server->run(QStringLiteral("'before the end'"), QStringLiteral("kept"));
        QVERIFY(m_server->stop());
        QVERIFY2(m_server->start({QStringLiteral("--history-runs"), QStringLiteral("25")}), m_server->output().constData());
        QCOMPARE(runs(QStringLiteral("kept")).size(), 1);
        QCOMPARE(runs(QStringLiteral("whole")).size(), 4);
    }

    void theToolsAreOfTheExtendedSet()
    {
        const QByteArray list = m_server->http("POST", QStringLiteral("/mcp"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
        QVERIFY(!list.contains("export_session"));
        const QByteArray more = m_server->http("POST", QStringLiteral("/mcp?tools=all"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
        QVERIFY2(more.contains("export_session") && more.contains("list_runs"), more.left(300).constData());
        const QByteArray run = m_server->http("POST", QStringLiteral("/mcp?tools=extended"),
                                              "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"get_run\","
                                              "\"arguments\":{\"session_id\":\"kept\",\"run\":1}}}");
        QVERIFY2(run.contains("before the end"), run.constData());
    }
};

QTEST_GUILESS_MAIN(TestHistory)
#include "tst_history.moc"
