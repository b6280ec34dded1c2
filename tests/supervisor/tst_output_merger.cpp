// The exact order of stdout, stderr and frames, whatever the cutting of the streams and whatever is forged.
#include "supervisor/OutputMerger.h"
#include <QTest>
#include <random>

using namespace power::supervisor;

namespace {
const QByteArray kToken = "0123456789abcdef";

QByteArray marker(quint64 epoch, char active, const QByteArray &token = kToken)
{
    return "\x1b]PI;" + token + ';' + QByteArray::number(epoch) + ';' + active + '\x07';
}

// What came out: "o:..." "e:..." "f:..." with neighbours of one channel joined.
struct Seen {
    QList<QByteArray> pieces;
    OutputMerger::Sink sink()
    {
        return {[this](Pipe pipe, QByteArrayView bytes) { add(pipe == Pipe::Out ? "o:" : "e:", bytes); },
                [this](OutputEvent &&event) { pieces << "f:" + event.text; }};
    }
    void add(const char *channel, QByteArrayView bytes)
    {
        if (!pieces.isEmpty() && pieces.last().startsWith(channel))
            pieces.last().append(bytes);
        else
            pieces << channel + bytes.toByteArray();
    }
    QByteArray joined() const { return pieces.join('|'); }
};

OutputEvent displayOf(const QByteArray &text)
{
    OutputEvent made;
    made.kind = OutputEvent::Kind::Display;
    made.text = text;
    return made;
}

// A kernel: writes like PROTOCOL.md says into three streams, and keeps the truth.
struct Writer {
    QByteArray out, err;
    QList<QPair<quint64, QByteArray>> frames;
    QList<qsizetype> framesAtOut; // length of `out` when the frame was sent
    QList<QByteArray> truth;
    quint64 epoch = 0;
    char active = 'x'; // the first piece of a run always marks

    void to(char channel)
    {
        if (active == channel)
            return;
        active = channel;
        ++epoch;
        out += marker(epoch, channel);
        err += marker(epoch, channel);
    }
    void write(char channel, const QByteArray &text)
    {
        to(channel);
        if (channel == 'o')
            out += text;
        else if (channel == 'e')
            err += text;
        else {
            frames << qMakePair(epoch, text);
            framesAtOut << out.size();
        }
        const QByteArray head = QByteArray(1, channel) + ':';
        if (channel != 'f' && !truth.isEmpty() && truth.last().startsWith(head))
            truth.last() += text;
        else
            truth << head + text;
    }
    void done()
    {
        active = 'x';
        to('f');
    }
};
} // namespace

class TestOutputMerger : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void switchesKeepOrder()
    {
        Seen seen;
        OutputMerger merger(kToken, seen.sink());
        merger.feed(Pipe::Err, marker(1, 'o') + marker(2, 'e') + "B" + marker(3, 'o'));
        QCOMPARE(seen.joined(), QByteArray());
        merger.feed(Pipe::Out, marker(1, 'o') + "A");
        QCOMPARE(seen.joined(), QByteArray("o:A")); // live: not held until the end
        merger.feed(Pipe::Out, marker(2, 'e'));
        merger.feed(Pipe::Out, marker(3, 'o') + "C");
        QCOMPARE(seen.joined(), QByteArray("o:A|e:B|o:C"));
        QVERIFY(!merger.isHolding());
    }

    void cLevelBytesComeAfterTheActiveChannel()
    {
        Seen seen;
        OutputMerger merger(kToken, seen.sink());
        merger.feed(Pipe::Err, marker(1, 'o') + "c-err" + marker(2, 'e') + "E");
        merger.feed(Pipe::Out, marker(1, 'o') + "P" + marker(2, 'e') + "c-out");
        merger.finish();
        QCOMPARE(seen.joined(), QByteArray("o:P|e:c-errE|o:c-out"));
    }

    void framesWaitForTheirEpoch()
    {
        Seen seen;
        OutputMerger merger(kToken, seen.sink());
        merger.feedFrame(2, displayOf("D"));
        QCOMPARE(seen.joined(), QByteArray());
        merger.feed(Pipe::Out, marker(1, 'o') + "A" + marker(2, 'f') + marker(3, 'o') + "B");
        merger.feed(Pipe::Err, marker(1, 'o') + marker(2, 'f'));
        QCOMPARE(seen.joined(), QByteArray("o:A|f:D"));
        merger.feed(Pipe::Err, marker(3, 'o'));
        QVERIFY(merger.wantsFrames());
        merger.feedFrame(2, displayOf("E")); // a second one of the same epoch, read later
        merger.framesDrained();
        QCOMPARE(seen.joined(), QByteArray("o:A|f:D|f:E|o:B"));
    }

    void markersSplitAnywhere()
    {
        const QByteArray out = marker(1, 'o') + "A\x1b[31mred" + marker(2, 'e') + marker(3, 'o') + "C\x1b]PI;x";
        const QByteArray err = marker(1, 'o') + marker(2, 'e') + "B" + marker(3, 'o');
        for (qsizetype step = 1; step < 50; ++step) {
            Seen seen;
            OutputMerger merger(kToken, seen.sink());
            for (qsizetype at = 0; at < out.size(); at += step)
                merger.feed(Pipe::Out, QByteArray::fromRawData(out.constData(), out.size()).mid(at, step));
            for (qsizetype at = 0; at < err.size(); at += step)
                merger.feed(Pipe::Err, QByteArray::fromRawData(err.constData(), err.size()).mid(at, step));
            merger.finish();
            QCOMPARE(seen.joined(), QByteArray("o:A\x1b[31mred|e:B|o:C\x1b]PI;x"));
        }
    }

    void forgedMarkersLoseNothing()
    {
        Seen seen;
        OutputMerger merger(kToken, seen.sink());
        merger.feed(Pipe::Out, marker(1, 'o') + "a" + marker(9'000'000'000'000'000'000ull, 'e') + "b"
                                   + marker(2, 'o') + "c" + marker(1, 'f') + "d");
        merger.feed(Pipe::Out, "\x1b]PI;" + kToken + ";99999999999999999999999;oX" + marker(3, 'o', "fedcba9876543210"));
        merger.feed(Pipe::Err, "e1" + marker(2, 'e') + "e2");
        merger.finish();
        QByteArray out, err;
        for (const QByteArray &piece : seen.pieces)
            (piece.startsWith("o:") ? out : err) += piece.mid(2);
        QCOMPARE(out, "abcd\x1b]PI;" + kToken + ";99999999999999999999999;oX" + marker(3, 'o', "fedcba9876543210"));
        QCOMPARE(err, QByteArray("e1e2"));
    }

    void missingMarkersAreReleasedByPressure()
    {
        Seen seen;
        OutputMerger merger(kToken, seen.sink());
        merger.feed(Pipe::Out, marker(1, 'o'));
        merger.feed(Pipe::Err, marker(1, 'o') + QByteArray(300'000, 'x'));
        QVERIFY(merger.isHolding());
        for (int i = 0; i < 10; ++i)
            merger.feed(Pipe::Err, QByteArray(300'000, 'y'));
        QVERIFY(seen.joined().size() > 2'000'000);
        merger.pipeEnded(Pipe::Err);
        merger.feed(Pipe::Out, "tail");
        merger.finish();
        QVERIFY(seen.joined().contains("o:tail"));
        QCOMPARE(seen.joined().count('y'), 3'000'000);
    }

    void hugeTextStreamsThrough()
    {
        qsizetype count = 0;
        OutputMerger merger(kToken, {[&count](Pipe, QByteArrayView bytes) { count += bytes.size(); }, [](OutputEvent &&) {}});
        merger.feed(Pipe::Out, marker(1, 'o'));
        merger.feed(Pipe::Err, marker(1, 'o'));
        const QByteArray block(1 << 20, 'z');
        for (int i = 0; i < 64; ++i)
            merger.feed(Pipe::Out, block);
        QCOMPARE(count, qsizetype(64) << 20);
        QVERIFY(!merger.isHolding());
    }

    // Any text the kernel writes, cut and delivered in any order that the pipes allow, comes out as written.
    void randomInterleavings()
    {
        std::mt19937 random(20261122);
        for (int round = 0; round < 3000; ++round) {
            Writer writer;
            const unsigned steps = random() % 40;
            for (unsigned i = 0; i < steps; ++i) {
                QByteArray text = QByteArray::number(i) + (random() % 5 == 0 ? "\x1b" : "") + (random() % 7 == 0 ? "\x1b]PI;" : "");
                if (random() % 20 == 0)
                    text += QByteArray(int(random() % 5000), 'L');
                writer.write("oef"[random() % 3], text + ' ');
            }
            writer.done();
            Seen seen;
            OutputMerger merger(kToken, seen.sink());
            qsizetype outAt = 0, errAt = 0, frameAt = 0;
            // A frame is readable only after the bytes written before it; a pipe may lag behind.
            qsizetype written = 0;
            while (outAt < writer.out.size() || errAt < writer.err.size() || frameAt < writer.frames.size()) {
                const qsizetype n = qsizetype(random() % (random() % 3 == 0 ? 4000 : 30)) + 1;
                switch (random() % 3) {
                case 0:
                    merger.feed(Pipe::Out, QByteArray::fromRawData(writer.out.constData(), writer.out.size()).mid(outAt, n));
                    outAt = qMin(outAt + n, writer.out.size());
                    break;
                case 1:
                    merger.feed(Pipe::Err, QByteArray::fromRawData(writer.err.constData(), writer.err.size()).mid(errAt, n));
                    errAt = qMin(errAt + n, writer.err.size());
                    break;
                default:
                    if (frameAt < writer.frames.size()) {
                        const auto &frame = writer.frames[frameAt++];
                        merger.feedFrame(frame.first, displayOf(frame.second));
                    }
                    break;
                }
                written = qMax(written, outAt);
                if (merger.wantsFrames() && random() % 2 == 0) {
                    // The server reads the socket: every frame sent so far, of which some may not be read yet.
                    while (frameAt < writer.frames.size())
                        merger.feedFrame(writer.frames[frameAt].first, displayOf(writer.frames[frameAt].second)), ++frameAt;
                    merger.framesDrained();
                }
            }
            QVERIFY(merger.reached(Pipe::Out, writer.epoch) && merger.reached(Pipe::Err, writer.epoch));
            merger.finish();
            QVERIFY(!merger.isHolding());
            QCOMPARE(seen.joined(), writer.truth.join('|'));
        }
    }
};

QTEST_GUILESS_MAIN(TestOutputMerger)
#include "tst_output_merger.moc"
