// What a kernel says and prints: its control socket and its two pipes.
#include "base/Log.h"
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <cstring>
#include <sys/epoll.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
// What one kernel may make the event loop read in one turn: about 0.1 ms.
constexpr qsizetype kReadPerTurn = 256 * 1024;
constexpr qsizetype kReadAtOnce = 64 * 1024;
// A marker that was written before Done lies at most one full pipe ahead (F_SETPIPE_SZ: 1 MiB for user code).
constexpr qsizetype kLastDrain = 1 << 20;
constexpr qsizetype kLastFrames = 2 << 20; // more than the buffers of a socket hold
constexpr qsizetype kSmallRead = 8 * 1024;
constexpr auto kGather = 2ms;
constexpr auto kQuiet = 100ms;     // output that waits for a marker is let go after this

std::size_t index(Pipe pipe)
{
    return std::size_t(pipe);
}

// As send(2), with descriptors that go along with the first byte (-1: none).
ssize_t sendSome(int socket, QByteArrayView bytes, std::array<int, 2> descriptors)
{
    iovec part{const_cast<char *>(bytes.data()), std::size_t(bytes.size())};
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptors[0] >= 0) {
        const std::size_t size = (descriptors[1] >= 0 ? 2 : 1) * sizeof(int);
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(size);
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(header), descriptors.data(), size);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
} // namespace

void KernelProcess::onControl(std::uint32_t events)
{
    if (events & EPOLLOUT)
        write();
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        readControl(false);
}

void KernelProcess::readControl(bool untilEmpty)
{
    static thread_local char bytes[kReadAtOnce];
    // Empty is what a socket holds: a process that the dead one left behind may write for ever.
    qsizetype budget = untilEmpty ? kLastFrames : kReadPerTurn;
    while (m_controlWatch && budget > 0) {
        const ssize_t size = ::recv(m_channels.control.get(), bytes, sizeof bytes, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN) {
            m_merger.framesDrained();
            return;
        }
        if (size <= 0) {
            // Dead (the pidfd follows) or user code closed the channel: then no answer can ever come.
            m_house->poller().forget(std::exchange(m_controlWatch, 0));
            if (!m_exited && m_state == State::Living && !m_exitTimer.isActive()) {
                QTimer::singleShot(250ms, this, [this, pid = m_pid] {
                    if (!m_exited && m_state == State::Living && m_pid == pid)
                        violation(QStringLiteral("its control channel is closed"));
                });
            }
            return;
        }
        budget -= size;
        m_decoder.feed({bytes, std::size_t(size)});
        wire::Frame frame;
        for (;;) {
            const auto status = m_decoder.next(frame);
            if (status == wire::Decoder::Status::NeedMore)
                break;
            if (status == wire::Decoder::Status::Bad) {
                violation(QString::fromStdString(m_decoder.reason()));
                return;
            }
            if (!handle(frame))
                return;
        }
        if (std::size_t(size) < sizeof bytes && !m_merger.wantsFrames() && !untilEmpty)
            return;
    }
}

// False when reading must stop (the kernel is being killed).
bool KernelProcess::handle(wire::Frame &frame)
{
    if (m_state == State::Restoring && frame.type != wire::FrameType::Resumed) {
        violation(QStringLiteral("its copy did not say that it is the kernel"));
        return false;
    }
    switch (frame.type) {
    case wire::FrameType::Ready:
        m_ready.resolve(Done{});
        return true;
    case wire::FrameType::Display: {
        Result<DisplayFrame> read = readDisplay(frame);
        if (!read) {
            violation(read.error().message);
            return false;
        }
        // Displays of threads that outlived their run belong to nobody.
        if (m_run && read->runId == m_run->id)
            m_merger.feedFrame(read->epoch, std::move(read->event));
        return true;
    }
    case wire::FrameType::Done: {
        Result<DoneFrame> read = readDone(frame);
        if (!read) {
            violation(read.error().message);
            return false;
        }
        // A forked child of user code may answer a second time: only the first answer of this run counts.
        if (m_run && read->runId == m_run->id)
            finish(std::move(read.value()));
        return true;
    }
    case wire::FrameType::Ask: {
        Result<AskFrame> read = readAsk(frame);
        if (!read) {
            violation(read.error().message);
            return false;
        }
        return onAsk(std::move(read.value()));
    }
    case wire::FrameType::Checkpointed: {
        const Result<CheckpointedFrame> read = readCheckpointed(frame);
        if (read)
            onCheckpointed(read.value());
        return true;
    }
    case wire::FrameType::Resumed: {
        Result<ResumedFrame> read = readResumed(frame);
        if (read && m_state == State::Restoring)
            onResumed(std::move(read.value()));
        return m_controlWatch != 0;
    }
    default:
        violation(QStringLiteral("it sent a frame that is not a kernel's"));
        return false;
    }
}

void KernelProcess::watchPipes(bool on)
{
    if (!m_house)
        return;
    Poller &poller = m_house->poller();
    for (const Pipe pipe : {Pipe::Out, Pipe::Err}) {
        Poller::Id &id = m_pipeWatch[index(pipe)];
        if (!on)
            poller.forget(std::exchange(id, 0));
        else if (!m_pipeEnded[index(pipe)] && id == 0) {
            const Fd &fd = pipe == Pipe::Out ? m_channels.out : m_channels.err;
            id = poller.watch(fd.get(), EPOLLIN, [this, pipe](std::uint32_t) { onPipe(pipe); });
        }
    }
}

void KernelProcess::onPipe(Pipe pipe)
{
    m_lastRead = 0;
    readPipe(pipe, kReadPerTurn);
    // Code that prints in small pieces would wake the loop for each: let some gather. Done does not wait for it.
    if (m_run && m_lastRead < kSmallRead) {
        watchPipes(false);
        m_pause.start(kGather);
    }
    // Frames of an epoch that both pipes have left are in the socket by now.
    if (m_merger.wantsFrames())
        readControl(false);
    if (!m_run)
        return;
    if (m_merger.isHolding()) {
        m_quiet.start(kQuiet); // anew with each read
    } else {
        m_quiet.stop();
    }
    if (m_run->stage == 0 && m_run->log.isOverLimit()) {
        ladder(QStringLiteral("output_limit"), wordsOfBytes(m_spec.limits.outputBytes),
               QStringLiteral("more than %1").arg(wordsOfBytes(m_spec.limits.outputBytes)));
    }
}

// Held output is let go only when nothing is left to read: a late event loop is not a quiet kernel.
void KernelProcess::onQuiet()
{
    m_lastRead = 0;
    readPipe(Pipe::Out, kReadPerTurn);
    readPipe(Pipe::Err, kReadPerTurn);
    readControl(false);
    if (!m_run)
        return;
    if (m_lastRead == 0)
        m_merger.flush();
    else if (m_merger.isHolding())
        m_quiet.start(kQuiet);
}

bool KernelProcess::readPipe(Pipe pipe, qsizetype budget)
{
    static thread_local char bytes[kReadAtOnce];
    const Fd &fd = pipe == Pipe::Out ? m_channels.out : m_channels.err;
    while (budget > 0 && !m_pipeEnded[index(pipe)]) {
        const ssize_t size = ::read(fd.get(), bytes, sizeof bytes);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return false;
        if (size <= 0) {
            pipeEnded(pipe);
            return false;
        }
        budget -= size;
        m_lastRead = size;
        m_merger.feed(pipe, QByteArrayView(bytes, size));
        if (std::size_t(size) < sizeof bytes) // level-triggered: what came meanwhile is told again
            return false;
    }
    return !m_pipeEnded[index(pipe)];
}

void KernelProcess::pipeEnded(Pipe pipe)
{
    m_pipeEnded[index(pipe)] = true;
    m_house->poller().forget(std::exchange(m_pipeWatch[index(pipe)], 0));
    m_merger.pipeEnded(pipe);
}

// Takes what is readable now; with an epoch, up to its marker.
void KernelProcess::drainPipes(std::optional<quint64> epoch)
{
    for (const Pipe pipe : {Pipe::Out, Pipe::Err}) {
        qsizetype left = kLastDrain;
        while (left > 0 && !m_pipeEnded[index(pipe)] && !(epoch && m_merger.reached(pipe, *epoch))) {
            const bool more = readPipe(pipe, kReadAtOnce);
            left -= kReadAtOnce;
            if (!more)
                break;
        }
    }
}

void KernelProcess::dropSent()
{
    m_outgoing.remove(0, m_sent);
    for (HandDown &each : m_handDown)
        each.at -= m_sent;
    m_sent = 0;
}

void KernelProcess::write()
{
    while (m_sent < m_outgoing.size()) {
        // A descriptor goes along with the first byte of its own frame, when that goes.
        const bool now = !m_handDown.empty() && m_handDown.front().at == m_sent;
        const qsizetype next = std::size_t(now) < m_handDown.size() ? m_handDown[std::size_t(now)].at : m_outgoing.size();
        const ssize_t sent = sendSome(m_channels.control.get(), {m_outgoing.constData() + m_sent, next - m_sent},
                                      now ? m_handDown.front().numbers() : std::array<int, 2>{-1, -1});
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            m_house->poller().change(m_controlWatch, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0)
            return; // its death is told by the pidfd
        if (now && sent > 0)
            m_handDown.pop_front();
        m_sent += sent;
    }
    dropSent();
    m_house->poller().change(m_controlWatch, EPOLLIN);
}

void KernelProcess::violation(const QString &what)
{
    log::warning("kernel_protocol", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("what"), what}});
    kill(QStringLiteral("protocol"), QStringLiteral("The kernel was ended: it broke the protocol (%1).").arg(what));
}

} // namespace power::supervisor
