#include "supervisor/OutputLog.h"
#include "supervisor/Words.h"
#include <QFile>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace power::supervisor {

namespace {
// Tails are cut by whole pieces: small enough to stay near the limit, large enough to be cheap.
constexpr qsizetype kTailPiece = 32 * 1024;
constexpr qsizetype kMaxEvents = 1000; // displays of one run

OutputEvent::Kind kindOf(int stream)
{
    return stream == 0 ? OutputEvent::Kind::Stdout : OutputEvent::Kind::Stderr;
}

bool continues(char c)
{
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}
} // namespace

qsizetype utf8Prefix(QByteArrayView text, qsizetype most)
{
    qsizetype end = std::min(text.size(), most);
    // A sequence has at most four bytes: look back at most three for its first one.
    qsizetype first = end;
    for (int back = 0; back < 4 && first > 0; ++back) {
        --first;
        const auto lead = static_cast<unsigned char>(text[first]);
        if (lead < 0x80)
            return end;
        if (lead >= 0xc0) {
            const int need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
            return first + need <= end ? end : first;
        }
    }
    return end; // not UTF-8: cut anywhere
}

qsizetype utf8Start(QByteArrayView text, qsizetype from)
{
    qsizetype at = from;
    while (at < text.size() && at < from + 3 && continues(text[at]))
        ++at;
    return at;
}

OutputLog::OutputLog(const KernelLimits &limits, QString spoolDirectory, Live live)
    : m_limits(limits), m_spoolDirectory(std::move(spoolDirectory)), m_live(std::move(live))
{
}

OutputLog::~OutputLog()
{
    if (m_file >= 0) {
        ::close(m_file);
        ::unlink(m_filePath.constData());
    }
}

void OutputLog::text(Pipe pipe, QByteArrayView bytes)
{
    const int stream = int(pipe);
    if (isOverLimit()) {
        m_total[std::size_t(stream)] += bytes.size();
        m_leftOut = true;
        return;
    }
    m_total[std::size_t(stream)] += bytes.size();
    flushIncomplete(1 - stream);

    QByteArray &incomplete = m_streams[std::size_t(stream)].incomplete;
    QByteArray joined;
    if (!incomplete.isEmpty()) {
        joined = std::exchange(incomplete, {}).append(bytes);
        bytes = joined;
    }
    const qsizetype whole = utf8Prefix(bytes, bytes.size());
    incomplete = bytes.sliced(whole).toByteArray();
    if (whole > 0)
        keep(stream, bytes.first(whole));
}

void OutputLog::flushIncomplete(int stream)
{
    const QByteArray rest = std::exchange(m_streams[std::size_t(stream)].incomplete, {});
    if (!rest.isEmpty())
        keep(stream, rest);
}

void OutputLog::keep(int stream, QByteArrayView bytes)
{
    if (m_live) {
        OutputEvent live;
        live.kind = kindOf(stream);
        live.text = bytes.toByteArray();
        m_live(live);
    }
    bool isSpooled = m_file >= 0;
    spool(bytes);
    Stream &to = m_streams[std::size_t(stream)];
    if (!to.headFull) {
        const qsizetype room = half() - to.head;
        const qsizetype part = bytes.size() <= room ? bytes.size() : utf8Prefix(bytes, room);
        append(stream, bytes.first(part), false);
        to.head += part;
        to.headFull = part < bytes.size();
        bytes = bytes.sliced(part);
    }
    while (!bytes.isEmpty()) {
        const qsizetype part = bytes.size() <= kTailPiece ? bytes.size() : utf8Prefix(bytes, kTailPiece);
        append(stream, bytes.first(part), true);
        to.tail += part;
        bytes = bytes.sliced(part);
        trim(stream);
        // The file was begun in the middle of this piece: its rest belongs into it too.
        if (!isSpooled && m_file >= 0) {
            isSpooled = true;
            spool(bytes);
        }
    }
}

void OutputLog::append(int stream, QByteArrayView bytes, bool toTail)
{
    if (bytes.isEmpty())
        return;
    Stream &to = m_streams[std::size_t(stream)];
    if (!m_pieces.empty()) {
        Piece &last = m_pieces.back();
        const bool sameTail = !to.tailPieces.empty() && to.tailPieces.back() == std::prev(m_pieces.end());
        if (last.event.kind == kindOf(stream) && sameTail == toTail
            && (!toTail || last.event.text.size() + bytes.size() <= kTailPiece)) {
            last.event.text.append(bytes);
            return;
        }
    }
    Piece piece;
    piece.event.kind = kindOf(stream);
    piece.event.text = bytes.toByteArray();
    m_pieces.push_back(std::move(piece));
    if (toTail)
        to.tailPieces.push_back(std::prev(m_pieces.end()));
}

// Drops the oldest pieces of the tail while the rest is still as long as it should be.
void OutputLog::trim(int stream)
{
    Stream &from = m_streams[std::size_t(stream)];
    while (!from.tailPieces.empty()) {
        const Pieces::iterator oldest = from.tailPieces.front();
        const qsizetype size = oldest->event.text.size();
        if (from.tail - size < half() || from.tailPieces.size() == 1)
            return;
        if (from.dropped == 0)
            openSpool();
        from.dropped += size;
        from.tail -= size;
        from.tailPieces.pop_front();
        m_pieces.erase(oldest);
    }
}

void OutputLog::event(OutputEvent event)
{
    flushIncomplete(0);
    flushIncomplete(1);
    const qint64 size = event.bytes();
    if (m_displayBytes + size > m_limits.displayBytes || m_events >= kMaxEvents) {
        ++m_eventsLeftOut;
        m_eventBytesLeftOut += size;
        return;
    }
    ++m_events;
    m_displayBytes += size;
    if (m_live)
        m_live(event);
    if (m_file >= 0 && !event.alt.isEmpty())
        spool('[' + event.alt.toUtf8() + "]\n");
    m_pieces.push_back({std::move(event)});
}

void OutputLog::openSpool()
{
    if (m_file >= 0 || m_fileFailed)
        return;
    m_filePath = QFile::encodeName(m_spoolDirectory + QStringLiteral("/power-output-XXXXXX"));
    m_file = ::mkostemp(m_filePath.data(), O_CLOEXEC);
    if (m_file < 0) {
        m_fileFailed = true;
        return;
    }
    // Nothing was dropped before: the pieces are the whole output so far.
    for (const Piece &piece : m_pieces) {
        if (piece.event.kind == OutputEvent::Kind::Stdout || piece.event.kind == OutputEvent::Kind::Stderr)
            spool(piece.event.text);
        else if (!piece.event.alt.isEmpty())
            spool('[' + piece.event.alt.toUtf8() + "]\n");
    }
}

void OutputLog::spool(QByteArrayView bytes)
{
    while (m_file >= 0 && !bytes.isEmpty()) {
        const ssize_t written = ::write(m_file, bytes.data(), std::size_t(bytes.size()));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) { // the disk is full: a part of the output is worse than none
            ::close(m_file);
            ::unlink(m_filePath.constData());
            m_file = -1;
            m_fileFailed = true;
            return;
        }
        bytes = bytes.sliced(written);
    }
}

void OutputLog::finish(RunOutcome &outcome)
{
    flushIncomplete(0);
    flushIncomplete(1);
    outcome.stdoutBytes = m_total[0];
    outcome.stderrBytes = m_total[1];
    // The cut is told in the text itself, where the missing bytes were.
    for (int stream = 0; stream < 2; ++stream) {
        Stream &from = m_streams[std::size_t(stream)];
        if (from.dropped == 0 || from.tailPieces.empty())
            continue;
        const auto first = from.tailPieces.front();
        const qsizetype excess = std::max<qsizetype>(0, from.tail - half());
        const qsizetype cut = utf8Start(first->event.text, std::min(excess, first->event.text.size()));
        first->event.text.remove(0, cut);
        from.dropped += cut;
        first->event.text.prepend(
            QByteArray("\n[... " + wordsOfBytes(from.dropped).toUtf8() + " of " + (stream == 0 ? "stdout" : "stderr")
                       + " left out here ...]\n"));
    }
    for (Piece &piece : m_pieces) {
        const bool isText = piece.event.kind == OutputEvent::Kind::Stdout || piece.event.kind == OutputEvent::Kind::Stderr;
        if (isText && !outcome.outputs.isEmpty() && outcome.outputs.last().kind == piece.event.kind)
            outcome.outputs.last().text.append(piece.event.text);
        else
            outcome.outputs.append(std::move(piece.event));
    }
    m_pieces.clear();
    outcome.outputCut = m_leftOut || m_streams[0].dropped + m_streams[1].dropped > 0;
    if (m_file >= 0) {
        ::close(m_file);
        m_file = -1;
        outcome.outputFile = m_filePath;
    }
    if (m_fileFailed)
        outcome.notes << QStringLiteral("The whole output could not be kept as a file: the server's disk refused it.");
    if (m_eventsLeftOut > 0) {
        outcome.notes << QStringLiteral("%1 display(s) with %2 were left out: one run may show %3 in at most %4 displays. "
                                        "Save large results as files instead.")
                             .arg(QString::number(m_eventsLeftOut), wordsOfBytes(m_eventBytesLeftOut),
                                  wordsOfBytes(m_limits.displayBytes), QString::number(kMaxEvents));
    }
}

} // namespace power::supervisor
