// Mutated valid requests through the whole adapter in this process: only specified answers, always exactly one.
#include "FakeExchange.h"
#include "Fixture.h"
#include "SampleRegistry.h"
#include "mcp/Endpoint.h"
#include <QElapsedTimer>
#include <QRandomGenerator>
#include <QSet>
#include <QTest>

using namespace power;
using namespace power::mcp;
using namespace power::test;

namespace {
QByteArray fromQuotes(const char *text)
{
    return QByteArray(text).replace('\'', '"');
}

QByteArray mutated(QRandomGenerator &random, QByteArray body)
{
    static const QByteArrayList splices{"null", "[]", "{}", "\"\"", "-1", "1e999", "true", "\xff\xfe", "\\ud800", ",", "}", "]", "\"",
                                        "[[[[[[[[", "{\"a\":", "99999999999999999999", "\"_meta\"", "\xf0\x9f\x93", QByteArray(1, '\0')};
    for (int n = random.bounded(0, 3); n > 0; --n) {
        const qsizetype at = random.bounded(body.size() + 1);
        switch (random.bounded(14)) {
        case 0: body.insert(at, splices.at(random.bounded(splices.size()))); break;
        case 1: body.remove(at, random.bounded(1, 12)); break;
        case 2:
            if (at < body.size())
                body[at] = char(random.bounded(256));
            break;
        case 3: body.truncate(at); break;
        case 4: body.insert(at, body.mid(random.bounded(body.size() + 1), random.bounded(1, 40))); break;
        default: {
            // A whole value replaced: most of these stay valid JSON and reach a handler.
            const qsizetype colon = body.indexOf(':', at);
            const qsizetype end = colon < 0 ? -1 : body.indexOf(',', colon);
            if (end > colon)
                body.replace(colon + 1, end - colon - 1, splices.at(random.bounded(7)));
            break;
        }
        }
        if (body.isEmpty())
            body = "x";
    }
    return body;
}
} // namespace

class TestMcpFuzz : public QObject
{
    Q_OBJECT
    operations::Registry m_registry;
    std::shared_ptr<Seen> m_seen = std::make_shared<Seen>();

private Q_SLOTS:
    void initTestCase()
    {
        addSampleOperations(m_registry, m_seen);
        conformance::addAskingTools(m_registry);
    }

    void onlySpecifiedAnswers()
    {
        m_seen->slow.resolve(1);
        EndpointConfig config;
        conformance::addOffers(*config.features);
        Endpoint endpoint(m_registry, doors::openAuthenticator({}), config);
        const QByteArray modern = fromQuotes("'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28',"
                                             "'io.modelcontextprotocol/clientCapabilities':{'elicitation':{}}}}}");
        const auto asked = [&modern](const char *method, const char *params) {
            return fromQuotes("{'jsonrpc':'2.0','id':5,'method':'") + method + fromQuotes("','params':{") + fromQuotes(params) + ',' + modern;
        };
        const QByteArrayList valid{
            fromQuotes("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'2025-11-25','capabilities':{}}}"),
            fromQuotes("{'jsonrpc':'2.0','id':1,'method':'tools/list','params':{}}"),
            fromQuotes("{'jsonrpc':'2.0','id':2,'method':'tools/call','params':{'name':'echo','arguments':{'code':'print(1)','count':3,'session_id':'a'}}}"),
            fromQuotes("{'jsonrpc':'2.0','id':'x','method':'tools/call','params':{'name':'text','arguments':{},'_meta':{'progressToken':'p'}}}"),
            fromQuotes("{'jsonrpc':'2.0','id':2,'method':'tools/call','params':{'name':'slow','arguments':null}}"),
            fromQuotes("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':2}}"),
            fromQuotes("{'jsonrpc':'2.0','id':9,'result':{}}"),
            fromQuotes("[{'jsonrpc':'2.0','id':1,'method':'ping'},{'jsonrpc':'2.0','id':2,'method':'tools/call','params':{'name':'fails'}}]"),
            fromQuotes("{'jsonrpc':'2.0','id':3,'method':'tools/call','params':{'name':'echo','arguments':{'code':'1'},'_meta':{"
                       "'io.modelcontextprotocol/protocolVersion':'2026-07-28','io.modelcontextprotocol/clientCapabilities':{}}}}"),
            fromQuotes("{'jsonrpc':'2.0','id':3,'method':'tools/call','params':{'name':'test_input_required_result_elicitation'}}"),
            fromQuotes("{'jsonrpc':'2.0','id':3,'method':'resources/subscribe','params':{'uri':'test://watched-resource'}}"),
            fromQuotes("{'jsonrpc':'2.0','id':3,'method':'prompts/get','params':{'name':'test_prompt_with_arguments','arguments':{'arg1':'a','arg2':2}}}"),
            fromQuotes("{'jsonrpc':'2.0','id':3,'method':'completion/complete','params':{'ref':{'type':'ref/prompt','name':'test_simple_prompt'},'argument':{'name':'a','value':'b'}}}"),
            fromQuotes("{'jsonrpc':'2.0','id':3,'method':'logging/setLevel','params':{'level':'debug'}}"),
            asked("tools/call", "'name':'test_input_required_result_request_state','inputResponses':{'confirm':{'action':'accept','content':{'ok':true}}},'requestState':'abc.def'"),
            asked("subscriptions/listen", "'notifications':{'toolsListChanged':true,'resourceSubscriptions':['test://watched-resource',5]}"),
            asked("resources/read", "'uri':'test://template/5/data'"),
            asked("prompts/list", "'cursor':'YXQgMg'"),
        };
        const QByteArrayList methods{"tools/call", "subscriptions/listen", "resources/read", "prompts/list"};
        const QByteArrayList names{"test_input_required_result_request_state", "", "test://template/5/data", ""};
        const QSet<int> specified{200, 202, 204, 400, 404, 415};
        QRandomGenerator random(3);
        QMap<int, int> statuses;
        const int before = m_seen->calls;
        const int rounds = qEnvironmentVariableIsSet("POWER_TEST_FULL") ? 100'000 : 20'000;
        int handled = 0;
        for (int i = 0; i < rounds; ++i) {
            const int which = random.bounded(valid.size());
            const QByteArray body = mutated(random, valid.at(which));
            const Door door = which >= 9 || random.bounded(2) ? Door::Mcp : Door::Sse; // the plain one has only tools
            QList<http::Headers::Field> headers;
            if (which == 8 && random.bounded(8))
                headers = {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "echo"}};
            else if (random.bounded(3) == 0)
                headers = {{"MCP-Protocol-Version", random.bounded(2) ? "2025-06-18" : "\xff\x01"}};
            if (which >= 14) {
                headers = {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", methods.at(which - 14)}};
                if (!names.at(which - 14).isEmpty())
                    headers.append(http::Headers::Field{"Mcp-Name", names.at(which - 14)});
            }
            if (random.bounded(3) == 0)
                headers.append(http::Headers::Field{"Mcp-Session-Id", random.bounded(2) ? "abc" : "x.y"});
            if (random.bounded(4) == 0)
                headers.append(http::Headers::Field{"Accept", random.bounded(2) ? "text/event-stream" : "application/json"});
            const auto exchange = fakePost(QStringLiteral("/mcp"), body, headers);
            endpoint.post(exchange, door);
            ++statuses[exchange->answer.status];
            QVERIFY2(exchange->answers == 1, body.constData());
            QVERIFY2(specified.contains(exchange->answer.status), body.constData());
            exchange->client.cancel(); // what listens or waits for an answer ends
            const QByteArray said = exchange->stream_ ? exchange->stream_->events.last().data : exchange->answer.body;
            if (exchange->answer.status == 202 || exchange->answer.status == 204) {
                QVERIFY(said.isEmpty());
                continue;
            }
            const QJsonDocument reply = QJsonDocument::fromJson(said);
            QVERIFY2(reply.isObject() || reply.isArray(), body.constData());
            const QJsonObject first = reply.isArray() ? reply.array().first().toObject() : reply.object();
            const bool acknowledged = first.value(QStringLiteral("method")) == QStringLiteral("notifications/subscriptions/acknowledged");
            const int code = first.value(QStringLiteral("error"))[QLatin1String("code")].toInt();
            const bool refusedByHandler = exchange->answer.status == 200 && (code == InvalidParams || code == ResourceNotFound);
            handled += first.contains(QStringLiteral("result")) || acknowledged || refusedByHandler;
            QVERIFY2(acknowledged || first.contains(QStringLiteral("result")) != first.contains(QStringLiteral("error")), said.constData());
        }
        QCOMPARE(endpoint.runningCalls(), 0);
        qInfo() << "statuses" << statuses << "reached a handler" << handled << "of" << rounds << ", an operation" << m_seen->calls - before;
        QVERIFY(handled > rounds * 3 / 10);
    }

    // Not a limit but a figure for the closing note.
    void costOfOneCall()
    {
        Endpoint endpoint(m_registry, doors::openAuthenticator({}), {});
        for (const char *text : {"{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'empty','arguments':{}}}",
                                 "{'jsonrpc':'2.0','id':1,'method':'tools/list'}"}) {
            const QByteArray body = fromQuotes(text);
            constexpr int rounds = 5'000;
            QElapsedTimer timer;
            timer.start();
            qsizetype size = 0;
            for (int i = 0; i < rounds; ++i) {
                const auto exchange = fakePost(QStringLiteral("/mcp"), body);
                endpoint.post(exchange, Door::Mcp);
                size = exchange->answer.body.size();
            }
            qInfo() << body.mid(30, 24) << double(timer.nsecsElapsed()) / rounds / 1000 << "us each, answer bytes" << size;
        }
    }
};

QTEST_GUILESS_MAIN(TestMcpFuzz)
#include "tst_mcp_fuzz.moc"
