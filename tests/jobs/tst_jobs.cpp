// Jobs as clients see them, on one real server.
#include "app/ServerProcess.h"
#include <QEventLoop>
#include <QJsonArray>
#include <QJsonDocument>
#include <QNetworkReply>
#include <QTest>
#include <unistd.h>

using namespace power::test;

class TestJobs : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;
    QNetworkAccessManager m_network;

    QJsonObject rest(const char *method, const QString &path, const QJsonObject &body = {}, int *status = nullptr)
    {
        const QByteArray text = body.isEmpty() ? QByteArray() : QJsonDocument(body).toJson();
        return QJsonDocument::fromJson(m_server->http(method, path, text, status)).object();
    }
    QString submit(QJsonObject body)
    {
        int status = 0;
        const QJsonObject answer = rest("POST", QStringLiteral("/api/jobs/submit"), body, &status);
        if (status != 202 && status != 200)
            qWarning() << status << answer;
        return answer.value(QStringLiteral("job_id")).toString();
    }
    QString submit(const char *code, const char *session = "jobs")
    {
        return submit(QJsonObject{{QStringLiteral("code"), QString::fromUtf8(code)}, {QStringLiteral("session_id"), QLatin1String(session)}});
    }
    QJsonObject status(const QString &id) { return rest("GET", QStringLiteral("/api/jobs/%1/status").arg(id)); }
    // Its record when it is over, within half a minute.
    QJsonObject result(const QString &id)
    {
        QJsonObject record;
        for (int i = 0; i < 3; ++i) {
            int code = 0;
            record = rest("GET", QStringLiteral("/api/jobs/%1/result?wait=20").arg(id), {}, &code);
            if (code == 200)
                break;
        }
        return record;
    }
    static QString text(const QJsonObject &object, const char *key) { return object.value(QLatin1String(key)).toString(); }
    bool isRunning(const QString &id) { return text(status(id), "state") == u"running"; }

private Q_SLOTS:
    void initTestCase()
    {
        m_server = std::make_unique<ServerProcess>();
        QVERIFY2(m_server->start({QStringLiteral("--max-memory-mb"), QStringLiteral("1024"), QStringLiteral("--job-timeout"), QStringLiteral("60"),
                                  QStringLiteral("--max-concurrent-jobs"), QStringLiteral("2")}),
                 m_server->output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server->stop(), m_server->output().right(4000).constData()); }

    void jobByRest()
    {
        int code = 0;
        const QJsonObject submitted = rest("POST", QStringLiteral("/api/jobs/submit"),
                                           {{QStringLiteral("code"), QStringLiteral("print('hello'); open('out.txt', 'w').write('made'); own = 1; RESULT = 42")},
                                            {QStringLiteral("session_id"), QStringLiteral("jobs")},
                                            {QStringLiteral("metadata"), QJsonObject{{QStringLiteral("mine"), 1}}}}, &code);
        QCOMPARE(code, 202);
        QCOMPARE(text(submitted, "status"), QStringLiteral("pending"));
        const QString id = text(submitted, "job_id");
        const QJsonObject record = result(id);
        QCOMPARE(text(record, "status"), QStringLiteral("completed"));
        QCOMPARE(text(record, "state"), QStringLiteral("succeeded"));
        QCOMPARE(text(record, "stdout"), QStringLiteral("hello\n"));
        const QJsonObject execute = record.value(QStringLiteral("result")).toObject();
        QCOMPARE(execute.value(QStringLiteral("result")).toInt(), 42);
        QVERIFY(execute.value(QStringLiteral("success")).toBool());
        const QString url = execute.value(QStringLiteral("download_urls")).toArray().at(0).toObject().value(QStringLiteral("url")).toString();
        QVERIFY2(url.startsWith(m_server->url().toString() + QStringLiteral("/dl/")), qPrintable(url));
        QCOMPARE(m_server->http("GET", QUrl(url).path()), QByteArray("made"));
        const QJsonObject facts = status(id);
        QVERIFY(facts.value(QStringLiteral("has_result")).toBool());
        QVERIFY(!facts.value(QStringLiteral("has_error")).toBool());
        QVERIFY(text(facts, "elapsed").endsWith(u's'));
        QCOMPARE(facts.value(QStringLiteral("metadata")).toObject().value(QStringLiteral("mine")).toInt(), 1);
        // The session sees its file, may change it, and knows nothing of the job's variables.
        const ToolAnswer seen = m_server->run(QStringLiteral("open('out.txt', 'a').write('!'); print(open('out.txt').read(), 'own' in globals())"), QStringLiteral("jobs"));
        QVERIFY2(seen.text.contains(QStringLiteral("made! False")), qPrintable(seen.text));
    }

    void jobByTools()
    {
        const ToolAnswer submitted = m_server->tool("submit_job", {{QStringLiteral("code"), QStringLiteral("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('drawn')")},
                                                                   {QStringLiteral("timeout"), 240}});
        QVERIFY2(!submitted.isError, qPrintable(submitted.text));
        QVERIFY2(submitted.text.contains(QStringLiteral("lowered to 60")) || submitted.text.contains(QStringLiteral("60")), qPrintable(submitted.text));
        const QJsonObject data = submitted.raw.value(QStringLiteral("result")).toObject().value(QStringLiteral("structuredContent")).toObject();
        const ToolAnswer done = m_server->tool("get_job_result", {{QStringLiteral("job_id"), data.value(QStringLiteral("job_id"))}, {QStringLiteral("wait"), 30}});
        QVERIFY2(!done.isError && done.text.contains(QStringLiteral("drawn")) && done.text.contains(QStringLiteral("/dl/")), qPrintable(done.text));
        QVERIFY(!done.text.contains(QStringLiteral("power-base:")));
        QCOMPARE(done.images.size(), 1);
        QVERIFY(done.images.first().startsWith("\x89PNG"));
        const ToolAnswer list = m_server->tool("list_jobs", {{QStringLiteral("status"), QStringLiteral("completed")}});
        QVERIFY2(list.text.contains(data.value(QStringLiteral("job_id")).toString()), qPrintable(list.text));
    }

    void runningJobTellsWhatItPrinted()
    {
        const QString id = submit("import time, power\nprint('begun', flush=True)\npower.progress(1, 4, 'first')\ntime.sleep(60)");
        QTRY_VERIFY_WITH_TIMEOUT(text(status(id), "output_tail").contains(QStringLiteral("begun")), 15'000);
        QTRY_COMPARE_WITH_TIMEOUT(status(id).value(QStringLiteral("progress")).toObject().value(QStringLiteral("text")).toString(), QStringLiteral("first"), 5'000);
        const ToolAnswer soFar = m_server->tool("get_job_result", {{QStringLiteral("job_id"), id}});
        QVERIFY2(!soFar.isError && soFar.text.contains(QStringLiteral("begun")) && soFar.text.contains(QStringLiteral("running")), qPrintable(soFar.text));
        int code = 0;
        const QJsonObject pending = rest("GET", QStringLiteral("/api/jobs/%1/result").arg(id), {}, &code);
        QCOMPARE(code, 202);
        QVERIFY(pending.contains(QStringLiteral("detail")));
        // The session is not blocked meanwhile.
        QVERIFY(m_server->run(QStringLiteral("print('free')"), QStringLiteral("jobs")).text.contains(QStringLiteral("free")));
        QCOMPARE(text(rest("POST", QStringLiteral("/api/jobs/%1/cancel").arg(id), {}, &code), "status"), QStringLiteral("cancelled"));
        QCOMPARE(code, 200);
        rest("POST", QStringLiteral("/api/jobs/%1/cancel").arg(id), {}, &code);
        QCOMPARE(code, 404);
    }

    void endings_data()
    {
        QTest::addColumn<QString>("code");
        QTest::addColumn<QString>("state");
        QTest::addColumn<QString>("message");
        QTest::newRow("exception") << "print(1)\n1/0" << "failed" << "ZeroDivisionError";
        QTest::newRow("timeout") << "while True: pass" << "timed_out" << "timeout";
        QTest::newRow("crash") << "import os; os._exit(3)" << "failed" << "died";
        QTest::newRow("memory") << "x = bytearray(3 << 30); x[::4096] = b'1' * len(x[::4096])" << "failed" << "Memory";
    }
    void endings()
    {
        QFETCH(QString, code);
        QFETCH(QString, state);
        QFETCH(QString, message);
        const QString id = submit(QJsonObject{{QStringLiteral("code"), code}, {QStringLiteral("timeout"), 2}});
        const QJsonObject record = result(id);
        QCOMPARE(text(record, "state"), state);
        QCOMPARE(text(record, "status"), QStringLiteral("failed"));
        QVERIFY2(text(record, "error_message").contains(message), qPrintable(text(record, "error_message")));
        const ToolAnswer told = m_server->tool("get_job_result", {{QStringLiteral("job_id"), id}});
        QVERIFY2(told.isError && told.text.contains(message), qPrintable(told.text));
    }

    void variablesGoAlongWhenAsked()
    {
        QVERIFY(!m_server->run(QStringLiteral("import pandas as pd\nframe = pd.DataFrame({'a': [1, 2, 3]})\nlock = __import__('threading').Lock()"), QStringLiteral("carry")).isError);
        const QString without = submit("print('frame' in globals())", "carry");
        QCOMPARE(text(result(without), "stdout"), QStringLiteral("False\n"));
        int code = 0;
        const QJsonObject submitted = rest("POST", QStringLiteral("/api/jobs/submit"),
                                           {{QStringLiteral("code"), QStringLiteral("print(frame.a.sum()); frame['b'] = 1")}, {QStringLiteral("session_id"), QStringLiteral("carry")},
                                            {QStringLiteral("inherit"), true}}, &code);
        QCOMPARE(code, 202);
        const QByteArray inherited = QJsonDocument(submitted).toJson();
        QVERIFY2(inherited.contains("not_carried") && inherited.contains("lock"), inherited.constData());
        const QJsonObject record = result(text(submitted, "job_id"));
        QVERIFY2(text(record, "stdout").contains(u'6'), QJsonDocument(record).toJson().constData());
        QVERIFY(m_server->run(QStringLiteral("print(list(frame.columns))"), QStringLiteral("carry")).text.contains(QStringLiteral("['a']")));
    }

    void everyCoreAndOwnUser()
    {
        const QString id = submit("import os\nfrom threadpoolctl import threadpool_info\nimport numpy\nprint(os.environ['OMP_NUM_THREADS'], max(p['num_threads'] for p in threadpool_info()), os.cpu_count(), os.getuid())", "cores");
        const QStringList words = text(result(id), "stdout").trimmed().split(u' ');
        QCOMPARE(words.size(), 4);
        QCOMPARE(words[0], words[2]);
        QCOMPARE(words[1], words[2]);
        const QString own = m_server->run(QStringLiteral("import os; print('uid', os.getuid())"), QStringLiteral("cores")).text;
        if (::geteuid() == 0)
            QVERIFY2(!own.contains(QStringLiteral("uid ") + words[3]), qPrintable(own));
    }

    // The session and a job in its files at the same time, then one after the other: each tells its own.
    void whoseFilesTheyAre()
    {
        QVERIFY(!m_server->run(QStringLiteral("open('old.txt', 'w').write('old')"), QStringLiteral("whose")).isError);
        const QString id = submit("import os, time\nopen('job.csv', 'w').write('1')\nprint('there', flush=True)\nwhile not os.path.exists('go.txt'): time.sleep(.05)\nopen('late.csv', 'w').write('2')", "whose");
        QTRY_VERIFY_WITH_TIMEOUT(text(status(id), "output_tail").contains(QStringLiteral("there")), 15'000);
        const ToolAnswer meanwhile = m_server->run(QStringLiteral("open('session.csv', 'w').write('3'); open('go.txt', 'w').write('')"), QStringLiteral("whose"));
        const QByteArray files = QJsonDocument(result(id).value(QStringLiteral("files_created")).toArray()).toJson();
        QVERIFY2(files.contains("job.csv") && files.contains("late.csv"), files.constData());
        if (::geteuid() == 0) { // else nothing tells them apart
            QVERIFY2(meanwhile.text.contains(QStringLiteral("session.csv")) && !meanwhile.text.contains(QStringLiteral("job.csv")), qPrintable(meanwhile.text));
            QVERIFY2(!files.contains("session.csv") && !files.contains("go.txt"), files.constData());
        }
        const QString alone = submit("open('old.txt', 'w').write('new'); print('y' * 3_000_000)", "whose");
        const QByteArray rewritten = QJsonDocument(result(alone).value(QStringLiteral("files_created")).toArray()).toJson();
        QVERIFY2(rewritten.contains("old.txt"), rewritten.constData());
        const ToolAnswer after = m_server->run(QStringLiteral("print('nothing written')"), QStringLiteral("whose"));
        QVERIFY2(!after.text.contains(QStringLiteral("/dl/")), qPrintable(after.text));
    }

    // Between two samples of the watchdog too.
    void peakMemory()
    {
        const auto used = [this](const QString &id) { return result(id).value(QStringLiteral("memory_used_mb")).toDouble(); };
        const double small = used(submit("1 + 1", "memory")), spike = used(submit("x = b'1' * (300 << 20); del x", "memory"));
        const double died = used(submit("x = b'1' * (200 << 20); import os; os._exit(1)", "memory"));
        qInfo("%.1f, %.1f, %.1f MB", small, spike, died);
        QVERIFY2(small > 0.5 && small < 250, qPrintable(QString::number(small)));
        QVERIFY2(spike > 295 && spike < 600, qPrintable(QString::number(spike)));
        QVERIFY2(died > 195 && died < 500, qPrintable(QString::number(died)));
        const QJsonObject cell = rest("POST", QStringLiteral("/api/execute"), {{QStringLiteral("code"), QStringLiteral("y = b'1' * (100 << 20); del y")}, {QStringLiteral("session_id"), QStringLiteral("fresh")}});
        const double first = cell.value(QStringLiteral("memory_used_mb")).toDouble();
        const double second = rest("POST", QStringLiteral("/api/execute"), {{QStringLiteral("code"), QStringLiteral("1")}, {QStringLiteral("session_id"), QStringLiteral("fresh")}}).value(QStringLiteral("memory_used_mb")).toDouble();
        QVERIFY2(first > 98 && second >= 0 && second < first, // before a sample: what it has more than a fresh one
                  qPrintable(QStringLiteral("%1 %2").arg(first).arg(second)));
    }

    // ENABLE_SCHEDULES is off by default.
    void clockIsOff()
    {
        int code = 0;
        rest("POST", QStringLiteral("/api/jobs/submit"), {{QStringLiteral("code"), QStringLiteral("1")}, {QStringLiteral("run_at"), QStringLiteral("2099-01-01T00:00:00Z")}}, &code);
        QCOMPARE(code, 403);
        rest("POST", QStringLiteral("/api/schedules"), {{QStringLiteral("code"), QStringLiteral("1")}, {QStringLiteral("cron"), QStringLiteral("@daily")}, {QStringLiteral("name"), QStringLiteral("n")}}, &code);
        QVERIFY2(code == 403 || code == 404, qPrintable(QString::number(code)));
    }

    void fromInsideOfCode()
    {
        const ToolAnswer told = m_server->run(QStringLiteral("import power\njob = power.submit_job('print(6 * 7)')\nr = power.job_result(job, wait=20)\nprint(r['state'], r['stdout'])"), QStringLiteral("inside"));
        QVERIFY2(told.text.contains(QStringLiteral("succeeded 42")), qPrintable(told.text));
    }

    void sameKeySameJob()
    {
        const QJsonObject body{{QStringLiteral("code"), QStringLiteral("print('once')")}, {QStringLiteral("idempotency_key"), QStringLiteral("k1")}};
        const QString first = submit(body), second = submit(body);
        QCOMPARE(first, second);
        int code = 0;
        QJsonObject other = body;
        other.insert(QStringLiteral("code"), QStringLiteral("print('other')"));
        rest("POST", QStringLiteral("/api/jobs/submit"), other, &code);
        QCOMPARE(code, 409);
        QCOMPARE(text(result(first), "stdout"), QStringLiteral("once\n"));
    }

    void failedOnesRunAgain()
    {
        const QString id = submit(QJsonObject{{QStringLiteral("code"), QStringLiteral("import os\nn = len(os.listdir('.'))\nopen(f'try{n}', 'w')\nassert n >= 1, 'first time'\nprint('second')")},
                                              {QStringLiteral("session_id"), QStringLiteral("again")},
                                              {QStringLiteral("max_attempts"), 3}});
        const QJsonObject record = result(id);
        QCOMPARE(text(record, "state"), QStringLiteral("succeeded"));
        QCOMPARE(record.value(QStringLiteral("attempts")).toInt(), 2);
        QCOMPARE(status(id).value(QStringLiteral("attempt_list")).toArray().size(), 2);
    }

    void priorityAndPlaces()
    {
        const QString a = submit("import time; time.sleep(2)"), b = submit("import time; time.sleep(2)");
        QTRY_VERIFY_WITH_TIMEOUT(isRunning(a) && isRunning(b), 10'000);
        const QString low = submit("import time; print(time.time())");
        const QString high = submit(QJsonObject{{QStringLiteral("code"), QStringLiteral("import time; print(time.time())")}, {QStringLiteral("priority"), 5}});
        QCOMPARE(text(status(low), "state"), QStringLiteral("queued"));
        QCOMPARE(text(status(high), "state"), QStringLiteral("queued"));
        QVERIFY(text(result(high), "started_at") <= text(result(low), "started_at"));
    }

    void stream()
    {
        const QString id = submit("import time\nfor i in range(3):\n    print('line', i, flush=True)\n    time.sleep(.3)");
        QNetworkRequest request(QUrl(m_server->url().toString() + QStringLiteral("/api/jobs/%1/stream").arg(id)));
        std::unique_ptr<QNetworkReply> reply(m_network.get(request));
        QEventLoop loop;
        connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
        loop.exec();
        const QByteArray events = reply->readAll();
        QVERIFY2(reply->header(QNetworkRequest::ContentTypeHeader).toByteArray().startsWith("text/event-stream"), events.constData());
        const QByteArray live = events.left(events.indexOf("event: end"));
        QVERIFY2(live.contains("event: state") && live.contains("event: output") && events.contains("event: end"), events.constData());
        QString told; // a line may come in pieces
        for (const QByteArray &line : live.split('\n')) {
            if (line.startsWith("data: "))
                told += QJsonDocument::fromJson(line.mid(6)).object().value(QLatin1String("text")).toString();
        }
        QCOMPARE(told, QStringLiteral("line 0\nline 1\nline 2\n"));
        int code = 0;
        rest("GET", QStringLiteral("/api/jobs/%1/stream").arg(QStringLiteral("no-id")), {}, &code);
        QCOMPARE(code, 404);
    }

    void unknownIds()
    {
        for (const char *path : {"/api/jobs/nonsense/status", "/api/jobs/00000000-0000-4000-8000-000000000000/result"}) {
            int code = 0;
            rest("GET", QLatin1String(path), {}, &code);
            QCOMPARE(code, 404);
        }
        int code = 0;
        rest("POST", QStringLiteral("/api/jobs/submit"), {{QStringLiteral("code"), QStringLiteral("  ")}}, &code);
        QCOMPARE(code, 400);
    }

    void deletedSessionEndsItsJobs()
    {
        const QString id = submit("import time; time.sleep(60)", "doomed");
        QTRY_VERIFY_WITH_TIMEOUT(isRunning(id), 10'000);
        QVERIFY(!m_server->tool("delete_session", {{QStringLiteral("session_id"), QStringLiteral("doomed")}}).isError);
        QTRY_COMPARE_WITH_TIMEOUT(text(status(id), "state"), QStringLiteral("cancelled"), 10'000);
    }

    // Last: the server ends in the middle of three jobs.
    void restart()
    {
        const QString over = submit("print('kept')");
        QCOMPARE(text(result(over), "stdout"), QStringLiteral("kept\n"));
        const QString ended = submit("import time; time.sleep(30)", "one");
        const QString again = submit(QJsonObject{{QStringLiteral("code"), QStringLiteral("import os, time\nopen('runs', 'a').write('x')\ntime.sleep(30 if len(open('runs').read()) < 2 else 0)\nprint('done')")},
                                                 {QStringLiteral("session_id"), QStringLiteral("two")},
                                                 {QStringLiteral("if_lost"), QStringLiteral("requeue")}});
        QTRY_VERIFY_WITH_TIMEOUT(isRunning(ended) && isRunning(again), 10'000);
        const QString waiting = submit("print('waited')", "three");
        m_server->kill();
        QVERIFY2(m_server->start({QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}), m_server->output().constData());
        QCOMPARE(text(result(waiting), "stdout"), QStringLiteral("waited\n"));
        QCOMPARE(text(result(over), "stdout"), QStringLiteral("kept\n"));
        QTRY_COMPARE_WITH_TIMEOUT(text(status(ended), "state"), QStringLiteral("interrupted"), 30'000);
        QCOMPARE(text(status(ended), "cause"), QStringLiteral("server_lost"));
        const QJsonObject record = result(again);
        QCOMPARE(text(record, "stdout"), QStringLiteral("done\n"));
        QCOMPARE(record.value(QStringLiteral("attempts")).toInt(), 2);
    }
};

QTEST_GUILESS_MAIN(TestJobs)
#include "tst_jobs.moc"
