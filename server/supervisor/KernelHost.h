// Starts and supervises the zygote, and forks kernels from it.
#pragma once
#include "supervisor/Fd.h"
#include "supervisor/Kernel.h"
#include <QObject>
#include <QStringList>

namespace power::supervisor {

struct HostConfig {
    QString kernelProgram;         // path of power-kernel
    QString initProgram;           // power-init; power-kernel finds the one beside itself
    QString python;                // venv prefix whose site-packages the kernels use; empty = the distribution's
    QString cacheDirectory;        // pre-warmed read-only caches (matplotlib), made at start
    QString requiredTier;          // SANDBOX_REQUIRE: full | container | nonroot | none; empty = any safe one
    QString forcedTier;            // SANDBOX_TIER: tests run the lower tiers with it
    int landlockAbi = -1;          // caps the ABI used; -1 = newest
    qint64 totalMemoryBytes = 0;   // global budget for all kernels; 0 = cgroup limit or RAM less a reserve
    QString spoolDirectory;        // for outputs that are cut, this host's alone; empty = the system's temporary directory
    QStringList readOnlyPaths;     // further host paths that kernels may read (resources, fonts)
    QString extraSite;             // directory of packages besides the environment's; may be filled later. Empty: none
    QList<quint32> sessionUids;    // users of existing sessions: what a dead server left of them is ended at start
    QString renderDirectory;       // where the workers that draw charts get theirs; its parents are passable (o+x). Empty: none
    quint32 renderUid = 0;         // the first of Renderer::kUids that no session has; 0: the server's own (nonroot)
    int checkpointsPerSecond = 10; // of all sessions together; 0: none are taken
    bool usesGroups = true;        // cgroup v2 limits for each session, where the machine lets the server make groups
    bool installsPackages = false; // the tool install_package is offered: hints name it
    QStringList imports;           // modules the zygote imports besides its own list
    std::chrono::milliseconds kernelStart{20'000}; // from the order to the kernel's own Ready
    int kernelsPerZygote = 500;    // then another takes its place; 0: any number
};

// What the probe found by doing, for /health, the banner and result metadata.
struct TierReport {
    QString tier;                  // full | container | nonroot | none
    bool safe = false;             // user code may run
    QString reason;                // why not a higher tier, or by which way `full`, in one sentence
    QJsonObject layers;            // layer -> true, false or a figure (landlock ABI ...); cgroup: each session has
                                   // a group with limits, of cgroup_controllers, or not for cgroup_reason; user_namespace: `full` stands in
                                   // user namespaces of the server's own user, because the server is not root
};

// What a worker saw in a file: facts, and pictures with their types.
struct FileLook {
    QJsonObject facts;
    QList<std::pair<QByteArray, QByteArray>> pictures; // bytes, media type
};

// KernelHost: start() probes, then starts the zygote; ready() fires when it serves. A zygote that dies is
// replaced; living kernels stay. Thread: the event loop's.
class KernelHost : public QObject
{
    Q_OBJECT
public:
    virtual ~KernelHost() = default;
    static std::unique_ptr<KernelHost> create(HostConfig config);

    // Errors: Unavailable when the tier is not safe or below the required one.
    virtual QCoro::Task<Result<Done>> start() = 0;
    virtual const TierReport &tier() const = 0;
    virtual bool isReady() const = 0;           // the zygote serves
    // taken, restored, lost, skipped (reason -> number), last_ms, longest_ms (a kernel stood
    // still), last_restore_ms, longest_restore_ms (a death to being able to run): since the start.
    virtual QJsonObject checkpointReport() const = 0;
    virtual QJsonObject zygoteReport() const = 0; // ZygoteReady meta: imports, missing libraries, tasks
    // Waits for the zygote at most `wait`. Errors: Unavailable, Timeout, Cancelled.
    virtual QCoro::Task<Result<std::unique_ptr<Kernel>>> spawn(KernelSpec spec, CancelToken cancel) = 0;
    // Looks into a file in a one-shot worker (see Renderer::look); `file` is read from its beginning and stays the caller's.
    virtual QCoro::Task<Result<FileLook>> look(QJsonObject arguments, int file, CancelToken cancel) = 0;
    // Reads a table out of a file in a one-shot worker, into a pipe (see Renderer::load).
    virtual QCoro::Task<Result<Done>> load(QJsonObject arguments, int file, std::shared_ptr<Fd> rows,
                                           std::chrono::milliseconds timeout, CancelToken cancel) = 0;
    virtual int kernelCount() const = 0;
    virtual int birthsUnderWay() const = 0;      // kernels that were ordered and are not ready yet
    virtual qint64 totalMemoryBytes() const = 0; // the budget in force
    virtual qint64 usedMemoryBytes() const = 0;  // last sample over all kernels
    virtual QCoro::Task<> stop() = 0;

Q_SIGNALS:
    void ready();
};

} // namespace power::supervisor
