#include "supervisor/ZygoteClient.h"
#include "base/Log.h"
#include "supervisor/KernelFrames.h"
#include <QJsonDocument>
#include <QThread>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <sys/epoll.h>
#include <sys/wait.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
// Above the zygote's own limit for a child that does not report (10 s): past it the zygote itself hangs.
constexpr auto kAnswerTimeout = 15s;
constexpr auto kLongestPause = 10s;
constexpr auto kSteady = 30s; // a zygote that lived this long starts the pauses anew

// Kernels that are being started together: each puts up its own sandbox, which keeps one processor busy.
std::ptrdiff_t mostAtOnce()
{
    return std::clamp(QThread::idealThreadCount(), 2, 8);
}
} // namespace

ZygoteClient::ZygoteClient(Poller &poller, QString program, QByteArrayList arguments, QByteArrayList environment)
    : m_poller(poller), m_program(std::move(program)), m_arguments(std::move(arguments)),
      m_environment(std::move(environment))
{
    m_arguments.prepend("zygote");
    for (QTimer *timer : {&m_restart, &m_answerTimer, &m_stopTimer})
        timer->setSingleShot(true);
    connect(&m_restart, &QTimer::timeout, this, [this] { launch(); });
    connect(&m_answerTimer, &QTimer::timeout, this,
            [this] { drop(QStringLiteral("The zygote did not answer within %1 s.").arg(kAnswerTimeout.count())); });
    connect(&m_stopTimer, &QTimer::timeout, this, [this] { signalPidfd(m_child.pidfd, SIGKILL); });
}

ZygoteClient::~ZygoteClient()
{
    m_stopping = true;
    m_poller.forget(m_socketWatch);
    m_poller.forget(m_pidWatch);
    m_socket.reset();
    if (m_child.pid > 0) {
        signalPidfd(m_child.pidfd, SIGKILL);
        ::waitpid(m_child.pid, nullptr, 0);
    }
}

Result<Done> ZygoteClient::start()
{
    launch();
    if (m_child.pid > 0)
        return Done{};
    m_restart.stop();
    return fail(ErrorCode::Unavailable, m_trouble);
}

void ZygoteClient::launch()
{
    if (m_stopping || m_child.pid > 0)
        return;
    FdPair sockets = makeSocketPair();
    if (!sockets.ok()) {
        m_trouble = QStringLiteral("The server has no descriptors left to start the zygote.");
        m_restart.start(kLongestPause);
        return;
    }
    ChildStart start;
    start.program = m_program;
    start.arguments = m_arguments;
    start.environment = m_environment;
    start.control = sockets.theirs.get();
    Result<Child> child = startChild(start);
    if (!child) {
        m_trouble = child.error().text();
        log::error("zygote_start_failed", {{QStringLiteral("error"), m_trouble}});
        m_restart.start(kLongestPause);
        return;
    }
    m_child = std::move(child.value());
    m_socket = std::move(sockets.ours);
    m_decoder = wire::Decoder(64 * 1024);
    m_alive.start();
    m_socketWatch = m_poller.watch(m_socket.get(), EPOLLIN, [this](std::uint32_t events) { onSocket(events); });
    m_pidWatch = m_poller.watch(m_child.pidfd.get(), EPOLLIN, [this](std::uint32_t) { onDeath(); });
}

void ZygoteClient::onSocket(std::uint32_t events)
{
    if (events & EPOLLOUT)
        write();
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !m_socket)
        return;
    char bytes[32 * 1024];
    const ssize_t size = ::recv(m_socket.get(), bytes, sizeof bytes, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) { // the pidfd tells the rest; a zygote that only closed its socket is of no use either
        m_poller.forget(std::exchange(m_socketWatch, 0));
        drop(QStringLiteral("The zygote closed its connection."));
        return;
    }
    m_decoder.feed({bytes, std::size_t(size)});
    wire::Frame frame;
    for (;;) {
        const auto status = m_decoder.next(frame);
        if (status == wire::Decoder::Status::NeedMore)
            return;
        if (status == wire::Decoder::Status::Bad) {
            drop(QStringLiteral("The zygote sent garbage: %1.").arg(QString::fromStdString(m_decoder.reason())));
            return;
        }
        handle(frame);
        if (!m_socket)
            return;
    }
}

void ZygoteClient::handle(const wire::Frame &frame)
{
    const Result<QJsonObject> read = readMeta(frame);
    if (!read) {
        drop(read.error().message);
        return;
    }
    const QJsonObject &meta = read.value();
    const quint64 id = quint64(meta.value(QStringLiteral("spawn")).toInteger());
    switch (frame.type) {
    case wire::FrameType::ZygoteReady:
        if (meta.contains(QStringLiteral("error"))) {
            m_trouble = QStringLiteral("The zygote refuses to serve: %1").arg(meta.value(QStringLiteral("error")).toString());
            log::error("zygote_refused", {{QStringLiteral("error"), m_trouble}});
            return;
        }
        m_report = meta;
        m_serving = true;
        m_trouble.clear();
        log::info("zygote_ready", {{QStringLiteral("pid"), qint64(m_child.pid)},
                                   {QStringLiteral("ms"), qint64(m_alive.elapsed())}});
        Q_EMIT ready();
        for (std::ptrdiff_t i = 0; i < mostAtOnce(); ++i)
            askNext();
        return;
    case wire::FrameType::Spawned: {
        SpawnedKernel kernel;
        kernel.pid = meta.value(QStringLiteral("pid")).toInt();
        kernel.initPid = meta.value(QStringLiteral("init_pid")).toInt();
        kernel.timings = meta.value(QStringLiteral("timings_us")).toObject();
        if (kernel.pid <= 1) {
            drop(QStringLiteral("The zygote reported a kernel without a process id."));
            return;
        }
        answer(id, std::move(kernel));
        return;
    }
    case wire::FrameType::SpawnFailed:
        answer(id, fail(ErrorCode::Unavailable,
                    QStringLiteral("The sandbox of the session could not be set up: %1 (step %2, errno %3).")
                        .arg(meta.value(QStringLiteral("text")).toString(), meta.value(QStringLiteral("step")).toString(),
                             QString::number(meta.value(QStringLiteral("errno")).toInt())),
                    QStringLiteral("Try again; if it stays, the administrator should run the server's doctor.")));
        return;
    case wire::FrameType::Exited: {
        ExitReport report;
        report.pid = meta.value(QStringLiteral("pid")).toInt();
        report.known = true;
        report.code = meta.value(QStringLiteral("code")).toInt();
        report.signal = meta.value(QStringLiteral("signal")).toInt();
        report.maxRssBytes = qint64(meta.value(QStringLiteral("max_rss_kb")).toDouble()) * 1024;
        Q_EMIT exited(report);
        return;
    }
    default:
        drop(QStringLiteral("The zygote sent a frame that is not its own."));
    }
}

void ZygoteClient::spawn(SpawnOrder order, SpawnCall call)
{
    Pending pending;
    pending.id = m_nextSpawn++;
    pending.order = std::move(order);
    pending.call = std::move(call);
    m_pending.push_back(std::move(pending));
    askNext();
}

void ZygoteClient::askNext()
{
    if (!m_serving)
        return;
    const auto waiting = std::find_if(m_pending.begin(), m_pending.end(), [](const Pending &each) { return !each.asked; });
    if (waiting == m_pending.end() || std::distance(m_pending.begin(), waiting) >= mostAtOnce())
        return;
    Pending &next = *waiting;
    next.asked = true;
    const QJsonObject meta{{QStringLiteral("spawn"), qint64(next.id)},
                           {QStringLiteral("plan"), next.order.plan},
                           {QStringLiteral("kernel"), next.order.kernel}};
    const QByteArray json = QJsonDocument(meta).toJson(QJsonDocument::Compact);
    if (json.size() > qsizetype(wire::kMaxMeta)) {
        answer(next.id, fail(ErrorCode::Internal, QStringLiteral("The sandbox plan is too large to send.")));
        return;
    }
    Outgoing frame;
    frame.bytes = QByteArray::fromStdString(
        wire::encode(wire::FrameType::Spawn, {json.constData(), std::size_t(json.size())}));
    frame.descriptors = std::move(next.order.descriptors);
    m_answerTimer.start(kAnswerTimeout);
    send(std::move(frame));
}

void ZygoteClient::answer(quint64 id, Result<SpawnedKernel> result)
{
    const auto found = std::find_if(m_pending.begin(), m_pending.end(), [id](const Pending &each) { return each.asked && each.id == id; });
    if (found == m_pending.end())
        return;
    const SpawnCall call = std::move(found->call);
    m_pending.erase(found);
    if (m_pending.empty() || !m_pending.front().asked)
        m_answerTimer.stop();
    else
        m_answerTimer.start(kAnswerTimeout);
    askNext();
    call(std::move(result));
}

bool ZygoteClient::kill(const QJsonObject &tree)
{
    return say(wire::FrameType::Kill, tree);
}

void ZygoteClient::adopt(const QJsonObject &pair)
{
    say(wire::FrameType::Adopt, pair);
}

bool ZygoteClient::say(wire::FrameType type, const QJsonObject &meta)
{
    if (!m_serving)
        return false;
    const QByteArray json = QJsonDocument(meta).toJson(QJsonDocument::Compact);
    Outgoing frame;
    frame.bytes = QByteArray::fromStdString(wire::encode(type, {json.constData(), std::size_t(json.size())}));
    send(std::move(frame));
    return m_serving;
}

void ZygoteClient::send(Outgoing frame)
{
    m_outgoing.push_back(std::move(frame));
    if (m_outgoing.size() == 1)
        write();
}

void ZygoteClient::write()
{
    while (m_socket && !m_outgoing.empty()) {
        Outgoing &frame = m_outgoing.front();
        iovec part{frame.bytes.data() + frame.sent, std::size_t(frame.bytes.size() - frame.sent)};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        alignas(cmsghdr) char space[CMSG_SPACE(4 * sizeof(int))] = {};
        if (frame.sent == 0 && frame.descriptors[0]) { // they ride on the first byte
            message.msg_control = space;
            message.msg_controllen = sizeof space;
            cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(4 * sizeof(int));
            int numbers[4];
            for (std::size_t i = 0; i < 4; ++i)
                numbers[i] = frame.descriptors[i].get();
            std::memcpy(CMSG_DATA(header), numbers, sizeof numbers);
        }
        const ssize_t sent = ::sendmsg(m_socket.get(), &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            m_poller.change(m_socketWatch, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0) {
            drop(QStringLiteral("The zygote does not read: %1.").arg(QString::fromLocal8Bit(std::strerror(errno))));
            return;
        }
        frame.sent += sent;
        if (frame.sent == frame.bytes.size())
            m_outgoing.pop_front();
    }
    m_poller.change(m_socketWatch, EPOLLIN);
}

// The zygote is of no use any more: make sure that it ends; onDeath() follows by its pidfd.
void ZygoteClient::drop(const QString &why)
{
    if (m_trouble.isEmpty())
        m_trouble = why;
    m_serving = false;
    signalPidfd(m_child.pidfd, SIGKILL);
}

void ZygoteClient::onDeath()
{
    // What it still said counts: deaths of kernels, the reason of a refusal.
    while (m_socket && m_socketWatch) {
        char probe = 0;
        if (::recv(m_socket.get(), &probe, 1, MSG_PEEK) <= 0)
            break;
        onSocket(EPOLLIN);
    }
    int status = 0;
    ::waitpid(m_child.pid, &status, 0);
    m_poller.forget(std::exchange(m_pidWatch, 0));
    m_poller.forget(std::exchange(m_socketWatch, 0));
    m_socket.reset();
    m_child = Child{};
    m_outgoing.clear();
    m_serving = false;
    m_answerTimer.stop();
    m_stopTimer.stop();
    if (m_trouble.isEmpty()) {
        m_trouble = WIFSIGNALED(status) ? QStringLiteral("The zygote was ended by signal %1.").arg(WTERMSIG(status))
                                        : QStringLiteral("The zygote ended with code %1.").arg(WEXITSTATUS(status));
    }
    if (m_stopping) {
        failAll(QStringLiteral("The server is shutting down."));
        if (const auto gone = std::exchange(m_gone, {}))
            gone();
        return;
    }
    m_failures = m_alive.hasExpired(std::chrono::milliseconds(kSteady).count()) ? 0 : m_failures + 1;
    const auto pause = std::min<std::chrono::milliseconds>(kLongestPause, 50ms * (1 << std::min(m_failures, 8)));
    log::error("zygote_died", {{QStringLiteral("reason"), m_trouble}, {QStringLiteral("restart_ms"), qint64(pause.count())}});
    // Spawns that were not sent yet wait for the next zygote.
    while (!m_pending.empty() && m_pending.front().asked) {
        answer(m_pending.front().id, fail(ErrorCode::Unavailable, QStringLiteral("The kernel could not be started. ") + m_trouble,
                    QStringLiteral("Try again: a new zygote is being started.")));
    }
    if (m_isRetired)
        failAll(m_trouble);
    else
        m_restart.start(pause);
    Q_EMIT died();
}

void ZygoteClient::failAll(const QString &why)
{
    std::deque<Pending> pending;
    pending.swap(m_pending);
    for (Pending &each : pending)
        each.call(fail(ErrorCode::Unavailable, QStringLiteral("No kernel can be started now. ") + why,
                       QStringLiteral("Try again in a few seconds.")));
}

void ZygoteClient::stop(std::function<void()> gone)
{
    m_stopping = true;
    m_restart.stop();
    if (m_child.pid <= 0) {
        gone();
        return;
    }
    m_gone = std::move(gone);
    m_serving = false;
    m_poller.forget(std::exchange(m_socketWatch, 0));
    m_socket.reset();
    m_stopTimer.start(1s);
}

} // namespace power::supervisor
