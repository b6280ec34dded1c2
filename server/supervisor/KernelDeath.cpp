// How a kernel ends: killed or by itself, why, and what happens to the rest of its tree.
#include "base/Log.h"
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/wait.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kExitWait = 500ms;  // the zygote's report follows the pidfd within this
constexpr auto kTreeWait = 5s;
} // namespace

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
    if (m_killCause.isEmpty() && (!report.known || report.signal == SIGKILL)) {
        if (const std::optional<MemoryEnd> end = m_house->memoryEnd(*this)) {
            m_killCause = QStringLiteral("memory_limit");
            m_deathReason = end->reason;
            m_killLimit = end->limit;
            m_killPeak = end->peak;
        }
    }
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
    ProcMemory last = m_counters;
    const qint64 highestBefore = std::exchange(last.highest, std::max(last.highest, report.maxRssBytes));
    outcome.peakMemoryBytes = std::max(m_run->peakMemory, peakOf(last, highestBefore, m_house ? m_house->sharedMemory() : 0));
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
    m_handDown.clear(); // who reads at the other end is told
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
