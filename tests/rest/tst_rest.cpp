// The REST door: routing, arguments, status codes, bodies as published; API description and pages.
#include "FakeExchange.h"
#include "doors/PublicBase.h"
#include "rest/Door.h"
#include "rest/OpenApi.h"
#include "rest/Pages.h"
#include <QTest>

using namespace power;
using namespace power::operations;
using namespace power::test;

namespace {
// JSON written with single quotes: moc of Qt 6.4 stumbles over raw string literals.
QByteArray quoted(const char *text)
{
    return QByteArray(text).replace('\'', '"');
}

QHash<QString, QJsonObject> *seenArguments;

QCoro::Task<Result<Answer>> record(QString name, Caller, QJsonObject values)
{
    seenArguments->insert(name, values);
    if (values.value(QStringLiteral("code")).toString() == u"busy")
        co_return fail(ErrorCode::Busy, QStringLiteral("All kernels are busy."));
    if (values.value(QStringLiteral("session_id")).toString() == u"gone")
        co_return fail(ErrorCode::NotFound, QStringLiteral("There is no session \"gone\"."), QStringLiteral("Create it."));
    Answer answer;
    answer.userError = values.value(QStringLiteral("code")).toString() == u"raise";
    answer.data = {{QStringLiteral("success"), !answer.userError}, {QStringLiteral("stdout"), QStringLiteral("2\n")},
                   {QStringLiteral("result"), QJsonValue()}, {QStringLiteral("execution_time_ms"), 7},
                   {QStringLiteral("download_urls"), QJsonArray{QStringLiteral("u")}}, {QStringLiteral("saw"), values}};
    co_return answer;
}

Operation operation(const char *name, const QList<Parameter> &parameters)
{
    Operation op;
    op.name = QLatin1String(name);
    op.description = QStringLiteral("Does %1.").arg(op.name);
    op.parameters = parameters;
    op.method = [name = op.name](Caller caller, QJsonObject values) { return record(name, std::move(caller), std::move(values)); };
    return op;
}

Parameter argument(const char *name, bool required = false, QJsonValue byDefault = {}, Parameter::Type type = Parameter::Type::String)
{
    Parameter p;
    p.name = QLatin1String(name);
    p.description = p.name;
    p.required = required;
    p.defaultValue = byDefault;
    p.type = type;
    return p;
}
} // namespace

class TestRest : public QObject
{
    Q_OBJECT
    Registry m_registry;
    http::Dispatcher m_dispatcher;
    QHash<QString, QJsonObject> m_seen;

    std::shared_ptr<FakeExchange> send(const QByteArray &method, const QString &target, const QByteArray &body = {},
                                       const QByteArray &key = "secret", const QByteArray &contentType = "application/json")
    {
        const QUrl url(target);
        auto exchange = fakePost(url.path(), body, {{"X-API-Key", key}, {"Content-Type", contentType}});
        exchange->asked.method = method;
        exchange->asked.query = QUrlQuery(url);
        const auto match = m_dispatcher.find(method, url.path());
        if (!match.handler) {
            exchange->reply(http::Response::empty(match.allow.isEmpty() ? 404 : 405));
            return exchange;
        }
        exchange->asked.parameters = match.parameters;
        (*match.handler)(exchange);
        return exchange;
    }

private Q_SLOTS:
    void initTestCase()
    {
        seenArguments = &m_seen;
        const Parameter session = argument("session_id", false, QStringLiteral("default"));
        Parameter context = argument("context", false, {}, Parameter::Type::Object);
        context.hidden = true;
        Parameter named = argument("session_id", true);
        named.aliases = {QStringLiteral("name")};
        m_registry.add(operation("execute_code", {argument("code", true), session,
                                                  argument("timeout", false, 120, Parameter::Type::Integer), context}));
        m_registry.add(operation("create_session", {named, argument("description", false, QString())}));
        m_registry.add(operation("list_sessions", {}));
        m_registry.add(operation("get_session", {argument("session_id", true)}));
        m_registry.add(operation("delete_session", {argument("session_id", true)}));
        m_registry.add(operation("upload_file", {argument("filename", true), argument("content_base64", true), session}));
        m_registry.add(operation("fetch_from_url", {argument("url", true), argument("filename"), session}));
        m_registry.add(operation("list_files", {session}));
        m_registry.add(operation("delete_file", {argument("filename", true), session}));
        rest::addRoutes(m_dispatcher, m_registry, doors::keyAuthenticator(access::ApiKeyGate("secret"), {}), {});
        rest::addPages(m_dispatcher, QStringLiteral("4.0.0"),
                       [] { return QJsonObject{{QStringLiteral("status"), QStringLiteral("healthy")}}; },
                       [this] { return rest::openApiDocument(m_registry, QStringLiteral("4.0.0"), m_dispatcher.all()); });
        http::RouteOptions options; // described by itself, and added after the page
        options.about = {.group = "files", .summary = "Bytes.", .fields = {{"path", "path", "Where."}, {"Range", "header", "Parts."}},
                         .bodyType = "application/octet-stream", .replies = {{200, "All.", "text/plain"}, {204, "None."}, {404, "Gone."}}, .open = true};
        m_dispatcher.add("PUT", QStringLiteral("/api/raw/{session_id}/{path*}/content"), [](http::ExchangePtr) {}, options);
    }
    void init() { m_seen.clear(); }

    void mapping_data()
    {
        QTest::addColumn<QByteArray>("method");
        QTest::addColumn<QString>("target");
        QTest::addColumn<QByteArray>("body");
        QTest::addColumn<int>("status");
        QTest::addColumn<QString>("operation");
        QTest::addColumn<QByteArray>("arguments");
        const auto row = [](const char *name, const char *method, const char *target, const char *body, int status,
                            const char *op = "", const char *arguments = "{}") {
            QTest::newRow(name) << QByteArray(method) << QString::fromLatin1(target) << quoted(body) << status
                                << QString::fromLatin1(op) << quoted(arguments);
        };
        row("execute", "POST", "/api/execute", "{'code':'1+1'}", 200, "execute_code", "{'code':'1+1','session_id':'default','timeout':120}");
        row("execute user error", "POST", "/api/execute", "{'code':'raise'}", 200, "execute_code", "{'code':'raise'}");
        row("execute context", "POST", "/api/execute", "{'code':'1','context':{'x':1}}", 200, "execute_code", "{'context':{'x':1}}");
        row("execute blank", "POST", "/api/execute", "{'code':' \\n'}", 400);
        row("execute missing", "POST", "/api/execute", "{}", 422);
        row("execute no body", "POST", "/api/execute", "", 422);
        row("execute wrong type", "POST", "/api/execute", "{'code':'1','timeout':'soon'}", 422);
        row("execute not json", "POST", "/api/execute", "{'code'", 422);
        row("execute list", "POST", "/api/execute", "[1]", 422);
        row("execute busy", "POST", "/api/execute", "{'code':'busy'}", 503, "execute_code");
        row("quick", "POST", "/api/execute/quick?code=print%281%2B1%29", "", 200, "execute_code",
            "{'code':'print(1+1)','session_id':'quick','timeout':10}");
        row("quick blank", "POST", "/api/execute/quick?code=", "", 400);
        row("create session", "POST", "/api/sessions", "{'name':'a','description':'d'}", 200, "create_session", "{'session_id':'a','description':'d'}");
        row("sessions", "GET", "/api/sessions", "", 200, "list_sessions");
        row("session", "GET", "/api/sessions/a.b", "", 200, "get_session", "{'session_id':'a.b'}");
        row("session unknown", "GET", "/api/sessions/gone", "", 404, "get_session");
        row("session delete", "DELETE", "/api/sessions/a", "", 200, "delete_session", "{'session_id':'a'}");
        row("upload", "POST", "/api/files/upload", "{'filename':'a.csv','content_base64':'YQ=='}", 200, "upload_file",
            "{'filename':'a.csv','content_base64':'YQ==','session_id':'default'}");
        row("fetch", "POST", "/api/files/fetch", "{'url':'https://e.com/a','filename':'a'}", 200, "fetch_from_url", "{'url':'https://e.com/a'}");
        row("files", "GET", "/api/files?session_id=s1", "", 200, "list_files", "{'session_id':'s1'}");
        row("files default", "GET", "/api/files", "", 200, "list_files", "{'session_id':'default'}");
        row("file delete", "DELETE", "/api/files/s1/sub/a%20b.csv", "", 200, "delete_file", "{'session_id':'s1','filename':'sub/a b.csv'}");
        row("wrong method", "PUT", "/api/execute", "", 405);
        row("unknown path", "GET", "/api/nothing", "", 404);
    }
    void mapping()
    {
        QFETCH(QByteArray, method);
        QFETCH(QString, target);
        QFETCH(QByteArray, body);
        QFETCH(int, status);
        QFETCH(QString, operation);
        QFETCH(QByteArray, arguments);
        const auto exchange = send(method, target, body);
        QCOMPARE(exchange->answers, 1);
        QCOMPARE(exchange->answer.status, status);
        QCOMPARE(m_seen.keys().value(0), operation);
        const QJsonObject wanted = QJsonDocument::fromJson(arguments).object();
        for (auto it = wanted.begin(); it != wanted.end(); ++it)
            QCOMPARE(m_seen.value(operation).value(it.key()), it.value());
    }

    void bodiesAsPublished()
    {
        QJsonObject body = send("POST", QStringLiteral("/api/execute"), quoted("{'code':'1','odd':1}"))->json();
        QVERIFY(body.contains(QStringLiteral("download_urls")));
        QVERIFY(body.value(QStringLiteral("notes"))[0].toString().contains(QStringLiteral("odd")));
        body = send("POST", QStringLiteral("/api/execute/quick?code=1"))->json();
        QCOMPARE(body.keys(), (QStringList{QStringLiteral("output"), QStringLiteral("result"), QStringLiteral("success"), QStringLiteral("time_ms")}));
        const auto busy = send("POST", QStringLiteral("/api/execute"), quoted("{'code':'busy'}"));
        QCOMPARE(busy->json().value(QStringLiteral("error")).toString(), QStringLiteral("sandbox_busy"));
        QCOMPARE(busy->json().value(QStringLiteral("retry_after")).toInt(), 5);
        QCOMPARE(busy->answer.headers.value("Retry-After"), QByteArray("5"));
        body = send("POST", QStringLiteral("/api/files/upload"), quoted("{'filename':'a'}"))->json();
        const QJsonValue first = body.value(QStringLiteral("detail"))[0];
        QCOMPARE(first[QLatin1String("type")].toString(), QStringLiteral("missing"));
        QCOMPARE(first[QLatin1String("loc")].toArray(), (QJsonArray{QStringLiteral("body"), QStringLiteral("content_base64")}));
        QCOMPARE(send("POST", QStringLiteral("/api/files/upload"), "a=b", "secret", "multipart/form-data; boundary=x")->answer.status, 415);
    }

    void keys()
    {
        for (const char *key : {"", "wrong", "secret2", "secre"}) {
            const auto refused = send("GET", QStringLiteral("/api/sessions"), {}, key);
            QCOMPARE(refused->answer.status, 403);
            QVERIFY(refused->json().value(QStringLiteral("detail")).isString());
            QVERIFY(m_seen.isEmpty());
        }
        auto exchange = fakePost(QStringLiteral("/api/sessions"), {}, {{"Authorization", "bearer  secret"}});
        const auto match = m_dispatcher.find("GET", QStringLiteral("/api/sessions"));
        (*match.handler)(exchange);
        QCOMPARE(exchange->answer.status, 200);
    }

    void pages()
    {
        QCOMPARE(send("GET", QStringLiteral("/"))->json().value(QStringLiteral("service")).toString(), QStringLiteral("Power Interpreter MCP"));
        QCOMPARE(send("GET", QStringLiteral("/health"))->json().value(QStringLiteral("status")).toString(), QStringLiteral("healthy"));
        const QByteArray page = send("GET", QStringLiteral("/docs"))->answer.body;
        QVERIFY(page.contains("/openapi.json"));
        for (const char *elsewhere : {"src=\"http", "href=\"http", "cdn", "@import"})
            QVERIFY2(!page.contains(elsewhere), elsewhere);
        const QJsonObject api = send("GET", QStringLiteral("/openapi.json"))->json();
        QCOMPARE(api.value(QStringLiteral("openapi")).toString(), QStringLiteral("3.1.0"));
        const QJsonObject paths = api.value(QStringLiteral("paths")).toObject();
        QCOMPARE(paths.size(), 8 + 6);
        const QJsonValue raw = paths[QStringLiteral("/api/raw/{session_id}/{path}/content")][QLatin1String("put")];
        QCOMPARE(raw[QLatin1String("summary")].toString(), QStringLiteral("Bytes."));
        QCOMPARE(raw[QLatin1String("parameters")].toArray().size(), 3);
        QVERIFY(raw[QLatin1String("requestBody")][QLatin1String("content")].toObject().contains(QStringLiteral("application/octet-stream")));
        QVERIFY(raw[QLatin1String("responses")][QLatin1String("200")][QLatin1String("content")].toObject().contains(QStringLiteral("text/plain")));
        QVERIFY(!raw[QLatin1String("responses")][QLatin1String("204")].toObject().contains(QStringLiteral("content")));
        QVERIFY(raw[QLatin1String("responses")][QLatin1String("404")][QLatin1String("content")].toObject().contains(QStringLiteral("application/json")));
        QVERIFY(raw.toObject().value(QStringLiteral("security")).isArray());
        const QJsonObject execute = paths[QStringLiteral("/api/execute")].toObject()[QStringLiteral("post")].toObject();
        const QJsonValue schema = execute[QStringLiteral("requestBody")][QLatin1String("content")][QLatin1String("application/json")][QLatin1String("schema")];
        QVERIFY(schema[QLatin1String("properties")].toObject().contains(QStringLiteral("context")));
        QCOMPARE(schema[QLatin1String("required")].toArray(), QJsonArray{QStringLiteral("code")});
        const QJsonObject remove = paths[QStringLiteral("/api/files/{session_id}/{filename}")].toObject()[QStringLiteral("delete")].toObject();
        QCOMPARE(remove[QStringLiteral("parameters")].toArray().size(), 2);
    }

    void publicBase_data()
    {
        QTest::addColumn<QString>("configured");
        QTest::addColumn<QString>("peer");
        QTest::addColumn<bool>("secure");
        QTest::addColumn<QByteArrayList>("headers"); // Host, X-Forwarded-Proto, X-Forwarded-Host
        QTest::addColumn<QString>("base");
        const QString lo = QStringLiteral("127.0.0.1"), far = QStringLiteral("203.0.113.9");
        QTest::newRow("host") << QString() << far << false << QByteArrayList{"a.example:8000"} << QStringLiteral("http://a.example:8000");
        QTest::newRow("tls") << QString() << far << true << QByteArrayList{"a.example"} << QStringLiteral("https://a.example");
        QTest::newRow("configured") << QStringLiteral("https://p.example/") << far << false << QByteArrayList{"a.example"} << QStringLiteral("https://p.example");
        QTest::newRow("bare name") << QStringLiteral("p.up.railway.app") << far << false << QByteArrayList{"a"} << QStringLiteral("https://p.up.railway.app");
        QTest::newRow("proxy") << QString() << lo << false << QByteArrayList{"a", "https", "w.example"} << QStringLiteral("https://w.example");
        QTest::newRow("proxy in private net") << QString() << QStringLiteral("::ffff:10.1.2.3") << false << QByteArrayList{"a", "https"} << QStringLiteral("https://a");
        QTest::newRow("proxy chain") << QString() << lo << false << QByteArrayList{"a", "https, http", "w.example, x"} << QStringLiteral("https://w.example");
        QTest::newRow("stranger forwards") << QString() << far << false << QByteArrayList{"a", "https", "evil.example"} << QStringLiteral("http://a");
        QTest::newRow("v6") << QString() << far << false << QByteArrayList{"[::1]:8000"} << QStringLiteral("http://[::1]:8000");
        QTest::newRow("bad host") << QString() << far << false << QByteArrayList{"a\"><script>"} << QString();
        QTest::newRow("bad port") << QString() << far << false << QByteArrayList{"a:99999"} << QString();
        QTest::newRow("userinfo") << QString() << far << false << QByteArrayList{"a@b"} << QString();
    }
    void publicBase()
    {
        QFETCH(QString, configured);
        QFETCH(QString, peer);
        QFETCH(bool, secure);
        QFETCH(QByteArrayList, headers);
        http::Request request;
        request.peer = QHostAddress(peer);
        request.secure = secure;
        const char *names[] = {"Host", "X-Forwarded-Proto", "X-Forwarded-Host"};
        for (qsizetype i = 0; i < headers.size(); ++i)
            request.headers.add(names[i], headers.at(i));
        QTEST(doors::publicBase(configured, request), "base");
    }
};

QTEST_GUILESS_MAIN(TestRest)
#include "tst_rest.moc"
