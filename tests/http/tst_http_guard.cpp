// The guard over plain sockets: framing, limits, timeouts, order of answers, methods, origins, the end.
#include "RawClient.h"
#include "TestServer.h"
#include <QElapsedTimer>
#include <QJsonDocument>
#include <QTest>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sstream>

using namespace power;
using namespace power::http;
using namespace std::chrono_literals;

class TestHttpGuard : public QObject
{
    Q_OBJECT
    std::unique_ptr<TestServer> m_test;

    quint16 port() const { return m_test->server->port(); }
    void restart() { QVERIFY(m_test->start().ok()); }

private Q_SLOTS:
    void init()
    {
        m_test = std::make_unique<TestServer>();
        restart();
    }
    void cleanup() { m_test.reset(); }

    void answersAndKeepsAlive()
    {
        RawClient client(port());
        for (int i = 0; i < 3; ++i) {
            const auto answer = client.ask(get("/json", "X-Request-Id: my-id.1\r\n"));
            QCOMPARE(answer.status, 200);
            QCOMPARE(answer.body, QByteArray("{\"ok\":true}"));
            QCOMPARE(answer.field("X-Request-Id"), QByteArray("my-id.1"));
            QCOMPARE(answer.field("X-Content-Type-Options"), QByteArray("nosniff"));
            QCOMPARE(answer.field("Referrer-Policy"), QByteArray("no-referrer"));
            QVERIFY(answer.field("Date").endsWith("GMT"));
            QVERIFY(answer.field("Connection").isEmpty());
        }
        QCOMPARE(m_test->server->connectionCount(), 1);
    }

    void insaneRequestIdIsReplaced()
    {
        RawClient client(port());
        const QByteArray id = client.ask(get("/json", "X-Request-Id: a b<script>\r\n")).field("X-Request-Id");
        QCOMPARE(id.size(), 36);
    }

    void splitRequestLineAndSplitHeadEnd()
    {
        RawClient client(port());
        const QByteArray request = get("/json");
        for (qsizetype at : {qsizetype(3), qsizetype(8), request.size() - 3, request.size() - 2, request.size() - 1}) {
            client.send(request.left(at));
            QTest::qWait(5);
            QCOMPARE(client.ask(request.mid(at)).status, 200);
        }
        for (const char c : request) { // byte by byte
            client.send(QByteArray(1, c));
            QCoreApplication::processEvents();
        }
        QCOMPARE(client.answer().status, 200);
    }

    void pipelinedGetsAnswerInOrder()
    {
        RawClient client(port());
        client.send(get("/items/1") + get("/items/2") + get("/items/3"));
        for (const char *id : {"1", "2", "3"})
            QCOMPARE(client.answer().body, QByteArray(id));
    }

    void pipelinedBehindAsyncAnswerWaits()
    {
        RawClient client(port());
        client.send(get("/slow?tag=first") + get("/items/second") + get("/slow?tag=third") + get("/items/fourth"));
        for (const char *text : {"first", "second", "third", "fourth"})
            QCOMPARE(client.answer().body, QByteArray(text));
    }

    void aThousandPipelinedRequests()
    {
        RawClient client(port());
        QByteArray all;
        for (int i = 0; i < 1000; ++i)
            all += get("/items/" + QByteArray::number(i));
        client.send(all);
        for (int i = 0; i < 1000; ++i)
            QCOMPARE(client.answer().body, QByteArray::number(i));
    }

    void postAndGetSplitInTheBody()
    {
        RawClient client(port());
        const QByteArray both = post("/echo", "hello world") + get("/json");
        const qsizetype cut = both.indexOf("world");
        client.send(both.left(cut));
        QTest::qWait(5);
        client.send(both.mid(cut));
        QCOMPARE(client.answer().body, QByteArray("hello world"));
        QCOMPARE(client.answer().status, 200);
    }

    void bodiesOfManySizes()
    {
        RawClient client(port());
        for (const qsizetype size : {0, 1, 4095, 16384, 70000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5000000}) {
            QByteArray body(size, 'x');
            for (qsizetype i = 0; i < size; i += 997)
                body[i] = char('a' + i % 26);
            const auto answer = client.ask(post("/echo", body));
            QCOMPARE(answer.status, 200);
            QVERIFY(answer.body == body);
        }
    }

    void chunkedBodyInPieces()
    {
        RawClient client(port());
        const QByteArray wire = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
        QCOMPARE(client.ask(wire).body, QByteArray("hello world"));
        for (const char c : wire) {
            client.send(QByteArray(1, c));
            QCoreApplication::processEvents();
        }
        QCOMPARE(client.answer().body, QByteArray("hello world"));
        QCOMPARE(client.ask(get("/json")).status, 200);
    }

    void refusesAndCloses_data()
    {
        QTest::addColumn<QByteArray>("wire");
        QTest::addColumn<int>("status");
        const QByteArray post = "POST /small HTTP/1.1\r\nHost: localhost\r\n";
        QTest::newRow("1 MB header") << get("/json", "X-Big: " + QByteArray(1 << 20, 'a') + "\r\n") << 431;
        QTest::newRow("101 fields") << get("/json", QByteArray("X-A: b\r\n").repeated(101)) << 431;
        QTest::newRow("long request line") << get('/' + QByteArray(100000, 'a')) << 414;
        QTest::newRow("duplicate length") << post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab" << 400;
        QTest::newRow("length and coding") << post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" << 400;
        QTest::newRow("negative length") << post + "Content-Length: -5\r\n\r\n" << 400;
        QTest::newRow("length 1e18") << post + "Content-Length: 1000000000000000000\r\n\r\n" << 413;
        QTest::newRow("over the route's cap") << post + "Content-Length: 101\r\n\r\n" + QByteArray(101, 'a') << 413;
        QTest::newRow("chunked over cap") << post + "Transfer-Encoding: chunked\r\n\r\n65\r\n" + QByteArray(101, 'a') + "\r\n0\r\n\r\n" << 413;
        QTest::newRow("negative chunk") << post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" << 400;
        QTest::newRow("junk chunk") << post + "Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n" << 400;
        QTest::newRow("unknown coding") << post + "Transfer-Encoding: xchunked\r\n\r\n" << 400;
        QTest::newRow("bare LF") << QByteArray("GET /json HTTP/1.1\nHost: localhost\n\n") << 400;
        QTest::newRow("no host") << QByteArray("GET /json HTTP/1.1\r\n\r\n") << 400;
        QTest::newRow("HTTP/9.9") << QByteArray("GET /json HTTP/9.9\r\nHost: localhost\r\n\r\n") << 505;
        QTest::newRow("garbage") << QByteArray("\x16\x03\x01\r\n\r\n") << 400;
        QTest::newRow("CONNECT") << QByteArray("CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n") << 400;
        QTest::newRow("other expectation") << post + "Expect: magic\r\nContent-Length: 1\r\n\r\n" << 417;
    }
    void refusesAndCloses()
    {
        QFETCH(QByteArray, wire);
        QFETCH(int, status);
        RawClient client(port());
        const auto answer = client.ask(wire);
        QCOMPARE(answer.status, status);
        QCOMPARE(answer.field("Connection"), QByteArray("close"));
        QVERIFY(!QJsonDocument::fromJson(answer.body).object().value(QStringLiteral("error")).toString().isEmpty());
        bool closed = false;
        QCOMPARE(client.rest(&closed), QByteArray());
        QVERIFY(closed);
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
    }

    void largeRefusedUploadStillSeesTheAnswer()
    {
        RawClient client(port());
        client.send(post("/small", QByteArray(8 * 1024 * 1024, 'x')));
        QCOMPARE(client.answer().status, 413);
    }

    void expectContinue()
    {
        RawClient client(port());
        client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
        QCOMPARE(client.answer().status, 100);
        QCOMPARE(client.ask("ok").body, QByteArray("ok"));
        client.send("POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\nExpect: 100-continue\r\n\r\n");
        QCOMPARE(client.answer().status, 413); // without inviting the body first
    }

    void slowHeadIs408()
    {
        m_test->config.limits.headerTimeout = 100ms;
        restart();
        RawClient client(port());
        client.send("GET /json HT");
        QCOMPARE(client.answer().status, 408);
        QVERIFY(client.waitClosed());
    }

    void slowBodyIs408()
    {
        m_test->config.limits.bodyTimeout = 100ms;
        restart();
        RawClient client(port());
        client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab");
        QCOMPARE(client.answer().status, 408);
        QVERIFY(client.waitClosed());
    }

    void idleConnectionsClose()
    {
        m_test->config.limits.idleTimeout = 100ms;
        m_test->config.limits.headerTimeout = 150ms;
        restart();
        RawClient used(port());
        QCOMPARE(used.ask(get("/json")).status, 200);
        RawClient silent(port());
        QVERIFY(used.waitClosed());
        QVERIFY(silent.waitClosed());
        QCOMPARE(used.rest() + silent.rest(), QByteArray());
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
    }

    void aSlowHandlerIsNotATimeout()
    {
        m_test->config.limits = {512, 32768, 100, 60ms, 60ms, 60ms};
        restart();
        RawClient client(port());
        client.send(get("/hold"));
        QTRY_COMPARE(m_test->held.size(), 1);
        QTest::qWait(250);
        m_test->held.takeFirst()->reply(Response::empty(202));
        QCOMPARE(client.answer().status, 202);
    }

    void connectionCloseAndOldVersion()
    {
        RawClient closing(port());
        const auto answer = closing.ask(get("/json", "Connection: close\r\n"));
        QCOMPARE(answer.field("Connection"), QByteArray("close"));
        QVERIFY(closing.waitClosed(1000));
        RawClient old(port());
        QCOMPARE(old.ask("GET /json HTTP/1.0\r\n\r\n").status, 200);
        QVERIFY(old.waitClosed(1000));
        RawClient oldKept(port());
        QCOMPARE(oldKept.ask("GET /json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").field("Connection"), QByteArray("keep-alive"));
        QCOMPARE(oldKept.ask("GET /json HTTP/1.0\r\n\r\n").status, 200);
    }

    void unknownPathWrongMethodHeadOptions()
    {
        RawClient client(port());
        const auto missing = client.ask(get("/no/such"));
        QCOMPARE(missing.status, 404);
        QCOMPARE(missing.field("Content-Type"), QByteArray("application/json"));
        QCOMPARE(QJsonDocument::fromJson(missing.body).object().value(QStringLiteral("error")).toString(), QStringLiteral("not_found"));
        QCOMPARE(client.ask(post("/no/such", "body")).status, 404);
        const auto wrong = client.ask(post("/json", "{}"));
        QCOMPARE(wrong.status, 405);
        QCOMPARE(wrong.field("Allow"), QByteArray("GET, HEAD, OPTIONS"));
        QCOMPARE(client.ask("BREW /json HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 405);
        const auto head = client.ask("HEAD /json HTTP/1.1\r\nHost: localhost\r\n\r\n");
        QCOMPARE(head.status, 200);
        QCOMPARE(head.field("Content-Length"), QByteArray("11"));
        const auto options = client.ask("OPTIONS /json HTTP/1.1\r\nHost: localhost\r\n\r\n");
        QCOMPARE(options.status, 204);
        QCOMPARE(options.field("Allow"), QByteArray("GET, HEAD, OPTIONS"));
        QVERIFY(options.field("Access-Control-Allow-Origin").isEmpty());
        QCOMPARE(client.ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 204);
        QCOMPARE(client.ask(get("/files/a/b%20c.txt")).body, QByteArray("a/b c.txt"));
        QCOMPARE(client.ask(get("/json", "Connection: Upgrade\r\nUpgrade: websocket\r\n")).status, 200);
        QCOMPARE(client.ask(get("/json")).status, 200); // all on one connection
    }

    void corsAndOrigins()
    {
        RawClient client(port());
        const QByteArray evil = "Origin: http://evil.example.com\r\n";
        QCOMPARE(client.ask(get("/json", evil)).status, 403);
        QCOMPARE(client.ask("GET /json HTTP/1.1\r\nHost: evil.example.com\r\n\r\n").status, 403);
        QCOMPARE(client.ask(post("/echo", "x", evil)).status, 403);
        QCOMPARE(client.ask(get("/json", "Origin: http://localhost:6274\r\n")).status, 200);
        const auto open = client.ask(get("/cors", evil));
        QCOMPARE(open.status, 200);
        QCOMPARE(open.field("Access-Control-Allow-Origin"), QByteArray("*"));
        QCOMPARE(open.field("Access-Control-Expose-Headers"), QByteArray("Content-Disposition"));
        const auto preflight = client.ask("OPTIONS /cors HTTP/1.1\r\nHost: localhost\r\n" + evil
                                          + "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: Mcp-Param-X\r\n\r\n");
        QCOMPARE(preflight.status, 204);
        QCOMPARE(preflight.field("Access-Control-Allow-Origin"), QByteArray("*"));
        QVERIFY(preflight.field("Access-Control-Allow-Headers").contains("Mcp-Param-X"));
        QVERIFY(preflight.field("Access-Control-Allow-Methods").contains("GET"));
        QVERIFY(preflight.field("Access-Control-Allow-Credentials").isEmpty());
    }

    void everyExchangeIsLoggedOnce()
    {
        m_test->routes.add("GET", QStringLiteral("/noted"), [](ExchangePtr exchange) {
            exchange->note(QStringLiteral("tool"), QStringLiteral("execute_code"));
            exchange->reply(Response::bytes(200, "text/plain", "12345"));
        });
        const auto before = spdlog::default_logger();
        std::ostringstream lines;
        auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines));
        logger->set_pattern("%v");
        spdlog::set_default_logger(logger);
        RawClient client(port());
        client.ask(get("/noted?secret=1", "X-Request-Id: abc\r\n"));
        client.ask("GET /\r\n\r\n");
        spdlog::set_default_logger(before);
        const QByteArrayList found = QByteArray::fromStdString(lines.str()).trimmed().split('\n');
        QCOMPARE(found.size(), 2);
        for (const char *part : {" http_request ", " method=GET", " path=/noted ", " status=200", " bytes=5", " peer=127.0.0.1",
                                 " request_id=abc", " tool=execute_code", " ms="})
            QVERIFY2(found[0].contains(part), found[0].constData());
        QVERIFY2(found[1].contains(" status=400"), found[1].constData());
        QVERIFY(!found[1].contains("/noted"));
    }

    void handlersThatFailAnswer500()
    {
        RawClient client(port());
        m_test->routes.add("GET", QStringLiteral("/throw-int"), [](ExchangePtr) { throw 42; });
        QCOMPARE(client.ask(get("/throw")).status, 500);
        QCOMPARE(client.ask(get("/throw-int")).status, 500);
        QCOMPARE(client.ask(get("/forget")).status, 500);
        QCOMPARE(client.ask(get("/json")).status, 200);
    }

    void headerInjectionIsDropped()
    {
        m_test->routes.add("GET", QStringLiteral("/inject"), [](ExchangePtr exchange) {
            Response response = Response::empty(200);
            response.headers.add("X-A", "b\r\nX-Evil: 1");
            response.headers.add("Content-Length", "999");
            exchange->reply(response);
        });
        RawClient client(port());
        const auto answer = client.ask(get("/inject"));
        QVERIFY(!answer.head.contains("X-Evil"));
        QCOMPARE(answer.field("Content-Length"), QByteArray("0"));
    }

    void disconnectDuringAsyncHandlerManyTimes()
    {
        for (int round = 0; round < 300; ++round) {
            auto client = std::make_unique<RawClient>(port());
            client->send(get("/hold") + (round % 3 == 0 ? get("/hold") : QByteArray()));
            QTRY_COMPARE(m_test->held.size(), 1);
            if (round % 2)
                client->reset();
            client.reset();
            if (round % 5 == 0) { // the answer races with the disconnect
                m_test->held.takeFirst()->reply(Response::bytes(200, "text/plain", QByteArray(100000, 'x')));
                m_test->held.clear();
            } else {
                QTRY_VERIFY(m_test->cancelled > 0);
                m_test->cancelled = 0;
                m_test->held.takeFirst()->reply(Response::empty(200));
            }
            m_test->held.clear();
        }
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
        RawClient client(port());
        QCOMPARE(client.ask(get("/json")).status, 200);
    }

    void connectionCap()
    {
        m_test->config.limits.maxConnections = 40;
        restart();
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 60; ++i)
            clients.push_back(std::make_unique<RawClient>(port()));
        int served = 0;
        int refused = 0;
        for (const auto &client : clients) {
            client->send(get("/json"));
            const int status = client->answer().status;
            served += status == 200;
            refused += status == 503;
        }
        QCOMPARE(served, 40);
        QCOMPARE(refused, 20);
        clients.clear();
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
        RawClient later(port());
        QCOMPARE(later.ask(get("/json")).status, 200);
    }

    void shutdownLetsRunningExchangesEnd()
    {
        RawClient idle(port());
        QCOMPARE(idle.ask(get("/json")).status, 200);
        RawClient busy(port());
        busy.send(get("/slow?tag=late"));
        QTRY_COMPARE(m_test->server->connectionCount(), 2);
        QTest::qWait(10);
        bool ended = false;
        const auto stop = [](HttpServer *server, bool *flag) -> QCoro::Task<> {
            const std::chrono::milliseconds grace = 5s;
            co_await server->shutdown(grace);
            *flag = true;
        };
        QElapsedTimer clock;
        clock.start();
        stop(m_test->server.get(), &ended);
        const auto answer = busy.answer();
        QCOMPARE(answer.body, QByteArray("late"));
        QCOMPARE(answer.field("Connection"), QByteArray("close"));
        QVERIFY(idle.waitClosed(1000));
        QTRY_VERIFY_WITH_TIMEOUT(ended, 1000);
        QVERIFY(clock.elapsed() < 3000);
        RawClient late(port());
        QVERIFY(!late.isReady() || late.waitClosed(1000));
    }

    void shutdownCutsWhatOutlivesTheGrace()
    {
        RawClient client(port());
        client.send(get("/hold"));
        QTRY_COMPARE(m_test->held.size(), 1);
        bool ended = false;
        const auto stop = [](HttpServer *server, bool *flag) -> QCoro::Task<> {
            const std::chrono::milliseconds grace = 100ms;
            co_await server->shutdown(grace);
            *flag = true;
        };
        stop(m_test->server.get(), &ended);
        QVERIFY(client.waitClosed(2000));
        QTRY_VERIFY(ended);
        QCOMPARE(m_test->cancelled, 1);
        m_test->held.clear();
    }

    void serverDiesBeforeItsExchanges()
    {
        RawClient client(port());
        client.send(get("/hold"));
        QTRY_COMPARE(m_test->held.size(), 1);
        m_test->server.reset();
        m_test->held.takeFirst()->reply(Response::empty(200));
        QVERIFY(client.waitClosed());
    }
};

QTEST_GUILESS_MAIN(TestHttpGuard)
#include "tst_http_guard.moc"
