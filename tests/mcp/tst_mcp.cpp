// The MCP doors from bytes to bytes: eras, ladder, client sequences, negotiation, progress, cancellation.
#include "FakeExchange.h"
#include "SampleRegistry.h"
#include "mcp/Endpoint.h"
#include "mcp/EventLog.h"
#include <QTest>

using namespace power;
using namespace power::mcp;
using namespace power::test;
using Fields = QList<http::Headers::Field>;

namespace {
// JSON written with single quotes: moc of Qt 6.4 stumbles over raw string literals.
QByteArray q(const char *text)
{
    return QByteArray(text).replace('\'', '"');
}

const QByteArray kMeta = q("'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28','io.modelcontextprotocol/clientCapabilities':{}}");

Fields modernHeaders(const QByteArray &method, const QByteArray &name = {}, const QByteArray &version = "2026-07-28")
{
    Fields fields{{"MCP-Protocol-Version", version}, {"Mcp-Method", method}};
    if (!name.isEmpty())
        fields.append({"Mcp-Name", name});
    return fields;
}
} // namespace

Q_DECLARE_METATYPE(Fields)

class TestMcp : public QObject
{
    Q_OBJECT
    operations::Registry m_registry;
    std::shared_ptr<Seen> m_seen = std::make_shared<Seen>();
    std::unique_ptr<Endpoint> m_endpoint;

    std::shared_ptr<FakeExchange> send(Door door, const QByteArray &body, const Fields &headers = {})
    {
        auto exchange = fakePost(door == Door::Sse ? QStringLiteral("/mcp/sse") : QStringLiteral("/mcp"), body, headers);
        m_endpoint->post(exchange, door);
        return exchange;
    }
    void restart(const StreamDelays &delays)
    {
        EndpointConfig config;
        config.facts = {QStringLiteral("Power Interpreter"), QStringLiteral("4.0.0"), QStringLiteral("Run code.")};
        config.delays = delays;
        m_endpoint = std::make_unique<Endpoint>(m_registry, doors::openAuthenticator({}), config);
    }

private Q_SLOTS:
    void initTestCase() { addSampleOperations(m_registry, m_seen); }
    // The answers of many others do not cost a client the stream it comes back to.
    void openStreamsOutliveEndedOnes()
    {
        EventLogs logs;
        const auto open = logs.make(QStringLiteral("owner"));
        open->append("news");
        for (int i = 0; i < 600; ++i) {
            const auto other = logs.make(QStringLiteral("other"));
            other->append("answer");
            other->end();
            logs.ended(other);
        }
        qint64 number = 0;
        QVERIFY(logs.find(open->id() + ":0", QStringLiteral("owner"), number) == open);
        QVERIFY(!logs.find(open->id() + ":0", QStringLiteral("other"), number));
    }
    void init()
    {
        m_seen->calls = 0;
        m_seen->slow = OneShot<int>();
        restart({});
    }

    // reference MCP 2.1 and 9: status, JSON-RPC code (0 = a result, 1 = no body) per message and headers.
    void ladder_data()
    {
        QTest::addColumn<int>("door");
        QTest::addColumn<QByteArray>("body");
        QTest::addColumn<Fields>("headers");
        QTest::addColumn<int>("status");
        QTest::addColumn<int>("code");
        const auto row = [](const char *name, Door door, const QByteArray &body, const Fields &headers, int status, int code) {
            QTest::newRow(name) << int(door) << body << headers << status << code;
        };
        const auto request = [](const QByteArray &method, const QByteArray &params) -> QByteArray {
            return q("{'jsonrpc':'2.0','id':7,'method':'") + method + q("','params':{") + params + "}}";
        };
        const QByteArray list = request("tools/list", kMeta);
        const QByteArray call = request("tools/call", q("'name':'empty','arguments':{},") + kMeta);
        row("not json", Door::Mcp, "{oops", {}, 400, -32700);
        row("not json, sse", Door::Sse, "{oops", {}, 400, -32700);
        row("empty body", Door::Mcp, "", {}, 400, -32700);
        row("number", Door::Mcp, "5", {}, 400, -32600);
        row("text, sse", Door::Sse, "\"hi\"", {}, 400, -32600);
        row("null, sse", Door::Sse, "null", {}, 400, -32600);
        row("no tag", Door::Mcp, q("{'id':1,'method':'ping'}"), {}, 400, -32600);
        row("no tag, sse", Door::Sse, q("{'id':1,'method':'ping'}"), {}, 200, 0);
        row("no method", Door::Mcp, q("{'jsonrpc':'2.0','id':1}"), {}, 400, -32600);
        row("method number", Door::Mcp, q("{'jsonrpc':'2.0','id':1,'method':1}"), {}, 400, -32600);
        row("id null", Door::Mcp, q("{'jsonrpc':'2.0','id':null,'method':'ping'}"), {}, 400, -32600);
        row("id null, sse", Door::Sse, q("{'jsonrpc':'2.0','id':null,'method':'ping'}"), {}, 204, 1);
        row("id object", Door::Mcp, q("{'jsonrpc':'2.0','id':{},'method':'ping'}"), {}, 400, -32600);
        row("id text", Door::Mcp, q("{'jsonrpc':'2.0','id':'a','method':'ping'}"), {}, 200, 0);
        row("params null", Door::Mcp, q("{'jsonrpc':'2.0','id':1,'method':'ping','params':null}"), {}, 200, 0);
        row("params list", Door::Mcp, q("{'jsonrpc':'2.0','id':1,'method':'ping','params':[]}"), {}, 200, -32602);
        row("notification", Door::Mcp, q("{'jsonrpc':'2.0','method':'notifications/initialized'}"), {}, 202, 1);
        row("notification, sse", Door::Sse, q("{'jsonrpc':'2.0','method':'notifications/initialized'}"), {}, 204, 1);
        row("notification with id, sse", Door::Sse, q("{'jsonrpc':'2.0','id':4,'method':'notifications/initialized'}"), {}, 204, 1);
        row("response", Door::Mcp, q("{'jsonrpc':'2.0','id':4,'result':{}}"), {}, 202, 1);
        row("unknown method", Door::Mcp, request("nope", ""), {}, 200, -32601);
        row("resources, legacy", Door::Mcp, request("resources/list", ""), {}, 200, 0);
        row("resources, sse", Door::Sse, request("resources/list", ""), {}, 200, -32601);
        row("prompts, sse", Door::Sse, request("prompts/list", ""), {}, 200, -32601);
        row("completion", Door::Mcp, request("completion/complete", ""), {}, 200, -32601);
        row("unknown tool", Door::Mcp, request("tools/call", q("'name':'x'")), {}, 200, -32602);
        row("unknown tool, sse", Door::Sse, request("tools/call", q("'name':'x'")), {}, 200, -32601);
        row("rest-only tool", Door::Mcp, request("tools/call", q("'name':'hidden_rest'")), {}, 200, -32602);
        row("no tool name", Door::Mcp, request("tools/call", ""), {}, 200, -32602);
        row("arguments null", Door::Sse, request("tools/call", q("'name':'empty','arguments':null")), {}, 200, 0);
        row("arguments list", Door::Sse, request("tools/call", q("'name':'empty','arguments':[1]")), {}, 200, 0);
        row("legacy header known", Door::Mcp, request("ping", ""), {{"MCP-Protocol-Version", "2025-06-18"}}, 200, 0);
        row("legacy header unknown", Door::Mcp, request("ping", ""), {{"MCP-Protocol-Version", "2025-01-01"}}, 400, -32600);
        row("unknown header, sse", Door::Sse, request("ping", ""), {{"MCP-Protocol-Version", "2025-01-01"}}, 200, 0);
        row("bad cursor", Door::Mcp, request("tools/list", q("'cursor':'x'")), {}, 200, -32602);
        row("form", Door::Mcp, "a=b", {{"Content-Type", "application/x-www-form-urlencoded"}}, 415, -32600);
        row("modern list", Door::Mcp, list, modernHeaders("tools/list"), 200, 0);
        row("modern call", Door::Mcp, call, modernHeaders("tools/call", "empty"), 200, 0);
        row("modern call, base64 name", Door::Mcp, call, modernHeaders("tools/call", "=?base64?ZW1wdHk=?="), 200, 0);
        row("modern call, bad base64", Door::Mcp, call, modernHeaders("tools/call", "=?base64?ZW1wdHk?="), 400, -32020);
        row("modern initialize", Door::Mcp, request("initialize", kMeta), modernHeaders("initialize"), 404, -32601);
        row("modern ping", Door::Mcp, request("ping", kMeta), modernHeaders("ping"), 404, -32601);
        row("modern unknown tool", Door::Mcp, request("tools/call", q("'name':'x',") + kMeta), modernHeaders("tools/call", "x"), 200, -32602);
        row("header only claims modern", Door::Mcp, request("tools/list", ""), modernHeaders("tools/list"), 400, -32602);
        row("initialize with modern header", Door::Mcp, request("initialize", ""), modernHeaders("initialize"), 200, 0);
        row("no version header", Door::Mcp, list, {{"Mcp-Method", "tools/list"}}, 400, -32020);
        row("other version header", Door::Mcp, list, modernHeaders("tools/list", {}, "2025-11-25"), 400, -32020);
        row("no capabilities", Door::Mcp,
            request("tools/list", q("'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28'}")),
            modernHeaders("tools/list"), 400, -32602);
        row("version not served", Door::Mcp,
            request("tools/list", q("'_meta':{'io.modelcontextprotocol/protocolVersion':'1900-01-01','io.modelcontextprotocol/clientCapabilities':{}}")),
            modernHeaders("tools/list", {}, "1900-01-01"), 400, -32022);
        row("version is a number", Door::Mcp, request("tools/list", q("'_meta':{'io.modelcontextprotocol/protocolVersion':5}")),
            modernHeaders("tools/list"), 400, -32602);
        row("no method header", Door::Mcp, list, {{"MCP-Protocol-Version", "2026-07-28"}}, 400, -32020);
        row("other method header", Door::Mcp, list, modernHeaders("tools/call"), 400, -32020);
        row("method header case", Door::Mcp, list, modernHeaders("Tools/List"), 400, -32020);
        row("no name header", Door::Mcp, call, modernHeaders("tools/call"), 400, -32020);
        row("other name header", Door::Mcp, call, modernHeaders("tools/call", "echo"), 400, -32020);
        row("modern notification", Door::Mcp, q("{'jsonrpc':'2.0','method':'notifications/x','params':{") + kMeta + "}}",
            modernHeaders("notifications/x"), 202, 1);
        row("batch with modern", Door::Mcp, '[' + list + ']', {}, 400, -32600);
        row("batch in 2025-06-18", Door::Mcp, '[' + request("ping", "") + ']', {{"MCP-Protocol-Version", "2025-06-18"}}, 400, -32600);
        row("empty batch", Door::Mcp, "[]", {}, 400, -32600);
        row("empty batch, sse", Door::Sse, "[]", {}, 204, 1);
        row("batch of notifications, sse", Door::Sse, q("[{'jsonrpc':'2.0','method':'notifications/initialized'}]"), {}, 204, 1);
    }
    void ladder()
    {
        QFETCH(int, door);
        QFETCH(QByteArray, body);
        QFETCH(Fields, headers);
        QFETCH(int, status);
        QFETCH(int, code);
        const auto exchange = send(Door(door), body, headers);
        QCOMPARE(exchange->answers, 1);
        QCOMPARE(exchange->answer.status, status);
        if (code == 1) {
            QVERIFY(exchange->answer.body.isEmpty());
            return;
        }
        const QJsonObject json = exchange->json();
        QCOMPARE(json.value(QStringLiteral("jsonrpc")).toString(), QStringLiteral("2.0"));
        QCOMPARE(json.value(QStringLiteral("error"))[QLatin1String("code")].toInt(), code);
        QCOMPARE(json.contains(QStringLiteral("result")), code == 0);
        QVERIFY(json.contains(QStringLiteral("id")));
        if (body.contains("\"id\":7") && !body.startsWith('['))
            QCOMPARE(json.value(QStringLiteral("id")).toInt(), 7);
    }

    void simTheorySequence()
    {
        const auto first = send(Door::Sse, q("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'2024-11-05'}}"));
        QCOMPARE(first->answer.status, 200);
        QCOMPARE(first->answer.headers.value("Content-Type"), QByteArray("application/json"));
        QVERIFY(!first->answer.headers.contains("Mcp-Session-Id"));
        QCOMPARE(first->json().value(QStringLiteral("id")), QJsonValue(0));
        const QJsonObject hello = first->json().value(QStringLiteral("result")).toObject();
        QCOMPARE(hello.value(QStringLiteral("protocolVersion")).toString(), QStringLiteral("2024-11-05"));
        QCOMPARE(hello.value(QStringLiteral("serverInfo"))[QLatin1String("name")].toString(), QStringLiteral("Power Interpreter"));
        QCOMPARE(hello.value(QStringLiteral("capabilities"))[QLatin1String("tools")][QLatin1String("listChanged")], QJsonValue(false));
        QVERIFY(!hello.contains(QStringLiteral("resultType")));

        QCOMPARE(send(Door::Sse, q("{'jsonrpc':'2.0','method':'notifications/initialized'}"))->answer.status, 204);
        const auto list = send(Door::Sse, q("{'jsonrpc':'2.0','id':2,'method':'tools/list'}"));
        QCOMPARE(list->json().value(QStringLiteral("result"))[QLatin1String("tools")].toArray().size(), 6);

        // Bad UTF-8 inside a text is replaced, not refused.
        const auto call = send(Door::Sse, QByteArray("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
                                                     "\"arguments\":{\"code\":\"a\xff\",\"count\":\"5\",\"junk\":1}}}"));
        QCOMPARE(m_seen->arguments.value(QStringLiteral("code")).toString(), QString(u'a') + QChar(0xfffd));
        QCOMPARE(m_seen->arguments.value(QStringLiteral("count")), QJsonValue(5));
        QCOMPARE(m_seen->arguments.value(QStringLiteral("session_id")).toString(), QStringLiteral("default"));
        QCOMPARE(m_seen->caller.baseUrl, QStringLiteral("http://power.example:8000"));
        const QJsonObject result = call->json().value(QStringLiteral("result")).toObject();
        QVERIFY(!result.contains(QStringLiteral("structuredContent")));
        QVERIFY(result.value(QStringLiteral("content"))[0][QLatin1String("text")].toString().contains(QStringLiteral("junk")));

        const auto batch = send(Door::Sse, q("[{'jsonrpc':'2.0','id':0,'method':'ping'},5,{'jsonrpc':'2.0','method':'notifications/x'},{'jsonrpc':'2.0','id':'b','method':'tools/call','params':{'name':'echo','arguments':{'code':'2'}}}]"));
        const QJsonArray replies = QJsonDocument::fromJson(batch->answer.body).array();
        QCOMPARE(replies.size(), 3);
        QCOMPARE(replies[0][QLatin1String("id")], QJsonValue(0));
        QCOMPARE(replies[1][QLatin1String("error")][QLatin1String("code")].toInt(), -32600);
        QCOMPARE(replies[2][QLatin1String("id")].toString(), QStringLiteral("b"));
    }

    void claudeCodeLegacySequence()
    {
        const Fields accept{{"Accept", "application/json, text/event-stream"}};
        const auto first = send(Door::Mcp, q("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'2025-11-25','capabilities':{'roots':{}},'clientInfo':{'name':'claude-code','version':'2.1'}}}"), accept);
        const QByteArray session = first->answer.headers.value("Mcp-Session-Id");
        QVERIFY(!session.isEmpty());
        QCOMPARE(first->json().value(QStringLiteral("result"))[QLatin1String("protocolVersion")].toString(), QStringLiteral("2025-11-25"));
        const Fields later{{"Accept", "application/json, text/event-stream"}, {"Mcp-Session-Id", session}, {"MCP-Protocol-Version", "2025-11-25"}};
        QCOMPARE(send(Door::Mcp, q("{'jsonrpc':'2.0','method':'notifications/initialized'}"), later)->answer.status, 202);
        const auto call = send(Door::Mcp, q("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'echo','arguments':'{\\'code\\':\\'1\\'}','_meta':{'progressToken':1}}}"), later);
        const QJsonObject result = call->json().value(QStringLiteral("result")).toObject();
        QCOMPARE(result.value(QStringLiteral("isError")), QJsonValue(false));
        const QJsonObject structured = result.value(QStringLiteral("structuredContent")).toObject();
        QCOMPARE(structured.value(QStringLiteral("code")).toString(), QStringLiteral("1"));
        QCOMPARE(QJsonDocument::fromJson(result.value(QStringLiteral("content"))[0][QLatin1String("text")].toString().toUtf8()).object(), structured);
        for (const char *version : {"2026-07-28", "1999-01-01"}) {
            const auto other = send(Door::Mcp, q("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'") + QByteArray(version) + "\"}}");
            QCOMPARE(other->json().value(QStringLiteral("result"))[QLatin1String("protocolVersion")].toString(), QStringLiteral("2025-11-25"));
        }
    }

    void modernSequence()
    {
        const auto discover = send(Door::Mcp, q("{'jsonrpc':'2.0','id':'openai-mcp-discover','method':'server/discover','params':{") + kMeta + "}}",
                                   modernHeaders("server/discover"));
        QCOMPARE(discover->answer.status, 200);
        QVERIFY(!discover->answer.headers.contains("Mcp-Session-Id"));
        QJsonObject result = discover->json().value(QStringLiteral("result")).toObject();
        QCOMPARE(result.value(QStringLiteral("supportedVersions")).toArray(), QJsonArray{QStringLiteral("2026-07-28")});
        for (const char *key : {"resultType", "ttlMs", "cacheScope", "_meta", "capabilities", "instructions"})
            QVERIFY2(result.contains(QLatin1String(key)), key);
        const auto list = send(Door::Mcp, q("{'jsonrpc':'2.0','id':2,'method':'tools/list','params':{") + kMeta + "}}", modernHeaders("tools/list"));
        result = list->json().value(QStringLiteral("result")).toObject();
        QCOMPARE(result.value(QStringLiteral("resultType")).toString(), QStringLiteral("complete"));
        QVERIFY(result.value(QStringLiteral("ttlMs")).isDouble());
        const auto call = send(Door::Mcp, q("{'jsonrpc':'2.0','id':3,'method':'tools/call','params':{'name':'echo','arguments':{'code':'x'},") + kMeta + "}}",
                               modernHeaders("tools/call", "echo"));
        result = call->json().value(QStringLiteral("result")).toObject();
        QCOMPARE(result.value(QStringLiteral("resultType")).toString(), QStringLiteral("complete"));
        QVERIFY(!result.contains(QStringLiteral("ttlMs")));
        QVERIFY(result.value(QStringLiteral("_meta")).toObject().contains(QStringLiteral("io.modelcontextprotocol/serverInfo")));
    }

    void errorsAndUserErrors()
    {
        const QByteArray fails = q("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'fails'}}");
        const QByteArray raises = q("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'raises'}}");
        for (const Door door : {Door::Mcp, Door::Sse}) {
            const auto failed = send(door, fails);
            QCOMPARE(failed->answer.status, 200);
            const QJsonObject result = failed->json().value(QStringLiteral("result")).toObject();
            QCOMPARE(result.value(QStringLiteral("isError")), QJsonValue(true));
            const QString text = result.value(QStringLiteral("content"))[0][QLatin1String("text")].toString();
            QVERIFY(text.startsWith(QStringLiteral("There is no file \"x.csv\". list_files shows")));
            const QJsonObject facts = QJsonDocument::fromJson(text.section(u'\n', -1).toUtf8()).object();
            QCOMPARE(facts.value(QStringLiteral("error")).toString(), QStringLiteral("not_found"));
            QCOMPARE(facts.value(QStringLiteral("cause")).toString(), QStringLiteral("no_such_file"));
            const auto raised = send(door, raises);
            QCOMPARE(raised->json().value(QStringLiteral("result"))[QLatin1String("isError")], QJsonValue(door == Door::Mcp));
            const auto empty = send(door, q("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'echo','arguments':{}}}"));
            QCOMPARE(empty->json().value(QStringLiteral("result"))[QLatin1String("isError")], QJsonValue(true));
        }
        const auto pictures = send(Door::Mcp, q("{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'text'}}"));
        const QJsonArray content = pictures->json().value(QStringLiteral("result"))[QLatin1String("content")].toArray();
        QCOMPARE(content.size(), 3);
        QCOMPARE(content[0][QLatin1String("text")].toString(), QStringLiteral("hello"));
        QVERIFY(content[1][QLatin1String("text")].toString().contains(QStringLiteral("http://power.example:8000/dl/u/chart.png")));
        QCOMPARE(content[2][QLatin1String("mimeType")].toString(), QStringLiteral("image/png"));
    }

    void keysAreAskedFor()
    {
        EndpointConfig config;
        m_endpoint = std::make_unique<Endpoint>(m_registry, doors::keyAuthenticator(access::ApiKeyGate("secret"), {}), config);
        const QByteArray ping = q("{'jsonrpc':'2.0','id':1,'method':'ping'}");
        const auto without = send(Door::Mcp, ping);
        QCOMPARE(without->answer.status, 401);
        QVERIFY(without->answer.headers.contains("WWW-Authenticate"));
        QCOMPARE(send(Door::Mcp, ping, {{"X-API-Key", "secreT"}})->answer.status, 401);
        QCOMPARE(send(Door::Mcp, ping, {{"X-API-Key", "secret"}})->answer.status, 200);
        QCOMPARE(send(Door::Sse, ping, {{"Authorization", "Bearer secret"}})->answer.status, 200);
    }

    void answerForms()
    {
        const QByteArray ping = q("{'jsonrpc':'2.0','id':1,'method':'ping'}");
        QVERIFY(!send(Door::Mcp, ping)->stream_);
        QVERIFY(!send(Door::Mcp, ping, {{"Accept", "*/*"}})->stream_);
        QVERIFY(!send(Door::Mcp, ping, {{"Accept", "application/json, text/event-stream"}})->stream_);
        QVERIFY(!send(Door::Sse, ping, {{"Accept", "text/event-stream"}})->stream_);
        const auto only = send(Door::Mcp, ping, {{"Accept", "text/event-stream"}});
        QVERIFY(only->stream_);
        QCOMPARE(only->stream_->events.size(), 1);
        QVERIFY(!only->stream_->isOpen());
    }

    void progressFlowsOnAStream()
    {
        using namespace std::chrono_literals;
        restart({60ms, 10s, 20ms});
        const QByteArray body = q("{'jsonrpc':'2.0','id':9,'method':'tools/call','params':{'name':'slow','_meta':{'progressToken':'p'}}}");
        const auto exchange = send(Door::Mcp, body, {{"Accept", "application/json, text/event-stream"}});
        QVERIFY(m_seen->caller.progress);
        m_seen->caller.progress(-1, -1, QStringLiteral("early"));
        QVERIFY(!exchange->stream_);
        QTRY_VERIFY(exchange->stream_);
        for (int i = 0; i < 50; ++i)
            m_seen->caller.progress(-1, -1, QStringLiteral("line %1").arg(i));
        m_seen->caller.progress(3, 4, QStringLiteral("back"));
        QVERIFY(exchange->stream_->events.size() <= 6); // a burst of four, and what the wait above refilled
        QTRY_VERIFY_WITH_TIMEOUT(exchange->stream_->events.last().data.contains("back"), 3000); // the newest text follows
        m_seen->slow.resolve(1);
        const auto &events = exchange->stream_->events;
        double last = 0;
        for (qsizetype i = 0; i + 1 < events.size(); ++i) {
            const QJsonObject params = QJsonDocument::fromJson(events[i].data).object().value(QStringLiteral("params")).toObject();
            QCOMPARE(params.value(QStringLiteral("progressToken")).toString(), QStringLiteral("p"));
            QVERIFY(params.value(QStringLiteral("progress")).toDouble() > last);
            last = params.value(QStringLiteral("progress")).toDouble();
        }
        QVERIFY(events.last().data.contains("done 1"));
        QVERIFY(!exchange->stream_->isOpen());
        QCOMPARE(exchange->answers, 1);
        QCOMPARE(m_endpoint->runningCalls(), 0);
        m_seen->caller.progress(-1, -1, QStringLiteral("too late"));

        init();
        restart({0ms, 10s, 20ms});
        const auto quick = send(Door::Mcp, body, {{"Accept", "application/json"}});
        m_seen->caller.progress(1, 4, QStringLiteral("x"));
        m_seen->slow.resolve(2);
        QVERIFY(!quick->stream_);
        QVERIFY(quick->answer.body.contains("done 2"));
    }

    void cancellation()
    {
        const QByteArray legacy = q("{'jsonrpc':'2.0','id':9,'method':'tools/call','params':{'name':'slow'}}");
        const auto cancelOf = [](const QByteArray &id) {
            return q("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':") + id + "}}";
        };
        // By notification: same session and same id (of the same type) only.
        const auto running = send(Door::Mcp, legacy, {{"Mcp-Session-Id", "s1"}});
        send(Door::Mcp, cancelOf("9"), {{"Mcp-Session-Id", "s2"}});
        send(Door::Mcp, cancelOf("\"9\""), {{"Mcp-Session-Id", "s1"}});
        send(Door::Mcp, cancelOf("9"));
        QVERIFY(!running->isAnswered());
        running->client.cancel(); // a legacy disconnect is no cancellation
        QVERIFY(!m_seen->caller.cancel.isCancelled());
        send(Door::Mcp, cancelOf("9"), {{"Mcp-Session-Id", "s1"}});
        QVERIFY(m_seen->caller.cancel.isCancelled());
        QVERIFY(running->isAnswered());
        QCOMPARE(m_endpoint->runningCalls(), 0);
        init();

        // Without a session two calls of one id from one address are two clients.
        const auto one = send(Door::Sse, legacy);
        const OneShot<int> first = std::exchange(m_seen->slow, OneShot<int>());
        const auto two = send(Door::Sse, legacy);
        send(Door::Sse, cancelOf("9"));
        QVERIFY(!one->isAnswered() && !two->isAnswered());
        first.resolve(1);
        m_seen->slow.resolve(1);
        QVERIFY(one->isAnswered() && two->isAnswered());
        init();

        const QByteArray modern = q("{'jsonrpc':'2.0','id':9,'method':'tools/call','params':{'name':'slow',") + kMeta + "}}";
        const auto gone = send(Door::Mcp, modern, modernHeaders("tools/call", "slow"));
        QVERIFY(!m_seen->caller.cancel.isCancelled());
        gone->client.cancel();
        QVERIFY(m_seen->caller.cancel.isCancelled());
        QCOMPARE(m_endpoint->runningCalls(), 0);
    }
};

QTEST_GUILESS_MAIN(TestMcp)
#include "tst_mcp.moc"
