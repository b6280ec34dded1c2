#include "supervisor/OutputMerger.h"
#include <algorithm>
#include <cstring>
#include <limits>

namespace power::supervisor {

namespace {
constexpr char kEscape = '\x1b';
constexpr char kBell = '\x07';
constexpr qsizetype kMaxDigits = 19; // fits an unsigned 64-bit number
constexpr quint64 kNever = std::numeric_limits<quint64>::max();

enum class Look { Marker, Text, More };

// Is there a whole marker at the beginning of `bytes`? More: it may become one.
Look lookAtMarker(QByteArrayView bytes, QByteArrayView prefix, quint64 &epoch, char &active, qsizetype &length)
{
    const qsizetype common = std::min(bytes.size(), prefix.size());
    if (std::memcmp(bytes.data(), prefix.data(), std::size_t(common)) != 0)
        return Look::Text;
    if (bytes.size() <= prefix.size())
        return Look::More;
    qsizetype at = prefix.size();
    epoch = 0;
    while (at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9') {
        if (at - prefix.size() >= kMaxDigits)
            return Look::Text;
        epoch = epoch * 10 + quint64(bytes[at] - '0');
        ++at;
    }
    if (at == bytes.size())
        return Look::More;
    if (at == prefix.size() || bytes[at] != ';')
        return Look::Text;
    if (++at == bytes.size())
        return Look::More;
    active = bytes[at];
    if (active != 'o' && active != 'e' && active != 'f')
        return Look::Text;
    if (++at == bytes.size())
        return Look::More;
    if (bytes[at] != kBell)
        return Look::Text;
    length = at + 1;
    return Look::Marker;
}

// With what holding it costs.
qsizetype heldBytes(const OutputEvent &event)
{
    return event.bytes() + 512;
}

char channelOf(Pipe pipe)
{
    return pipe == Pipe::Out ? 'o' : 'e';
}
} // namespace

OutputMerger::OutputMerger(QByteArray token, Sink sink)
    : m_prefix("\x1b]PI;" + token + ';'), m_sink(std::move(sink))
{
}

void OutputMerger::feed(Pipe pipe, QByteArrayView bytes)
{
    Side &from = side(pipe);
    if (from.partial.isEmpty()) {
        parse(pipe, bytes);
    } else {
        const QByteArray joined = std::exchange(from.partial, {}).append(bytes);
        m_held -= joined.size() - bytes.size();
        parse(pipe, joined);
    }
    advance();
    if (m_held > kMaxHeld)
        flush();
}

void OutputMerger::parse(Pipe pipe, QByteArrayView bytes)
{
    qsizetype from = 0; // first byte not yet passed on
    qsizetype search = 0;
    while (search < bytes.size()) {
        const void *found = std::memchr(bytes.data() + search, kEscape, std::size_t(bytes.size() - search));
        if (!found)
            break;
        const qsizetype at = static_cast<const char *>(found) - bytes.data();
        quint64 epoch = 0;
        char active = 0;
        qsizetype length = 0;
        const Look look = lookAtMarker(bytes.sliced(at), m_prefix, epoch, active, length);
        if (look == Look::Text) {
            search = at + 1;
            continue;
        }
        text(pipe, bytes.sliced(from, at - from));
        if (look == Look::More) {
            side(pipe).partial = bytes.sliced(at).toByteArray();
            m_held += side(pipe).partial.size();
            return;
        }
        marker(pipe, epoch, active);
        from = search = at + length;
    }
    text(pipe, bytes.sliced(from));
}

void OutputMerger::marker(Pipe pipe, quint64 epoch, char active)
{
    Side &at = side(pipe);
    if (epoch <= at.at)
        return; // repeated or forged: it changes nothing
    at.at = epoch;
    if (epoch > m_epoch)
        m_marks.emplace(epoch, active);
    advance();
}

void OutputMerger::text(Pipe pipe, QByteArrayView bytes)
{
    if (bytes.isEmpty())
        return;
    Side &to = side(pipe);
    if (to.waiting.empty() && (to.at < m_epoch || (to.at == m_epoch && hasTurn(pipe)))) {
        m_sink.text(pipe, bytes);
        return;
    }
    if (!to.waiting.empty() && to.waiting.back().epoch == to.at)
        to.waiting.back().bytes.append(bytes);
    else
        to.waiting.push_back({to.at, bytes.toByteArray()});
    m_held += bytes.size();
}

// May bytes of the epoch being let out leave this pipe now?
bool OutputMerger::hasTurn(Pipe pipe) const
{
    if (m_active == channelOf(pipe))
        return true;
    if (m_active == 'f') // after the frames; then stdout before stderr
        return m_framesBelow > m_epoch && (pipe == Pipe::Out || side(Pipe::Out).at > m_epoch);
    return side(pipe == Pipe::Out ? Pipe::Err : Pipe::Out).at > m_epoch;
}

void OutputMerger::release(Pipe pipe, quint64 upTo)
{
    auto &waiting = side(pipe).waiting;
    while (!waiting.empty() && waiting.front().epoch <= upTo) {
        const QByteArray bytes = std::move(waiting.front().bytes);
        waiting.pop_front();
        m_held -= bytes.size();
        m_sink.text(pipe, bytes);
    }
}

void OutputMerger::releaseFrames(quint64 upTo)
{
    while (!m_frames.empty() && m_frames.front().epoch <= upTo) {
        OutputEvent event = std::move(m_frames.front().event);
        m_frames.pop_front();
        m_heldFrames -= heldBytes(event);
        m_sink.event(std::move(event));
    }
}

// Has everything of the epoch being let out arrived?
bool OutputMerger::closed() const
{
    return side(Pipe::Out).at > m_epoch && side(Pipe::Err).at > m_epoch
           && (m_active != 'f' || m_framesBelow > m_epoch);
}

void OutputMerger::advance()
{
    for (;;) {
        releaseFrames(m_epoch);
        const Pipe first = m_active == 'e' ? Pipe::Err : Pipe::Out;
        const Pipe second = first == Pipe::Out ? Pipe::Err : Pipe::Out;
        for (const Pipe pipe : {first, second}) {
            if (m_epoch > 0)
                release(pipe, m_epoch - 1); // late ones
            if (hasTurn(pipe))
                release(pipe, m_epoch);
        }
        if (!closed())
            return;
        while (!m_marks.empty() && m_marks.begin()->first <= m_epoch)
            m_marks.erase(m_marks.begin());
        if (m_marks.empty())
            return;
        const auto next = m_marks.begin();
        releaseFrames(next->first - 1);
        m_epoch = next->first;
        m_active = next->second;
        m_marks.erase(next);
    }
}

void OutputMerger::feedFrame(quint64 epoch, OutputEvent event)
{
    // Frames come in the order of their epochs: this one closes all earlier epochs.
    m_framesBelow = std::max(m_framesBelow, epoch);
    if (!m_frames.empty())
        epoch = std::max(epoch, m_frames.back().epoch);
    m_heldFrames += heldBytes(event);
    m_frames.push_back({epoch, std::move(event)});
    advance();
    if (m_heldFrames > kMaxHeldFrames)
        flush();
}

void OutputMerger::framesDrained()
{
    m_framesBelow = std::max({m_framesBelow, side(Pipe::Out).at, side(Pipe::Err).at});
    advance();
}

bool OutputMerger::wantsFrames() const
{
    return m_active == 'f' && m_framesBelow <= m_epoch && side(Pipe::Out).at > m_epoch
           && side(Pipe::Err).at > m_epoch;
}

void OutputMerger::pipeEnded(Pipe pipe)
{
    Side &ended = side(pipe);
    const QByteArray partial = std::exchange(ended.partial, {});
    m_held -= partial.size();
    text(pipe, partial);
    ended.at = kNever;
    advance();
}

void OutputMerger::finish()
{
    for (const Pipe pipe : {Pipe::Out, Pipe::Err}) {
        Side &to = side(pipe);
        if (QByteArray partial = std::exchange(to.partial, {}); !partial.isEmpty())
            to.waiting.push_back({to.at, std::move(partial)});
    }
    flush();
    for (Side &each : m_sides) {
        if (each.at != kNever)
            each.at = 0;
    }
    m_marks.clear();
    m_epoch = 0;
    m_active = 'o';
    m_framesBelow = 0;
}

void OutputMerger::flush()
{
    // Epoch by epoch, the active channel first.
    for (;;) {
        releaseFrames(m_epoch);
        const Pipe first = m_active == 'e' ? Pipe::Err : Pipe::Out;
        release(first, m_epoch);
        release(first == Pipe::Out ? Pipe::Err : Pipe::Out, m_epoch);
        while (!m_marks.empty() && m_marks.begin()->first <= m_epoch)
            m_marks.erase(m_marks.begin());
        if (m_marks.empty())
            break;
        const auto next = m_marks.begin();
        releaseFrames(next->first - 1);
        m_epoch = next->first;
        m_active = next->second;
        m_marks.erase(next);
    }
    releaseFrames(kNever);
    release(Pipe::Out, kNever);
    release(Pipe::Err, kNever);
}

} // namespace power::supervisor
