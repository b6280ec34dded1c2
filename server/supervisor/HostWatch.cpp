// The watchdog of the host: samples the trees off the event loop, fast only while something runs.
#include "base/Log.h"
#include "supervisor/Host.h"
#include "supervisor/Words.h"
#include <utility>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kBusyTick = 150ms;
constexpr auto kIdleTick = 3s;
constexpr auto kComputingTick = 500ms; // threads that a cell left behind
constexpr auto kRestoredLately = 10s;
constexpr auto kYoung = 3s; // that runs nothing: it has nothing yet, and to look at a hundred new ones takes half a second
constexpr int kDiskEvery = 5;  // busy ticks between two walks of a workspace
constexpr int kDiskRest = 10; // times what the last walk took
constexpr int kIdleEvery = 20; // busy ticks between two looks at kernels that run nothing
constexpr auto kForQuiet = 100ms, kForQuietWhileBusy = 10ms; // of such a look, for counting their memory exactly
} // namespace

void Host::runStarted(KernelProcess &)
{
    // Armed for the next tick: runs shorter than that are never sampled.
    if (!m_tick.isActive() || m_tick.remainingTimeAsDuration() > kBusyTick)
        m_tick.start(kBusyTick);
}

void Host::sample()
{
    if (m_sampling || m_stopping)
        return;
    ++m_ticks;
    bool busy = false;
    QList<TreeTarget> targets;
    for (const auto &[number, kernel] : m_kernels) {
        if (!kernel->isAlive())
            continue;
        busy = busy || kernel->isRunning();
    }
    const bool all = !busy || m_ticks % kIdleEvery == 0;
    for (const auto &[number, kernel] : m_kernels) {
        const bool runs = kernel->isAlive() && kernel->isRunning();
        // A crowd of new sessions would mostly pay for being watched: of what began since the last tick only the processor
        // time is looked at, and of new kernels nothing.
        const qint64 before = runs ? std::exchange(m_seenRunning[number], m_ticks) : 0;
        const bool old = kernel->age() >= kYoung, goesOn = runs && before == m_ticks - 1;
        if (!kernel->isAlive() || !(goesOn || (old && (all || runs))))
            continue;
        targets << kernel->target();
        targets.last().skipMemory = !all && !goesOn;
        targets.last().quiet = !runs;
        if (m_groups)
            targets.last().group = m_groups->group(number);
        if (goesOn)
            walkDisk(targets.last());
    }
    if (targets.isEmpty()) {
        if (!m_kernels.empty())
            m_tick.start(busy ? kBusyTick : kIdleTick);
        return;
    }
    m_sampling = true;
    const qint64 baseline = m_baseline;
    const std::chrono::milliseconds forQuiet = busy ? kForQuietWhileBusy : kForQuiet;
    m_sampler.start([this, targets, baseline, forQuiet] {
        const QList<TreeSample> samples = sampleTrees(targets, baseline, m_meter, forQuiet);
        // The destructor waits for this thread: `this` is alive here, and gone calls are dropped with it.
        QMetaObject::invokeMethod(this, [this, samples] { sampled(samples); }, Qt::QueuedConnection);
    });
}

// Apart from the samples: a directory with a million files must not keep the watchdog from the memory of others.
void Host::walkDisk(const TreeTarget &target)
{
    DiskWalk &walk = m_diskWalks[target.kernel];
    const bool rested = !walk.ended.isValid() || walk.ended.elapsed() >= walk.tookMs * kDiskRest;
    if (walk.underWay || !rested || (walk.tick > 0 && m_ticks - walk.tick < kDiskEvery))
        return;
    walk.underWay = true;
    walk.tick = m_ticks;
    m_walker.start([this, target] {
        const DiskSample sample = sampleDisk(target);
        // The destructor waits for this thread: `this` is alive here, and gone calls are dropped with it.
        QMetaObject::invokeMethod(this, [this, sample] { diskSeen(sample); }, Qt::QueuedConnection);
    });
}

void Host::diskSeen(const DiskSample &sample)
{
    if (const auto walk = m_diskWalks.find(sample.kernel); walk != m_diskWalks.end()) {
        walk->underWay = false;
        walk->tookMs = sample.tookMs;
        walk->ended.start();
    }
    if (const auto found = m_kernels.find(sample.kernel); found != m_kernels.end()) {
        const Shared kernel = found->second;
        kernel->diskSeen(sample);
    }
}

void Host::sampled(const QList<TreeSample> &samples)
{
    m_sampling = false;
    bool busy = false, computing = false;
    for (const TreeSample &sample : samples) {
        const auto found = m_kernels.find(sample.kernel);
        if (found == m_kernels.end())
            continue;
        const Shared kernel = found->second;
        kernel->sampled(sample);
    }
    enforceBudget();
    if (m_orphans)
        reapStrays();
    for (const auto &[number, kernel] : m_kernels) {
        busy = busy || kernel->isRunning();
        computing = computing || kernel->isComputing();
    }
    if (!m_stopping && !m_kernels.empty())
        m_tick.start(busy ? kBusyTick : computing ? kComputingTick : kIdleTick);
}

// Above the limits of the sessions stands the machine: when all together pass the budget, the largest one goes.
void Host::enforceBudget()
{
    const qint64 used = usedMemoryBytes();
    if (used <= m_budget)
        return;
    qint64 copies = 0;
    for (const auto &[number, kernel] : m_kernels)
        copies += kernel->checkpointBytes();
    if (used - copies <= m_budget) { // checkpoints go before kernels
        for (const auto &[number, kernel] : m_kernels)
            kernel->dropCheckpoint();
        countCheckpoint(QStringLiteral("skipped"), QStringLiteral("dropped for the server's memory"));
        return;
    }
    Shared largest;
    for (const auto &[number, kernel] : m_kernels) {
        if (kernel->isAlive() && (!largest || kernel->memoryBytes() > largest->memoryBytes()))
            largest = kernel;
    }
    if (!largest || largest->restoredWithin(KernelProcess::kAfterlife))
        return;
    log::warning("memory_budget", {{QStringLiteral("used"), used}, {QStringLiteral("budget"), m_budget}});
    const QString reason = QStringLiteral("The kernel was ended: all sessions together used %1 of memory, the server's budget is %2, "
                                          "and this session was the largest (%3).")
                               .arg(wordsOfBytes(used), wordsOfBytes(m_budget), wordsOfBytes(largest->memoryBytes()));
    const QString limit = QStringLiteral("%1 for all sessions together").arg(wordsOfBytes(m_budget));
    const QString peak = wordsOfBytes(largest->memoryBytes());
    // From its checkpoint it goes on with less, unless that was tried already.
    if (largest->restoredWithin(kRestoredLately))
        largest->end(QStringLiteral("memory_limit"), reason, limit, peak);
    else
        largest->kill(QStringLiteral("memory_limit"), reason, limit, peak);
}

} // namespace power::supervisor
