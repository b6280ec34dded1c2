// Heads of answers as servers send them, and as some should not.
#include "net/AnswerHead.h"
#include <QTest>

using namespace power;
using namespace power::net;

class tst_answer_head : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void heads_data()
    {
        QTest::addColumn<QByteArray>("head");
        QTest::addColumn<int>("status"); // 0: refused
        QTest::addColumn<int>("framing");
        QTest::addColumn<qint64>("length");
        const auto row = [](const char *head, int status, Framing framing = Framing::None, qint64 length = -1) {
            QTest::addRow("%s", QByteArray(head).simplified().constData()) << QByteArray(head) << status << int(framing) << length;
        };
        row("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, Framing::Length, 5);
        row("HTTP/1.0 200\r\n\r\n", 200, Framing::Close);
        row("HTTP/1.1 200 \r\ncontent-length:0\r\n\r\n", 200, Framing::Length, 0);
        row("HTTP/1.1 200 OK\ncontent-length: 7\n\n", 200, Framing::Length, 7);
        row("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", 200, Framing::Chunked);
        row("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 200, Framing::Chunked);
        row("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", 200, Framing::Close);
        row("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\n", 200, Framing::Length, 5);
        row("HTTP/1.1 404 Not Found\r\nno field\r\nContent-Length: 5\r\n\r\n", 404, Framing::Length, 5);
        row("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204);
        row("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304);
        row("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 103);
        row("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 0);
        row("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0);
        row("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 0);
        row("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 0);
        row("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", 0);
        row("HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n", 0);
        row("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", 0);
        row("HTTP/2 200\r\n\r\n", 0);
        row("HTTP/1.1 2000 OK\r\n\r\n", 0);
        row("HTTP/1.1 20 OK\r\n\r\n", 0);
        row("HTTP/1.1 OK\r\n\r\n", 0);
        row("ICY 200 OK\r\n\r\n", 0);
        row("\r\n\r\n", 0);
    }
    void heads()
    {
        QFETCH(QByteArray, head);
        QFETCH(int, status);
        QCOMPARE(endOfHead(head), head.size());
        const auto got = parseAnswerHead(head);
        QCOMPARE(got.ok(), status != 0);
        if (!got) {
            QCOMPARE(got.error().code, ErrorCode::Upstream);
            return;
        }
        QCOMPARE(got->status, status);
        QTEST(int(got->framing), "framing");
        QTEST(got->length, "length");
    }
    void fields()
    {
        const auto got = parseAnswerHead(QByteArray("HTTP/1.1 200 OK\r\nA: 1\r\n a\r\nB:2\r\na:  3 \r\nC: x\ry\r\nD: p") + '\0' + "q\r\n\r\n");
        QVERIFY(got.ok());
        QCOMPARE(got->field("a"), QByteArray("1 a, 3"));
        QCOMPARE(got->field("b"), QByteArray("2"));
        QCOMPARE(got->field("c"), QByteArray("x y")); // it may be sent back
        QCOMPARE(got->field("d"), QByteArray("p q"));
        QCOMPARE(got->field("e"), QByteArray());
    }
    // Found as soon as it is there.
    void itsEnd()
    {
        const QByteArray head = "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n";
        for (qsizetype size = 0; size < head.size(); ++size)
            QCOMPARE(endOfHead(head.first(size)), -1);
        QCOMPARE(endOfHead(head + "body\r\n\r\n"), head.size());
    }
};

QTEST_APPLESS_MAIN(tst_answer_head)
#include "tst_answer_head.moc"
