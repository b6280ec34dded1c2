#include "supervisor/KernelProcess.h"
#include "base/Log.h"
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <QFile>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
// What one kernel may make the event loop read in one turn: about 0.1 ms.
constexpr qsizetype kReadPerTurn = 256 * 1024;
constexpr qsizetype kReadAtOnce = 64 * 1024;
// A marker that was written before Done lies at most one full pipe ahead (F_SETPIPE_SZ: 1 MiB for user code).
constexpr qsizetype kLastDrain = 1 << 20;
constexpr qsizetype kSmallRead = 8 * 1024;
constexpr auto kGather = 2ms;
constexpr auto kQuiet = 100ms;     // output that waits for a marker is let go after this
constexpr auto kExitWait = 500ms;  // the zygote's report follows the pidfd within this
constexpr auto kTreeWait = 5s;

std::size_t index(Pipe pipe)
{
    return std::size_t(pipe);
}
} // namespace

KernelProcess::KernelProcess(KernelHouse &house, quint64 number, KernelSpec spec, QString tier, QByteArray token,
                             Channels channels)
    : m_house(&house), m_number(number), m_spec(std::move(spec)), m_tier(std::move(tier)), m_token(std::move(token)),
      m_channels(std::move(channels)),
      m_decoder(std::max<std::size_t>(wire::kDefaultMaxBlob, std::size_t(m_spec.limits.displayBytes))),
      m_merger(m_token, {[this](Pipe pipe, QByteArrayView bytes) {
                             if (m_run)
                                 m_run->log.text(pipe, bytes);
                         },
                         [this](OutputEvent &&event) {
                             if (m_run)
                                 m_run->log.event(std::move(event));
                         }})
{
    for (QTimer *timer : {&m_deadline, &m_step, &m_quiet, &m_pause, &m_exitTimer, &m_treeTimer, &m_copyTimer})
        timer->setSingleShot(true);
    m_deadline.setTimerType(Qt::PreciseTimer);
    connect(&m_deadline, &QTimer::timeout, this, [this] {
        if (m_run)
            ladder(QStringLiteral("timeout"), wordsOfTime(m_run->timeout), {});
    });
    connect(&m_step, &QTimer::timeout, this, [this] { climb(); });
    connect(&m_quiet, &QTimer::timeout, this, [this] { onQuiet(); });
    m_pause.setTimerType(Qt::PreciseTimer);
    connect(&m_pause, &QTimer::timeout, this, [this] {
        if (m_run)
            watchPipes(true);
    });
    connect(&m_exitTimer, &QTimer::timeout, this, [this] { conclude({}); });
    connect(&m_treeTimer, &QTimer::timeout, this, [this] { waitForTree(); });
    connect(&m_copyTimer, &QTimer::timeout, this, [this] {
        dropAsked(); // no further one is asked for until it answers
        m_house->countCheckpoint(QStringLiteral("skipped"), QStringLiteral("no answer"));
    });
}

KernelProcess::~KernelProcess()
{
    letGo();
}

// Nothing of the host is used after this.
void KernelProcess::letGo()
{
    if (!m_house)
        return;
    Poller &poller = m_house->poller();
    dropAsked();
    dropCheckpoint();
    for (Poller::Id *id : {&m_controlWatch, &m_pidWatch, &m_pipeWatch[0], &m_pipeWatch[1]})
        poller.forget(std::exchange(*id, 0));
    for (QTimer *timer : {&m_deadline, &m_step, &m_quiet, &m_pause, &m_exitTimer, &m_treeTimer, &m_copyTimer})
        timer->stop();
    m_channels = {};
    m_house = nullptr;
}

void KernelProcess::abandon()
{
    if (m_state == State::Gone)
        return;
    end(QStringLiteral("cancelled"), QStringLiteral("The server stopped."));
    m_state = State::Gone;
    letGo();
    if (m_run)
        settle(goneOutcome());
    m_ready.resolve(fail(ErrorCode::Cancelled, QStringLiteral("The server stopped.")));
    m_gone.open();
}

void KernelProcess::born(const SpawnedKernel &spawned)
{
    m_pid = m_sid = spawned.pid;
    m_initPid = spawned.initPid;
    m_timings = spawned.timings;
    m_pidfd = openPidfd(m_pid);
    if (m_initPid > 0)
        m_initPidfd = openPidfd(m_initPid);
    if (!m_pidfd) { // it died at once, and the zygote has reaped it
        m_state = State::Living;
        m_exitTimer.start(kExitWait);
        m_exited = true;
        return;
    }
    m_state = State::Living;
    Poller &poller = m_house->poller();
    m_controlWatch = poller.watch(m_channels.control.get(), EPOLLIN, [this](std::uint32_t events) { onControl(events); });
    m_pidWatch = poller.watch(m_pidfd.get(), EPOLLIN, [this](std::uint32_t) { onPidfd(); });
}

void KernelProcess::stillborn()
{
    m_deathReason = QStringLiteral("The kernel could not be started.");
    becomeGone();
}

TreeTarget KernelProcess::target(bool walkDisk) const
{
    TreeTarget target;
    target.kernel = m_number;
    target.pid = m_pid;
    target.initPid = m_initPid;
    target.session = m_sid;
    if (m_copy) {
        target.copy = m_copy->pid;
        target.faultsBefore = m_copy->faults;
        target.residentBefore = m_copy->resident;
    }
    target.uid = m_spec.uid;
    target.ownUid = m_spec.uid != 0 && m_spec.uid != ::geteuid() && m_tier != u"nonroot" && m_tier != u"none";
    target.workspace = QFile::encodeName(m_spec.workspace);
    target.scratch = QFile::encodeName(m_spec.scratch);
    target.taskLimit = m_spec.limits.processes;
    target.walkDisk = walkDisk;
    return target;
}

void KernelProcess::setOnDeath(std::function<void()> call)
{
    m_onDeath = std::move(call);
}

// --- channels -----------------------------------------------------------------------------------------------

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
    qsizetype budget = kReadPerTurn;
    while (m_controlWatch && (budget > 0 || untilEmpty)) {
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

void KernelProcess::write()
{
    while (m_sent < m_outgoing.size()) {
        const ssize_t sent = ::send(m_channels.control.get(), m_outgoing.constData() + m_sent,
                                    std::size_t(m_outgoing.size() - m_sent), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            m_house->poller().change(m_controlWatch, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0)
            return; // its death is told by the pidfd
        m_sent += sent;
    }
    m_outgoing.clear();
    m_sent = 0;
    m_house->poller().change(m_controlWatch, EPOLLIN);
}

void KernelProcess::violation(const QString &what)
{
    log::warning("kernel_protocol", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("what"), what}});
    kill(QStringLiteral("protocol"), QStringLiteral("The kernel was ended: it broke the protocol (%1).").arg(what));
}

// --- death --------------------------------------------------------------------------------------------------

void KernelProcess::kill(const QString &cause, const QString &reason, const QString &limit, const QString &peak)
{
    if (!isAlive())
        return;
    if (m_killCause.isEmpty()) {
        m_killCause = cause;
        m_killLimit = limit;
        m_killPeak = peak;
        m_deathReason = reason;
    }
    if (m_run && !m_death)
        m_run->stage = 3;
    m_step.start(2s); // conclude without a report if not even SIGKILL is answered
    if (canRestore()) {
        signalPidfd(m_pidfd, SIGKILL);
        return;
    }
    m_final = true;
    m_channels.lifeline.reset();
    m_house->killTree(*this);
}

void KernelProcess::end(const QString &cause, const QString &reason, const QString &limit, const QString &peak)
{
    m_final = true;
    kill(cause, reason, limit, peak);
}

void KernelProcess::onPidfd()
{
    m_house->poller().forget(std::exchange(m_pidWatch, 0));
    m_exited = true;
    if (!isAlive())
        return;
    // Ours only when the zygote died before it (we are pid 1 or a subreaper then).
    siginfo_t info{};
    if (::waitid(P_PIDFD, id_t(m_pidfd.get()), &info, WEXITED | WNOHANG) == 0 && info.si_pid == m_pid) {
        ExitReport report;
        report.pid = m_pid;
        report.known = true;
        (info.si_code == CLD_EXITED ? report.code : report.signal) = info.si_status;
        conclude(report);
    } else if (m_house->zygoteServes()) {
        m_exitTimer.start(kExitWait);
    } else {
        conclude({});
    }
}

void KernelProcess::exitReported(const ExitReport &report)
{
    m_exited = true;
    if (isAlive())
        conclude(report);
}

void KernelProcess::conclude(const ExitReport &report)
{
    if (!isAlive())
        return;
    m_exitTimer.stop();
    if (m_state == State::Restoring) { // the copy died before it was the kernel
        m_deathReason = m_death->reason;
        bury(std::move(*m_death));
        return;
    }
    // What it said before it died: an answer that was complete is an answer.
    if (m_killCause.isEmpty())
        readControl(true);
    if (m_state != State::Living)
        return;
    drainPipes(std::nullopt);
    Death death = deathOf(report);
    watchPipes(false);
    m_house->poller().forget(std::exchange(m_controlWatch, 0));
    m_house->poller().forget(std::exchange(m_pidWatch, 0));
    m_step.stop();
    if (m_run)
        remember(m_count + 1, m_run->code);
    if (canRestore())
        restore(std::move(death));
    else
        bury(std::move(death));
}

// Why the kernel is gone, and how its run ended.
KernelProcess::Death KernelProcess::deathOf(const ExitReport &report)
{
    Death death;
    death.cause = m_killCause;
    if (death.cause.isEmpty()) {
        if (!report.known) {
            death.cause = QStringLiteral("zygote");
            m_deathReason = QStringLiteral("The Python process is gone; nobody could tell why.");
        } else if (report.signal > 0) {
            death.cause = QStringLiteral("signal");
            const QString name = QString::fromLatin1(::sigabbrev_np(report.signal) ? ::sigabbrev_np(report.signal) : "?");
            m_deathReason = QStringLiteral("The Python process was ended by signal %1 (SIG%2).")
                                .arg(QString::number(report.signal), name);
            m_killPeak = QStringLiteral("signal %1 (SIG%2)").arg(QString::number(report.signal), name);
        } else {
            death.cause = QStringLiteral("exit");
            m_deathReason = QStringLiteral("The Python process ended itself with exit code %1.").arg(report.code);
            m_killPeak = QStringLiteral("exit code %1").arg(report.code);
        }
        // SIGKILL that is not ours, with the memory nearly used up: the system's own limit struck first.
        if (report.signal == SIGKILL && m_spec.limits.memoryBytes > 0 && m_memory > m_spec.limits.memoryBytes / 10 * 8) {
            death.cause = QStringLiteral("memory_limit");
            m_killLimit = wordsOfBytes(m_spec.limits.memoryBytes);
            m_killPeak = wordsOfBytes(m_memory);
        }
    }
    death.reason = m_deathReason;
    log::info("kernel_died", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("pid"), qint64(m_pid)},
                              {QStringLiteral("cause"), death.cause}, {QStringLiteral("reason"), m_deathReason}});
    if (!m_run)
        return death;
    RunOutcome outcome;
    outcome.status = m_killCause.isEmpty() ? RunStatus::Died : RunStatus::Killed;
    outcome.cause = death.cause;
    outcome.limit = m_killLimit;
    outcome.peak = m_killPeak;
    outcome.variablesSurvived = false;
    outcome.hardInterrupt = m_run->stage >= 2 && !m_run->cause.isEmpty();
    outcome.errorValue = m_deathReason;
    outcome.peakMemoryBytes = std::max(m_run->peakMemory, report.maxRssBytes);
    death.outcome = std::move(outcome);
    return death;
}

// There is nothing to go on from: the rest of the tree ends too.
void KernelProcess::bury(Death death)
{
    m_state = State::Dying;
    m_final = true;
    m_step.stop();
    Poller &poller = m_house->poller();
    poller.forget(std::exchange(m_controlWatch, 0));
    poller.forget(std::exchange(m_pidWatch, 0));
    dropAsked();
    dropCheckpoint();
    m_dead.start();
    m_house->killTree(*this); // what it left behind
    m_channels.lifeline.reset();
    m_treeTimer.start(0ms);
    m_ready.resolve(fail(ErrorCode::Unavailable, QStringLiteral("The kernel died while it started. ") + m_deathReason));
    if (m_run)
        settle(death.outcome ? std::move(*death.outcome) : goneOutcome());
}

// The tree is gone when init is (in `full`), else when no process of it is left.
void KernelProcess::waitForTree()
{
    if (!m_initPidfd) {
        m_house->lookForTree(*this);
        return;
    }
    siginfo_t info{}; // ours to reap only when the zygote died before it
    ::waitid(P_PIDFD, id_t(m_initPidfd.get()), &info, WEXITED | WNOHANG);
    pollfd ended{m_initPidfd.get(), POLLIN, 0};
    treeSeen(::poll(&ended, 1, 0) == 0);
}

void KernelProcess::treeSeen(bool left)
{
    if (m_state != State::Dying)
        return;
    if (!left || m_dead.hasExpired(std::chrono::milliseconds(kTreeWait).count())) {
        if (left)
            log::error("kernel_tree_left", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("uid"), qint64(m_spec.uid)}});
        becomeGone();
        return;
    }
    if (m_dead.hasExpired(500))
        m_house->killTree(*this);
    m_treeTimer.start(m_dead.elapsed() < 100 ? 5ms : 50ms);
}

void KernelProcess::becomeGone()
{
    m_state = State::Gone;
    m_house->treeGone(*this);
    letGo();
    const auto call = std::exchange(m_onDeath, {});
    m_gone.open();
    if (call && !m_stopping)
        call();
}

} // namespace power::supervisor
