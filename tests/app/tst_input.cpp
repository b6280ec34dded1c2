// input() of a cell, answered by the user behind the client: by requests on the call's stream before 2026-07-28, by
// input_required results and retries since; refused clearly everywhere else.
#include "app/ServerProcess.h"
#include "storage/TestDatabase.h"
#include <QElapsedTimer>
#include <QEventLoop>
#include <QJsonArray>
#include <QJsonDocument>
#include <QNetworkReply>
#include <QTest>

using namespace power::test;

class TestInput : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;
    QNetworkAccessManager m_network;
    int m_id = 0;

    static QJsonObject execute(const QString &code, const QString &session, int timeout = 60)
    {
        return {{QStringLiteral("name"), QStringLiteral("execute_code")},
                {QStringLiteral("arguments"), QJsonObject{{QStringLiteral("code"), code}, {QStringLiteral("session_id"), session},
                                                          {QStringLiteral("timeout"), timeout}}}};
    }
    static QString textOf(const QJsonObject &result)
    {
        QString text;
        for (const QJsonValue &block : result.value(QStringLiteral("content")).toArray())
            text += block[QLatin1String("text")].toString() + u'\n';
        return text;
    }
    std::unique_ptr<QNetworkReply> post(const QJsonObject &message, const QByteArray &session, const QByteArray &accept)
    {
        QNetworkRequest request(QUrl(m_server->url().toString() + QStringLiteral("/mcp")));
        request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
        request.setRawHeader("Accept", accept);
        if (!session.isEmpty())
            request.setRawHeader("Mcp-Session-Id", session);
        return std::unique_ptr<QNetworkReply>(m_network.post(request, QJsonDocument(message).toJson(QJsonDocument::Compact)));
    }
    QByteArray legacySession(const QJsonObject &capabilities)
    {
        const auto reply = post({{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), ++m_id},
                                 {QStringLiteral("method"), QStringLiteral("initialize")},
                                 {QStringLiteral("params"), QJsonObject{{QStringLiteral("protocolVersion"), QStringLiteral("2025-11-25")},
                                                                        {QStringLiteral("capabilities"), capabilities}}}},
                                {}, "application/json");
        QEventLoop loop;
        connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
        loop.exec();
        return reply->rawHeader("Mcp-Session-Id");
    }
    // Runs a cell, answering every elicitation with the next of `answers` (a whole result); the tool's result.
    QJsonObject legacyRun(const QByteArray &session, const QString &code, QList<QJsonObject> answers, QStringList *prompts = nullptr,
                          const QByteArray &accept = "application/json, text/event-stream")
    {
        const auto reply = post({{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), ++m_id},
                                 {QStringLiteral("method"), QStringLiteral("tools/call")},
                                 {QStringLiteral("params"), execute(code, QStringLiteral("legacy"))}}, session, accept);
        QByteArray heard;
        QJsonObject result;
        std::vector<std::unique_ptr<QNetworkReply>> sent;
        const auto take = [&](const QByteArray &json) {
            const QJsonObject message = QJsonDocument::fromJson(json).object();
            if (message.contains(QStringLiteral("result")))
                result = message.value(QStringLiteral("result")).toObject();
            if (message.value(QStringLiteral("method")) != QJsonValue(QStringLiteral("elicitation/create")))
                return;
            if (prompts)
                *prompts << message[QLatin1String("params")][QLatin1String("message")].toString();
            const QJsonObject answer = answers.isEmpty() ? QJsonObject() : answers.takeFirst();
            sent.push_back(post({{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), message.value(QStringLiteral("id"))},
                                 {answer.contains(QStringLiteral("code")) ? QStringLiteral("error") : QStringLiteral("result"), answer}},
                                session, accept));
        };
        connect(reply.get(), &QNetworkReply::readyRead, this, [&] {
            heard += reply->readAll();
            for (qsizetype end; (end = heard.indexOf("\n\n")) >= 0; heard.remove(0, end + 2)) {
                for (const QByteArray &line : heard.left(end).split('\n')) {
                    if (line.startsWith("data: "))
                        take(line.mid(6));
                }
            }
        });
        QEventLoop loop;
        connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
        if (!reply->isFinished())
            loop.exec();
        if (result.isEmpty())
            take(heard + reply->readAll());
        return result;
    }
    QJsonObject modern(QJsonObject params, bool elicits, bool *failed = nullptr)
    {
        QJsonObject capabilities;
        if (elicits)
            capabilities.insert(QStringLiteral("elicitation"), QJsonObject{{QStringLiteral("form"), QJsonObject()}});
        params.insert(QStringLiteral("_meta"), QJsonObject{{QStringLiteral("io.modelcontextprotocol/protocolVersion"), QStringLiteral("2026-07-28")},
                                                           {QStringLiteral("io.modelcontextprotocol/clientCapabilities"), capabilities}});
        const QJsonObject message{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), ++m_id},
                                  {QStringLiteral("method"), QStringLiteral("tools/call")}, {QStringLiteral("params"), params}};
        const QByteArray body = m_server->http("POST", QStringLiteral("/mcp"), QJsonDocument(message).toJson(QJsonDocument::Compact), nullptr,
                                               {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "execute_code"}});
        const QJsonObject reply = QJsonDocument::fromJson(body).object();
        if (failed)
            *failed = reply.contains(QStringLiteral("error"));
        return reply.value(QStringLiteral("result")).toObject();
    }
    static QJsonObject accept(const QString &line)
    {
        return {{QStringLiteral("action"), QStringLiteral("accept")}, {QStringLiteral("content"), QJsonObject{{QStringLiteral("value"), line}}}};
    }
    static QJsonObject retry(QJsonObject params, const QJsonObject &interim, const QJsonObject &answer)
    {
        params.insert(QStringLiteral("requestState"), interim.value(QStringLiteral("requestState")));
        params.insert(QStringLiteral("inputResponses"), QJsonObject{{QStringLiteral("input"), answer}});
        return params;
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_server = std::make_unique<ServerProcess>();
        QVERIFY2(m_server->start({QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}), m_server->output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server->stop(), m_server->output().right(4000).constData()); }

    void onTheStreamOfTheCall()
    {
        const QByteArray session = legacySession({{QStringLiteral("elicitation"), QJsonObject()}});
        QStringList prompts;
        const QJsonObject result = legacyRun(session, QStringLiteral("a = input('Name? ')\nb = int(input('Age? '))\nprint(a.upper(), b + 1)"),
                                             {accept(QStringLiteral("zoe")), accept(QStringLiteral("41"))}, &prompts);
        QVERIFY2(textOf(result).contains(u"ZOE 42"), qPrintable(textOf(result)));
        QCOMPARE(prompts.size(), 2);
        QVERIFY2(prompts[0].contains(u"Name?") && prompts[0].contains(u"legacy"), qPrintable(prompts[0]));
        // Said no: the cell learns it.
        const QJsonObject declined = legacyRun(session, QStringLiteral("input('Really? ')"), {{{QStringLiteral("action"), QStringLiteral("decline")}}});
        QVERIFY2(textOf(declined).contains(u"EOFError") && textOf(declined).contains(u"declined"), qPrintable(textOf(declined)));
        // A client that fails to ask: the call ends with an error, the cell does not wait for nobody.
        const QJsonObject broken = legacyRun(session, QStringLiteral("input('Really? ')"), {{{QStringLiteral("code"), -32603},
                                                                                           {QStringLiteral("message"), QStringLiteral("no window")}}});
        QVERIFY2(broken.value(QStringLiteral("isError")).toBool() && textOf(broken).contains(u"no window"), qPrintable(textOf(broken)));
        // The kernel is the same and goes on.
        QVERIFY(textOf(legacyRun(session, QStringLiteral("print(a)"), {})).contains(u"zoe"));
    }

    void whoCannotBeAskedIsRefusedAtOnce()
    {
        QElapsedTimer clock;
        clock.start();
        const QString code = QStringLiteral("input('x')");
        const QByteArray plain = legacySession({});
        QVERIFY(textOf(legacyRun(plain, code, {})).contains(u"nobody is at a keyboard"));
        const QByteArray jsonOnly = legacySession({{QStringLiteral("elicitation"), QJsonObject()}});
        QVERIFY(textOf(legacyRun(jsonOnly, code, {}, nullptr, "application/json")).contains(u"nobody is at a keyboard"));
        const QByteArray byUrl = legacySession({{QStringLiteral("elicitation"), QJsonObject{{QStringLiteral("url"), QJsonObject()}}}});
        QVERIFY(textOf(legacyRun(byUrl, code, {})).contains(u"nobody is at a keyboard"));
        QVERIFY(textOf(modern(execute(code, QStringLiteral("modern")), false)).contains(u"nobody is at a keyboard"));
        QVERIFY(m_server->run(code).text.contains(u"nobody is at a keyboard"));
        QVERIFY(m_server->run(QStringLiteral("import getpass; getpass.getpass()")).text.contains(u"EOFError"));
        QVERIFY(clock.elapsed() < 60'000);
    }

    void byRetries()
    {
        // The time limit is shorter than the person takes.
        const QJsonObject params = execute(QStringLiteral("kept = 5\nprint('before')\na = input('City? ')\nb = input()\nprint(a + b)"),
                                           QStringLiteral("modern"), 1);
        const QJsonObject first = modern(params, true);
        QCOMPARE(first.value(QStringLiteral("resultType")).toString(), QStringLiteral("input_required"));
        const QJsonObject asked = first[QLatin1String("inputRequests")][QLatin1String("input")].toObject();
        QCOMPARE(asked.value(QStringLiteral("method")).toString(), QStringLiteral("elicitation/create"));
        QVERIFY(asked[QLatin1String("params")][QLatin1String("message")].toString().contains(u"City?"));
        QTest::qWait(1'500);
        // A forged state is nobody's; one without an answer is asked again.
        bool failed = false;
        QJsonObject forged = retry(params, first, accept(QStringLiteral("Bonn")));
        forged.insert(QStringLiteral("requestState"), first.value(QStringLiteral("requestState")).toString() + u'x');
        modern(forged, true, &failed);
        QVERIFY(failed);
        const QJsonObject again = modern(retry(params, first, {}), true);
        QCOMPARE(again.value(QStringLiteral("resultType")).toString(), QStringLiteral("input_required"));
        const QJsonObject second = modern(retry(params, again, accept(QStringLiteral("Bonn"))), true);
        QCOMPARE(second.value(QStringLiteral("resultType")).toString(), QStringLiteral("input_required"));
        QVERIFY(second.value(QStringLiteral("requestState")) != first.value(QStringLiteral("requestState")));
        const QJsonObject done = modern(retry(params, second, accept(QStringLiteral("!"))), true);
        QCOMPARE(done.value(QStringLiteral("resultType")).toString(), QStringLiteral("complete"));
        QVERIFY2(textOf(done).contains(u"before") && textOf(done).contains(u"Bonn!"), qPrintable(textOf(done)));
        // Once only: the run is over.
        const QJsonObject late = modern(retry(params, second, accept(QStringLiteral("?"))), true);
        QVERIFY2(late.value(QStringLiteral("isError")).toBool() && textOf(late).contains(u"is over"), qPrintable(textOf(late)));
        QVERIFY(textOf(modern(execute(QStringLiteral("print(kept)"), QStringLiteral("modern")), true)).contains(u'5'));
    }

    // Two servers on one database, each with a disk of its own: what a client carries is good on both, and on one that
    // begins with an empty disk.
    void onAnotherServer()
    {
        power::storage::test::TestDatabase database;
        QCOMPARE(database.start(), QString());
        const QStringList flags{QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}, environment{QStringLiteral("DATABASE_URL=") + database.url()};
        auto other = std::make_unique<ServerProcess>(), alone = std::make_unique<ServerProcess>();
        QVERIFY2(other->start(flags, environment), other->output().constData());
        QVERIFY2(alone->start(flags, environment), alone->output().constData());
        QCOMPARE(database.number("SELECT count(*) FROM power.store_secrets WHERE name = 'mcp'"), 1);
        std::swap(m_server, alone);
        const QByteArray session = legacySession({{QStringLiteral("elicitation"), QJsonObject()}});
        const QJsonObject params = execute(QStringLiteral("print(input('City? '))"), QStringLiteral("modern"));
        const QJsonObject interim = modern(params, true);
        QCOMPARE(interim.value(QStringLiteral("resultType")).toString(), QStringLiteral("input_required"));

        std::swap(m_server, other);
        const QString code = QStringLiteral("print(input('Name? ').upper())");
        QJsonObject result = legacyRun(session, code, {accept(QStringLiteral("zoe"))});
        QVERIFY2(textOf(result).contains(u"ZOE"), qPrintable(textOf(result)));
        // The state is good here; the run that asked waits elsewhere, and that is what is said.
        bool failed = true;
        result = modern(retry(params, interim, accept(QStringLiteral("Bonn"))), true, &failed);
        QVERIFY2(!failed && textOf(result).contains(u"another server"), qPrintable(textOf(result)));
        std::swap(m_server, other);
        result = modern(retry(params, interim, accept(QStringLiteral("Bonn"))), true);
        QVERIFY2(textOf(result).contains(u"Bonn"), qPrintable(textOf(result)));

        QVERIFY(m_server->stop());
        m_server->wipe();
        QVERIFY2(m_server->start(flags, environment), m_server->output().constData());
        result = legacyRun(session, code, {accept(QStringLiteral("mia"))});
        QVERIFY2(textOf(result).contains(u"MIA"), qPrintable(textOf(result)));
        std::swap(m_server, alone);
        QVERIFY(alone->stop());
        QVERIFY(other->stop());
        database.stop();
    }
};

QTEST_GUILESS_MAIN(TestInput)
#include "tst_input.moc"
