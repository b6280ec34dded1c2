#include "supervisor/KernelRun.h"
#include "supervisor/TreeSampler.h"
#include "supervisor/Words.h"
#include <QJsonDocument>
#include <csignal>
#include <fcntl.h>
#include <stdexcept>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kStep = 1s; // between the stages of the ladder

OneShot<RunOutcome> settled(RunOutcome outcome)
{
    OneShot<RunOutcome> shot;
    shot.resolve(std::move(outcome));
    return shot;
}

RunOutcome refusal(const QString &name, const QString &value)
{
    RunOutcome outcome;
    outcome.status = RunStatus::Error;
    outcome.errorName = name;
    outcome.errorValue = value;
    return outcome;
}
} // namespace

OneShot<RunOutcome> KernelProcess::run(RunRequest request)
{
    QJsonObject meta{{QStringLiteral("files"), true}, {QStringLiteral("max_display"), m_spec.limits.displayBytes}};
    if (!request.context.isEmpty())
        meta.insert(QStringLiteral("context"), request.context);
    if (request.onInput)
        meta.insert(QStringLiteral("input"), true);
    const OneShot<RunOutcome> shot = begin(wire::FrameType::Run, request.runId, std::move(meta), request.code, request.timeout,
                                           request.cancel, std::move(request.onOutput));
    if (m_run && m_run->id == request.runId) {
        m_run->onInput = std::move(request.onInput);
        m_run->onCall = std::move(request.onCall);
        m_run->onProgress = std::move(request.onProgress);
    }
    return shot;
}

OneShot<RunOutcome> KernelProcess::task(TaskRequest request)
{
    QJsonObject meta = request.arguments;
    meta.insert(QStringLiteral("task"), request.task);
    // Of our own: they may wait for their turn after the caller has closed his.
    Handed handed;
    const int own[] = {request.descriptor, request.output};
    for (std::size_t i = 0; i < handed.size(); ++i) {
        handed[i] = Fd(own[i] >= 0 ? ::fcntl(own[i], F_DUPFD_CLOEXEC, 3) : -1);
        if (own[i] >= 0 && !handed[i])
            return settled(refusal(QStringLiteral("OSError"), QStringLiteral("The server has no file descriptors left.")));
    }
    OneShot<RunOutcome> shot = begin(wire::FrameType::Task, request.runId, std::move(meta), request.blob, request.timeout, request.cancel, {},
                                     std::move(handed));
    if (m_run && m_run->id == request.runId)
        m_run->onCall = std::move(request.onCall);
    return shot;
}

RunOutcome KernelProcess::goneOutcome() const
{
    RunOutcome outcome;
    outcome.status = RunStatus::Died;
    outcome.cause = m_killCause.isEmpty() ? QStringLiteral("exit") : m_killCause;
    outcome.variablesSurvived = false;
    outcome.errorValue = m_deathReason;
    return outcome;
}

OneShot<RunOutcome> KernelProcess::begin(wire::FrameType type, const QString &runId, QJsonObject meta,
                                         const QByteArray &code, std::chrono::milliseconds timeout,
                                         const CancelToken &cancel, std::function<void(const OutputEvent &)> onOutput,
                                         Handed handed)
{
    if (!isAlive())
        return settled(goneOutcome());
    if (m_run)
        return settled(refusal(QStringLiteral("Busy"), QStringLiteral("The kernel is running something else.")));
    if (cancel.isCancelled()) {
        RunOutcome outcome;
        outcome.status = RunStatus::Interrupted;
        outcome.cause = QStringLiteral("cancelled");
        return settled(std::move(outcome));
    }
    meta.insert(QStringLiteral("run"), runId);
    const QByteArray json = QJsonDocument(meta).toJson(QJsonDocument::Compact);
    try {
        // Behind an answer that the last run did not read to its end.
        dropSent();
        const qsizetype at = m_outgoing.size();
        m_outgoing += QByteArray::fromStdString(
            wire::encode(type, {json.constData(), std::size_t(json.size())}, {code.constData(), std::size_t(code.size())}));
        if (handed[0])
            m_handDown.push_back({at, std::move(handed)});
    } catch (const std::length_error &) {
        return settled(refusal(QStringLiteral("ValueError"),
                               QStringLiteral("The variables sent with the code are above 64 KB: write them to a file instead.")));
    }
    m_run = std::make_unique<Run>(m_spec.limits, m_house->spoolDirectory(), std::move(onOutput));
    m_run->id = runId;
    m_run->isCell = type == wire::FrameType::Run;
    if (m_run->isCell)
        m_run->code = code;
    m_run->timeout = timeout;
    m_run->clock.start();
    m_run->peakMemory = m_memory;
    if (m_counters.pid != m_pid)
        m_counters = procMemory(m_pid);
    m_diskAtStart = -1;
    m_crowded = 0;
    const OneShot<RunOutcome> shot = m_run->shot;
    m_run->cancel = cancel.onCancel([this] { ladder(QStringLiteral("cancelled"), {}, {}); });
    watchPipes(true);
    m_deadline.start(timeout);
    m_house->runStarted(*this);
    if (!waitsForCopy())
        write();
    return shot;
}

void KernelProcess::interrupt()
{
    if (!m_run)
        return;
    m_run->interrupted = true;
    signalRun(SIGINT);
}

// SIGINT reaches subprocesses too; the hard interrupt is for the kernel alone.
void KernelProcess::signalRun(int signal)
{
    if (m_exited)
        return;
    if (signal == SIGINT)
        ::kill(-m_pid, signal);
    else
        signalPidfd(m_pidfd, signal);
}

void KernelProcess::ladder(const QString &cause, const QString &limit, const QString &peak)
{
    if (m_state == State::Restoring && m_run) { // it has not begun, or is over already
        QTimer::singleShot(50ms, this, [this, cause, limit, peak, id = m_run->id] {
            if (m_run && m_run->id == id)
                ladder(cause, limit, peak);
        });
        return;
    }
    if (!m_run || m_run->stage > 0 || m_state != State::Living)
        return;
    m_run->stage = 1;
    m_run->cause = cause;
    m_run->limit = limit;
    m_run->peak = peak;
    signalRun(SIGINT);
    m_step.start(kStep);
}

void KernelProcess::climb()
{
    if (!isAlive())
        return;
    if (m_state == State::Restoring || !m_killCause.isEmpty()) { // SIGKILL without an answer: uninterruptible in the system; not waited for
        conclude({});
        return;
    }
    if (!m_run || m_run->stage == 0)
        return;
    if (m_run->stage == 1) {
        m_run->stage = 2;
        signalRun(SIGUSR2);
        m_step.start(kStep);
        return;
    }
    const QString cause = m_run->cause;
    kill(cause, QStringLiteral("The kernel was ended: the code did not stop when it was interrupted (%1).").arg(cause),
         m_run->limit, m_run->peak);
}

void KernelProcess::finish(DoneFrame done)
{
    drainPipes(done.epoch);
    RunOutcome outcome;
    outcome.errorName = std::move(done.errorName);
    outcome.errorValue = std::move(done.errorValue);
    outcome.hint = std::move(done.hint);
    outcome.errorCause = std::move(done.errorCause);
    outcome.errorLimit = std::move(done.errorLimit);
    outcome.errorPeak = std::move(done.errorPeak);
    outcome.result = std::move(done.result);
    outcome.notes = std::move(done.notes);
    outcome.executionCount = done.count;
    outcome.variables = done.variables;
    outcome.hardInterrupt = done.hard || (m_run->stage >= 2 && done.status == u"interrupted");
    // Samples are taken every now and then; a short run may have none.
    if (const ProcMemory now = procMemory(m_pid); now.pid != 0) {
        // A job's exactly, when there was none. That walks all pages shared with the zygote, some milliseconds: too long for a cell.
        const qint64 exact = m_memory == 0 && !m_spec.checkpoints ? procKilobytes(m_pid, "smaps_rollup", "Pss") : 0;
        outcome.peakMemoryBytes = std::max(m_run->peakMemory, peakOf(now, m_counters.highest, m_house->sharedMemory(), exact));
        m_counters = now;
    } else {
        outcome.peakMemoryBytes = m_run->peakMemory;
    }
    if (done.status == u"ok") {
        outcome.payload = std::move(done.blob);
    } else {
        outcome.traceback = QString::fromUtf8(done.blob);
        outcome.status = done.status == u"interrupted" ? RunStatus::Interrupted : RunStatus::Error;
    }
    if (done.status == u"exit") { // the cell ended; the kernel lives
        outcome.cause = QStringLiteral("exit");
        outcome.status = done.code == 0 ? RunStatus::Ok : RunStatus::Error;
        outcome.errorName = done.code == 0 ? QString() : QStringLiteral("SystemExit");
        outcome.errorValue = done.code == 0 ? QString() : QString::number(done.code);
        outcome.notes << QStringLiteral("The code ended the cell with exit code %1; the variables are kept.").arg(done.code);
    }
    // Code that was interrupted by us and ended in whatever error ended because of that.
    const bool stopped = m_run->stage > 0 || m_run->interrupted;
    if (stopped && outcome.status != RunStatus::Ok) {
        outcome.status = RunStatus::Interrupted;
        outcome.cause = m_run->stage > 0 ? m_run->cause : QStringLiteral("cancelled");
        outcome.limit = m_run->limit;
        outcome.peak = m_run->peak;
    } else if (m_run->stage > 0) {
        outcome.notes << QStringLiteral("The code was interrupted (%1%2) and ended by itself right then.")
                             .arg(m_run->cause, m_run->limit.isEmpty() ? QString() : u' ' + m_run->limit);
    }
    m_changed = true;
    if (m_run->isCell || outcome.variables > 0) // most tasks do not count them
        m_variables = outcome.variables;
    if (m_run->isCell) {
        m_count = done.count;
        remember(done.count, m_run->code);
    }
    m_unprotectedTime += std::chrono::milliseconds(m_run->clock.elapsed());
    settle(std::move(outcome));
}

void KernelProcess::settle(RunOutcome outcome)
{
    const OneShot<RunOutcome> shot = closeRun(outcome);
    shot.resolve(std::move(outcome));
}

// The run is over but for its answer.
OneShot<RunOutcome> KernelProcess::closeRun(RunOutcome &outcome)
{
    m_merger.finish();
    m_deadline.stop();
    m_quiet.stop();
    m_pause.stop();
    if (m_state == State::Living && m_killCause.isEmpty())
        m_step.stop();
    watchPipes(false);
    const std::unique_ptr<Run> run = std::move(m_run);
    run->cancel.reset();
    run->askCancel.cancel();
    run->log.finish(outcome);
    if (!run->isCell && !outcome.outputFile.isEmpty()) // what leftover threads print then is nobody's
        ::unlink(std::exchange(outcome.outputFile, {}).constData());
    // The limit may have been passed by the very last bytes: nothing to interrupt any more, but it is said.
    if (outcome.cause == u"output_limit")
        outcome.peak = wordsOfBytes(outcome.stdoutBytes + outcome.stderrBytes);
    else if (outcome.cause.isEmpty() && outcome.stdoutBytes + outcome.stderrBytes > m_spec.limits.outputBytes)
        outcome.notes << QStringLiteral("Only the first %1 of the output were kept.").arg(wordsOfBytes(m_spec.limits.outputBytes));
    if (outcome.cause == u"timeout" && outcome.peak.isEmpty())
        outcome.peak = wordsOfTime(std::chrono::milliseconds(run->clock.elapsed()));
    outcome.duration = std::chrono::microseconds(run->clock.nsecsElapsed() / 1000);
    m_longestRun = std::max(m_longestRun, std::max<qint64>(1, run->clock.elapsed()));
    m_idle.start();
    if (m_house)
        m_house->runEnded(*this);
    return run->shot;
}

// --- limits that are measured from outside ------------------------------------------------------------------

void KernelProcess::sampled(const TreeSample &sample)
{
    // A sample that began before a restoration is of the process that is gone.
    if (m_state != State::Living || sample.pid != m_pid)
        return;
    m_cpuMs = sample.cpuMs;
    m_nice = sample.nice;
    m_longestRun = 0;
    m_sampledAt.start();
    if (sample.memoryBytes < 0)
        return; // only its place on the processors
    // Without the copy: what it has, and what it had.
    const qint64 held = sample.memoryBytes - sample.copyBytes, before = m_memory > 0 ? m_memory - m_copyBytes : held;
    m_memory = sample.memoryBytes;
    m_copyBytes = sample.copyBytes;
    if (m_run)
        m_run->peakMemory = std::max(m_run->peakMemory, sample.memoryBytes);
    const KernelLimits &limits = m_spec.limits;
    if (limits.memoryBytes > 0 && sample.memoryBytes > limits.memoryBytes && !restoredWithin(kAfterlife)) {
        if (m_copy && held + std::max<qint64>(0, held - before) <= limits.memoryBytes) {
            // What the copy alone holds is above the limit: it goes first. Not from one that grows through the limit, which
            // would only have nothing to go back to then.
            m_house->countCheckpoint(QStringLiteral("skipped"), QStringLiteral("dropped for memory"));
            dropCheckpoint();
            return;
        }
        kill(QStringLiteral("memory_limit"),
             QStringLiteral("The kernel was ended: the session used %1 of memory, its limit is %2.")
                 .arg(wordsOfBytes(sample.memoryBytes), wordsOfBytes(limits.memoryBytes)),
             wordsOfBytes(limits.memoryBytes), wordsOfBytes(sample.memoryBytes));
        return;
    }
    // At the limit every further fork fails; a program that stays there for two samples is a fork bomb.
    m_crowded = limits.processes > 0 && sample.tasks >= limits.processes ? m_crowded + 1 : 0;
    if (m_crowded >= 2) {
        kill(QStringLiteral("process_limit"),
             QStringLiteral("The kernel was ended: the session ran %1 processes and threads, its limit is %2.")
                 .arg(QString::number(sample.tasks), QString::number(limits.processes)),
             QStringLiteral("%1 processes and threads").arg(limits.processes), QString::number(sample.tasks));
        return;
    }
}

void KernelProcess::diskSeen(const DiskSample &sample)
{
    if (m_state != State::Living || sample.pid != m_pid || !m_run || sample.use.failed)
        return;
    // A walk that began before this run would tell it of what the last one had, and it may have deleted.
    if (std::chrono::steady_clock::now() - sample.began > std::chrono::milliseconds(m_run->clock.elapsed()))
        return;
    const KernelLimits &limits = m_spec.limits;
    if (m_diskAtStart < 0)
        m_diskAtStart = sample.use.bytes;
    const qint64 floor = 128ll << 20;
    if (limits.diskBytes > 0 && sample.use.bytes > limits.diskBytes) {
        // Interrupted, not killed at once: the variables may be what is left to save.
        ladder(QStringLiteral("disk_limit"), wordsOfBytes(limits.diskBytes), wordsOfBytes(sample.use.bytes));
    } else if (limits.diskBytes > 0 && !sample.use.isWhole()) { // nor may it hide what it has
        ladder(QStringLiteral("disk_limit"), sample.use.limitInWords(), sample.use.excessInWords());
    } else if (sample.free >= 0 && sample.free < floor && sample.use.bytes > m_diskAtStart + (16ll << 20)) {
        ladder(QStringLiteral("disk_limit"), QStringLiteral("%1 free on the server").arg(wordsOfBytes(floor)),
               QStringLiteral("%1 free").arg(wordsOfBytes(sample.free)));
    }
}

} // namespace power::supervisor
