// Asking a kernel for a copy of itself, and keeping that copy.
#include "supervisor/KernelCheckpoint.h"
#include "base/Log.h"
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/epoll.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr qint64 kMostCode = 16 * 1024; // of one cell
constexpr qint64 kMostCodes = 64 * 1024; // of all
constexpr qsizetype kMostCells = 500;
constexpr auto kLittleTime = 200ms;
constexpr auto kCopyWait = 10s; // gigabytes on a busy machine take their time
} // namespace

pid_t receiveFrom(const Fd &socket, QByteArray &bytes)
{
    char data[4096];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))]; // no room for descriptors: the system drops them
    iovec part{data, sizeof data};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    pid_t sender = -1;
    for (cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != SOL_SOCKET)
            continue;
        if (each->cmsg_type == SCM_CREDENTIALS && each->cmsg_len >= CMSG_LEN(sizeof(ucred))) {
            ucred sent{};
            std::memcpy(&sent, CMSG_DATA(each), sizeof sent);
            sender = sent.pid;
        } else if (each->cmsg_type == SCM_RIGHTS) {
            for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= each->cmsg_len; at += sizeof(int)) {
                int descriptor = -1;
                std::memcpy(&descriptor, reinterpret_cast<const char *>(each) + at, sizeof descriptor);
                ::close(descriptor);
            }
        }
    }
    bytes = QByteArray(data, size);
    return size == 0 ? -1 : sender > 0 ? sender : -1;
}

bool sendDescriptor(const Fd &socket, const QByteArray &bytes, const Fd &descriptor)
{
    iovec part{const_cast<char *>(bytes.constData()), std::size_t(bytes.size())};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = descriptor.get();
    std::memcpy(CMSG_DATA(header), &number, sizeof number);
    return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) == bytes.size();
}

void KernelProcess::remember(int count, const QByteArray &code)
{
    qint64 kept = code.size();
    for (const UnprotectedCell &each : std::as_const(m_unprotected))
        kept += each.code.size();
    const bool keep = code.size() <= kMostCode && kept <= kMostCodes;
    if (m_unprotected.size() >= kMostCells)
        m_unprotected.last().count = count;
    else
        m_unprotected.append({count, keep ? code : QByteArray()});
}

CheckpointNeed KernelProcess::checkpointNeed() const
{
    CheckpointNeed need;
    const bool idle = m_state == State::Living && m_killCause.isEmpty() && !m_run && !m_asked && !m_answerDue && m_outgoing.isEmpty();
    // A copy doubles what a small session costs: one without variables, whose cells took no time, loses nothing.
    const bool nothing = m_variables == 0 && !m_copy && !m_restored && m_unprotectedTime < kLittleTime;
    need.possible = idle && m_changed && !nothing && m_spec.checkpoints && m_spec.runAs == u"kernel";
    need.urgent = m_restored && !m_copy;
    need.cells = int(m_unprotected.size());
    need.runTime = m_unprotectedTime;
    need.idle = std::chrono::milliseconds(m_idle.isValid() ? m_idle.elapsed() : 0);
    need.growth = m_memory - (m_copy ? m_copy->memory : 0);
    need.price = m_copyPrice;
    return need;
}

void KernelProcess::takeCheckpoint()
{
    if (!checkpointNeed().possible)
        return;
    m_changed = false;
    FdPair pair = makeSocketPair();
    const int on = 1;
    if (!pair.ok() || ::setsockopt(pair.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
        return;
    const QByteArray frame = QByteArray::fromStdString(wire::encode(wire::FrameType::Checkpoint, "{}"));
    if (!sendDescriptor(m_channels.control, frame, pair.theirs))
        return;
    m_answerDue = true;
    m_asked = std::make_unique<KernelCopy>();
    m_asked->control = std::move(pair.ours);
    m_asked->cell = m_count;
    m_asked->covers = m_unprotected.size();
    m_asked->memory = m_memory;
    m_asked->faults = minorFaults(m_pid);
    m_asked->resident = procKilobytes(m_pid, "status", "RssAnon");
    m_asked->watch = m_house->poller().watch(m_asked->control.get(), EPOLLIN, [this](std::uint32_t) { onAskedCopy(); });
    m_copyTimer.start(kCopyWait);
}

// The copy says that it waits. Whoever says so is a process of this session, or its word does not count.
void KernelProcess::onAskedCopy()
{
    QByteArray bytes;
    const pid_t sender = receiveFrom(m_asked->control, bytes);
    if (sender == 0)
        return;
    wire::Frame frame;
    if (sender > 0)
        m_asked->decoder.feed({bytes.constData(), std::size_t(bytes.size())});
    const auto status = sender > 0 ? m_asked->decoder.next(frame) : wire::Decoder::Status::Bad;
    if (status == wire::Decoder::Status::NeedMore)
        return;
    const std::unique_ptr<KernelCopy> copy = std::exchange(m_asked, nullptr);
    m_house->poller().forget(std::exchange(copy->watch, 0));
    m_copyTimer.stop();
    if (status == wire::Decoder::Status::Bad || frame.type != wire::FrameType::Parked)
        return releaseRun(); // the kernel's own answer tells why
    copy->pidfd = openPidfd(sender);
    copy->pid = sender;
    // The session id cannot be chosen, only left. Read before the process is seen to live on, so the number is still its.
    const bool ours = copy->pidfd && sender != m_pid && ::getsid(sender) == m_sid && !hasEnded(copy->pidfd);
    if (!ours) {
        m_house->countCheckpoint(QStringLiteral("skipped"), QStringLiteral("refused"));
        log::warning("checkpoint_refused", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("pid"), qint64(sender)}});
        return releaseRun();
    }
    park(std::make_unique<KernelCopy>(std::move(*copy)));
}

void KernelProcess::park(std::unique_ptr<KernelCopy> copy)
{
    dropCheckpoint();
    const int off = 0;
    ::setsockopt(copy->control.get(), SOL_SOCKET, SO_PASSCRED, &off, sizeof off);
    copy->watch = m_house->poller().watch(copy->pidfd.get(), EPOLLIN, [this](std::uint32_t) { onCopyGone(); });
    copy->age.start();
    m_unprotected.remove(0, std::min(copy->covers, m_unprotected.size()));
    m_unprotectedTime = m_unprotected.isEmpty() ? 0ms : m_unprotectedTime;
    m_copy = std::move(copy);
    m_house->adopt(*this, m_copy->pid);
    m_house->countCheckpoint(QStringLiteral("taken"), {});
    releaseRun();
}

void KernelProcess::dropCheckpoint()
{
    if (!m_copy)
        return;
    if (m_house)
        m_house->poller().forget(std::exchange(m_copy->watch, 0));
    signalPidfd(m_copy->pidfd, SIGKILL);
    m_copy.reset();
}

// What has just been restored may die of the same code again: its next run starts when the copy can take over.
bool KernelProcess::waitsForCopy() const
{
    return m_restored && m_asked && !m_copy;
}

void KernelProcess::releaseRun()
{
    if (m_run && !m_outgoing.isEmpty())
        write();
}

void KernelProcess::dropAsked()
{
    m_copyTimer.stop();
    if (m_asked && m_house)
        m_house->poller().forget(std::exchange(m_asked->watch, 0));
    m_asked.reset();
}

// User code may end its own copy; it only harms itself, and the next pause makes another.
void KernelProcess::onCopyGone()
{
    m_house->poller().forget(std::exchange(m_copy->watch, 0));
    if (m_final) { // with all the rest
        m_copy.reset();
        return;
    }
    log::warning("checkpoint_lost", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("cell"), m_copy->cell}});
    m_house->countCheckpoint(QStringLiteral("lost"), {});
    m_copy.reset();
}

void KernelProcess::onCheckpointed(const CheckpointedFrame &frame)
{
    if (!std::exchange(m_answerDue, false))
        return;
    if (frame.ok) {
        m_copyPrice = frame.price;
        m_house->noteCheckpointPrice(frame.price);
        return;
    }
    dropAsked();
    releaseRun();
    m_house->countCheckpoint(QStringLiteral("skipped"), frame.reason);
    log::info("checkpoint_skipped", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("reason"), frame.reason}});
}

} // namespace power::supervisor
