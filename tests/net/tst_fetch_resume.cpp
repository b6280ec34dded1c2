// Transfers that break off: what is gone on with, what begins anew, and what is no end.
#include "net/FetchTest.h"

using namespace power;
using namespace power::net;
using namespace power::net::test;

class tst_fetch_resume : public FetchTest
{
    Q_OBJECT

private Q_SLOTS:
    void init() { newServer(); }
    void cleanup() { noServer(); }

    // Breaks off again and again; goes on with Range and If-Range and ends up with the very bytes.
    void resumes_data()
    {
        QTest::addColumn<QByteArray>("validator");
        QTest::addColumn<bool>("ranges");
        QTest::addColumn<bool>("goesOn");
        QTest::newRow("ETag") << QByteArray("ETag: \"v1\"\r\n") << true << true;
        QTest::newRow("date") << QByteArray("Last-Modified: Sun, 01 Nov 2020 10:00:00 GMT\r\n") << true << true;
        QTest::newRow("weak ETag begins anew") << QByteArray("ETag: W/\"v1\"\r\n") << true << false;
        QTest::newRow("no validator begins anew") << QByteArray() << true << false;
        QTest::newRow("server without ranges") << QByteArray("ETag: \"v1\"\r\n") << false << false;
    }
    void resumes()
    {
        QFETCH(QByteArray, validator);
        QFETCH(bool, ranges);
        QByteArray data;
        for (int i = 0; data.size() < 1'000'000; ++i)
            data += QByteArray::number(i) + ' ';
        const qsizetype step = 210'000; // more each time, so that beginning anew comes to an end too
        int asked = 0;
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            const QByteArray head = m_server->requests.last();
            const qsizetype at = head.indexOf("Range: bytes=");
            const qsizetype from = ranges && at >= 0 ? head.mid(at + 13, head.indexOf('-', at) - at - 13).toLongLong() : 0;
            if (at >= 0) QVERIFY(head.contains("If-Range: " + validator.mid(validator.indexOf(' ') + 1).trimmed()));
            const qsizetype to = qMin(data.size(), step * ++asked);
            socket->write(from > 0 ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + QByteArray::number(from) + '-' +
                                         QByteArray::number(data.size() - 1) + '/' + QByteArray::number(data.size()) + "\r\n"
                                   : QByteArray("HTTP/1.1 200 OK\r\n"));
            socket->write(validator + "Content-Length: " + QByteArray::number(data.size() - from) + "\r\n\r\n" + data.mid(from, to - from));
            socket->disconnectFromHost();
        };
        const auto got = run(request(m_server->url("/big.csv")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(got->bytes, data.size());
        QCOMPARE(m_body.size(), data.size());
        QVERIFY(m_body == data);
        // Qt asks once more by itself when a connection ends very early, so some attempts may not be ours.
        QVERIFY2(got->resumes >= 1 && got->resumes <= 4, QByteArray::number(got->resumes));
        QFETCH(bool, goesOn);
        QCOMPARE(m_begun, goesOn ? 1 : got->resumes + 1);
        QCOMPARE(m_head.size, data.size());
        QCOMPARE(m_head.fileName, QStringLiteral("big.csv"));
    }

    // The file was replaced between two parts: the new one whole, no mixture.
    void changedContentBeginsAnew()
    {
        const QByteArray before(500'000, 'a'), after(400'000, 'b');
        m_server->answer = [&](const QByteArray &path, QTcpSocket *socket) {
            if (m_server->requests.size() == 1) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 500000\r\n\r\n" + before.left(200'000));
                socket->disconnectFromHost();
            } else if (path == "/416" && m_server->requests.size() == 2) {
                say(socket, "416 Range Not Satisfiable\r\nContent-Range: bytes */400000");
            } else {
                say(socket, "200 OK\r\nETag: \"2\"", after);
            }
        };
        for (const char *path : {"/200", "/416"}) {
            m_server->requests.clear();
            const auto got = run(request(m_server->url(path)));
            QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
            QVERIFY(m_body == after);
            QCOMPARE(m_begun, 2);
        }
    }

    void resumeAfterAStall()
    {
        m_server->answer = [this](const QByteArray &, QTcpSocket *socket) {
            if (m_server->requests.size() == 1)
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\n\r\nhalf");
            else if (m_server->requests.size() == 2)
                say(socket, "503 Service Unavailable"); // for a moment
            else
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 4-7/8", "rest");
        };
        FetchRequest made = request(m_server->url("/x"));
        made.readTimeout = std::chrono::milliseconds(300);
        const auto got = run(std::move(made));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("halfrest"));
    }

    void anotherPartIsRefused()
    {
        m_server->answer = [this](const QByteArray &, QTcpSocket *socket) {
            if (m_server->requests.size() == 1) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\n\r\nhalf");
                socket->disconnectFromHost();
            } else {
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 2-7/8", "lfrest");
            }
        };
        QVERIFY(!run(request(m_server->url("/x"))));
    }

    // A server may give less than was asked for: that is not the end of the file.
    void lessThanAskedFor()
    {
        m_server->answer = [this](const QByteArray &, QTcpSocket *socket) {
            const qsizetype asked = m_server->requests.size();
            if (asked == 1) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\n\r\nhalf");
                socket->disconnectFromHost();
            } else {
                say(socket, asked == 2 ? "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 4-5/8" : "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 6-7/8",
                    asked == 2 ? "re" : "st");
            }
        };
        const auto got = run(request(m_server->url("/x")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("halfrest"));
        QCOMPARE(got->bytes, 8);
    }

    // "bytes 4-5/*" says neither how much there is nor that this was all of it.
    void partsWithoutATotal_data()
    {
        QTest::addColumn<bool>("lengthFirst");
        QTest::newRow("the first answer told its length") << true;
        QTest::newRow("none did: the answer is that nothing follows") << false;
    }
    void partsWithoutATotal()
    {
        QFETCH(bool, lengthFirst);
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            const QByteArray head = m_server->requests.last();
            if (!head.contains("Range: bytes=")) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Type: text/csv\r\n");
                socket->write(lengthFirst ? "Content-Length: 8\r\n\r\nhalf" : "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
                // Silent otherwise: Qt may take a chunked body for whole when the connection ends right behind a chunk.
                if (lengthFirst) socket->disconnectFromHost();
            } else if (head.contains("bytes=4-")) {
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Type: text/csv\r\nContent-Range: bytes 4-5/*", "re");
            } else if (head.contains("bytes=6-")) {
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Type: text/csv\r\nContent-Range: bytes 6-7/*", "st");
            } else {
                say(socket, "416 Range Not Satisfiable\r\nContent-Type: text/html\r\nContent-Range: bytes */8", "nothing");
            }
        };
        FetchRequest made = request(m_server->url("/x.csv"));
        made.readTimeout = std::chrono::milliseconds(500);
        const auto got = run(std::move(made));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("halfrest"));
        QCOMPARE(got->bytes, 8);
        QCOMPARE(got->contentType, QByteArray("text/csv"));
        QCOMPARE(got->status, 206);
        QVERIFY2(m_server->requests.size() <= 6, QByteArray::number(m_server->requests.size()).constData());
    }
};

QTEST_GUILESS_MAIN(tst_fetch_resume)
#include "tst_fetch_resume.moc"
