// `import power`: what code may ask the server to do, and what hostile code gets.
#include "app/ServerProcess.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QRegularExpression>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTest>
#include <thread>

using namespace power::test;

namespace {
// A small file server in a thread of its own; /slow never answers.
class LittleServer
{
public:
    LittleServer()
    {
        m_thread = std::thread([this] {
            QTcpServer server;
            server.listen(QHostAddress::LocalHost);
            m_port = server.serverPort();
            while (!m_stop) {
                if (!server.waitForNewConnection(50))
                    continue;
                QTcpSocket *socket = server.nextPendingConnection();
                socket->waitForReadyRead(2000);
                const QByteArray request = socket->readAll();
                if (request.startsWith("GET /slow"))
                    continue; // open, without an answer
                socket->write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\na,b\n1,2\n");
                socket->waitForBytesWritten(2000);
                socket->disconnectFromHost();
            }
        });
        while (m_port == 0)
            std::this_thread::yield();
    }
    ~LittleServer()
    {
        m_stop = true;
        m_thread.join();
    }
    QString origin() const { return QStringLiteral("http://127.0.0.1:%1").arg(int(m_port)); }

private:
    std::atomic<int> m_port = 0;
    std::atomic<bool> m_stop = false;
    std::thread m_thread;
};
} // namespace

class TestInsideTools : public QObject
{
    Q_OBJECT
private:
    LittleServer m_files;
    std::unique_ptr<ServerProcess> m_server;

    ToolAnswer run(QString code, const QString &session = QStringLiteral("tools"), int timeout = 30)
    {
        return m_server->run(QStringLiteral("import power\n") + code.replace(QLatin1String("ORIGIN"), m_files.origin()), session, timeout);
    }
    // A frame of the code's own making; %1: fields of its meta, %2: its blob.
    ToolAnswer raw(const QString &meta, const QString &blob, const QString &session)
    {
        return m_server->run(QStringLiteral("import _power, json\nfrom power_kernel import display, asks\n"
                                            "_power.send(19, json.dumps({'run': display.Current.run, %1}).encode(), %2)\n"
                                            "kind, meta, blob = _power.receive_within(5)\nprint(meta.decode(), blob[:300])").arg(meta, blob),
                             session, 20);
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_server = std::make_unique<ServerProcess>();
        QVERIFY2(m_server->start({QStringLiteral("--fetch-allow-origins"), m_files.origin()}), m_server->output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server->stop(), m_server->output().right(4000).constData()); }

    void oneCellDoesTheWorkOfSeveralCalls()
    {
        const ToolAnswer answer = run(QStringLiteral("frame = pd.read_csv(power.fetch('ORIGIN/data.csv', name='mine.csv'))\n"
                                                     "print(frame.b.sum(), [f['filename'] for f in power.files()])"));
        QVERIFY2(answer.text.contains(u"2 ['mine.csv']"), qPrintable(answer.text));
        QVERIFY(m_server->output().contains("inside_call"));
        const QJsonObject recorded = QJsonDocument::fromJson(m_server->http("GET", QStringLiteral("/api/sessions/tools/runs/1"))).object();
        const QJsonArray calls = recorded.value(QStringLiteral("calls")).toArray();
        QCOMPARE(calls.size(), 2);
        QCOMPARE(calls[0].toObject().value(QStringLiteral("tool")).toString(), QStringLiteral("fetch"));
        QVERIFY(calls[0].toObject().value(QStringLiteral("ok")).toBool());
        QVERIFY(calls[0].toObject().value(QStringLiteral("arguments")).toString().contains(u"data.csv"));
    }

    void theModuleExplainsItself()
    {
        const ToolAnswer answer = run(QStringLiteral("import pydoc\nprint(pydoc.render_doc(power, renderer=pydoc.plaintext))"));
        QString words = answer.text; // newer Pythons break long lists of parameters into lines
        words.remove(u' ').remove(u'\n');
        for (const char *word : {"fetch(url:str,name:str=None)", "files(", "progress(done,total=None", "query(sql", "store(data,name", "nonetwork"})
            QVERIFY2(words.contains(QLatin1String(word)), qPrintable(answer.text));
        QVERIFY2(answer.text.size() < 5000, qPrintable(answer.text));
        QVERIFY(run(QStringLiteral("power.fetch(link='x')")).text.contains(u"power.fetch() "));
        QVERIFY(run(QStringLiteral("power.nothing")).text.contains(u"there are: cancel_job, datasets, fetch, files, job_result, job_status, load, progress, query, store, submit_job"));
        const ToolAnswer refused = run(QStringLiteral("try:\n    power.fetch('http://10.1.2.3/x')\nexcept power.Error as e: print('no:', e)"));
        QVERIFY2(refused.text.contains(u"no: 10.1.2.3"), qPrintable(refused.text));
    }

    // A power.py of the session's own is found first.
    void theSessionsOwnModuleWins()
    {
        m_server->run(QStringLiteral("open('power.py', 'w').write('mine = 1')"), QStringLiteral("own"));
        QVERIFY(run(QStringLiteral("print('mine', power.mine)"), QStringLiteral("own")).text.contains(u"mine 1"));
    }

    void aWaitIsInterrupted()
    {
        QElapsedTimer clock;
        clock.start();
        const ToolAnswer answer = run(QStringLiteral("kept = 5\npower.fetch('ORIGIN/slow')"), QStringLiteral("tools"), 1);
        QVERIFY2(answer.text.contains(u"timeout") && answer.text.contains(u"Variables and files are kept"), qPrintable(answer.text));
        QVERIFY2(clock.elapsed() < 6000, qPrintable(QString::number(clock.elapsed())));
        QVERIFY(run(QStringLiteral("print(kept, len(power.files()) > 0)")).text.contains(u"5 True"));
    }

    void threadsAskOneAfterTheOther()
    {
        const ToolAnswer answer = run(QStringLiteral("from concurrent.futures import ThreadPoolExecutor\n"
                                                     "with ThreadPoolExecutor(4) as pool:\n"
                                                     "    paths = list(pool.map(lambda i: power.fetch('ORIGIN/d.csv', f't{i}.csv'), range(8)))\n"
                                                     "print(len(set(paths)))"));
        QVERIFY2(answer.text.contains(u"8"), qPrintable(answer.text));
        // One that outlives its cell is told so, and takes nothing that is meant for the next one.
        run(QStringLiteral("import threading\nheard = []\ndef late():\n    try: power.fetch('ORIGIN/slow')\n"
                           "    except power.Error as e: heard.append(str(e))\nt = threading.Thread(target=late)\nt.start()"));
        const ToolAnswer next = run(QStringLiteral("t.join(5)\nprint(heard, 6 * 7)"));
        QVERIFY2(next.text.contains(u"The cell that asked has ended") && next.text.contains(u"42"), qPrintable(next.text));
        const ToolAnswer child = run(QStringLiteral("import os\npid = os.fork()\nif pid == 0:\n    try: power.files()\n    except power.Error as e: print(e, flush=True)\n"
                                                    "    os._exit(0)\nos.waitpid(pid, 0)"));
        QVERIFY2(child.text.contains(u"only the session's own process"), qPrintable(child.text));
    }

    void progressReachesTheClient()
    {
        const QByteArray stream = m_server->http(
            "POST", QStringLiteral("/mcp"),
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"_meta\":{\"progressToken\":\"p\"},\"name\":\"execute_code\","
            "\"arguments\":{\"session_id\":\"tools\",\"code\":\"import power, time\\nfor i in range(5):\\n    power.progress(i, 5, f'step {i}')\\n    time.sleep(0.3)\"}}}",
            nullptr, {{"Accept", "application/json, text/event-stream"}});
        QVERIFY2(stream.contains("\"message\":\"step 4\"") && stream.contains("\"total\":5"), stream.constData());
        QVERIFY(stream.contains("\"progress\":4"));
    }

    void hostileQuestionsAreRefused()
    {
        const QString session = QStringLiteral("hostile");
        QVERIFY(raw(QStringLiteral("'ask': 1, 'what': 'call', 'tool': 'delete_session'"), QStringLiteral("b'{}'"), session).text.contains(u"There is no power.delete_session"));
        QVERIFY(raw(QStringLiteral("'ask': 1, 'what': 'call', 'tool': 'files'"), QStringLiteral("b'{\"session_id\": \"tools\"}'"), session).text.contains(u"has no argument"));
        QVERIFY(raw(QStringLiteral("'ask': 1, 'what': 'call', 'tool': 'files'"), QStringLiteral("b'[' * 100000"), session).text.contains(u"not a JSON object"));
        QVERIFY(raw(QStringLiteral("'ask': 1, 'what': 'call', 'tool': 'files'"), QStringLiteral("b' ' * 300000"), session).text.contains(u"at most 256 KB"));
        QVERIFY(raw(QStringLiteral("'ask': 1, 'what': 'call', 'tool': 'x' * 30000"), QStringLiteral("b'{}'"), session).text.contains(u"There is no power"));
        QVERIFY(raw(QStringLiteral("'ask': 1, 'what': 'unheard of'"), QStringLiteral("b''"), session).text.contains(u"protocol"));

        const ToolAnswer many = run(QStringLiteral("n = 0\nwhile True:\n    n += 1\n    power.files(limit=1)"), session, 60);
        QVERIFY2(many.text.contains(QRegularExpression(QStringLiteral("calls to the server in one second|call the server 1000 times"))), qPrintable(many.text));
        // Questions without waiting for answers: each replaces the one before, and the kernel is ended at last; nobody else is hurt.
        const ToolAnswer flood = m_server->run(QStringLiteral("import _power, json\nfrom power_kernel import display\nn = 0\nwhile True:\n    n += 1\n"
                                                              "    _power.send(19, json.dumps({'run': display.Current.run, 'ask': n, 'what': 'call', 'tool': 'files'}).encode(), b'{}')"),
                                               session, 30);
        QVERIFY2(flood.text.contains(u"protocol"), qPrintable(flood.text));
        const ToolAnswer notes = m_server->run(QStringLiteral("import _power, json\nfrom power_kernel import display\nmeta = json.dumps({'run': display.Current.run, 'ask': 0, 'what': "
                                                              "'progress', 'done': 1e308, 'total': -1e308, 'text': 'x' * 40000}).encode()\n"
                                                              "for _ in range(1000): _power.send(19, meta, b'')\nprint('done')"),
                                               session, 30);
        QVERIFY2(notes.text.contains(u"done"), qPrintable(notes.text));
        QVERIFY(run(QStringLiteral("print(len(power.files()))"), QStringLiteral("witness")).text.contains(u"0"));
    }
};

QTEST_GUILESS_MAIN(TestInsideTools)
#include "tst_inside_tools.moc"
