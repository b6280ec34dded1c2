// The MCP doors over real sockets: status lines, headers, streams, disconnects.
#include "RawClient.h"
#include "SampleRegistry.h"
#include "http/HttpServer.h"
#include "mcp/Endpoint.h"
#include "rest/Pages.h"
#include <QTest>

using namespace power;
using namespace power::mcp;
using namespace power::test;
using namespace std::chrono_literals;

namespace {
QByteArray singleQuoted(QByteArray text)
{
    return text.replace('\'', '"');
}

QByteArray postTo(const QByteArray &path, const QByteArray &body, const QByteArray &fields = {})
{
    return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + fields
         + "Content-Length: " + QByteArray::number(body.size()) + "\r\n\r\n" + body;
}

QByteArray plain(const QByteArray &method, const QByteArray &path, const QByteArray &fields = {})
{
    return method + ' ' + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + fields + "\r\n";
}
} // namespace

class TestMcpHttp : public QObject
{
    Q_OBJECT
    operations::Registry m_registry;
    std::shared_ptr<Seen> m_seen = std::make_shared<Seen>();
    std::shared_ptr<Changes> m_changes;
    std::unique_ptr<http::Dispatcher> m_routes;
    std::unique_ptr<Endpoint> m_endpoint;
    std::unique_ptr<http::HttpServer> m_server;

    void serve()
    {
        m_server.reset();
        m_routes = std::make_unique<http::Dispatcher>();
        EndpointConfig config;
        config.features->toolsMayChange = true;
        m_changes = config.features->changes;
        config.delays = {50ms, 10s, 20ms};
        config.maxBody = 4096;
        m_endpoint = std::make_unique<Endpoint>(m_registry, doors::openAuthenticator({}), config);
        m_endpoint->addRoutes(*m_routes);
        rest::addPages(*m_routes, QStringLiteral("4.0.0"), [] { return QJsonObject(); }, [] { return QJsonObject(); });
        m_server = std::make_unique<http::HttpServer>(*m_routes);
        QVERIFY(m_server->listen({}).ok());
    }

private Q_SLOTS:
    void initTestCase()
    {
        addSampleOperations(m_registry, m_seen);
        serve();
    }
    void init() { m_seen->slow = OneShot<int>(); }

    void plainSequenceOnOneConnection()
    {
        RawClient client(m_server->port());
        auto answer = client.ask(postTo("/mcp/sse", singleQuoted("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{}}")));
        QCOMPARE(answer.status, 200);
        QVERIFY(answer.field("Content-Type").startsWith("application/json"));
        QVERIFY(answer.body.contains("\"id\":0"));
        answer = client.ask(postTo("/mcp/sse/", singleQuoted("{'jsonrpc':'2.0','method':'notifications/initialized'}")));
        QCOMPARE(answer.status, 204);
        QVERIFY(answer.body.isEmpty());
        answer = client.ask(postTo("/mcp", singleQuoted("{'jsonrpc':'2.0','method':'notifications/initialized'}")));
        QCOMPARE(answer.status, 202);
        QVERIFY(answer.body.isEmpty());
        answer = client.ask(postTo("/mcp/", singleQuoted("{'jsonrpc':'2.0','id':2,'method':'tools/call','params':{'name':'echo','arguments':{'code':'1'}}}")));
        QCOMPARE(answer.status, 200);
        QCOMPARE(m_seen->caller.baseUrl, QStringLiteral("http://127.0.0.1"));
    }

    void otherMethodsAndPaths_data()
    {
        QTest::addColumn<QByteArray>("request");
        QTest::addColumn<int>("status");
        QTest::addColumn<QByteArray>("field");
        QTest::newRow("get") << plain("GET", "/mcp", "Accept: text/event-stream\r\n") << 405 << QByteArray("Allow");
        QTest::newRow("get sse") << plain("GET", "/mcp/sse") << 405 << QByteArray("Allow");
        QTest::newRow("delete") << plain("DELETE", "/mcp") << 405 << QByteArray("Allow");
        QTest::newRow("head") << plain("HEAD", "/mcp") << 405 << QByteArray("Allow");
        QTest::newRow("put") << plain("PUT", "/mcp") << 405 << QByteArray("Allow");
        QTest::newRow("options") << plain("OPTIONS", "/mcp", "Origin: http://localhost:6274\r\nAccess-Control-Request-Method: POST\r\n")
                                 << 204 << QByteArray("Access-Control-Allow-Headers");
        QTest::newRow("well-known") << plain("GET", "/.well-known/oauth-protected-resource/mcp") << 404 << QByteArray("Content-Type");
        QTest::newRow("openid") << plain("GET", "/.well-known/openid-configuration") << 404 << QByteArray("Content-Type");
        QTest::newRow("register") << postTo("/register", "{}") << 404 << QByteArray("Content-Type");
        QTest::newRow("unknown") << plain("GET", "/nothing/here") << 404 << QByteArray("Content-Type");
        QTest::newRow("root") << plain("HEAD", "/") << 200 << QByteArray("Content-Type");
        QTest::newRow("docs") << plain("GET", "/docs") << 200 << QByteArray("Content-Security-Policy");
        QTest::newRow("bad origin") << postTo("/mcp", "{}", "Origin: http://evil.example.com\r\n") << 403 << QByteArray();
        QTest::newRow("too large") << postTo("/mcp", QByteArray(5000, ' ')) << 413 << QByteArray("Content-Type");
    }
    void otherMethodsAndPaths()
    {
        QFETCH(QByteArray, request);
        QFETCH(int, status);
        QFETCH(QByteArray, field);
        RawClient client(m_server->port());
        const auto answer = client.ask(request);
        QCOMPARE(answer.status, status);
        QVERIFY2(field.isEmpty() || !answer.field(field).isEmpty(), answer.head.constData());
        if (status == 404)
            QVERIFY2(QJsonDocument::fromJson(answer.body).isObject(), answer.body.constData());
    }

    void progressOverSse()
    {
        RawClient client(m_server->port());
        client.send(postTo("/mcp", singleQuoted("{'jsonrpc':'2.0','id':5,'method':'tools/call','params':{'name':'slow','_meta':{'progressToken':7}}}"),
                           "Accept: application/json, text/event-stream\r\n"));
        QTRY_VERIFY(m_seen->caller.progress && m_endpoint->runningCalls() == 1);
        m_seen->caller.progress(1, 4, QStringLiteral("reading"));
        const QByteArray head = client.until("\r\n\r\n");
        QVERIFY(head.startsWith("HTTP/1.1 200"));
        QVERIFY(head.toLower().contains("content-type: text/event-stream"));
        QVERIFY(client.until("\n\n").contains("\"progressToken\":7"));
        m_seen->slow.resolve(3);
        bool closed = false;
        const QByteArray rest = client.rest(&closed);
        QVERIFY(rest.contains("done 3") && rest.contains("\"id\":5"));
        QVERIFY(closed);
        m_seen->caller = {};
    }

    // A client of each kind at the same time on the same server; then the server stops although their streams are open.
    void everyKindOfClientAtOnce()
    {
        const QByteArray meta = "'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28','io.modelcontextprotocol/clientCapabilities':{}}";
        const QByteArray call = singleQuoted("{'jsonrpc':'2.0','id':5,'method':'tools/call','params':{'name':'echo','arguments':{'code':'1'}}}");
        const QByteArray accept = "Accept: application/json, text/event-stream\r\n";

        RawClient legacy(m_server->port());
        const auto hello = legacy.ask(postTo("/mcp", singleQuoted("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'2025-11-25'}}"), accept));
        const QByteArray session = "Mcp-Session-Id: " + hello.field("Mcp-Session-Id") + "\r\n";
        QVERIFY(session.size() > 20);
        RawClient legacyStream(m_server->port());
        legacyStream.send(plain("GET", "/mcp", "Accept: text/event-stream\r\n" + session));
        const QByteArray primed = legacyStream.until("data: \n\n");
        QVERIFY(primed.contains("text/event-stream") && primed.contains("retry: 500\nid: "));

        RawClient modernStream(m_server->port());
        modernStream.send(postTo("/mcp", singleQuoted("{'jsonrpc':'2.0','id':'l','method':'subscriptions/listen','params':{'notifications':{'toolsListChanged':true}," + meta + "}}"),
                                 accept + "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n"));
        QVERIFY(modernStream.until("\r\n\r\n").contains("text/event-stream"));
        QVERIFY(modernStream.until("\n\n").contains("acknowledged"));

        RawClient sse(m_server->port());
        sse.send(plain("GET", "/mcp/sse", "Accept: text/event-stream\r\n"));
        sse.until("event: endpoint\ndata: ");
        const QByteArray address = sse.until("\n\n").trimmed();
        RawClient messages(m_server->port());
        QCOMPARE(messages.ask(postTo(address, call)).status, 202);
        QVERIFY(sse.until("\n\n").contains("\"id\":5"));

        RawClient plainClient(m_server->port());
        QVERIFY(plainClient.ask(postTo("/mcp/sse", call)).body.contains("\"id\":5"));
        QVERIFY(legacy.ask(postTo("/mcp", call, accept + session)).body.contains("\"id\":5"));
        RawClient modern(m_server->port());
        const auto answer = modern.ask(postTo("/mcp", singleQuoted("{'jsonrpc':'2.0','id':6,'method':'tools/call','params':{'name':'echo','arguments':{'code':'1'}," + meta + "}}"),
                                              accept + "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n"));
        QVERIFY(answer.body.contains("\"resultType\":\"complete\""));

        m_changes->toolsChanged();
        QVERIFY(legacyStream.until("\n\n").contains("tools/list_changed"));
        QVERIFY(modernStream.until("\n\n").contains("\"io.modelcontextprotocol/subscriptionId\":\"l\""));
        QVERIFY(sse.until("\n\n").contains("tools/list_changed"));
        QCOMPARE(legacy.ask(plain("DELETE", "/mcp", session)).status, 204);
        QVERIFY(legacyStream.waitClosed());
        QCOMPARE(legacy.ask(postTo("/mcp", call, session)).status, 404);

        m_endpoint->close();
        QVERIFY(modernStream.rest().contains("\"resultType\":\"complete\""));
        QVERIFY(sse.waitClosed());
        serve(); // the next test has a server of its own
    }

    void disconnectCancelsInTheModernEraOnly()
    {
        const QByteArray meta = "'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28','io.modelcontextprotocol/clientCapabilities':{}}";
        for (const bool modern : {true, false}) {
            init();
            auto client = std::make_unique<RawClient>(m_server->port());
            const QByteArray body = singleQuoted("{'jsonrpc':'2.0','id':5,'method':'tools/call','params':{'name':'slow',"
                                                 + (modern ? meta : QByteArray("'arguments':{}")) + "}}");
            client->send(postTo("/mcp", body, modern ? "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: slow\r\n" : ""));
            QTRY_COMPARE(m_endpoint->runningCalls(), 1);
            client->reset();
            if (modern) {
                QTRY_VERIFY(m_seen->caller.cancel.isCancelled());
                QTRY_COMPARE(m_endpoint->runningCalls(), 0);
            } else {
                QTRY_COMPARE(m_server->connectionCount(), 0);
                QVERIFY(!m_seen->caller.cancel.isCancelled());
                m_seen->slow.resolve(1);
                QCOMPARE(m_endpoint->runningCalls(), 0);
            }
            m_seen->caller = {};
        }
    }
};

QTEST_GUILESS_MAIN(TestMcpHttp)
#include "tst_mcp_http.moc"
