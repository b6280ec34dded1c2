// MCP tasks of a real server, in both eras: execute_code that goes on after its answer, and jobs followed as tasks.
#include "app/ServerProcess.h"
#include <QEventLoop>
#include <QJsonArray>
#include <QJsonDocument>
#include <QNetworkReply>
#include <QTest>

using namespace power::test;

namespace {
const QString kExtension = QStringLiteral("io.modelcontextprotocol/tasks");

// A subscription, as far as it was heard.
struct Feed {
    std::unique_ptr<QNetworkReply> reply;
    QByteArray heard;

    // The notifications of that method so far.
    QList<QJsonObject> of(const QString &method)
    {
        heard += reply->readAll();
        QList<QJsonObject> found;
        for (const QByteArray &line : heard.split('\n')) {
            const QJsonObject message = QJsonDocument::fromJson(line.startsWith("data: ") ? line.mid(6) : QByteArray()).object();
            if (message.value(QStringLiteral("method")).toString() == method)
                found << message.value(QStringLiteral("params")).toObject();
        }
        return found;
    }
};
} // namespace

class TestJobTasks : public QObject
{
    Q_OBJECT
    ServerProcess m_server;
    QNetworkAccessManager m_network;
    int m_id = 0;

    static QJsonObject execute(const char *code, const char *session)
    {
        return {{QStringLiteral("name"), QStringLiteral("execute_code")},
                {QStringLiteral("arguments"), QJsonObject{{QStringLiteral("code"), QString::fromUtf8(code)}, {QStringLiteral("session_id"), QLatin1String(session)}}}};
    }
    std::unique_ptr<QNetworkReply> send(const QString &method, QJsonObject params, const QString &name, bool modern, bool tasks)
    {
        QNetworkRequest request(QUrl(m_server.url().toString() + QStringLiteral("/mcp")));
        request.setTransferTimeout(60'000);
        request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
        request.setRawHeader("Accept", "application/json, text/event-stream");
        if (modern) {
            const QJsonObject extensions = tasks ? QJsonObject{{kExtension, QJsonObject()}} : QJsonObject();
            params.insert(QStringLiteral("_meta"), QJsonObject{{QStringLiteral("io.modelcontextprotocol/protocolVersion"), QStringLiteral("2026-07-28")},
                                                               {QStringLiteral("io.modelcontextprotocol/clientCapabilities"), QJsonObject{{QStringLiteral("extensions"), extensions}}}});
            request.setRawHeader("MCP-Protocol-Version", "2026-07-28");
            request.setRawHeader("Mcp-Method", method.toLatin1());
            if (!name.isEmpty())
                request.setRawHeader("Mcp-Name", name.toLatin1());
        } else {
            request.setRawHeader("MCP-Protocol-Version", "2025-11-25");
        }
        const QJsonObject message{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), ++m_id}, {QStringLiteral("method"), method}, {QStringLiteral("params"), params}};
        return std::unique_ptr<QNetworkReply>(m_network.post(request, QJsonDocument(message).toJson()));
    }
    // The answer; its error when it has no result.
    QJsonObject ask(const QString &method, const QJsonObject &params, const QString &name, bool modern, bool tasks = true)
    {
        const auto reply = send(method, params, name, modern, tasks);
        QEventLoop loop;
        connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
        if (!reply->isFinished())
            loop.exec();
        QByteArray body = reply->readAll();
        if (!body.startsWith('{'))
            body = body.mid(body.lastIndexOf("data: ") + 6);
        const QJsonObject message = QJsonDocument::fromJson(body.trimmed()).object();
        return message.contains(QStringLiteral("result")) ? message.value(QStringLiteral("result")).toObject() : message;
    }
    QJsonObject modern(const QString &method, const QString &task) { return ask(method, {{QStringLiteral("taskId"), task}}, task, true); }
    QJsonObject legacy(const QString &method, const QString &task) { return ask(method, {{QStringLiteral("taskId"), task}}, {}, false); }
    static QString text(const QJsonObject &object, const char *key) { return object.value(QLatin1String(key)).toString(); }
    static QString said(const QJsonObject &result) { return result[QLatin1String("content")][0][QLatin1String("text")].toString(); }
    Feed listen(const QString &task)
    {
        return {send(QStringLiteral("subscriptions/listen"), {{QStringLiteral("notifications"), QJsonObject{{QStringLiteral("taskIds"), QJsonArray{task}}}}}, {}, true, true), {}};
    }

private Q_SLOTS:
    void initTestCase() { QVERIFY2(m_server.start({QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}), m_server.output().constData()); }
    void cleanupTestCase() { QVERIFY2(m_server.stop(), m_server.output().right(3000).constData()); }

    // 2026-07-28: the server decides, after ten seconds; who follows is told the end.
    void longCellBecomesTask()
    {
        QElapsedTimer clock;
        clock.start();
        const QJsonObject task = ask(QStringLiteral("tools/call"), execute("import time\nprint('begun', flush=True)\ntime.sleep(11.5)\nkept = 5\nprint('over')", "modern"),
                                     QStringLiteral("execute_code"), true);
        QVERIFY2(text(task, "resultType") == u"task" && text(task, "status") == u"working", QJsonDocument(task).toJson().constData());
        QVERIFY(clock.elapsed() > 9'000 && clock.elapsed() < 11'400);
        const QString id = text(task, "taskId");
        Feed feed = listen(id);
        QTRY_COMPARE_WITH_TIMEOUT(feed.of(QStringLiteral("notifications/subscriptions/acknowledged")).size(), 1, 5'000);
        QCOMPARE(feed.of(QStringLiteral("notifications/subscriptions/acknowledged")).first()[QLatin1String("notifications")][QLatin1String("taskIds")].toArray(), QJsonArray{id});
        QCOMPARE(text(modern(QStringLiteral("tasks/get"), id), "status"), QStringLiteral("working"));
        const auto told = [&feed] {
            const auto all = feed.of(QStringLiteral("notifications/tasks"));
            return all.isEmpty() ? QString() : text(all.last(), "status");
        };
        QTRY_COMPARE_WITH_TIMEOUT(told(), QStringLiteral("completed"), 8'000);
        const QJsonObject last = feed.of(QStringLiteral("notifications/tasks")).last();
        QCOMPARE(text(last, "taskId"), id);
        QVERIFY2(said(last.value(QStringLiteral("result")).toObject()).contains(u"begun\nover"), QJsonDocument(last).toJson().constData());
        const QJsonObject whole = modern(QStringLiteral("tasks/get"), id);
        QCOMPARE(text(whole, "status"), QStringLiteral("completed"));
        QVERIFY(said(whole.value(QStringLiteral("result")).toObject()).contains(u"over"));
        QVERIFY(m_server.run(QStringLiteral("print(kept)"), QStringLiteral("modern")).text.contains(u'5')); // it ran in the session itself
        // The same as a job.
        const QByteArray job = m_server.http("GET", QStringLiteral("/api/jobs/%1/status").arg(id));
        QCOMPARE(text(QJsonDocument::fromJson(job).object(), "state"), QStringLiteral("succeeded"));
        QVERIFY(ask(QStringLiteral("tools/call"), execute("1", "modern"), QStringLiteral("execute_code"), true).contains(QStringLiteral("content"))); // a short one does not
    }

    // A job is a task too: waiting, running, told when it has ended, cancelled as one.
    void jobsAreTasks()
    {
        const QJsonObject order{{QStringLiteral("code"), QStringLiteral("import power, time\npower.progress(1, 2, 'half way')\ntime.sleep(60)")}};
        const QJsonObject submitted = QJsonDocument::fromJson(m_server.http("POST", QStringLiteral("/api/jobs/submit"), QJsonDocument(order).toJson())).object();
        const QString id = text(submitted, "job_id");
        QTRY_COMPARE_WITH_TIMEOUT(text(modern(QStringLiteral("tasks/get"), id), "statusMessage"), QStringLiteral("half way"), 15'000);
        Feed feed = listen(id);
        QTRY_COMPARE_WITH_TIMEOUT(feed.of(QStringLiteral("notifications/subscriptions/acknowledged")).size(), 1, 5'000);
        QVERIFY(!modern(QStringLiteral("tasks/cancel"), id).contains(QStringLiteral("error")));
        const auto told = [&feed] {
            const auto all = feed.of(QStringLiteral("notifications/tasks"));
            return all.isEmpty() ? QString() : text(all.last(), "status");
        };
        QTRY_COMPARE_WITH_TIMEOUT(told(), QStringLiteral("cancelled"), 5'000);
        QVERIFY(!modern(QStringLiteral("tasks/cancel"), id).contains(QStringLiteral("error"))); // again is no error
        QCOMPARE(modern(QStringLiteral("tasks/get"), QStringLiteral("00000000-0000-4000-8000-000000000000"))[QLatin1String("error")][QLatin1String("code")].toInt(), -32602);
        QCOMPARE(ask(QStringLiteral("tasks/get"), {{QStringLiteral("taskId"), id}}, id, true, false)[QLatin1String("error")][QLatin1String("code")].toInt(), -32021);
    }

    // 2025-11-25: the client asks for it, at once.
    void askedForByOlderClients()
    {
        QJsonObject call = execute("import time\ntime.sleep(2)\nprint('late')", "legacy");
        call.insert(QStringLiteral("task"), QJsonObject{{QStringLiteral("ttl"), 60'000}});
        QElapsedTimer clock;
        clock.start();
        const QJsonObject task = ask(QStringLiteral("tools/call"), call, {}, false).value(QStringLiteral("task")).toObject();
        QVERIFY2(text(task, "status") == u"working" && clock.elapsed() < 1'500, QJsonDocument(task).toJson().constData());
        const QString id = text(task, "taskId");
        QCOMPARE(text(legacy(QStringLiteral("tasks/get"), id), "status"), QStringLiteral("working"));
        const QJsonObject result = legacy(QStringLiteral("tasks/result"), id); // waits
        QVERIFY2(said(result).contains(u"late"), QJsonDocument(result).toJson().constData());
        QCOMPARE(result[QLatin1String("_meta")][QLatin1String("io.modelcontextprotocol/related-task")][QLatin1String("taskId")].toString(), id);
        QCOMPARE(text(legacy(QStringLiteral("tasks/get"), id), "status"), QStringLiteral("completed"));
        QVERIFY(QJsonDocument(ask(QStringLiteral("tasks/list"), {}, {}, false)).toJson().contains(id.toLatin1()));

        call = execute("1/0", "legacy");
        call.insert(QStringLiteral("task"), QJsonObject());
        const QString failing = text(ask(QStringLiteral("tools/call"), call, {}, false).value(QStringLiteral("task")).toObject(), "taskId");
        QVERIFY(legacy(QStringLiteral("tasks/result"), failing).value(QStringLiteral("isError")).toBool());
        QCOMPARE(text(legacy(QStringLiteral("tasks/get"), failing), "status"), QStringLiteral("failed"));

        call = execute("before = 1\nwhile True: pass", "legacy");
        call.insert(QStringLiteral("task"), QJsonObject());
        const QString endless = text(ask(QStringLiteral("tools/call"), call, {}, false).value(QStringLiteral("task")).toObject(), "taskId");
        QCOMPARE(text(legacy(QStringLiteral("tasks/cancel"), endless), "status"), QStringLiteral("cancelled"));
        QCOMPARE(legacy(QStringLiteral("tasks/cancel"), endless)[QLatin1String("error")][QLatin1String("code")].toInt(), -32602); // it is over
        QVERIFY(!m_server.run(QStringLiteral("print(before)"), QStringLiteral("legacy")).isError);
        // Without `task` it is a call as any other.
        QVERIFY(ask(QStringLiteral("tools/call"), execute("print(1)", "legacy"), {}, false).contains(QStringLiteral("content")));
    }
};

QTEST_GUILESS_MAIN(TestJobTasks)
#include "tst_job_tasks.moc"
