// Restores the exact order of stdout, stderr and frames from the in-band epoch markers (shared/wire/PROTOCOL.md).
#pragma once
#include "supervisor/Kernel.h"
#include <QByteArrayView>
#include <array>
#include <deque>
#include <map>

namespace power::supervisor {

enum class Pipe { Out = 0, Err = 1 };

// OutputMerger: pure; bytes and frames in as they come, ordered pieces out through the two calls of the sink.
// Marker bytes never come out. Whatever a kernel sends, no byte is lost or doubled: missing, forged and repeated
// markers only change the order. Holds at most about kMaxHeld bytes and kMaxHeldFrames of frames back. Thread: none of its own.
class OutputMerger
{
public:
    struct Sink {
        std::function<void(Pipe, QByteArrayView)> text;  // valid during the call
        std::function<void(OutputEvent &&)> event;
    };
    static constexpr qsizetype kMaxHeld = 1 << 20;
    static constexpr qsizetype kMaxHeldFrames = 64 << 20; // more than one run may show

    // token: the 16 characters of the Spawn frame.
    OutputMerger(QByteArray token, Sink sink);

    void feed(Pipe pipe, QByteArrayView bytes);
    void feedFrame(quint64 epoch, OutputEvent event);
    // The control socket was read until it was empty: every frame sent before the markers seen so far is here.
    void framesDrained();
    // True when only framesDrained() can let held bytes go.
    bool wantsFrames() const;
    // A pipe will give no more bytes.
    void pipeEnded(Pipe pipe);
    // Lets everything held go in the best order known; for a quiet time in the middle of a run.
    void flush();
    // The end of a run: flushes, and forgets the epochs (kernels may count on or begin anew).
    void finish();
    // True once `pipe` has shown a marker of this epoch or a later one, or has ended.
    bool reached(Pipe pipe, quint64 epoch) const { return side(pipe).at >= epoch; }
    bool isHolding() const { return m_held > 0 || !m_frames.empty(); }

private:
    struct Segment {
        quint64 epoch;
        QByteArray bytes;
    };
    struct Side {
        quint64 at = 0;             // epoch of the last marker
        std::deque<Segment> waiting;
        QByteArray partial;         // the beginning of what may be a marker
    };
    struct Waiting {
        quint64 epoch;
        OutputEvent event;
    };

    const Side &side(Pipe pipe) const { return m_sides[std::size_t(pipe)]; }
    Side &side(Pipe pipe) { return m_sides[std::size_t(pipe)]; }
    void parse(Pipe pipe, QByteArrayView bytes);
    void marker(Pipe pipe, quint64 epoch, char active);
    void text(Pipe pipe, QByteArrayView bytes);
    bool hasTurn(Pipe pipe) const;
    void release(Pipe pipe, quint64 upTo);
    void releaseFrames(quint64 upTo);
    void advance();
    bool closed() const;

    QByteArray m_prefix; // ESC ] P I ; token ;
    Sink m_sink;
    std::array<Side, 2> m_sides;
    std::deque<Waiting> m_frames;
    std::map<quint64, char> m_marks; // epochs seen and not passed -> active channel
    quint64 m_epoch = 0;             // the one being let out
    char m_active = 'o';
    quint64 m_framesBelow = 0;       // all frames of epochs below this one are here
    qsizetype m_held = 0;
    qsizetype m_heldFrames = 0;
};

} // namespace power::supervisor
