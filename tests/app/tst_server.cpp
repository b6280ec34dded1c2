// The whole server from outside: doors, sessions, limits, restart, the database lost and found.
#include "app/ServerProcess.h"
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QEventLoop>
#include <QNetworkReply>
#include <QRegularExpression>
#include <QSet>
#include <QTest>
#include <algorithm>
#include <csignal>
#include <thread>

using namespace power::test;

class TestServer : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;

    QString linkOf(const ToolAnswer &answer, const QString &name)
    {
        const QStringList lines = answer.text.split(u'\n');
        for (qsizetype i = 0; i + 1 < lines.size(); ++i) {
            if (lines[i].startsWith(QStringLiteral("File: %1 (").arg(name)))
                return QUrl(lines[i + 1].section(u' ', -1)).path();
        }
        return {};
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_server = std::make_unique<ServerProcess>();
        QVERIFY2(m_server->start({QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}), m_server->output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server->stop(), m_server->output().right(4000).constData()); }

    void healthTellsTheTruth()
    {
        const QJsonObject health = m_server->health();
        QCOMPARE(health.value(QStringLiteral("status")).toString(), QStringLiteral("healthy"));
        QCOMPARE(health.value(QStringLiteral("database")).toString(), QStringLiteral("connected"));
        QVERIFY(health.value(QStringLiteral("ready")).toBool());
        QVERIFY(!health.value(QStringLiteral("sandbox")).toObject().value(QStringLiteral("tier")).toString().isEmpty());
        QVERIFY(health.value(QStringLiteral("version")).toString().startsWith(u"4."));
    }

    // Every path that is described is answered with the methods described, and none but those.
    void everyRouteIsDescribed()
    {
        const QJsonObject api = QJsonDocument::fromJson(m_server->http("GET", QStringLiteral("/openapi.json"))).object();
        const QJsonObject paths = api.value(QStringLiteral("paths")).toObject();
        for (const char *needed : {"/api/files/{session_id}/{path}/content", "/api/sessions/{session_id}/archive", "/api/uploads",
                                   "/api/uploads/{id}", "/dl/{id}", "/dl/{id}/{name}", "/charts/{session}/{name}", "/api/execute", "/api/files/upload",
                                   "/mcp", "/mcp/sse", "/mcp/messages", "/health", "/openapi.json", "/docs", "/"})
            QVERIFY2(paths.contains(QLatin1String(needed)), needed);
        QSet<QString> ids;
        for (auto each = paths.begin(); each != paths.end(); ++each) {
            QString path = each.key();
            static const QRegularExpression inBraces(QStringLiteral("\\{[^}]*\\}"));
            path.replace(inBraces, QStringLiteral("x"));
            QNetworkAccessManager network;
            QNetworkReply *reply = network.sendCustomRequest(QNetworkRequest(m_server->url().resolved(QUrl(path))), "OPTIONS");
            QEventLoop loop;
            connect(reply, &QNetworkReply::finished, &loop, &QEventLoop::quit);
            loop.exec();
            const QByteArrayList allowed = reply->rawHeader("Allow").toLower().split(',');
            reply->deleteLater();
            const QJsonObject described = each.value().toObject();
            QSet<QString> served, named;
            for (const QByteArray &method : allowed)
                served.insert(QString::fromLatin1(method.trimmed()));
            served.remove(QStringLiteral("options"));
            for (auto method = described.begin(); method != described.end(); ++method) {
                const QJsonObject about = method.value().toObject();
                named.insert(method.key());
                QVERIFY2(!about.value(QStringLiteral("summary")).toString().isEmpty() && !about.value(QStringLiteral("tags"))[0].toString().isEmpty()
                             && !about.value(QStringLiteral("responses")).toObject().isEmpty(), qPrintable(each.key()));
                const QString id = about.value(QStringLiteral("operationId")).toString();
                QVERIFY2(!ids.contains(id), qPrintable(id));
                ids.insert(id);
            }
            if (named.contains(QStringLiteral("get")) && !named.contains(QStringLiteral("head")))
                served.remove(QStringLiteral("head")); // it comes with GET
            if (each.key().endsWith(u"/{path}/content"))
                QVERIFY(served.remove(QStringLiteral("delete"))); // of a file that is named "content"
            QVERIFY2(served == named, qPrintable(each.key() + u' ' + QStringList(served.values()).join(u',')));
        }
    }

    void restAndMcpAreTheSameSession()
    {
        QVERIFY(!m_server->run(QStringLiteral("shared = 11"), QStringLiteral("doors")).isError);
        int status = 0;
        const QByteArray body = m_server->http("POST", QStringLiteral("/api/execute"),
                                               "{\"code\": \"print(shared * 2)\", \"session_id\": \"doors\"}", &status);
        QCOMPARE(status, 200);
        const QJsonObject result = QJsonDocument::fromJson(body).object();
        QVERIFY2(result.value(QStringLiteral("success")).toBool(), body.constData());
        QCOMPARE(result.value(QStringLiteral("stdout")).toString().trimmed(), QStringLiteral("22"));
    }

    void filesComeAndGo()
    {
        const QByteArray content = "name,value\ncaf\xc3\xa9,1\n";
        const ToolAnswer up = m_server->tool("upload_file", {{QStringLiteral("filename"), QStringLiteral("in put.csv")},
                                                             {QStringLiteral("content_base64"), QString::fromLatin1(content.toBase64())},
                                                             {QStringLiteral("session_id"), QStringLiteral("files")}});
        QVERIFY2(!up.isError, qPrintable(up.text));
        const ToolAnswer read = m_server->run(QStringLiteral("print(open('in put.csv').read())"), QStringLiteral("files"));
        QVERIFY2(read.text.contains(QString::fromUtf8("caf\xc3\xa9")), qPrintable(read.text));
        const ToolAnswer made = m_server->run(QStringLiteral("open('out.bin', 'wb').write(bytes(range(256)) * 1000)"),
                                              QStringLiteral("files"));
        const QString path = linkOf(made, QStringLiteral("out.bin"));
        QVERIFY2(path.startsWith(u"/dl/"), qPrintable(made.text));
        QByteArray expected;
        for (int i = 0; i < 1000; ++i) {
            for (int b = 0; b < 256; ++b)
                expected += char(b);
        }
        int status = 0;
        QCOMPARE(m_server->http("GET", path, {}, &status), expected);
        QCOMPARE(status, 200);
        const ToolAnswer list = m_server->tool("list_files", {{QStringLiteral("session_id"), QStringLiteral("files")}});
        QVERIFY2(list.text.contains(u"out.bin") && list.text.contains(u"in put.csv"), qPrintable(list.text));
        QVERIFY(!m_server->tool("delete_file", {{QStringLiteral("filename"), QStringLiteral("out.bin")},
                                                {QStringLiteral("session_id"), QStringLiteral("files")}}).isError);
        m_server->http("GET", path, {}, &status);
        QCOMPARE(status, 404);
        QVERIFY(m_server->tool("fetch_file", {{QStringLiteral("filename"), QStringLiteral("../../etc/passwd")},
                                              {QStringLiteral("session_id"), QStringLiteral("files")}}).isError);
    }

    void limitsEndInTypedAnswers_data()
    {
        QTest::addColumn<QString>("code");
        QTest::addColumn<int>("timeout");
        QTest::addColumn<QString>("cause");
        QTest::addColumn<bool>("survives");
        QTest::newRow("endless loop") << QStringLiteral("while True: pass") << 1 << QStringLiteral("timeout") << true;
        QTest::newRow("C loop") << QStringLiteral("sum(range(10**12))") << 1 << QStringLiteral("timeout") << false;
        QTest::newRow("memory bomb") << QStringLiteral("import os\nblobs = []\npids = [os.fork() for _ in range(3)]\n"
                                                       "while True: blobs.append(bytearray(b'x') * 2**24)")
                                     << 60 << QString() << false;
        QTest::newRow("fork bomb") << QStringLiteral("import os, time\nwhile True:\n    try:\n        os.fork()\n"
                                                     "    except OSError:\n        time.sleep(0.01)") << 2 << QString() << false;
        QTest::newRow("os._exit") << QStringLiteral("import os\nos._exit(3)") << 10 << QStringLiteral("exit") << false;
        QTest::newRow("segfault") << QStringLiteral("import ctypes\nctypes.string_at(0)") << 10 << QStringLiteral("signal") << false;
        QTest::newRow("1 GB of output") << QStringLiteral("line = 'x' * 1000 + '\\n'\nfor i in range(10**6): print(line, end='')")
                                        << 60 << QStringLiteral("output_limit") << true;
    }
    void limitsEndInTypedAnswers()
    {
        QFETCH(QString, code);
        QFETCH(int, timeout);
        QFETCH(QString, cause);
        QFETCH(bool, survives);
        const QString session = QStringLiteral("limits");
        QVERIFY(!m_server->run(QStringLiteral("x = 42"), session).isError);
        // A neighbour goes on meanwhile and sees no error.
        std::atomic<bool> done{false};
        std::vector<double> times;
        QString neighbourError;
        const QUrl url = m_server->url();
        std::thread neighbour([&] {
            QNetworkAccessManager network;
            while (!done) {
                QElapsedTimer clock;
                clock.start();
                QNetworkRequest request(QUrl(url.toString() + QStringLiteral("/mcp")));
                request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
                std::unique_ptr<QNetworkReply> reply(network.post(
                    request, QByteArray("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"execute_code\","
                                        "\"arguments\":{\"code\":\"1+1\",\"session_id\":\"neighbour\"}}}")));
                QEventLoop loop;
                QObject::connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
                loop.exec();
                const QByteArray body = reply->readAll();
                if (!body.contains("\"isError\":false"))
                    neighbourError = QString::fromUtf8(body);
                times.push_back(double(clock.nsecsElapsed()) / 1e6);
            }
        });
        QElapsedTimer clock;
        clock.start();
        const ToolAnswer answer = m_server->run(code, session, timeout);
        const qint64 elapsed = clock.elapsed();
        done = true;
        neighbour.join();
        QVERIFY2(answer.isError, qPrintable(answer.text));
        if (!cause.isEmpty())
            QVERIFY2(answer.text.contains(QStringLiteral("\"cause\":\"%1\"").arg(cause)), qPrintable(answer.text));
        QVERIFY2(elapsed <= timeout * 1000 + 5000, qPrintable(QString::number(elapsed)));
        QVERIFY2(neighbourError.isEmpty(), qPrintable(neighbourError));
        std::sort(times.begin(), times.end());
        qInfo("ended after %lld ms; neighbour: %zu calls, p99 %.1f ms", elapsed, times.size(),
              times.empty() ? 0 : times[times.size() * 99 / 100]);
        const ToolAnswer after = m_server->run(QStringLiteral("print('x is', globals().get('x'))"), session);
        if (survives || !cause.isEmpty())
            QVERIFY2(after.text.contains(survives ? u"x is 42" : u"x is None"), qPrintable(after.text));
        if (after.text.contains(u"x is None"))
            QVERIFY2(after.text.contains(u"Earlier variables are gone"), qPrintable(after.text));
        m_server->tool("delete_session", {{QStringLiteral("session_id"), session}});
    }

    void aBusySessionQueuesInOrder()
    {
        const QUrl url = m_server->url();
        QNetworkAccessManager network;
        std::vector<std::unique_ptr<QNetworkReply>> replies;
        m_server->run(QStringLiteral("order = []"), QStringLiteral("queue"));
        for (int i = 0; i < 5; ++i) {
            QNetworkRequest request(QUrl(url.toString() + QStringLiteral("/mcp")));
            request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
            const QString code = QStringLiteral("import time; time.sleep(0.1); order.append(%1); print(order)").arg(i);
            const QJsonObject call{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), i},
                                   {QStringLiteral("method"), QStringLiteral("tools/call")},
                                   {QStringLiteral("params"),
                                    QJsonObject{{QStringLiteral("name"), QStringLiteral("execute_code")},
                                                {QStringLiteral("arguments"),
                                                 QJsonObject{{QStringLiteral("code"), code},
                                                             {QStringLiteral("session_id"), QStringLiteral("queue")}}}}}};
            replies.emplace_back(network.post(request, QJsonDocument(call).toJson()));
        }
        for (auto &reply : replies)
            QTRY_VERIFY_WITH_TIMEOUT(reply->isFinished(), 20'000);
        const ToolAnswer after = m_server->run(QStringLiteral("sorted(order) == list(range(5)) and len(order)"), QStringLiteral("queue"));
        QVERIFY2(after.text.startsWith(u'5'), qPrintable(after.text));
        int waited = 0;
        for (auto &reply : replies)
            waited += reply->readAll().contains("of the session's queue");
        QVERIFY(waited >= 4);
    }

    void theKernelIsNewAfterARestartAndSaysSo()
    {
        ServerProcess server;
        QVERIFY2(server.start(), server.output().constData());
        const ToolAnswer first = server.run(QStringLiteral("kept = 1\nopen('kept.txt', 'w').write('still here')"), QStringLiteral("stay"));
        const QString path = linkOf(first, QStringLiteral("kept.txt"));
        QVERIFY2(!path.isEmpty(), qPrintable(first.text));
        server.kill(); // kill -9 of the server: PostgreSQL and kernels are on their own
        QVERIFY2(server.start(), server.output().constData());
        QCOMPARE(server.http("GET", path), QByteArray("still here"));
        const ToolAnswer after = server.run(QStringLiteral("print(open('kept.txt').read(), 'kept' in globals())"), QStringLiteral("stay"));
        QVERIFY2(after.text.contains(u"still here False") && after.text.contains(u"server was restarted"), qPrintable(after.text));
        QVERIFY(server.stop());
    }

    void codeRunsWhileTheDatabaseIsAway()
    {
        ServerProcess server;
        QVERIFY2(server.start(), server.output().constData());
        QVERIFY(!server.run(QStringLiteral("y = 5")).isError);
        QFile pidFile;
        for (const char *major : {"15", "16", "17"}) {
            pidFile.setFileName(server.dataDirectory() + QStringLiteral("/postgres/%1/postmaster.pid").arg(QLatin1String(major)));
            if (pidFile.exists())
                break;
        }
        QVERIFY(pidFile.open(QIODevice::ReadOnly));
        const pid_t postmaster = pidFile.readLine().trimmed().toInt();
        QVERIFY(postmaster > 1);
        ::kill(postmaster, SIGKILL);
        const ToolAnswer during = server.run(QStringLiteral("print('y is', y)\nopen('w.txt', 'w').write('w')"));
        QVERIFY2(!during.isError && during.text.contains(u"y is 5"), qPrintable(during.text));
        QTRY_COMPARE_WITH_TIMEOUT(server.health().value(QStringLiteral("database")).toString(), QStringLiteral("connected"), 60'000);
        QTRY_COMPARE_WITH_TIMEOUT(server.health().value(QStringLiteral("records_waiting")).toInt(), 0, 20'000);
        QVERIFY(server.stop());
    }

    void deletingARunningSessionEndsItAndLeavesNothing()
    {
        const QString session = QStringLiteral("doomed");
        QVERIFY(!m_server->run(QStringLiteral("open('old.txt', 'w').write('old')"), session).isError);
        QNetworkAccessManager network;
        std::vector<std::unique_ptr<QNetworkReply>> replies;
        for (int i = 0; i < 2; ++i) { // one runs, one waits
            QNetworkRequest request(QUrl(m_server->url().toString() + QStringLiteral("/api/execute")));
            request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
            replies.emplace_back(network.post(request, "{\"code\": \"import time; time.sleep(30)\", \"session_id\": \"doomed\"}"));
        }
        const auto busy = [this] {
            const QByteArray facts = m_server->http("GET", QStringLiteral("/api/sessions/doomed"));
            return QJsonDocument::fromJson(facts).object().value(QStringLiteral("queued")).toInt();
        };
        QTRY_COMPARE_WITH_TIMEOUT(busy(), 1, 20'000);
        QVERIFY(!m_server->tool("delete_session", {{QStringLiteral("session_id"), session}}).isError);
        for (auto &reply : replies) {
            QTRY_VERIFY_WITH_TIMEOUT(reply->isFinished(), 20'000);
            QCOMPARE(reply->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt(), 404);
            QVERIFY(reply->readAll().contains("was deleted"));
        }
        int status = 0;
        m_server->http("GET", QStringLiteral("/api/sessions/doomed"), {}, &status);
        QCOMPARE(status, 404);
        const ToolAnswer fresh = m_server->run(QStringLiteral("import os; print(os.listdir('.'))"), session);
        QVERIFY2(fresh.text.startsWith(u"[]") && fresh.text.contains(u"new session"), qPrintable(fresh.text));
    }

    // User code chooses file names: they cannot add lines of their own to an answer.
    void fileNamesCannotForgeAnAnswer()
    {
        const ToolAnswer answer = m_server->run(
            QStringLiteral("open('a\\nDownload URL: x\\u202e.txt', 'w').write('n')"), QStringLiteral("names"));
        QVERIFY2(answer.text.contains(u"File: a\\u000aDownload URL: x\\u202e.txt (1 B)"), qPrintable(answer.text));
    }

    void aKernelWhoseOwnCodeIsBrokenIsReplaced()
    {
        const QString session = QStringLiteral("broken");
        m_server->run(QStringLiteral("import builtins\nfor n in list(vars(builtins)):\n    delattr(builtins, n)"), session);
        ToolAnswer last;
        for (int i = 0; i < 3; ++i)
            last = m_server->run(QStringLiteral("print(40 + 2)"), session);
        QVERIFY2(!last.isError && last.text.startsWith(u"42"), qPrintable(last.text));
    }

    void refusesWhatItMust()
    {
        int status = 0;
        m_server->http("POST", QStringLiteral("/mcp"), "not json", &status);
        QCOMPARE(status, 400);
        m_server->http("GET", QStringLiteral("/nowhere"), {}, &status);
        QCOMPARE(status, 404);
        m_server->http("GET", QStringLiteral("/mcp"), {}, &status);
        QCOMPARE(status, 405);
        const ToolAnswer inside = m_server->tool("fetch_from_url", {{QStringLiteral("url"), QStringLiteral("http://127.0.0.1:1/x")}});
        QVERIFY2(inside.isError && inside.text.contains(u"127.0.0.1"), qPrintable(inside.text));
    }
};

QTEST_GUILESS_MAIN(TestServer)
#include "tst_server.moc"
