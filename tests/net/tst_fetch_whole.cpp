// Whether a body came whole: told by its length, by its last chunk, or, where only the end of the connection tells, by
// asking for more.
#include "net/FetchTest.h"

using namespace power;
using namespace power::net;
using namespace power::net::test;

namespace
{
const QByteArray chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
const QByteArray bareHead = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
} // namespace

class tst_fetch_whole : public FetchTest
{
    Q_OBJECT
    // Answers with this and ends the connection.
    static void sayAndClose(QTcpSocket *socket, const QByteArray &bytes)
    {
        socket->write(bytes);
        socket->disconnectFromHost();
    }

private Q_SLOTS:
    void init() { newServer(); }
    void cleanup() { noServer(); }

    void chunks_data()
    {
        QTest::addColumn<QByteArray>("body");
        QTest::addColumn<bool>("whole");
        const auto row = [](const char *name, const char *body, bool whole) { QTest::newRow(name) << QByteArray(body) << whole; };
        row("last chunk", "4\r\nhalf\r\n4\r\nrest\r\n0\r\n\r\n", true);
        row("last chunk and trailers", "4\r\nhalf\r\n4;x=\"y\"\r\nrest\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", true);
        row("sizes with spaces behind", "4  \r\nhalf\r\n4\t;x\r\nrest\r\n0 \r\n\r\n", true);
        row("nothing but the last chunk", "0\r\n\r\n", true);
        row("ends behind a chunk", "4\r\nhalf\r\n", false);
        row("ends behind two chunks", "4\r\nhalf\r\n4\r\nrest\r\n", false);
        row("ends behind the bytes of a chunk", "4\r\nhalf", false);
        row("ends in a chunk", "4\r\nhalf\r\n4\r\nre", false);
        row("ends in a size", "4\r\nhalf\r\n4", false);
        row("ends behind a size", "4\r\nhalf\r\n4\r\n", false);
        row("ends in the last chunk", "4\r\nhalf\r\n4\r\nrest\r\n0\r\n", false);
        row("ends in the trailers", "4\r\nhalf\r\n4\r\nrest\r\n0\r\nX-Sum: 1\r\n", false);
        row("nothing at all", "", false);
        row("not a size", "4\r\nhalf\r\n-4\r\nrest\r\n0\r\n\r\n", false);
        row("a chunk longer than its size", "4\r\nhalfrest\r\n0\r\n\r\n", false);
    }
    void chunks()
    {
        QFETCH(QByteArray, body);
        QFETCH(bool, whole);
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) { sayAndClose(socket, chunkedHead + "\r\n" + body); };
        const auto got = run(request(m_server->url("/x")));
        QCOMPARE(got.ok(), whole);
        if (!whole) {
            QCOMPARE(got.error().code, ErrorCode::Upstream);
            return;
        }
        QCOMPARE(m_body, body.startsWith('0') ? QByteArray() : QByteArray("halfrest"));
        QCOMPARE(m_server->requests.size(), 1);
        QCOMPARE(got->resumes, 0);
    }
    // The last chunk is the end, whatever becomes of the connection; and each byte for itself is as good.
    void theLastChunkEnds()
    {
        m_server->answer = [](const QByteArray &path, QTcpSocket *socket) {
            const QByteArray wire = chunkedHead + "\r\n4\r\nhalf\r\n4\r\nrest\r\n0\r\n\r\n";
            if (path == "/open") socket->write(wire);
            if (path != "/drips") return;
            auto *drip = new QTimer(socket);
            drip->setProperty("at", 0);
            connect(drip, &QTimer::timeout, socket, [socket, drip, wire] {
                const int at = drip->property("at").toInt();
                if (at < wire.size()) socket->write(wire.mid(at, 1));
                drip->setProperty("at", at + 1);
            });
            drip->start(1);
        };
        for (const char *path : {"/open", "/drips"}) {
            FetchRequest made = request(m_server->url(path));
            made.readTimeout = std::chrono::milliseconds(5000);
            QElapsedTimer time;
            time.start();
            QVERIFY2(run(std::move(made)), path);
            QCOMPARE(m_body, QByteArray("halfrest"));
            QVERIFY(time.elapsed() < 4000);
        }
    }
    // Cut behind a chunk again and again: gone on with where the server can tell that the file is the same.
    void cutChunksGoOn_data()
    {
        QTest::addColumn<QByteArray>("validator");
        QTest::addColumn<bool>("goesOn");
        QTest::newRow("ETag") << QByteArray("ETag: \"v1\"\r\n") << true;
        QTest::newRow("old date") << QByteArray("Date: Sun, 01 Nov 2026 10:00:02 GMT\r\nLast-Modified: Sun, 01 Nov 2026 10:00:00 GMT\r\n") << true;
        QTest::newRow("date of this second, which may have had two contents")
            << QByteArray("Date: Sun, 01 Nov 2026 10:00:00 GMT\r\nLast-Modified: Sun, 01 Nov 2026 10:00:00 GMT\r\n") << false;
        QTest::newRow("nothing to tell it by") << QByteArray() << false;
    }
    void cutChunksGoOn()
    {
        QFETCH(QByteArray, validator);
        QFETCH(bool, goesOn);
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            const QByteArray head = m_server->requests.last();
            const qsizetype chunks = m_server->requests.size(); // one more each time
            QByteArray wire;
            if (head.contains("Range: bytes=")) {
                const qsizetype at = head.indexOf("Range: bytes=") + 13;
                const QByteArray from = head.mid(at, head.indexOf('-', at) - at);
                wire = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + from + "-11/12\r\nTransfer-Encoding: chunked\r\n" + validator + "\r\n4\r\nmore\r\n";
                if (from == "8") wire += "0\r\n\r\n";
            } else {
                wire = chunkedHead + validator + "\r\n";
                for (qsizetype i = 0; i < qMin<qsizetype>(chunks, 3); ++i)
                    wire += "4\r\nmore\r\n";
                if (chunks >= 3) wire += "0\r\n\r\n";
            }
            sayAndClose(socket, wire);
        };
        const auto got = run(request(m_server->url("/x")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("moremoremore"));
        QCOMPARE(got->bytes, 12);
        QCOMPARE(m_server->requests.size(), 3);
        QCOMPARE(got->resumes, 2);
        QCOMPARE(m_begun, goesOn ? 1 : 3);
    }

    // Neither length nor chunks: by the rules whole at the end of the connection; asked for more where that makes sense.
    void endOfTheConnection_data()
    {
        QTest::addColumn<QByteArray>("validator");
        QTest::addColumn<QByteArray>("answer"); // to the question; empty: silence
        QTest::addColumn<QByteArray>("body");
        QTest::addColumn<int>("requests");
        QTest::addColumn<int>("resumes");
        const QByteArray tag = "ETag: \"v1\"\r\n", old = "Last-Modified: Sun, 01 Nov 2020 10:00:00 GMT\r\n";
        const auto row = [](const char *name, const QByteArray &validator, const QByteArray &answer, const char *body, int requests, int resumes = 0) {
            QTest::newRow(name) << validator << answer << QByteArray(body) << requests << resumes;
        };
        const QByteArray none = "Content-Length: 0\r\n\r\n";
        row("nothing to tell it by", "", "", "half", 1);
        row("a weak tag", "ETag: W/\"v1\"\r\n", "", "half", 1);
        row("a date of now", "Date: Sun, 01 Nov 2020 10:00:00 GMT\r\n" + old, "", "half", 1);
        row("whole", tag, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */4\r\n" + none, "half", 2);
        row("whole, by date", old, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */4\r\n" + none, "half", 2);
        row("whole, no total told", tag, "HTTP/1.1 416 Range Not Satisfiable\r\n" + none, "half", 2);
        row("cut", tag, "HTTP/1.1 206 Partial Content\r\n" + tag + "Content-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nrest", "halfrest", 2, 1);
        row("cut, the rest ends with the connection too", tag, "HTTP/1.1 206 Partial Content\r\n" + tag + "Content-Range: bytes 4-7/8\r\n\r\nrest", "halfrest", 2, 1);
        row("no ranges", tag, bareHead + tag + "\r\nhalf", "half", 2);
        row("no ranges, same length", tag, "HTTP/1.1 200 OK\r\n" + tag + "Content-Length: 4\r\n\r\nhalf", "half", 2);
        row("no ranges, but the length", tag, "HTTP/1.1 200 OK\r\n" + tag + "Content-Length: 8\r\n\r\nhalfrest", "halfrest", 2, 1);
        row("another content by now", tag, "HTTP/1.1 200 OK\r\nETag: \"v2\"\r\nContent-Length: 7\r\n\r\nanother", "half", 2);
        row("another part", tag, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-7/8\r\nContent-Length: 6\r\n\r\nlfrest", "half", 2);
        row("gone", tag, "HTTP/1.1 404 Not Found\r\n" + none, "half", 2);
        row("once only", tag, "HTTP/1.1 403 Forbidden\r\n" + none, "half", 2);
        row("failing", tag, "HTTP/1.1 503 Service Unavailable\r\n" + none, "half", 2);
        row("no HTTP", tag, "hello", "half", 2);
        row("silent", tag, "", "half", 2);
    }
    void endOfTheConnection()
    {
        QFETCH(QByteArray, validator);
        QFETCH(QByteArray, answer);
        QFETCH(QByteArray, body);
        QFETCH(int, requests);
        QFETCH(int, resumes);
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            const QByteArray head = m_server->requests.last();
            if (m_server->requests.size() == 1) return sayAndClose(socket, bareHead + validator + "Content-Type: text/csv\r\n\r\nhalf");
            QVERIFY(head.contains("\r\nRange: bytes=4-\r\n"));
            QVERIFY(head.contains("\r\nIf-Range: " + validator.mid(validator.indexOf(' ') + 1)));
            if (!answer.isEmpty()) sayAndClose(socket, answer);
        };
        FetchRequest made = request(m_server->url("/x.csv"));
        made.readTimeout = std::chrono::milliseconds(500);
        made.maxResumes = 0; // a question is none
        const auto got = run(std::move(made));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, body);
        QCOMPARE(got->bytes, body.size());
        QCOMPARE(got->resumes, resumes);
        QCOMPARE(m_server->requests.size(), requests);
        if (resumes == 0) QCOMPARE(got->contentType, QByteArray("text/csv"));
    }
    // The question says that the content is another size than what came: begun anew, and not for ever.
    void anotherTotal()
    {
        m_server->answer = [this](const QByteArray &path, QTcpSocket *socket) {
            const bool asks = m_server->requests.last().contains("\r\nRange: ");
            if (asks) return say(socket, "416 Range Not Satisfiable\r\nContent-Range: bytes */6");
            const bool first = m_server->requests.size() == 1;
            if (first || path == "/never") return sayAndClose(socket, bareHead + "ETag: \"v1\"\r\n\r\nhalf");
            say(socket, "200 OK\r\nETag: \"v2\"", "second");
        };
        const auto got = run(request(m_server->url("/x")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("second"));
        QCOMPARE(m_begun, 2);
        m_server->requests.clear();
        QVERIFY(!run(request(m_server->url("/never"))));
        QVERIFY(m_server->requests.size() <= 8);
    }
    // The rest of what was cut counts like all else.
    void theRestIsTooLarge()
    {
        m_server->answer = [this](const QByteArray &, QTcpSocket *socket) {
            if (m_server->requests.size() == 1) return sayAndClose(socket, bareHead + "ETag: \"v1\"\r\n\r\nhalf");
            sayAndClose(socket, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-999999999/1000000000\r\n\r\nrest");
        };
        const auto got = run(request(m_server->url("/x")));
        QVERIFY(!got);
        QCOMPARE(got.error().code, ErrorCode::TooLarge);
    }
    void cancelledQuestion()
    {
        CancelSource source;
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            if (m_server->requests.size() == 1) return sayAndClose(socket, bareHead + "ETag: \"v1\"\r\n\r\nhalf");
            source.cancel();
        };
        FetchRequest made = request(m_server->url("/x"));
        made.cancel = source.token();
        const auto got = run(std::move(made));
        QVERIFY(!got);
        QCOMPARE(got.error().code, ErrorCode::Cancelled);
    }
    void theDeadlineEndsAQuestion()
    {
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            if (m_server->requests.size() == 1) sayAndClose(socket, bareHead + "ETag: \"v1\"\r\n\r\nhalf");
        };
        FetchRequest made = request(m_server->url("/x"));
        made.totalTimeout = std::chrono::milliseconds(1000);
        QElapsedTimer time;
        time.start();
        QVERIFY(run(std::move(made)));
        QVERIFY(time.elapsed() < 10'000);
        QCOMPARE(m_body, QByteArray("half"));
    }
    // Never asked: who posted, and where a length said it.
    void noQuestion()
    {
        m_server->answer = [](const QByteArray &path, QTcpSocket *socket) {
            if (path == "/post") return sayAndClose(socket, bareHead + "ETag: \"v1\"\r\n\r\nhalf");
            if (path == "/chunks") return sayAndClose(socket, chunkedHead + "ETag: \"v1\"\r\n\r\n4\r\nhalf\r\n0\r\n\r\n");
            say(socket, "200 OK\r\nETag: \"v1\"", "half");
        };
        for (const char *path : {"/post", "/length", "/chunks"}) {
            m_server->requests.clear();
            FetchRequest made = request(m_server->url(path));
            if (QByteArrayView(path) == "/post") made.post = QByteArray("x=1");
            QVERIFY2(run(std::move(made)), path);
            QCOMPARE(m_body, QByteArray("half"));
            QCOMPARE(m_server->requests.size(), 1);
        }
        // A post that broke off is not sent again either.
        m_server->requests.clear();
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) { sayAndClose(socket, chunkedHead + "ETag: \"v1\"\r\n\r\n4\r\nhalf\r\n"); };
        FetchRequest made = request(m_server->url("/post"));
        made.post = QByteArray("x=1");
        QVERIFY(!run(std::move(made)));
        QCOMPARE(m_server->requests.size(), 1);
        QVERIFY(m_server->requests[0].startsWith("POST /post HTTP/1.1\r\n"));
        QVERIFY(m_server->requests[0].contains("\r\nContent-Length: 3\r\n"));
    }
};

QTEST_GUILESS_MAIN(tst_fetch_whole)
#include "tst_fetch_whole.moc"
