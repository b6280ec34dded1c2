// Heads and chunks byte by byte: everything two parsers could read differently is refused.
#include "base/ChunkDecoder.h"
#include "http/HttpServer.h"
#include "http/OriginCheck.h"
#include <QTest>

using namespace power;
using namespace power::http;

class TestRequestHead : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void refuses_data()
    {
        QTest::addColumn<QByteArray>("head");
        QTest::addColumn<int>("status");
        const auto row = [](const char *name, const QByteArray &head, int status) { QTest::newRow(name) << head << status; };
        const QByteArray host = "GET / HTTP/1.1\r\nHost: a\r\n";
        row("fine", host + "\r\n", 0);
        row("fine 1.0 without host", "GET / HTTP/1.0\r\n\r\n", 0);
        row("fine absolute form", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 0);
        row("fine options star", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0);
        row("no host", "GET / HTTP/1.1\r\n\r\n", 400);
        row("two hosts", host + "Host: b\r\n\r\n", 400);
        row("equal lengths twice", host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400);
        row("differing lengths", host + "Content-Length: 1\r\ncontent-length: 2\r\n\r\n", 400);
        row("length list", host + "Content-Length: 1, 1\r\n\r\n", 400);
        row("negative length", host + "Content-Length: -1\r\n\r\n", 400);
        row("signed length", host + "Content-Length: +1\r\n\r\n", 400);
        row("hex length", host + "Content-Length: 0x10\r\n\r\n", 400);
        row("empty length", host + "Content-Length:\r\n\r\n", 400);
        row("overflowing length", host + "Content-Length: 99999999999999999999\r\n\r\n", 413);
        row("length and coding", host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
        row("xchunked", host + "Transfer-Encoding: xchunked\r\n\r\n", 400);
        row("gzip, chunked", host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400);
        row("chunked twice", host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
        row("chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
        row("space before colon", host + "X-A : b\r\n\r\n", 400);
        row("folded line", host + "X-A: b\r\n c\r\n\r\n", 400);
        row("no colon", host + "X-A\r\n\r\n", 400);
        row("empty name", host + ": x\r\n\r\n", 400);
        row("control in value", host + "X-A: b\x01\r\n\r\n", 400);
        row("bare CR in value", host + "X-A: b\rc\r\n\r\n", 400);
        row("HTTP/9.9", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505);
        row("HTTP/2.0 preface", "PRI * HTTP/2.0\r\n\r\n", 505);
        row("no version", "GET /\r\nHost: a\r\n\r\n", 400);
        row("garbage", "\x16\x03\x01 abc\r\n\r\n", 400);
        row("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        row("space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        row("relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        row("bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        row("cut escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        row("NUL in path", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        row("bad UTF-8", "GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        row("other expectation", host + "Expect: magic\r\n\r\n", 417);
    }
    void refuses()
    {
        QFETCH(QByteArray, head);
        QFETCH(int, status);
        QCOMPARE(findHeadEnd(head, 0), head.size());
        const auto parsed = parseHead(head, Limits());
        QCOMPARE(parsed ? 0 : parsed.error().status, status);
    }

    void headEnd()
    {
        QCOMPARE(findHeadEnd("GET / HTTP/1.1\r\nHost: a\r\n", 0), 0);
        QCOMPARE(findHeadEnd("GET / HTTP/1.1\nHost: a\r\n", 0), -1);
        QCOMPARE(findHeadEnd("GET / HTTP/1.1\r\nHost: a\n\n", 0), -1);
        const QByteArray whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for (qsizetype from = 0; from < whole.size() - 6; ++from) // resuming anywhere finds the same end
            QCOMPARE(findHeadEnd(whole, from), whole.size() - 4);
    }

    void paths_data()
    {
        QTest::addColumn<QByteArray>("target");
        QTest::addColumn<QString>("path");
        QTest::newRow("plain") << QByteArray("/a/b?c=1") << QStringLiteral("/a/b");
        QTest::newRow("escapes") << QByteArray("/a%20b%2Bc") << QStringLiteral("/a b+c");
        QTest::newRow("utf-8") << QByteArray("/%C3%BC") << QStringLiteral("/ü");
        QTest::newRow("dots") << QByteArray("/a/./b/../c") << QStringLiteral("/a/c");
        QTest::newRow("climb") << QByteArray("/../../etc") << QStringLiteral("/etc");
        QTest::newRow("escaped dots") << QByteArray("/a/%2e%2E/b") << QStringLiteral("/b");
        QTest::newRow("escaped slash dots") << QByteArray("/a/x%2f..%2f..%2fb") << QStringLiteral("/b");
        QTest::newRow("dot file stays") << QByteArray("/a/.hidden") << QStringLiteral("/a/.hidden");
        QTest::newRow("end dots") << QByteArray("/a/b/..") << QStringLiteral("/a/");
        QTest::newRow("absolute") << QByteArray("http://x:1/p?q") << QStringLiteral("/p");
    }
    void paths()
    {
        QFETCH(QByteArray, target);
        QFETCH(QString, path);
        const auto parsed = parseHead("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n", Limits());
        QVERIFY(parsed.ok());
        QCOMPARE(parsed->path, path);
    }

    void chunks_data()
    {
        QTest::addColumn<QByteArray>("wire");
        QTest::addColumn<QByteArray>("body");
        QTest::addColumn<bool>("good");
        QTest::newRow("two") << QByteArray("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") << QByteArray("abcde") << true;
        QTest::newRow("extension, trailer") << QByteArray("3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n") << QByteArray("abc") << true;
        QTest::newRow("upper hex") << QByteArray("A\r\n0123456789\r\n0\r\n\r\n") << QByteArray("0123456789") << true;
        for (const char *bad : {"-1\r\n", "zz\r\n", "\r\n", " 3\r\nabc", "3 \r\nabc", "0x3\r\nabc", "3\nabc", "3\r\nabcd\r\n",
                                "3\r\nabc\n", "1234567890abcdef0\r\n", "3;a\nb\r\n"})
            QTest::addRow("bad %s", QByteArray(bad).toPercentEncoding().constData()) << QByteArray(bad) << QByteArray() << false;
    }
    void chunks()
    {
        QFETCH(QByteArray, wire);
        QFETCH(QByteArray, body);
        QFETCH(bool, good);
        for (const qsizetype step : {qsizetype(1), qsizetype(2), qsizetype(3), wire.size()}) {
            ChunkDecoder decoder;
            QByteArray out;
            auto status = ChunkDecoder::Status::More;
            for (qsizetype at = 0; at < wire.size() && status == ChunkDecoder::Status::More;) {
                qsizetype used = 0;
                status = decoder.decode(QByteArrayView(wire).sliced(at, qMin(step, wire.size() - at)), used, out, 100);
                at += used;
            }
            QCOMPARE(status, good ? ChunkDecoder::Status::Done : ChunkDecoder::Status::Bad);
            if (good)
                QCOMPARE(out, body);
        }
    }

    // Blanks behind a size, as some servers send them; never from a client.
    void paddedChunks()
    {
        for (const char *wire : {"3  \r\nabc\r\n0\t\r\n\r\n", "3 ; x=y\r\nabc\r\n0\r\n\r\n"}) {
            qsizetype used = 0;
            QByteArray out;
            QCOMPARE(ChunkDecoder(ChunkDecoder::Sizes::Padded).decode(wire, used, out, 100), ChunkDecoder::Status::Done);
            QCOMPARE(out, QByteArray("abc"));
            QCOMPARE(ChunkDecoder().decode(wire, used, out, 100), ChunkDecoder::Status::Bad);
        }
        qsizetype used = 0;
        QByteArray out;
        for (const char *wire : {" 3\r\nabc", "3 4\r\nabc"})
            QCOMPARE(ChunkDecoder(ChunkDecoder::Sizes::Padded).decode(wire, used, out, 100), ChunkDecoder::Status::Bad);
    }

    void origins_data()
    {
        QTest::addColumn<QString>("address");
        QTest::addColumn<QString>("hosts");
        QTest::addColumn<QByteArray>("host");
        QTest::addColumn<QByteArray>("origin");
        QTest::addColumn<bool>("allowed");
        const auto row = [](const char *name, const char *address, const char *hosts, const char *host, const char *origin, bool ok) {
            QTest::newRow(name) << QString::fromLatin1(address) << QString::fromLatin1(hosts) << QByteArray(host)
                                << QByteArray(origin) << ok;
        };
        row("plain", "127.0.0.1", "", "localhost:8080", "", true);
        row("v6", "::1", "", "[::1]:8080", "http://[::1]:3000", true);
        row("rebinding", "127.0.0.1", "", "evil.example.com", "http://evil.example.com", false);
        row("cross site", "127.0.0.1", "", "localhost:8080", "http://evil.example.com", false);
        row("null origin", "127.0.0.1", "", "localhost", "null", false);
        row("loopback look-alike", "127.0.0.1", "", "localhost", "http://localhost.evil.com", false);
        row("listed host", "127.0.0.1", "my.host", "My.Host:443", "", true);
        row("public any", "0.0.0.0", "", "what.ever", "http://what.ever", true);
        row("public cross site", "0.0.0.0", "", "what.ever", "http://evil.com", false);
        row("public listed", "0.0.0.0", "my.host", "other", "", false);
        row("any port of localhost", "0.0.0.0", "", "my.host", "http://localhost:6274", true);
        row("allowed origin", "127.0.0.1", "", "localhost", "https://app.example", true);
    }
    void origins()
    {
        QFETCH(QString, address);
        QFETCH(QString, hosts);
        QFETCH(QByteArray, host);
        QFETCH(QByteArray, origin);
        QFETCH(bool, allowed);
        ListenConfig config;
        config.address = QHostAddress(address);
        if (!hosts.isEmpty())
            config.allowedHosts = {hosts};
        config.allowedOrigins = {QStringLiteral("https://app.example")};
        RequestHead head;
        head.headers.add("Host", host);
        if (!origin.isEmpty())
            head.headers.add("Origin", origin);
        QCOMPARE(OriginCheck(config).refusal(head, false) == nullptr, allowed);
    }
};

QTEST_APPLESS_MAIN(TestRequestHead)
#include "tst_request_head.moc"
