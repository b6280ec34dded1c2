// Long answers and bodies: events, uploads read in pieces, downloads with backpressure.
#include "RawClient.h"
#include "TestServer.h"
#include <QTemporaryFile>
#include <QTest>
#include <fcntl.h>
#include <unistd.h>

using namespace power;
using namespace power::http;
using namespace std::chrono_literals;

namespace {
constexpr qint64 bigSize = 48 * 1024 * 1024;

// The same bytes every time, without a short period.
QByteArray patternBytes(qint64 from, qint64 count)
{
    static const QByteArray all = [] {
        QByteArray bytes(bigSize, Qt::Uninitialized);
        char *data = bytes.data();
        for (qint64 i = 0; i < bigSize; ++i)
            data[i] = char('a' + (i * 7 + i / 4096) % 26);
        return bytes;
    }();
    return all.mid(from, count);
}

// Counts what was pulled from it, so that a test sees how far ahead of the reader the server is.
class CountingSource : public BodySource
{
public:
    CountingSource(qint64 size, qint64 failAt, std::shared_ptr<qint64> pulled)
        : m_size(size), m_failAt(failAt), m_pulled(std::move(pulled)) {}
    qint64 size() const override { return m_size; }
    QCoro::Task<Result<QByteArray>> read(qint64 most) override
    {
        const qint64 at = *m_pulled;
        if (m_failAt >= 0 && at >= m_failAt)
            co_return fail(ErrorCode::Internal, QStringLiteral("The disk is gone."));
        *m_pulled += qMin(most, m_size - at);
        co_return patternBytes(at, *m_pulled - at);
    }

private:
    const qint64 m_size;
    const qint64 m_failAt;
    const std::shared_ptr<qint64> m_pulled;
};

class FileSource : public BodySource
{
public:
    FileSource(const QString &path, qint64 offset, qint64 size)
        : m_fd(::open(path.toUtf8().constData(), O_RDONLY | O_CLOEXEC)), m_offset(offset), m_size(size) {}
    ~FileSource() override { ::close(m_fd); }
    qint64 size() const override { return m_size; }
    int fileDescriptor() const override { return m_fd; }
    qint64 fileOffset() const override { return m_offset; }
    QCoro::Task<Result<QByteArray>> read(qint64) override
    {
        co_return fail(ErrorCode::Internal, QStringLiteral("A plain socket's file leaves by sendfile."));
    }

private:
    const int m_fd;
    const qint64 m_offset;
    const qint64 m_size;
};
} // namespace

class TestHttpStreams : public QObject
{
    Q_OBJECT
    std::unique_ptr<TestServer> m_test;
    QList<std::shared_ptr<SseStream>> m_events;
    QList<CancelToken::Registration> m_watch;
    int m_left = 0;
    std::shared_ptr<qint64> m_pulled;
    qint64 m_failAt = -1;
    QTemporaryFile m_file;

    quint16 port() const { return m_test->server->port(); }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY(m_file.open());
        QCOMPARE(m_file.write(patternBytes(0, bigSize)), bigSize);
        QVERIFY(m_file.flush());
    }

    void init()
    {
        m_test = std::make_unique<TestServer>();
        m_left = 0;
        m_failAt = -1;
        m_pulled = std::make_shared<qint64>(0);
        m_test->config.limits.idleTimeout = 2s;
        m_test->routes.add("GET", QStringLiteral("/events"), [this](ExchangePtr exchange) {
            m_watch.append(exchange->disconnected().onCancel([this] { ++m_left; }));
            Headers more;
            more.add("X-More", "yes");
            m_events.append(exchange->startSse(more));
        });
        m_test->routes.add("GET", QStringLiteral("/pump"), [this](ExchangePtr exchange) {
            *m_pulled = 0;
            exchange->stream(Response::bytes(200, "application/x-test", {}),
                             std::make_unique<CountingSource>(bigSize, m_failAt, m_pulled));
        });
        m_test->routes.add("GET", QStringLiteral("/file"), [this](ExchangePtr exchange) {
            exchange->stream(Response::bytes(200, "application/x-test", {}),
                             std::make_unique<FileSource>(m_file.fileName(), 10, bigSize - 10));
        });
        m_test->routes.add("GET", QStringLiteral("/short"), [this](ExchangePtr exchange) {
            exchange->stream(Response::bytes(200, "application/x-test", {}),
                             std::make_unique<FileSource>(m_file.fileName(), bigSize - 100, 1000));
        });
        QVERIFY(m_test->start().ok());
    }
    void cleanup()
    {
        m_events.clear();
        m_watch.clear();
        m_test.reset();
    }

    void eventsArriveAndTheStreamEnds()
    {
        RawClient client(port());
        client.send(get("/events"));
        QTRY_COMPARE(m_events.size(), 1);
        const QByteArray head = client.until("\r\n\r\n");
        QVERIFY(head.contains("Content-Type: text/event-stream\r\n"));
        QVERIFY(head.contains("Connection: close\r\n"));
        QVERIFY(head.contains("X-More: yes\r\n"));
        QVERIFY(!head.contains("Content-Length"));
        m_events[0]->send("message", "{\"a\":1}", "7");
        QCOMPARE(client.until("\n\n"), QByteArray("id: 7\nevent: message\ndata: {\"a\":1}\n\n"));
        m_events[0]->send({}, "one\ntwo\r\nthree\rfour");
        QCOMPARE(client.until("\n\n"), QByteArray("data: one\ndata: two\ndata: three\ndata: four\n\n"));
        m_events[0]->send("bad\nname", "x", "1\n2");
        QCOMPARE(client.until("\n\n"), QByteArray("id: 1\nevent: bad\ndata: x\n\n"));
        m_events[0]->finish();
        m_events[0]->send("late", "x");
        bool closed = false;
        QCOMPARE(client.rest(&closed), QByteArray());
        QVERIFY(closed && !m_events[0]->isOpen());
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
    }

    void pipelinedRequestBehindEventsIsNotMixedIn()
    {
        RawClient client(port());
        client.send(get("/events") + get("/json"));
        QTRY_COMPARE(m_events.size(), 1);
        m_events[0]->send({}, "x");
        client.until("\r\n\r\n");
        m_events[0]->finish();
        QCOMPARE(client.rest(), QByteArray("data: x\n\n"));
    }

    void eventClientsThatLeaveAreNoticed()
    {
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 100; ++i) {
            clients.push_back(std::make_unique<RawClient>(port()));
            clients.back()->send(get("/events"));
        }
        QTRY_COMPARE(m_events.size(), 100);
        for (size_t i = 0; i < clients.size(); i += 2)
            clients[i]->reset();
        clients.clear();
        QTRY_COMPARE(m_left, 100);
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
        for (const auto &stream : m_events) {
            QVERIFY(!stream->isOpen());
            stream->send({}, "nobody");
        }
    }

    // An answer with an image, and news right behind it.
    void aReaderThatIsSlowGetsAll()
    {
        RawClient client(port());
        client.socket().setReadBufferSize(4096);
        client.send(get("/events"));
        QTRY_COMPARE(m_events.size(), 1);
        m_events[0]->send({}, QByteArray(6 << 20, 'x'));
        m_events[0]->send({}, "behind");
        QVERIFY(m_events[0]->isOpen());
        client.socket().setReadBufferSize(0);
        QVERIFY(client.until("data: behind\n\n", 10'000).size() > (6 << 20));
    }

    void aReaderThatStopsIsDropped()
    {
        RawClient client(port());
        client.socket().setReadBufferSize(4096);
        client.send(get("/events"));
        QTRY_COMPARE(m_events.size(), 1);
        const QByteArray data(64 * 1024, 'x');
        int sent = 0;
        for (; sent < 1000 && m_events[0]->isOpen(); ++sent)
            m_events[0]->send({}, data);
        QVERIFY(sent < 1000); // the kernel's buffers, then 8 MiB, then the end
        QTRY_COMPARE(m_left, 1);
    }

    void droppedStreamHandleEndsTheStream()
    {
        RawClient client(port());
        client.send(get("/events"));
        QTRY_COMPARE(m_events.size(), 1);
        m_events.clear();
        QVERIFY(client.waitClosed());
    }

    void uploadInPieces()
    {
        RawClient client(port());
        const QByteArray body = patternBytes(0, 3'000'000);
        const QByteArray wire = post("/upload", body);
        client.send(wire.left(70));
        QTest::qWait(5);
        client.send(wire.mid(70, 1'000'000));
        QTRY_VERIFY(m_test->uploaded > 900'000); // read while the rest is still missing
        client.send(wire.mid(1'000'070));
        QCOMPARE(client.answer().body, QByteArray("{\"bytes\":3000000}"));
        QCOMPARE(client.ask(get("/json")).status, 200); // the connection goes on
    }

    void chunkedUploadAndExpect()
    {
        RawClient client(port());
        client.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
        QCOMPARE(client.answer().status, 100);
        QByteArray wire;
        for (int i = 0; i < 20; ++i)
            wire += "10000\r\n" + QByteArray(65536, 'x') + "\r\n";
        client.send(wire + "0\r\n\r\n" + get("/json"));
        QCOMPARE(client.answer().body, QByteArray("{\"bytes\":1310720}"));
        QCOMPARE(client.answer().status, 200);
    }

    void uploadFailures()
    {
        RawClient large(port());
        QCOMPARE(large.ask("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n\r\n").status, 413);
        RawClient junk(port());
        QCOMPARE(junk.ask("POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nxx\r\n").status, 400);
        QVERIFY(junk.waitClosed());
        RawClient gone(port());
        gone.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
        QTRY_COMPARE(m_test->uploaded, 3);
        m_test->uploadError.clear();
        gone.reset();
        QTRY_COMPARE(m_test->uploadError, QStringLiteral("cancelled"));
        m_test->config.limits.bodyTimeout = 100ms;
        QVERIFY(m_test->start().ok());
        RawClient slow(port());
        slow.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
        QCOMPARE(slow.answer().status, 504);
        QVERIFY(slow.waitClosed());
    }

    void aHandlerThatDoesNotReadHoldsTheSenderBack()
    {
        ExchangePtr kept;
        RouteOptions streamed;
        streamed.streamBody = true;
        streamed.maxBody = bigSize;
        m_test->routes.add("POST", QStringLiteral("/lazy"), [&kept](ExchangePtr exchange) { kept = std::move(exchange); }, streamed);
        RawClient client(port());
        client.send(post("/lazy", QByteArray(bigSize, 'x')));
        QTRY_VERIFY(kept);
        QTest::qWait(200);
        QVERIFY2(client.socket().bytesToWrite() > bigSize / 2, "the server took most of a body nobody reads");
        kept->reply(Response::empty(204));
        kept.reset();
        QCOMPARE(client.answer().status, 204);
        QVERIFY(client.waitClosed());
    }

    void downloadIsWhole_data()
    {
        QTest::addColumn<QByteArray>("path");
        QTest::addColumn<qint64>("from");
        QTest::newRow("pumped") << QByteArray("/pump") << qint64(0);
        QTest::newRow("sendfile") << QByteArray("/file") << qint64(10);
    }
    void downloadIsWhole()
    {
        QFETCH(QByteArray, path);
        QFETCH(qint64, from);
        RawClient client(port());
        const auto answer = client.ask(get(path));
        QCOMPARE(answer.status, 200);
        QVERIFY(answer.body == patternBytes(from, bigSize - from));
        QCOMPARE(client.ask(get("/json")).status, 200);
        const auto head = client.ask("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
        QCOMPARE(head.field("Content-Length").toLongLong(), bigSize - from);
        QCOMPARE(client.ask(get("/json")).status, 200);
        client.send(get(path) + get("/json")); // a pipelined request waits for the whole download
        QCOMPARE(client.answer().body.size(), bigSize - from);
        QCOMPARE(client.answer().body, QByteArray("{\"ok\":true}"));
    }

    void slowReaderHoldsTheSourceBack()
    {
        RawClient client(port());
        client.socket().setReadBufferSize(8192);
        client.send(get("/pump"));
        QTRY_VERIFY(*m_pulled > 0);
        qint64 before = -1;
        while (before != *m_pulled) { // until the kernel's buffers are full
            before = *m_pulled;
            QTest::qWait(150);
        }
        // Pulled = in the kernel's buffers (some MB on loopback) + at most 512 KiB here.
        QVERIFY2(*m_pulled < bigSize / 3, QByteArray::number(*m_pulled).constData());
        client.socket().setReadBufferSize(0);
        QVERIFY(client.answer().body == patternBytes(0, bigSize));
    }

    void readerThatStopsForGoodIsDropped_data() { downloadIsWhole_data(); }
    void readerThatStopsForGoodIsDropped()
    {
        QFETCH(QByteArray, path);
        RawClient client(port());
        client.socket().setReadBufferSize(8192);
        client.send(get(path));
        QTRY_COMPARE(m_test->server->connectionCount(), 1);
        QTRY_COMPARE_WITH_TIMEOUT(m_test->server->connectionCount(), 0, 8000); // idleTimeout 2 s
    }

    void leavingDuringADownload_data() { downloadIsWhole_data(); }
    void leavingDuringADownload()
    {
        QFETCH(QByteArray, path);
        for (int i = 0; i < 30; ++i) {
            RawClient client(port());
            client.send(get(path));
            client.bytes(200'000);
            if (i % 2)
                client.reset();
        }
        QTRY_COMPARE(m_test->server->connectionCount(), 0);
    }

    void brokenSourcesCutTheConnection()
    {
        m_failAt = 1'000'000;
        RawClient client(port());
        client.send(get("/pump"));
        bool closed = false;
        QVERIFY(client.rest(&closed).size() < bigSize);
        QVERIFY(closed);
        RawClient file(port());
        file.send(get("/short"));
        file.rest(&closed);
        QVERIFY(closed);
    }
};

QTEST_GUILESS_MAIN(TestHttpStreams)
#include "tst_http_streams.moc"
