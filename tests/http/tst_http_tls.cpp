// The guard over TLS: the same strictness, timeouts and order as on plain sockets.
#include "RawClient.h"
#include "TestServer.h"
#include <QElapsedTimer>
#include <QSslConfiguration>
#include <QTcpSocket>
#include <QTest>

using namespace power;
using namespace power::http;
using namespace std::chrono_literals;

class TestHttpTls : public QObject
{
    Q_OBJECT
    std::unique_ptr<TestServer> m_test;
    std::shared_ptr<SseStream> m_events;

    quint16 port() const { return m_test->server->port(); }

private Q_SLOTS:
    void init()
    {
        m_test = std::make_unique<TestServer>();
        QVERIFY(m_test->makeCertificate());
        m_test->routes.add("GET", QStringLiteral("/events"), [this](ExchangePtr exchange) { m_events = exchange->startSse(Headers()); });
        QVERIFY(m_test->start().ok());
        QVERIFY(m_test->server->isSecure());
    }
    void cleanup()
    {
        m_events.reset();
        m_test.reset();
    }

    void guardWorksOverTls()
    {
        RawClient client(port(), true);
        QVERIFY(client.isReady());
        client.send(get("/slow?tag=first") + get("/items/second"));
        QCOMPARE(client.answer().body, QByteArray("first"));
        QCOMPARE(client.answer().body, QByteArray("second"));
        const QByteArray body(3'000'000, 'x');
        QVERIFY(client.ask(post("/echo", body)).body == body);
        for (const char c : get("/json")) {
            client.send(QByteArray(1, c));
            QCoreApplication::processEvents();
        }
        QCOMPARE(client.answer().status, 200);
        QCOMPARE(client.ask("POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").status, 400);
        QVERIFY(client.waitClosed());
        for (const auto &[wire, status] : std::initializer_list<std::pair<QByteArray, int>>{
                 {get("/json", "X-Big: " + QByteArray(1 << 20, 'a') + "\r\n"), 431},
                 {"GET /json HTTP/1.1\nHost: localhost\n\n", 400},
                 {"POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 101\r\n\r\n", 413}}) {
            RawClient bad(port(), true);
            QCOMPARE(bad.ask(wire).status, status);
            QVERIFY(bad.waitClosed());
        }
        QTRY_COMPARE(m_test->server->connectionCount(), 1 - int(client.socket().state() == QAbstractSocket::UnconnectedState));
    }

    void guardTimeoutsOverTls()
    {
        m_test->config.limits.headerTimeout = 200ms;
        m_test->config.limits.idleTimeout = 200ms;
        QVERIFY(m_test->start().ok());
        RawClient slow(port(), true);
        QCOMPARE(slow.ask("GET /js").status, 408);
        RawClient idle(port(), true);
        QCOMPARE(idle.ask(get("/json")).status, 200);
        QVERIFY(idle.waitClosed());
    }

    void alpnOffersOnlyHttp11()
    {
        RawClient client(port(), true, {"h2", "http/1.1"});
        QVERIFY(client.isReady());
        QCOMPARE(client.socket().sslConfiguration().nextNegotiatedProtocol(), QByteArray("http/1.1"));
        QCOMPARE(client.ask(get("/json")).status, 200);
    }

    void closeIsCleanOverTls()
    {
        RawClient client(port(), true);
        QCOMPARE(client.ask(get("/json", "Connection: close\r\n")).status, 200);
        QVERIFY(client.waitClosed(1500));
        RawClient events(port(), true);
        events.send(get("/events"));
        QTRY_VERIFY(m_events);
        m_events->send("e", "x");
        m_events->finish();
        bool closed = false;
        QVERIFY(events.rest(&closed).endsWith("event: e\ndata: x\n\n"));
        QVERIFY(closed);
    }

    void streamedUploadOverTls()
    {
        RawClient client(port(), true);
        QCOMPARE(client.ask(post("/upload", QByteArray(5'000'000, 'x'))).body, QByteArray("{\"bytes\":5000000}"));
        QCOMPARE(client.ask(get("/json")).status, 200);
    }

    void silentConnectionsDoNotBlockTls()
    {
        std::vector<std::unique_ptr<QTcpSocket>> silent;
        for (int i = 0; i < 150; ++i) {
            silent.push_back(std::make_unique<QTcpSocket>());
            silent.back()->connectToHost(QStringLiteral("127.0.0.1"), port());
        }
        for (const auto &socket : silent)
            QTRY_COMPARE(socket->state(), QAbstractSocket::ConnectedState);
        QElapsedTimer clock;
        clock.start();
        RawClient client(port(), true);
        QCOMPARE(client.ask(get("/json")).status, 200);
        QVERIFY2(clock.elapsed() < 2000, QByteArray::number(clock.elapsed()).constData());
        silent.clear();
        QTRY_COMPARE(m_test->server->connectionCount(), 1);
    }

    void plainTextToTheTlsPort()
    {
        RawClient client(port());
        client.send(get("/json"));
        QVERIFY(client.waitClosed());
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
    }

    void disconnectsDuringHandlersOverTls()
    {
        for (int i = 0; i < 60; ++i) {
            auto client = std::make_unique<RawClient>(port(), true);
            client->send(get("/hold"));
            QTRY_COMPARE(m_test->held.size(), 1);
            if (i % 2)
                client->reset();
            client.reset();
            if (i % 3)
                QTRY_COMPARE(m_test->cancelled, 1);
            m_test->cancelled = 0;
            m_test->held.takeFirst()->reply(Response::bytes(200, "text/plain", QByteArray(100000, 'x')));
            QTRY_COMPARE(m_test->server->connectionCount(), 0);
            m_test->cancelled = 0;
        }
    }

    void connectionCapOverTls()
    {
        m_test->config.limits.maxConnections = 5;
        QVERIFY(m_test->start().ok());
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 5; ++i)
            clients.push_back(std::make_unique<RawClient>(port(), true));
        RawClient extra(port(), true);
        QCOMPARE(extra.answer().status, 503);
    }

    void badFilesAreNamed()
    {
        TestServer other;
        other.config.certificateFile = QStringLiteral("/nonexistent.pem");
        QVERIFY(!other.start().ok()); // no key file
        other.config.keyFile = m_test->config.keyFile;
        const auto missing = other.start();
        QVERIFY(!missing.ok() && missing.error().message.contains(QStringLiteral("/nonexistent.pem")));
        other.config.certificateFile = m_test->config.keyFile;
        QVERIFY(!other.start().ok());
    }
};

QTEST_GUILESS_MAIN(TestHttpTls)
#include "tst_http_tls.moc"
