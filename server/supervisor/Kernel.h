// A session's kernel as the server sees it: run a cell, interrupt it, know how it died.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include "base/OneShot.h"
#include <QByteArray>
#include <QCoroTask>
#include <QJsonObject>
#include <QList>
#include <QString>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

namespace power::supervisor {

struct KernelLimits {
    qint64 memoryBytes = 0;             // of the whole session, all its processes
    int processes = 64;
    int openFiles = 1024;
    qint64 fileBytes = 0;               // one file (RLIMIT_FSIZE); 0: as diskBytes
    qint64 diskBytes = 0;               // the whole workspace
    qint64 outputBytes = 64ll << 20;    // stdout + stderr of one run; above: interrupted, cause output_limit
    qint64 keptOutputBytes = 1 << 20;   // of each of stdout and stderr kept in memory (head and tail)
    qint64 displayBytes = 32ll << 20;   // of all displays of one run
};

struct KernelSpec {
    QString sessionId;   // shown to user code: /app/sandbox_data/<sessionId>
    QString workspace;   // absolute host path of the session's directory, owned by uid
    QString scratch;     // absolute host path of the session's /tmp, owned by uid, on the same file system
    quint32 uid = 0;
    quint32 gid = 0;
    KernelLimits limits;
    bool checkpoints = true; // may be copied while it is idle
    int cores = 1;           // threads of the numeric libraries' pools; above 1 it is not copied, so checkpoints = false
    QString runAs = QStringLiteral("kernel"); // or a one-shot worker of shared/wire/PROTOCOL.md: "render"
};

// One piece of a rich output; data is text (UTF-8) or raw bytes by its type.
struct DisplayPart {
    QByteArray mime;
    QByteArray data;
};

struct OutputEvent {
    enum class Kind { Stdout, Stderr, Display, Result, Figure };
    Kind kind = Kind::Stdout;
    QByteArray text;            // Stdout, Stderr
    QList<DisplayPart> parts;   // Display, Result, Figure; preferred first
    QString fileName;           // of a figure or html that the kernel also wrote into the workspace
    QString alt;                // one line of text for what is not shown

    qsizetype bytes() const
    {
        qsizetype sum = text.size() + alt.size() * 2;
        for (const DisplayPart &part : parts)
            sum += part.data.size();
        return sum;
    }
};

// A cell waits in input(). `answer` takes the line, or an error whose text the cell sees; it must be resolved some time,
// because the run's time limit stands still until then.
struct InputQuestion {
    QString prompt; // at most 2,000 characters
    OneShot<QString> answer;
};

// What a cell asks the server to do: an operation by its name inside of code ("" = the list of them) with its arguments, to be
// answered with JSON. Untrusted; ends with `cancel`.
using CellCall = std::function<QCoro::Task<Result<QByteArray>>(QString tool, QJsonObject arguments, CancelToken cancel)>;

struct RunRequest {
    QString runId;
    QByteArray code;
    std::chrono::milliseconds timeout{120'000};
    CancelToken cancel;                                   // fires: interrupt, then as a timeout
    QJsonObject context;                                  // variables to set first (REST `context`)
    std::function<void(const OutputEvent &)> onOutput;    // live, in exact order; may be empty
    std::function<void(const InputQuestion &)> onInput = {}; // empty: input() is refused
    CellCall onCall{};                                    // may be empty: refused
    std::function<void(double done, double total, const QString &text)> onProgress{}; // total -1: unknown; may be empty
};

struct TaskRequest {
    QString runId;
    QString task;               // "query", "frames" ... (shared/wire/PROTOCOL.md)
    QJsonObject arguments;
    std::chrono::milliseconds timeout{60'000};
    CancelToken cancel;
    QByteArray blob{};          // what goes along with the arguments
    int descriptor = -1;        // handed down to the kernel with the request; stays the caller's
    int output = -1;            // a second one, to write to; needs the first
    CellCall onCall{};          // as in RunRequest
};

// A name that a snapshot does not carry.
struct SkippedName {
    QString name, type, reason;
};

struct SnapshotSummary {
    int cell = 0;               // it holds the state after this cell (execution count)
    int saved = 0;              // names
    QList<SkippedName> skipped; // at most 200
    int skippedCount = 0;
    qint64 bytes = 0;
};

struct SnapshotOrder {
    qint64 limitBytes = 1ll << 30;
    qint64 allowanceBytes = 0;  // what the process that writes may make its own by touching it; 0 = unlimited
    QStringList skip;           // names that are left out
    std::chrono::milliseconds timeout{180'000};
    std::shared_ptr<std::atomic<bool>> stop; // set: it ends within a second with Cancelled; may be null
    // The bytes in order, in a thread of its own; an error ends the snapshot.
    std::function<Result<Done>(QByteArrayView)> take;
};

// What a session went back to when its kernel was gone.
struct Restoration {
    QString reason;             // why it was gone, in one sentence
    int cell = 0;               // the state is that after this cell (execution count)
    int lastLost = 0;           // the cells cell + 1 .. lastLost are lost
    QStringList gone, older;    // names the lost cells made; names that have an earlier value again. At most 50 each
    int variables = 0;
    std::chrono::microseconds took{0}; // from the death to being able to run

    // "The session is restored to after cell 7; cell 8 is lost (...); files keep what was written."
    QString text() const;
};

// How a run ended. `Died` and `Killed`: the kernel is gone; variables are lost, or `restored` to an earlier state.
enum class RunStatus { Ok, Error, Interrupted, Killed, Died };

struct RunOutcome {
    RunStatus status = RunStatus::Ok;
    // cause: "" | timeout | cancelled | memory_limit | output_limit | disk_limit | process_limit | exit | signal |
    //        protocol (the kernel sent garbage) | zygote
    QString cause;
    QString limit;               // the limit in words with its figure, e.g. "30 s", "512 MB"
    QString peak;                // what was reached, in words with its figure
    bool variablesSurvived = true;
    std::optional<Restoration> restored;
    bool hardInterrupt = false;  // the second stage of the ladder was needed
    QString errorName, errorValue, traceback, hint;
    // Of an exception that means a limit or a wall (status Error), as the kernel tells it: memory_limit | process_limit |
    // open_files_limit | disk_limit | missing_package | refused_by_sandbox; figures in words.
    QString errorCause, errorLimit, errorPeak;
    QList<OutputEvent> outputs;  // in order; neighbouring texts of one kind merged; long text cut in the middle
    qint64 stdoutBytes = 0, stderrBytes = 0;   // produced in all
    bool outputCut = false;      // outputs do not hold everything
    QByteArray outputFile;       // host path of the whole output when cut (owned by the caller: move or delete)
    QJsonValue result;           // RESULT, or a task's small answer
    QByteArray payload;          // a task's blob
    QStringList notes;
    int executionCount = 0;
    int variables = 0;
    QJsonObject variableTypes;   // name -> type of the session's variables, at most 200 (Done meta "types")
    qint64 peakMemoryBytes = 0;
    std::chrono::microseconds duration{0};
};

// Kernel: one process tree. Destroying it kills the tree (not waiting). One run at a time: the caller queues.
// Thread: the event loop's.
class Kernel
{
public:
    virtual ~Kernel() = default;
    virtual QCoro::Task<RunOutcome> run(RunRequest request) = 0;
    virtual QCoro::Task<RunOutcome> task(TaskRequest request) = 0;
    // The state of the session now, written by a forked child at the lowest priority: the kernel goes on at once. The
    // bytes are for the task "restore" of another kernel. Errors are parts of a sentence: Busy (something runs), Timeout,
    // TooLarge, Unavailable; details.at names the variable it was at.
    virtual QCoro::Task<Result<SnapshotSummary>> snapshot(SnapshotOrder order) = 0;
    // SIGINT for the current run, if any.
    virtual void interrupt() = 0;
    virtual bool isAlive() const = 0;
    // Of deaths between two runs after which the session went on from a checkpoint; told once. To be asked before a run, and
    // after it: the run may have been called while the session was going back.
    virtual std::optional<Restoration> takeRestoration() = 0;
    virtual int untoldLoss() const = 0; // the newest cell that they cost, while nobody has been told; else 0
    // Why it is no longer alive, in one sentence; empty while it lives.
    virtual QString deathReason() const = 0;
    virtual qint64 pid() const = 0;
    virtual qint64 memoryBytes() const = 0; // last sample of the watchdog
    // Ends the tree and resolves when every process of it is gone.
    virtual QCoro::Task<> stop() = 0;
    // Called once, on the event loop, when the tree is gone without stop() having been called.
    virtual void onDeath(std::function<void()> call) = 0;
    virtual QJsonObject startTimings() const = 0;
};

} // namespace power::supervisor
