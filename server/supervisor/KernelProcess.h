// One kernel process as a state machine on the event loop: its channels, its current run, its death.
#pragma once
#include "base/OneShot.h"
#include "supervisor/CheckpointPacer.h"
#include "supervisor/ChildProcess.h"
#include "supervisor/CpuPlace.h"
#include "supervisor/Gate.h"
#include "supervisor/KernelCheckpoint.h"
#include "supervisor/KernelFrames.h"
#include "supervisor/OutputLog.h"
#include "supervisor/Poller.h"
#include "supervisor/ProcMemory.h"
#include "supervisor/ZygoteClient.h"
#include <QElapsedTimer>
#include <QPointer>
#include <QTimer>
#include <array>
#include <deque>
#include <optional>

namespace power::supervisor {

class KernelProcess;

// An end for want of memory that the system brought about by itself, as its control group tells.
struct MemoryEnd {
    QString reason, limit, peak;
};

// What a kernel needs of its host. Implemented by the host, which outlives every kernel's last call.
class KernelHouse
{
public:
    virtual ~KernelHouse() = default;
    virtual Poller &poller() = 0;
    virtual QString spoolDirectory() const = 0;
    // SIGKILL for the whole tree, by the zygote or without it.
    virtual void killTree(const KernelProcess &kernel) = 0;
    // Looks for processes of the tree off the event loop (outside `full` that takes a pass over /proc); treeSeen() of
    // the kernel follows.
    virtual void lookForTree(const KernelProcess &kernel) = 0;
    // The zygote will report the death of its children.
    virtual bool zygoteServes() const = 0;
    virtual void runStarted(KernelProcess &kernel) = 0;
    virtual void runEnded(KernelProcess &kernel) = 0;
    // A copy of this kernel is parked: the zygote keeps the tree until both are dead.
    virtual void adopt(const KernelProcess &kernel, pid_t copy) = 0;
    // The kernel is dead, and its copy, now kernel.pid(), takes its place.
    virtual void carriesOn(const KernelProcess &kernel) = 0;
    // Of a kernel that has just died and was not ended by the server.
    virtual std::optional<MemoryEnd> memoryEnd(const KernelProcess &kernel) const = 0;
    virtual bool takesCheckpoints() const = 0;
    // Bytes of the zygote that a fresh kernel has in common with it.
    virtual qint64 sharedMemory() const = 0;
    // what: taken | skipped (with a reason) | lost | restored.
    virtual void countCheckpoint(const QString &what, const QString &reason) = 0;
    virtual void noteCheckpointPrice(std::chrono::microseconds price) = 0;
    virtual void noteRestoration(std::chrono::microseconds took) = 0; // from the death to being able to run
    // A cell asks for something that the server does: answered by KernelProcess::answer(), unless `cancel` fired first.
    virtual void asked(KernelProcess &kernel, AskFrame ask, CancelToken cancel) = 0;
    // Every process of the tree is gone (or was given up on); the kernel is not used after this call.
    virtual void treeGone(KernelProcess &kernel) = 0;
};

// KernelProcess: begins when the zygote reported the pid. Shared between its handle and the host.
class KernelProcess : public QObject
{
    Q_OBJECT
public:
    struct Channels {
        Fd control, out, err, lifeline;
    };
    KernelProcess(KernelHouse &house, quint64 number, KernelSpec spec, QString tier, QByteArray token, Channels channels);
    ~KernelProcess() override;

    // The zygote has forked it. Ready once it said so itself.
    void born(const SpawnedKernel &spawned);
    OneShot<Done> &readyShot() { return m_ready; }
    // It never came to life (the spawn failed): nothing to kill.
    void stillborn();

    OneShot<RunOutcome> run(RunRequest request);
    OneShot<RunOutcome> task(TaskRequest request);
    // See Kernel::snapshot.
    OneShot<SnapshotSummary> snapshot(SnapshotOrder order);
    void interrupt();
    // Of the question `number` of the run `runId`; passed over when that run or that wait has ended.
    void answer(const QString &runId, quint64 number, Result<QByteArray> result);
    // Kills the kernel; the current run ends as Killed with this cause. The session goes on from its checkpoint when
    // there is one, else the whole tree is killed.
    void kill(const QString &cause, const QString &reason, const QString &limit = {}, const QString &peak = {});
    // Kills the tree, checkpoint and all.
    void end(const QString &cause, const QString &reason, const QString &limit = {}, const QString &peak = {});
    // Interrupts the current run step by step (SIGINT, SIGUSR2, SIGKILL).
    void ladder(const QString &cause, const QString &limit, const QString &peak);
    void exitReported(const ExitReport &report);
    void sampled(const TreeSample &sample);
    void diskSeen(const DiskSample &sample);
    // The answer to KernelHouse::lookForTree: something of the dead kernel's tree still lives.
    void treeSeen(bool left);

    // Also while it is being restored: a run that begins then waits for that.
    bool isAlive() const { return m_state == State::Living || m_state == State::Restoring; }
    CheckpointNeed checkpointNeed() const;
    // Asks for a copy, when there is a need for one. It replaces the present one when it is there.
    void takeCheckpoint();
    void dropCheckpoint();
    bool hasCheckpoint() const { return m_copy != nullptr; }
    qint64 checkpointBytes() const { return m_copy ? m_copyBytes : 0; }
    // What a dead kernel and its children had is given back meanwhile: it does not count against the one that took over.
    static constexpr std::chrono::milliseconds kAfterlife{2000};
    // It has gone on from a checkpoint less than this long ago.
    bool restoredWithin(std::chrono::milliseconds time) const { return m_restoredAt.isValid() && !m_restoredAt.hasExpired(time.count()); }
    std::optional<Restoration> takeRestoration();
    int untoldLoss() const { return m_untold ? m_untold->lastLost : 0; }
    bool isRunning() const { return m_run != nullptr; }
    bool isComputing() const { return m_nice > kAtRestNice; } // as far as the last sample tells
    std::chrono::milliseconds age() const { return std::chrono::milliseconds(m_ordered.elapsed()); }
    bool isBeingBorn() const { return m_state == State::Starting; }
    bool isGone() const { return m_state == State::Gone; }
    const QString &deathReason() const { return m_deathReason; }
    const KernelSpec &spec() const { return m_spec; }
    quint64 number() const { return m_number; }
    pid_t pid() const { return m_pid; }
    pid_t initPid() const { return m_initPid; }
    const Fd &pidfd() const { return m_pidfd; }
    const Fd &initPidfd() const { return m_initPidfd; }
    const QString &tier() const { return m_tier; }
    const QJsonObject &timings() const { return m_timings; }
    qint64 memoryBytes() const { return m_memory; }
    TreeTarget target() const;
    OneShot<Done> goneShot() { return m_gone.pass(); }
    void setOnDeath(std::function<void()> call);
    void setStopping() { m_onDeath = {}; m_stopping = true; }
    // The host ends now: kills what is left, resolves what is waited for, and never calls the host again.
    void abandon();

private:
    enum class State { Starting, Living, Restoring, Dying, Gone };
    struct Run;
    // Of the kernel that is gone, while its copy takes over.
    struct Death {
        QString cause, reason;
        std::optional<RunOutcome> outcome; // of the run that was its end
        Restoration restoration;
        QElapsedTimer clock;
    };

    using Handed = std::array<Fd, 2>; // of a task; without a value: none

    OneShot<RunOutcome> begin(wire::FrameType type, const QString &runId, QJsonObject meta, const QByteArray &code,
                              std::chrono::milliseconds timeout, const CancelToken &cancel,
                              std::function<void(const OutputEvent &)> onOutput, Handed handed = {});
    void dropSent();
    RunOutcome goneOutcome() const;
    void onControl(std::uint32_t events);
    void readControl(bool untilEmpty);
    bool handle(wire::Frame &frame);
    bool onAsk(AskFrame ask);
    void askForInput(const AskFrame &ask);
    static QCoro::Task<> passOn(QPointer<KernelProcess> kernel, QString runId, quint64 number, OneShot<QString> given, CancelToken cancel);
    bool onProgress(const AskFrame &ask);
    void onCall(const AskFrame &ask);
    void countSecond();
    void sendAnswer(quint64 number, const Result<QByteArray> &result);
    void onPipe(Pipe pipe);
    void onQuiet();
    // Reads at most `budget` bytes; true while there may be more.
    bool readPipe(Pipe pipe, qsizetype budget);
    void drainPipes(std::optional<quint64> epoch);
    void watchPipes(bool on);
    void pipeEnded(Pipe pipe);
    void write();
    void violation(const QString &what);
    void signalRun(int signal);
    void climb();
    void finish(DoneFrame done);
    void settle(RunOutcome outcome);
    OneShot<RunOutcome> closeRun(RunOutcome &outcome);
    void onPidfd();
    void conclude(const ExitReport &report);
    Death deathOf(const ExitReport &report);
    void bury(Death death);
    void remember(int count, const QByteArray &code);
    void onAskedCopy();
    void park(std::unique_ptr<KernelCopy> copy);
    void dropAsked();
    bool waitsForCopy() const;
    void releaseRun();
    void onCopyGone();
    void onCheckpointed(const CheckpointedFrame &frame);
    bool canRestore();
    void restore(Death death);
    void onResumed(ResumedFrame frame);
    void waitForTree();
    void becomeGone();
    void letGo();

    KernelHouse *m_house; // null once the tree is gone: handles may outlive the host
    quint64 m_number;
    KernelSpec m_spec;
    QString m_tier;
    QByteArray m_token;
    State m_state = State::Starting;
    Channels m_channels;
    Poller::Id m_controlWatch = 0, m_pidWatch = 0;
    std::array<Poller::Id, 2> m_pipeWatch{0, 0};
    std::array<bool, 2> m_pipeEnded{false, false};
    pid_t m_pid = 0, m_initPid = 0;
    pid_t m_sid = 0;          // session id of all processes of the tree that did not leave it: the first kernel's pid
    Fd m_pidfd, m_initPidfd;
    wire::Decoder m_decoder;
    OutputMerger m_merger;
    QByteArray m_outgoing;
    qsizetype m_sent = 0;
    struct HandDown {
        qsizetype at = 0; // of the byte of m_outgoing that they go along with
        Handed descriptors;
        std::array<int, 2> numbers() const { return {descriptors[0].get(), descriptors[1].get()}; }
    };
    std::deque<HandDown> m_handDown;
    std::unique_ptr<Run> m_run;
    QTimer m_deadline, m_step, m_quiet, m_pause, m_exitTimer, m_treeTimer, m_copyTimer;
    QElapsedTimer m_dead;
    bool m_exited = false;    // the process itself is gone
    bool m_stopping = false;
    bool m_final = false;     // the tree is to end, not to be restored
    QString m_killCause, m_killLimit, m_killPeak;
    QString m_deathReason;
    qint64 m_memory = 0;
    ProcMemory m_counters;    // of the process, when its last run ended, or its first began
    qsizetype m_lastRead = 0; // bytes of the last read of a pipe
    int m_crowded = 0;        // samples in a row at the process limit
    qint64 m_diskAtStart = -1;
    qint64 m_cpuMs = -1;      // of the last sample
    qint64 m_longestRun = 0;  // ms, of those that have ended since
    QElapsedTimer m_sampledAt;
    int m_nice = kAtRestNice;
    std::unique_ptr<KernelCopy> m_copy;   // the parked one
    std::unique_ptr<KernelCopy> m_asked;  // on its way
    std::unique_ptr<Death> m_death;
    QList<UnprotectedCell> m_unprotected;
    std::chrono::milliseconds m_unprotectedTime{0};
    std::chrono::microseconds m_copyPrice{3000};
    bool m_answerDue = false; // the kernel has been asked for a copy
    int m_variables = 0;      // of the session, after the last cell
    bool m_changed = false;   // something ran since the last attempt
    bool m_restored = false;  // and has no checkpoint since
    QElapsedTimer m_ordered; // since it was asked for
    QElapsedTimer m_idle, m_restoredAt;
    int m_count = 0;          // of the last cell
    qint64 m_copyBytes = 0;   // memory that the copy alone holds
    std::optional<Restoration> m_untold;
    QJsonObject m_timings;
    OneShot<Done> m_ready;
    Gate m_gone;
    std::function<void()> m_onDeath;
};

} // namespace power::supervisor
