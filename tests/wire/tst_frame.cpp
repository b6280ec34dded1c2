// Frames survive any cutting of the stream; hostile bytes end in Bad, never in a crash or an allocation.
#include "wire/Frame.h"
#include <QTest>
#include <random>

using namespace power::wire;

class TestFrame : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void roundTripByteByByte()
    {
        const std::string bytes = encode(FrameType::Run, "{\"run\":\"a\",\"s\":\"}{\\\"[\"}", std::string(1000, '\0'))
                                  + encode(FrameType::Done, "{}");
        Decoder decoder;
        Frame frame;
        QList<int> types;
        for (char c : bytes) {
            decoder.feed({&c, 1});
            while (decoder.next(frame) == Decoder::Status::Frame)
                types << int(frame.type);
        }
        QCOMPARE(types, QList<int>({int(FrameType::Run), int(FrameType::Done)}));
        QCOMPARE(decoder.buffered(), std::size_t(0));
    }

    void hostile_data()
    {
        QTest::addColumn<QByteArray>("bytes");
        QTest::newRow("magic") << QByteArray(64, 'x');
        auto head = [](quint32 type, quint32 meta, quint32 blob) {
            std::string frame = encode(FrameType::Run, "{}");
            auto put = [&frame](int at, quint32 v, int n) {
                for (int i = 0; i < n; ++i)
                    frame[size_t(at + i)] = char((v >> (8 * i)) & 0xff);
            };
            put(4, type, 2);
            put(8, meta, 4);
            put(12, blob, 4);
            return QByteArray::fromStdString(frame);
        };
        QTest::newRow("type") << head(999, 2, 0);
        QTest::newRow("meta size") << head(1, 0x7fffffff, 0);
        QTest::newRow("blob size") << head(1, 2, 0xffffffff);
        QTest::newRow("deep") << QByteArray::fromStdString(
            encode(FrameType::Done, "{\"a\":" + std::string(40, '[') + std::string(40, ']') + "}"));
        QTest::newRow("not an object") << QByteArray::fromStdString(encode(FrameType::Done, "[1]"));
        QTest::newRow("two objects") << QByteArray::fromStdString(encode(FrameType::Done, "{}{}"));
    }
    void hostile()
    {
        QFETCH(QByteArray, bytes);
        Decoder decoder(1024 * 1024);
        Frame frame;
        decoder.feed({bytes.constData(), size_t(bytes.size())});
        QCOMPARE(int(decoder.next(frame)), int(Decoder::Status::Bad));
        QVERIFY(!decoder.reason().empty());
        decoder.feed(encode(FrameType::Run, "{}"));
        QCOMPARE(int(decoder.next(frame)), int(Decoder::Status::Bad));
    }

    void mutatedFramesNeverCrash()
    {
        std::mt19937 random(20261122);
        const std::string good = encode(FrameType::Display, "{\"run\":\"r\",\"epoch\":3,\"parts\":[]}", "blob");
        for (int i = 0; i < 20000; ++i) {
            std::string bytes = good + good;
            for (unsigned n = random() % 4 + 1; n > 0; --n)
                bytes[random() % bytes.size()] = char(random());
            Decoder decoder(4096);
            Frame frame;
            decoder.feed(bytes);
            while (decoder.next(frame) == Decoder::Status::Frame)
                QVERIFY(frame.meta.size() <= kMaxMeta && frame.blob.size() <= 4096);
            QVERIFY(decoder.buffered() <= bytes.size());
        }
    }
};

QTEST_GUILESS_MAIN(TestFrame)
#include "tst_frame.moc"
