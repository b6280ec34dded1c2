// What one run printed and displayed, in order and bounded: head and tail in memory, everything in a file when cut.
#pragma once
#include "supervisor/Kernel.h"
#include "supervisor/OutputMerger.h"
#include <QByteArrayView>
#include <array>
#include <list>

namespace power::supervisor {

// The longest prefix of `text` of at most `most` bytes that does not end inside a UTF-8 sequence.
qsizetype utf8Prefix(QByteArrayView text, qsizetype most);
// The first position at or after `from` that begins a UTF-8 sequence.
qsizetype utf8Start(QByteArrayView text, qsizetype from);

// OutputLog: takes ordered pieces (from OutputMerger), passes them on live in whole UTF-8 characters, and keeps
// per stream a head and a tail of limits.keptOutputBytes / 2 each. When bytes of the middle are dropped the whole
// text goes to a temporary file (until the limit of the run). Thread: the event loop's.
class OutputLog
{
public:
    using Live = std::function<void(const OutputEvent &)>;

    // spoolDirectory: where the whole output is written when it is cut.
    OutputLog(const KernelLimits &limits, QString spoolDirectory, Live live);
    ~OutputLog();
    Q_DISABLE_COPY_MOVE(OutputLog)

    void text(Pipe pipe, QByteArrayView bytes);
    void event(OutputEvent event);

    // stdout + stderr are above limits.outputBytes; what comes after is counted and not kept.
    bool isOverLimit() const { return m_total[0] + m_total[1] > m_limits.outputBytes; }

    // Moves everything into the outcome: outputs, counters, the file, notes about what was left out.
    void finish(RunOutcome &outcome);

private:
    struct Piece {
        OutputEvent event;
    };
    using Pieces = std::list<Piece>;
    struct Stream {
        qsizetype head = 0;             // bytes kept in the head
        qsizetype tail = 0;             // bytes kept in the tail
        qint64 dropped = 0;
        std::list<Pieces::iterator> tailPieces;
        QByteArray incomplete;          // begin of a UTF-8 sequence, not passed on yet
        bool headFull = false;
    };

    void keep(int stream, QByteArrayView bytes);
    void append(int stream, QByteArrayView bytes, bool toTail);
    void trim(int stream);
    void flushIncomplete(int stream);
    void openSpool();
    void spool(QByteArrayView bytes);
    qsizetype half() const { return qsizetype(m_limits.keptOutputBytes / 2); }

    KernelLimits m_limits;
    QString m_spoolDirectory;
    Live m_live;
    Pieces m_pieces;
    std::array<Stream, 2> m_streams;
    std::array<qint64, 2> m_total{0, 0};
    qint64 m_displayBytes = 0;
    qsizetype m_events = 0;
    qsizetype m_eventsLeftOut = 0;
    qint64 m_eventBytesLeftOut = 0;
    bool m_leftOut = false;    // something is neither in the outputs nor in the file
    int m_file = -1;
    QByteArray m_filePath;
    bool m_fileFailed = false;
};

} // namespace power::supervisor
