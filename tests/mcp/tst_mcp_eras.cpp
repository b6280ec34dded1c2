// Both eras of the protocol over the fixture of the conformance suite: sessions, streams, questions to the client,
// subscriptions, the offers. Without sockets; tst_mcp_http has those.
#include "FakeExchange.h"
#include "Fixture.h"
#include "base/OneShot.h"
#include "mcp/Endpoint.h"
#include <QTemporaryDir>
#include <QTest>

using namespace power;
using namespace power::mcp;
using namespace power::test;
using Fields = QList<http::Headers::Field>;
using ExchangeRef = std::shared_ptr<FakeExchange>;

namespace {
QByteArray q(const char *text)
{
    return QByteArray(text).replace('\'', '"');
}

QJsonObject json(const QByteArray &text)
{
    return QJsonDocument::fromJson(text).object();
}

const Fields kBoth{{"Accept", "application/json, text/event-stream"}};

// A modern request with its headers.
QByteArray modernBody(const QByteArray &method, QJsonObject params, const QJsonObject &capabilities = {}, const QJsonObject &more = {}, int id = 7)
{
    QJsonObject meta{{QLatin1String(kMetaVersion), QStringLiteral("2026-07-28")}, {QLatin1String(kMetaCapabilities), capabilities}};
    for (auto it = more.begin(); it != more.end(); ++it)
        meta.insert(it.key(), it.value());
    params.insert(QStringLiteral("_meta"), meta);
    return jsonBytes(QJsonObject{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), id},
                                 {QStringLiteral("method"), QLatin1String(method)}, {QStringLiteral("params"), params}});
}
} // namespace

Q_DECLARE_METATYPE(Fields)

namespace {
// Tasks that end when the test says so; looking one up can be held.
class HeldTasks final : public TaskProvider
{
public:
    QHash<QString, QString> states;                 // by id
    std::optional<OneShot<Done>> gate;              // what a look-up waits for, with the state from before

    QCoro::Task<Result<TaskFacts>> get(operations::Caller, QString id) override
    {
        TaskFacts facts;
        facts.id = id;
        facts.status = states.value(id);
        facts.created = facts.updated = QDateTime::currentDateTimeUtc();
        if (gate) {
            const OneShot<Done> opened = *gate;
            const std::chrono::milliseconds forever{0};
            const Result<Done> waited = co_await opened.wait(forever);
            Q_UNUSED(waited);
        }
        if (facts.status.isEmpty())
            co_return fail(ErrorCode::NotFound, QStringLiteral("no such task"));
        co_return facts;
    }
    QCoro::Task<Result<operations::Answer>> result(operations::Caller, QString) override
    {
        co_return conformance::textAnswer(QStringLiteral("done"));
    }
    QCoro::Task<Result<TaskFacts>> begin(operations::Caller, QString, QJsonObject, CancelSource) override { co_return none(); }
    QCoro::Task<> end(QString, Result<operations::Answer>) override { co_return; }
    QCoro::Task<Result<TaskFacts>> wait(operations::Caller, QString, CancelToken) override { co_return none(); }
    QCoro::Task<Result<Done>> cancel(operations::Caller, QString) override { co_return none(); }
    QCoro::Task<Result<QList<TaskFacts>>> list(operations::Caller) override { co_return none(); }

private:
    static Unexpected<Error> none() { return fail(ErrorCode::NotFound, QStringLiteral("not in this test")); }
};
} // namespace

class TestMcpEras : public QObject
{
    Q_OBJECT
    QTemporaryDir m_data;
    std::unique_ptr<operations::Registry> m_registry;
    std::shared_ptr<Features> m_features;
    std::unique_ptr<Endpoint> m_endpoint;
    Sealer m_sealer;

    void restart()
    {
        m_endpoint.reset();
        m_registry = std::make_unique<operations::Registry>();
        EndpointConfig config;
        config.facts = {QStringLiteral("Fixture"), QStringLiteral("1"), QStringLiteral("Hello.")};
        config.delays.withProgress = std::chrono::milliseconds(0);
        auto sealer = Sealer::fromFile(m_data.filePath(QStringLiteral("keys/mcp")));
        QVERIFY(sealer);
        config.sealer = m_sealer = *sealer;
        m_features = config.features;
        conformance::addPlainTools(*m_registry, m_features->changes);
        conformance::addAskingTools(*m_registry);
        conformance::addOffers(*m_features);
        m_endpoint = std::make_unique<Endpoint>(*m_registry, doors::openAuthenticator({}), config);
    }
    ExchangeRef post(const QByteArray &body, const Fields &headers = {})
    {
        auto exchange = fakePost(QStringLiteral("/mcp"), body, headers);
        m_endpoint->post(exchange, Door::Mcp);
        return exchange;
    }
    ExchangeRef modern(const QByteArray &method, const QByteArray &name, const QJsonObject &params, const QJsonObject &capabilities = {},
                       const QJsonObject &more = {}, Fields headers = kBoth)
    {
        headers += Fields{{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", method}};
        if (!name.isEmpty())
            headers.append({"Mcp-Name", name});
        return post(modernBody(method, params, capabilities, more), headers);
    }
    ExchangeRef get(const Fields &headers, bool remove = false)
    {
        auto exchange = fakePost(QStringLiteral("/mcp"), {}, headers);
        exchange->asked.method = remove ? "DELETE" : "GET";
        if (remove)
            m_endpoint->remove(exchange);
        else
            m_endpoint->get(exchange);
        return exchange;
    }
    QByteArray begin(const char *version = "2025-11-25", const char *capabilities = "{'elicitation':{},'sampling':{},'roots':{}}")
    {
        return post(q("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'") + version + q("','capabilities':") + q(capabilities) + q(",'clientInfo':{'name':'test','version':'1'}}}"))
            ->answer.headers.value("Mcp-Session-Id");
    }
    static QByteArray call(const char *tool, const char *arguments = "{}", const char *meta = "{}")
    {
        return q("{'jsonrpc':'2.0','id':5,'method':'tools/call','params':{'name':'") + tool + q("','arguments':") + q(arguments)
             + q(",'_meta':") + q(meta) + "}}";
    }
    static Fields in(const QByteArray &session) { return kBoth + Fields{{"Mcp-Session-Id", session}}; }

private Q_SLOTS:
    void init() { restart(); }

    void sessionIdsSurviveARestart()
    {
        const QByteArray id = begin();
        QVERIFY(id.size() < 1024);
        for (const char c : id)
            QVERIFY(c >= 0x21 && c <= 0x7e);
        QVERIFY(begin() != id);
        restart();
        // Nothing but the id tells the new process what the client can do: it is asked on the call's stream.
        const auto asked = post(call("test_elicitation", "{'message':'name?'}"), in(id));
        QVERIFY(asked->stream_);
        QVERIFY(asked->stream_->events.last().data.contains("elicitation/create"));
        // An id that is not ours is served, but nothing is known of its client.
        const auto stranger = post(call("test_elicitation", "{'message':'name?'}"), in("5f0c"));
        QVERIFY(stranger->json().value(QStringLiteral("result"))[QLatin1String("isError")].toBool());
        QByteArray forged = id;
        forged[forged.size() / 3] = forged.at(forged.size() / 3) == 'A' ? 'B' : 'A';
        QVERIFY(post(call("test_elicitation", "{'message':'x'}"), in(forged))->json().value(QStringLiteral("result"))[QLatin1String("isError")].toBool());
    }

    // A server of an empty disk learns the key of the others when its database is there; until then it has one of its own.
    void aKeyThatComesLater()
    {
        const QByteArray elsewhere = begin();
        const Sealer shared = m_sealer;
        QVERIFY(QFile::remove(m_data.filePath(QStringLiteral("keys/mcp"))));
        restart();
        QVERIFY(m_sealer.key() != shared.key());
        const QByteArray early = begin();
        QVERIFY(post(call("test_elicitation", "{'message':'x'}"), in(elsewhere))->json().value(QStringLiteral("result"))[QLatin1String("isError")].toBool());
        QVERIFY(!m_sealer.adopt("short"));
        QVERIFY(m_sealer.adopt(shared.key()));
        for (const QByteArray &id : {elsewhere, early}) {
            const auto asked = post(call("test_elicitation", "{'message':'name?'}"), in(id));
            QVERIFY(asked->stream_);
            QVERIFY(asked->stream_->events.last().data.contains("elicitation/create"));
        }
        const auto opens = [](const Sealer &sealer, const QByteArray &sealed) { return sealer.open("p", sealed) == QByteArray("text"); };
        QVERIFY(opens(shared, m_sealer.seal("p", "text")));
        QVERIFY(m_sealer.keepIn(m_data.filePath(QStringLiteral("keys/mcp"))));
        restart(); // without a database
        QVERIFY(opens(m_sealer, shared.seal("p", "text")));
        QVERIFY(!opens(Sealer(), shared.seal("p", "text")));
    }

    void deletedSessionsStayDeleted()
    {
        const QByteArray id = begin();
        QCOMPARE(get({}, true)->answer.status, 405);
        const auto stream = get(in(id));
        QVERIFY(stream->stream_->isOpen());
        QCOMPARE(get(in(id), true)->answer.status, 204);
        QVERIFY(!stream->stream_->isOpen());
        QCOMPARE(get(in(id), true)->answer.status, 404);
        QCOMPARE(get(in(id))->answer.status, 404);
        const auto later = post(q("{'jsonrpc':'2.0','id':3,'method':'ping'}"), in(id));
        QCOMPARE(later->answer.status, 404);
        QCOMPARE(later->json().value(QStringLiteral("id")).toInt(), 3);
        // A new beginning is always possible, also with the old header.
        QVERIFY(post(q("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{}}"), in(id))->answer.headers.contains("Mcp-Session-Id"));
    }

    void getNeedsASessionAndTheOldEra_data()
    {
        QTest::addColumn<Fields>("headers");
        QTest::addColumn<int>("status");
        QTest::newRow("no session") << kBoth << 405;
        QTest::newRow("modern") << kBoth + Fields{{"Mcp-Session-Id", "x"}, {"MCP-Protocol-Version", "2026-07-28"}} << 405;
        QTest::newRow("no stream wanted") << Fields{{"Mcp-Session-Id", "x"}, {"Accept", "application/json"}} << 405;
        QTest::newRow("event stream") << Fields{{"Mcp-Session-Id", "x"}, {"Accept", "text/event-stream"}} << 200;
        QTest::newRow("anything") << Fields{{"Mcp-Session-Id", "x"}, {"Accept", "*/*"}} << 200;
    }
    void getNeedsASessionAndTheOldEra()
    {
        QFETCH(Fields, headers);
        QFETCH(int, status);
        const auto exchange = get(headers);
        QCOMPARE(exchange->answer.status, status);
        QCOMPARE(bool(exchange->stream_), status == 200);
        QCOMPARE(exchange->answer.headers.contains("Allow"), status == 405);
    }

    void newsGoToTheNewestStreamOnly()
    {
        const QByteArray id = begin();
        const auto first = get(in(id));
        QCOMPARE(first->stream_->events.size(), 1); // the priming event: no request to the client at connect
        QVERIFY(first->stream_->events[0].data.isEmpty() && !first->stream_->events[0].id.isEmpty());
        QVERIFY(first->stream_->retry.count() > 0);
        const auto second = get(in(id));
        QVERIFY(!first->stream_->isOpen());
        const auto older = get(in(begin("2025-06-18")));
        QCOMPARE(older->stream_->events.size(), 0); // they stumble over empty data
        m_features->changes->toolsChanged();
        QCOMPARE(first->stream_->events.size(), 1);
        QVERIFY(second->stream_->events.last().data.contains("notifications/tools/list_changed"));
        QCOMPARE(older->stream_->events.size(), 1);
        m_features->changes->toolsChanged(QStringLiteral("somebody else"));
        m_features->changes->taskChanged(QStringLiteral("a task that nobody here asked for"));
        QCOMPARE(second->stream_->events.size(), 2);

        // The connection breaks; what happens meanwhile comes with Last-Event-ID.
        second->stream_->open = false;
        m_features->changes->promptsChanged();
        const auto resumed = get(in(id) + Fields{{"Last-Event-ID", second->stream_->events.last().id}});
        QCOMPARE(resumed->stream_->events.size(), 1);
        QVERIFY(resumed->stream_->events[0].data.contains("prompts/list_changed"));
        QVERIFY(get(in(id) + Fields{{"Last-Event-ID", "nonsense:1"}})->stream_->isOpen()); // a new stream then
    }

    void whatIsKeptForABreakIsBounded()
    {
        const QByteArray id = begin();
        const auto stream = get(in(id));
        const QByteArray last = stream->stream_->events[0].id;
        stream->stream_->open = false;
        for (int i = 0; i < 1'500; ++i)
            m_features->changes->toolsChanged();
        const auto resumed = get(in(id) + Fields{{"Last-Event-ID", last}});
        QCOMPARE(resumed->stream_->events.size(), 1'000);
        QVERIFY(resumed->stream_->events.last().id.endsWith(":1500"));
    }

    void anAnswerIsFetchedAfterABreak()
    {
        const QByteArray id = begin();
        const auto cut = post(call("test_reconnection"), in(id));
        QVERIFY(cut->stream_ && !cut->stream_->isOpen());
        QCOMPARE(cut->stream_->events.size(), 1);
        const auto back = get(in(id) + Fields{{"Last-Event-ID", cut->stream_->events[0].id}});
        QTRY_COMPARE(back->stream_->events.size(), 1);
        QVERIFY(back->stream_->events[0].data.contains("came back"));
        QVERIFY(!back->stream_->isOpen());
        // Once more, after the end: replayed whole.
        const auto again = get(in(id) + Fields{{"Last-Event-ID", cut->stream_->events[0].id}});
        QCOMPARE(again->stream_->events.size(), 1);
        QVERIFY(!again->stream_->isOpen());
        // An older client could not come back, so it is not cut off.
        const auto older = post(call("test_reconnection"), in(begin("2025-03-26")));
        QTRY_VERIFY(older->isAnswered());
        QVERIFY(older->json().contains(QStringLiteral("result")));
    }

    void legacyQuestionsGoOnTheStreamOfTheCall()
    {
        const QByteArray id = begin();
        const auto asked = post(call("test_input_required_result_multi_round"), in(id));
        const auto answer = [&](const char *content) {
            const QJsonObject request = json(asked->stream_->events.last().data);
            QCOMPARE(request.value(QStringLiteral("method")).toString(), QStringLiteral("elicitation/create"));
            const QByteArray reply = q("{'jsonrpc':'2.0','id':'") + request.value(QStringLiteral("id")).toString().toLatin1()
                                   + q("','result':{'action':'accept','content':") + q(content) + "}}";
            QCOMPARE(post(reply, in(id))->answer.status, 202);
        };
        answer("{'name':'Ada'}");
        answer("{'color':'red'}");
        const QJsonObject last = json(asked->stream_->events.last().data);
        QCOMPARE(last.value(QStringLiteral("id")).toInt(), 5);
        QVERIFY(asked->stream_->events.last().data.contains("Both rounds answered"));
        QVERIFY(!asked->stream_->isOpen());
        QCOMPARE(m_endpoint->runningCalls(), 0);

        // Nobody can be asked: no stream, no capability, or the client refuses.
        const QByteArray bare = begin("2025-11-25", "{}");
        for (const auto &exchange : {post(call("test_input_required_result_elicitation"), in(bare)),
                                     post(call("test_input_required_result_elicitation"), Fields{{"Mcp-Session-Id", id}})}) {
            const QJsonValue result = exchange->json().value(QStringLiteral("result"));
            QVERIFY(result[QLatin1String("isError")].toBool());
            QVERIFY(result[QLatin1String("content")][0][QLatin1String("text")].toString().contains(QStringLiteral("cannot be asked")));
        }
        const auto refused = post(call("test_input_required_result_elicitation"), in(id));
        const QByteArray question = json(refused->stream_->events.last().data).value(QStringLiteral("id")).toString().toLatin1();
        post(q("{'jsonrpc':'2.0','id':'") + question + q("','error':{'code':-1,'message':'no'}}"), in(id));
        QVERIFY(refused->stream_->events.last().data.contains("refused elicitation"));
        // Cancelled while it waits: the question is taken back.
        const auto cancelled = post(call("test_input_required_result_elicitation"), in(id));
        post(q("{'jsonrpc':'2.0','method':'notifications/cancelled','params':{'requestId':5}}"), in(id));
        QVERIFY(!cancelled->stream_->isOpen());
        QCOMPARE(m_endpoint->runningCalls(), 0);
    }

    void modernQuestionsAreResults()
    {
        const QJsonObject can = conformance::parsed("{'elicitation':{'form':{}}}");
        QJsonObject params{{QStringLiteral("name"), QStringLiteral("test_input_required_result_request_state")},
                           {QStringLiteral("arguments"), QJsonObject()}};
        const QByteArray name = "test_input_required_result_request_state";
        const auto first = modern("tools/call", name, params, can);
        QCOMPARE(first->answer.status, 200);
        const QJsonObject interim = first->json().value(QStringLiteral("result")).toObject();
        QCOMPARE(interim.value(QStringLiteral("resultType")).toString(), QStringLiteral("input_required"));
        QVERIFY(!interim.contains(QStringLiteral("ttlMs")) && interim.contains(QStringLiteral("inputRequests")));
        params.insert(QStringLiteral("inputResponses"), conformance::parsed("{'confirm':{'action':'accept','content':{'ok':true}},'junk':{}}"));
        const QString state = interim.value(QStringLiteral("requestState")).toString();
        params.insert(QStringLiteral("requestState"), state);
        QVERIFY(modern("tools/call", name, params, can)->answer.body.contains("state-ok"));
        restart(); // the state outlives the process
        QVERIFY(modern("tools/call", name, params, can)->answer.body.contains("state-ok"));

        const auto code = [](const ExchangeRef &exchange) {
            return exchange->json().value(QStringLiteral("error"))[QLatin1String("code")].toInt();
        };
        QJsonObject wrong = params;
        wrong.insert(QStringLiteral("requestState"), QString(state).replace(3, 1, u'~'));
        QCOMPARE(code(modern("tools/call", name, wrong, can)), -32602);
        wrong.insert(QStringLiteral("requestState"), state);
        wrong.insert(QStringLiteral("arguments"), conformance::parsed("{'other':1}"));
        QCOMPARE(code(modern("tools/call", name, wrong, can)), -32602); // belongs to another call
        wrong = params;
        wrong.insert(QStringLiteral("inputResponses"), conformance::parsed("{'confirm':5}"));
        QCOMPARE(code(modern("tools/call", name, wrong, can)), -32602);

        // A client that did not declare it on this request is not asked.
        params.remove(QStringLiteral("inputResponses"));
        params.remove(QStringLiteral("requestState"));
        const auto unable = modern("tools/call", name, params, {});
        QCOMPARE(unable->answer.status, 400);
        QCOMPARE(code(unable), -32021);
        QVERIFY(unable->json().value(QStringLiteral("error"))[QLatin1String("data")][QLatin1String("requiredCapabilities")]
                    .toObject().contains(QStringLiteral("elicitation")));
    }

    void ladderOfTheModernEra_data()
    {
        QTest::addColumn<QByteArray>("tool");
        QTest::addColumn<QJsonObject>("arguments");
        QTest::addColumn<Fields>("headers");
        QTest::addColumn<QJsonObject>("meta");
        QTest::addColumn<int>("code");
        const QJsonObject here = conformance::parsed("{'region':'Köln','count':3}");
        const auto row = [](const char *name, const char *tool, const QJsonObject &arguments, const Fields &headers, const QJsonObject &meta, int code) {
            QTest::newRow(name) << QByteArray(tool) << arguments << headers << meta << code;
        };
        const Fields count{{"Mcp-Param-Count", "3"}};
        row("parameter headers", "test_custom_header", here, count + Fields{{"Mcp-Param-Region", "=?base64?S8O2bG4=?="}}, {}, 0);
        row("number as another text", "test_custom_header", here, Fields{{"Mcp-Param-Count", "3.0"}, {"Mcp-Param-Region", "=?base64?S8O2bG4=?="}}, {}, 0);
        row("parameter header missing", "test_custom_header", here, count, {}, -32020);
        row("parameter header differs", "test_custom_header", here, count + Fields{{"Mcp-Param-Region", "Bonn"}}, {}, -32020);
        row("parameter header bad base64", "test_custom_header", here, count + Fields{{"Mcp-Param-Region", "=?base64?S8O2bG4?="}}, {}, -32020);
        row("parameter header without value", "test_custom_header", conformance::parsed("{'region':null}"), Fields{{"Mcp-Param-Region", "x"}}, {}, -32020);
        row("optional one absent", "test_custom_header", conformance::parsed("{'region':'x'}"), Fields{{"Mcp-Param-Region", "x"}}, {}, 0);
        row("capability missing", "test_missing_capability", {}, {}, {}, -32021);
        row("log level unknown", "test_simple_text", {}, {}, {{QLatin1String(kMetaLogLevel), QStringLiteral("loud")}}, -32602);
        row("log level known", "test_simple_text", {}, {}, {{QLatin1String(kMetaLogLevel), QStringLiteral("debug")}}, 0);
    }
    void ladderOfTheModernEra()
    {
        QFETCH(QByteArray, tool);
        QFETCH(QJsonObject, arguments);
        QFETCH(Fields, headers);
        QFETCH(QJsonObject, meta);
        QFETCH(int, code);
        const QJsonObject params{{QStringLiteral("name"), QLatin1String(tool)}, {QStringLiteral("arguments"), arguments}};
        const auto exchange = modern("tools/call", tool, params, {}, meta, kBoth + headers);
        QCOMPARE(exchange->json().value(QStringLiteral("error"))[QLatin1String("code")].toInt(), code);
        QCOMPARE(exchange->answer.status, code == 0 ? 200 : 400);
        QCOMPARE(exchange->json().value(QStringLiteral("id")).toInt(), 7);
    }

    void logMessagesAreAskedFor()
    {
        const QByteArray id = begin();
        const auto silent = post(call("test_tool_with_logging"), in(id));
        QTRY_VERIFY(silent->isAnswered());
        QVERIFY(!silent->stream_);
        const auto bad = post(q("{'jsonrpc':'2.0','id':1,'method':'logging/setLevel','params':{'level':'loud'}}"), in(id));
        QCOMPARE(bad->json().value(QStringLiteral("error"))[QLatin1String("code")].toInt(), -32602);
        post(q("{'jsonrpc':'2.0','id':1,'method':'logging/setLevel','params':{'level':'debug'}}"), in(id));
        const auto told = post(call("test_tool_with_logging"), in(id));
        QTRY_VERIFY(told->stream_ && !told->stream_->isOpen());
        QCOMPARE(told->stream_->events.size(), 5); // priming, three messages, the answer
        post(q("{'jsonrpc':'2.0','id':1,'method':'logging/setLevel','params':{'level':'error'}}"), in(id));
        const auto quiet = post(call("test_tool_with_logging"), in(id));
        QTRY_VERIFY(quiet->isAnswered());
        QVERIFY(!quiet->stream_);

        const QJsonObject params{{QStringLiteral("name"), QStringLiteral("test_logging_tool")}};
        const auto without = modern("tools/call", "test_logging_tool", params);
        QTRY_VERIFY(without->isAnswered());
        QVERIFY(!without->stream_);
        const auto with = modern("tools/call", "test_logging_tool", params, {}, {{QLatin1String(kMetaLogLevel), QStringLiteral("info")}});
        QTRY_VERIFY(with->stream_ && !with->stream_->isOpen());
        QCOMPARE(with->stream_->events.size(), 4);
        for (const auto &event : std::as_const(with->stream_->events))
            QVERIFY(event.id.isEmpty()); // no event ids in this era
    }

    void listening()
    {
        QJsonObject wishes = conformance::parsed("{'toolsListChanged':true,'resourceSubscriptions':['test://watched-resource','nope://x']}");
        const auto stream = modern("subscriptions/listen", {}, {{QStringLiteral("notifications"), wishes}}, {}, {}, {{"Accept", "application/json"}});
        QVERIFY(stream->stream_);
        const QJsonObject first = json(stream->stream_->events[0].data);
        QCOMPARE(first.value(QStringLiteral("method")).toString(), QStringLiteral("notifications/subscriptions/acknowledged"));
        QCOMPARE(first.value(QStringLiteral("params"))[QLatin1String("_meta")][QLatin1String(kMetaSubscription)], QJsonValue(7));
        QCOMPARE(first.value(QStringLiteral("params"))[QLatin1String("notifications")].toObject(),
                 conformance::parsed("{'toolsListChanged':true,'resourceSubscriptions':['test://watched-resource']}"));
        m_features->changes->promptsChanged();
        m_features->changes->resourceUpdated({}, QStringLiteral("test://static-text"));
        QCOMPARE(stream->stream_->events.size(), 1);
        m_features->changes->toolsChanged();
        m_features->changes->resourceUpdated(QStringLiteral("owner"), QStringLiteral("test://watched-resource"));
        QCOMPARE(stream->stream_->events.size(), 3);
        QCOMPARE(json(stream->stream_->events[2].data).value(QStringLiteral("params"))[QLatin1String("_meta")][QLatin1String(kMetaSubscription)], QJsonValue(7));
        const auto leaving = modern("subscriptions/listen", {}, {{QStringLiteral("notifications"), wishes}});
        QCOMPARE(m_endpoint->runningCalls(), 2);
        leaving->client.cancel();
        QCOMPARE(m_endpoint->runningCalls(), 1);
        QCOMPARE(leaving->stream_->events.size(), 1);
        m_endpoint->close(); // the server stops: a whole answer
        QVERIFY(!stream->stream_->isOpen());
        const QJsonObject last = json(stream->stream_->events.last().data);
        QCOMPARE(last.value(QStringLiteral("result"))[QLatin1String("resultType")].toString(), QStringLiteral("complete"));
        QCOMPARE(modern("subscriptions/listen", {}, {})->answer.status, 400);
    }

    // A task that is over before anybody listens makes no news any more: its state is told.
    void listeningToTasks()
    {
        const auto tasks = std::make_shared<HeldTasks>();
        tasks->states = {{QStringLiteral("over"), QStringLiteral("completed")}, {QStringLiteral("late"), QStringLiteral("working")},
                         {QStringLiteral("long"), QStringLiteral("working")}};
        m_features->tasks = tasks;
        tasks->gate.emplace();
        const QJsonObject wishes = conformance::parsed("{'taskIds':['late','over','long','late','none']}");
        const QJsonObject declared = conformance::parsed("{'extensions':{'io.modelcontextprotocol/tasks':{}}}");
        const auto stream = modern("subscriptions/listen", {}, {{QStringLiteral("notifications"), wishes}}, declared);
        // It ends while the tasks are being looked up: the listener gets to know the state from before.
        const OneShot<Done> gate = *std::exchange(tasks->gate, std::nullopt);
        tasks->states[QStringLiteral("late")] = QStringLiteral("completed");
        m_features->changes->taskChanged(QStringLiteral("late"));
        m_features->changes->taskChanged(QStringLiteral("stranger"));
        gate.resolve(Done{});
        QTRY_VERIFY(stream->stream_ && stream->stream_->events.size() >= 3);
        QCOMPARE(json(stream->stream_->events[0].data).value(QStringLiteral("params"))[QLatin1String("notifications")].toObject(),
                 conformance::parsed("{'taskIds':['late','over','long']}"));
        const auto told = [&](int n) { return json(stream->stream_->events.value(n).data).value(QStringLiteral("params")).toObject(); };
        QSet<QString> ended;
        for (int n = 1; n < 3; ++n) {
            ended.insert(told(n).value(QStringLiteral("taskId")).toString());
            QCOMPARE(told(n).value(QStringLiteral("status")).toString(), QStringLiteral("completed"));
            QCOMPARE(told(n)[QLatin1String("_meta")][QLatin1String(kMetaSubscription)], QJsonValue(7));
        }
        QCOMPARE(ended, (QSet<QString>{QStringLiteral("over"), QStringLiteral("late")}));
        // Two changes while one is being read: the last state is told last.
        tasks->gate.emplace();
        m_features->changes->taskChanged(QStringLiteral("long"));
        tasks->states[QStringLiteral("long")] = QStringLiteral("completed");
        const OneShot<Done> second = *std::exchange(tasks->gate, std::nullopt);
        m_features->changes->taskChanged(QStringLiteral("long"));
        QCOMPARE(stream->stream_->events.size(), 3);
        second.resolve(Done{});
        QTRY_COMPARE(stream->stream_->events.size(), 5);
        QCOMPARE(told(3).value(QStringLiteral("status")).toString(), QStringLiteral("working"));
        QCOMPARE(told(4).value(QStringLiteral("status")).toString(), QStringLiteral("completed"));
        m_endpoint->close();
    }

    void legacySubscriptions()
    {
        const QByteArray id = begin();
        const auto stream = get(in(id));
        const auto ask = [&](const char *method, const char *uri) {
            return post(q("{'jsonrpc':'2.0','id':1,'method':'resources/") + method + q("','params':{'uri':'") + uri + q("'}}"), in(id))->json();
        };
        QCOMPARE(ask("subscribe", "nope://x").value(QStringLiteral("error"))[QLatin1String("code")].toInt(), -32002);
        QVERIFY(ask("subscribe", "test://watched-resource").contains(QStringLiteral("result")));
        const auto before = stream->stream_->events.size();
        m_features->changes->resourceUpdated({}, QStringLiteral("test://watched-resource"));
        m_features->changes->resourceUpdated({}, QStringLiteral("test://static-text"));
        QCOMPARE(stream->stream_->events.size(), before + 1);
        QVERIFY(ask("unsubscribe", "test://watched-resource").contains(QStringLiteral("result")));
        m_features->changes->resourceUpdated({}, QStringLiteral("test://watched-resource"));
        QCOMPARE(stream->stream_->events.size(), before + 1);
    }

    void offersInBothEras()
    {
        const auto missing = [](const QJsonObject &answer) { return answer.value(QStringLiteral("error"))[QLatin1String("code")].toInt(); };
        QCOMPARE(missing(post(q("{'jsonrpc':'2.0','id':1,'method':'resources/read','params':{'uri':'test://nope'}}"))->json()), -32002);
        const auto gone = modern("resources/read", "test://nope", {{QStringLiteral("uri"), QStringLiteral("test://nope")}});
        QCOMPARE(missing(gone->json()), -32602);
        QCOMPARE(gone->answer.status, 200);
        QCOMPARE(gone->json().value(QStringLiteral("error"))[QLatin1String("data")][QLatin1String("uri")].toString(), QStringLiteral("test://nope"));
        const QJsonValue read = modern("resources/read", "test://static-text", {{QStringLiteral("uri"), QStringLiteral("test://static-text")}})
                                    ->json().value(QStringLiteral("result"));
        QCOMPARE(read[QLatin1String("ttlMs")].toInt(-1), 0);
        QCOMPARE(read[QLatin1String("contents")].toArray().size(), 1);

        m_features->pageSize = 2;
        QString cursor;
        QStringList names;
        for (int page = 0; page < 3; ++page) {
            QJsonObject params;
            if (!cursor.isEmpty())
                params.insert(QStringLiteral("cursor"), cursor);
            const QJsonValue list = modern("prompts/list", {}, params)->json().value(QStringLiteral("result"));
            for (const QJsonValue &prompt : list[QLatin1String("prompts")].toArray())
                names << prompt[QLatin1String("name")].toString();
            cursor = list[QLatin1String("nextCursor")].toString();
        }
        QVERIFY(cursor.isEmpty());
        QCOMPARE(QSet<QString>(names.begin(), names.end()).size(), 5);
        for (const char *bad : {"x", "YXQgMQ", "YXQgLTI"})
            QCOMPARE(missing(modern("prompts/list", {}, {{QStringLiteral("cursor"), QLatin1String(bad)}})->json()), -32602);

        QCOMPARE(missing(post(q("{'jsonrpc':'2.0','id':1,'method':'prompts/get','params':{'name':'nope'}}"))->json()), -32602);
        QCOMPARE(missing(post(q("{'jsonrpc':'2.0','id':1,'method':'prompts/get','params':{'name':'test_prompt_with_arguments','arguments':{'arg1':'a'}}}"))->json()), -32602);
        QCOMPARE(missing(post(q("{'jsonrpc':'2.0','id':1,'method':'completion/complete','params':{'ref':{'type':'ref/prompt','name':'nope'},'argument':{'name':'a','value':''}}}"))->json()), -32602);
        const QJsonValue done = post(q("{'jsonrpc':'2.0','id':1,'method':'completion/complete','params':{'ref':{'type':'ref/resource','uri':'test://template/{id}/data'},'argument':{'name':'id','value':'1'}}}"))
                                    ->json().value(QStringLiteral("result"))[QLatin1String("completion")];
        QCOMPARE(done[QLatin1String("values")].toArray().size(), 2);
    }

    void batchesByVersion()
    {
        const QByteArray batch = q("[{'jsonrpc':'2.0','id':1,'method':'ping'},{'jsonrpc':'2.0','id':2,'method':'tools/call','params':{'name':'test_simple_text'}}]");
        QCOMPARE(post(batch, in(begin("2025-03-26")))->answer.status, 200);
        QCOMPARE(post(batch)->answer.status, 200);
        QCOMPARE(post(batch, in(begin("2025-06-18")))->answer.status, 400);
        QCOMPARE(post(batch, in(begin("2025-11-25")))->answer.status, 400);
    }

    // 2024-11-05: one stream for the answers, messages beside it.
    void httpAndSse()
    {
        auto open = fakePost(QStringLiteral("/mcp/sse"), {}, {{"Accept", "text/event-stream"}});
        open->asked.method = "GET";
        m_endpoint->openStream(open);
        QVERIFY(open->stream_);
        const QByteArray address = open->stream_->events[0].data;
        QCOMPARE(open->stream_->events[0].event, QByteArray("endpoint"));
        QVERIFY(address.startsWith("/mcp/messages/?session_id="));
        const auto message = [&](const QByteArray &body, const QByteArray &id) {
            auto exchange = fakePost(QStringLiteral("/mcp/messages"), body);
            if (!id.isEmpty())
                exchange->asked.query.addQueryItem(QStringLiteral("session_id"), QString::fromLatin1(id));
            m_endpoint->postToStream(exchange);
            return exchange->answer.status;
        };
        const QByteArray id = address.mid(address.indexOf('=') + 1);
        QCOMPARE(message("{}", {}), 400);
        QCOMPARE(message("{}", "0123"), 404);
        QCOMPARE(message("{oops", id), 400);
        QCOMPARE(message(q("{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'2024-11-05','capabilities':{'elicitation':{}}}}"), id), 202);
        QVERIFY(open->stream_->events.last().data.contains("\"protocolVersion\":\"2024-11-05\""));
        QCOMPARE(message(q("{'jsonrpc':'2.0','method':'notifications/initialized'}"), id), 202);
        QCOMPARE(message(call("test_tool_with_progress", "{}", "{'progressToken':1}"), id), 202);
        QTRY_VERIFY(open->stream_->events.last().data.contains("\"id\":5"));
        QCOMPARE(open->stream_->events.size(), 6); // endpoint, hello, three times progress, answer
        QCOMPARE(message(call("test_input_required_result_elicitation"), id), 202);
        const QByteArray question = json(open->stream_->events.last().data).value(QStringLiteral("id")).toString().toLatin1();
        QCOMPARE(message(q("{'jsonrpc':'2.0','id':'") + question + q("','result':{'action':'accept','content':{'name':'Ada'}}}"), id), 202);
        QVERIFY(open->stream_->events.last().data.contains("Hello, Ada!"));
        m_features->changes->toolsChanged();
        QVERIFY(open->stream_->events.last().data.contains("tools/list_changed"));
        open->client.cancel();
        QCOMPARE(message(q("{'jsonrpc':'2.0','id':1,'method':'ping'}"), id), 404);
    }
};

QTEST_GUILESS_MAIN(TestMcpEras)
#include "tst_mcp_eras.moc"
