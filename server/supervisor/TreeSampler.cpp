#include "supervisor/TreeSampler.h"
#include "supervisor/CpuPlace.h"
#include "supervisor/Fd.h"
#include "supervisor/GroupPlace.h"
#include "supervisor/Processes.h"
#include <QElapsedTimer>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <limits>
#include <numeric>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace power::supervisor {

namespace {
constexpr qsizetype kExact = 16; // processes of one tree whose memory is read exactly

// Which target each process belongs to: by its own uid, else by group, session or ancestry.
QHash<pid_t, qsizetype> ownersOf(const QList<Process> &processes, const QList<TreeTarget> &targets)
{
    QHash<quint32, qsizetype> byUid;
    QHash<pid_t, qsizetype> byRoot;
    for (qsizetype i = 0; i < targets.size(); ++i) {
        if (targets[i].ownUid)
            byUid.insert(targets[i].uid, i);
        byRoot.insert(targets[i].pid, i);
        if (targets[i].initPid > 0)
            byRoot.insert(targets[i].initPid, i);
        if (targets[i].session > 0)
            byRoot.insert(targets[i].session, i);
    }
    QHash<pid_t, qsizetype> owners;
    for (const Process &process : processes) {
        for (const pid_t root : {process.pid, process.group, process.session}) {
            if (const auto found = byRoot.constFind(root); found != byRoot.constEnd())
                owners.insert(process.pid, *found);
        }
        if (const auto found = byUid.constFind(process.uid); found != byUid.constEnd())
            owners.insert(process.pid, *found);
    }
    for (bool more = true; more;) { // children of what is known, until nothing is added
        more = false;
        for (const Process &process : processes) {
            const auto parent = owners.constFind(process.parent);
            if (parent == owners.constEnd() || owners.contains(process.pid))
                continue;
            const qsizetype owner = *parent;
            owners.insert(process.pid, owner);
            more = true;
        }
    }
    return owners;
}

MemoryHints hintsOf(const Process &process)
{
    return {process.pid, process.born, process.resident, process.faults};
}

qint64 memoryOf(const Process &process, const MemoryShare &share, qint64 baseline)
{
    if (share.exact)
        return share.bytes;
    // Not ours to read (root without CAP_SYS_PTRACE in a container): private pages above those of a fresh fork.
    const qint64 own = procKilobytes(process.pid, "status", "RssAnon");
    return std::max<qint64>(0, own - baseline) + procKilobytes(process.pid, "status", "RssShmem");
}

// A busy machine lets everybody wait: who waits wants to run.
qint64 waitedMs(pid_t pid)
{
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/schedstat", int(pid));
    const QByteArray text = readProcFile(path); // ns run, ns waited, slices
    long long waited = 0;
    return std::sscanf(text.constData(), "%*d %lld", &waited) == 1 ? waited / 1'000'000 : 0;
}

void place(const TreeTarget &target, const QList<Process> &tree, TreeSample &sample)
{
    sample.cpuMs = waitedMs(target.pid);
    QHash<pid_t, pid_t> sessions; // session id -> one of its processes
    for (const Process &process : tree) {
        if (process.pid == target.initPid || process.pid == target.copy)
            continue;
        sample.cpuMs += process.cpuMs;
        sessions.insert(process.session, process.pid);
    }
    const bool known = target.cpuBefore >= 0 && sample.cpuMs >= target.cpuBefore;
    sample.nice = known ? niceFor(target.nice, {sample.cpuMs - target.cpuBefore, target.elapsedMs, target.longestRunMs}) : target.nice;
    placeTree(sessions.values(), sample.nice);
    if (!target.group.isEmpty() && sample.nice != target.nice) // autogroups count for nothing in a group of processors
        groups::write(target.group + "/cpu.weight.nice", QByteArray::number(sample.nice));
}

// A checkpoint shares what the kernel has not changed since.
void addCopy(const TreeTarget &target, const MemoryShare &share, qint64 baseline, TreeSample &sample)
{
    if (share.exact) {
        sample.memoryBytes += share.bytes;
        sample.copyBytes = share.own;
        return;
    }
    // Not ours to read: the pages that the kernel has changed or given back since, as far as its faults tell.
    const qint64 own = std::max<qint64>(0, procKilobytes(target.copy, "status", "RssAnon") - baseline);
    const qint64 faults = (minorFaults(target.pid) - target.faultsBefore) * ::sysconf(_SC_PAGESIZE);
    const qint64 grown = procKilobytes(target.pid, "status", "RssAnon") - target.residentBefore;
    sample.copyBytes = std::clamp<qint64>(faults - grown, 0, own);
    sample.memoryBytes += sample.copyBytes;
}

// Where sessions share /dev/shm, what their users keep there is memory that no process of theirs need have mapped.
QHash<quint32, qint64> keptInSharedMemory()
{
    QHash<quint32, qint64> kept;
    DIR *directory = ::opendir("/dev/shm");
    if (!directory)
        return kept;
    while (const dirent *entry = ::readdir(directory)) {
        struct stat facts{};
        if (::fstatat(::dirfd(directory), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(facts.st_mode))
            kept[facts.st_uid] += qint64(facts.st_blocks) * 512;
    }
    ::closedir(directory);
    return kept;
}
// In a pid namespace of its own all of a session descends from its init or its kernel.
QList<Process> candidates(const QList<TreeTarget> &targets)
{
    QList<pid_t> roots;
    for (const TreeTarget &target : targets) {
        if (target.initPid <= 0)
            return allProcesses();
        roots << target.pid << target.copy << target.initPid;
    }
    return processesBelow(roots);
}

// In which order memory is counted: first of those that run, then of those that were counted longest ago.
QList<qsizetype> turns(const QList<TreeTarget> &targets, const MemoryMeter &meter)
{
    QList<qsizetype> order(targets.size());
    std::iota(order.begin(), order.end(), 0);
    const auto age = [&](qsizetype i) { return targets[i].quiet ? meter.ageOf(targets[i].kernel) : std::numeric_limits<qint64>::max(); };
    std::stable_sort(order.begin(), order.end(), [&](qsizetype one, qsizetype two) { return age(one) > age(two); });
    return order;
}
} // namespace

qint64 procKilobytes(pid_t pid, const char *file, const char *name)
{
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/%s", int(pid), file);
    const QByteArray text = readProcFile(path);
    const QByteArray key = QByteArray("\n") + name + ':';
    const qsizetype at = text.indexOf(key);
    return at < 0 ? 0 : std::strtoll(text.constData() + at + key.size(), nullptr, 10) * 1024;
}

qint64 minorFaults(pid_t pid)
{
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/stat", int(pid));
    const QByteArray stat = readProcFile(path);
    const qsizetype name = stat.lastIndexOf(')');
    long long faults = -1;
    if (name < 0 || std::sscanf(stat.constData() + name + 1, " %*c %*d %*d %*d %*d %*d %*u %lld", &faults) != 1)
        return -1;
    return faults;
}

QList<TreeSample> sampleTrees(const QList<TreeTarget> &targets, qint64 baseline, MemoryMeter &meter,
                              std::chrono::milliseconds forQuiet)
{
    QList<TreeSample> samples;
    for (const TreeTarget &target : targets) {
        TreeSample sample;
        sample.kernel = target.kernel;
        sample.pid = target.pid;
        samples.append(sample);
    }
    const QList<Process> processes = candidates(targets);
    const QHash<pid_t, qsizetype> owners = ownersOf(processes, targets);
    QList<QList<Process>> trees(targets.size());
    for (const Process &process : processes) {
        const auto owner = owners.constFind(process.pid);
        if (owner == owners.constEnd() || process.zombie)
            continue;
        trees[*owner].append(process);
        if (process.pid == targets[*owner].initPid || process.pid == targets[*owner].copy)
            continue;
        ++samples[*owner].processes;
        samples[*owner].tasks += process.tasks;
    }
    const QHash<quint32, qint64> kept = keptInSharedMemory();
    meter.beginPass(forQuiet);
    for (const qsizetype i : turns(targets, meter)) {
        place(targets[i], trees[i], samples[i]);
        if (targets[i].skipMemory) {
            samples[i].memoryBytes = -1;
            continue;
        }
        if (const qint64 shared = targets[i].ownUid ? kept.value(targets[i].uid) : 0; shared > 0) {
            qint64 mapped = 0; // counted with the process that has it
            for (const Process &process : std::as_const(trees[i]))
                mapped += procKilobytes(process.pid, "status", "RssShmem");
            samples[i].memoryBytes += std::max<qint64>(0, shared - mapped);
        }
        // Exact for the largest ones; a fork bomb must not buy itself time with what it costs to look at it.
        std::sort(trees[i].begin(), trees[i].end(),
                  [](const Process &one, const Process &two) { return one.resident > two.resident; });
        const bool crowded = targets[i].taskLimit > 0 && samples[i].tasks >= targets[i].taskLimit;
        const qsizetype exact = std::min(crowded ? 0 : kExact, trees[i].size());
        QList<MemoryHints> hints;
        for (qsizetype n = 0; n < exact; ++n)
            hints << hintsOf(trees[i][n]);
        const QList<MemoryShare> shares = meter.sharesOf(targets[i].kernel, hints, targets[i].quiet);
        for (qsizetype n = 0; n < trees[i].size(); ++n) {
            const Process &process = trees[i][n];
            const MemoryShare share = n < exact ? shares[n] : MemoryShare();
            if (process.pid == targets[i].copy)
                addCopy(targets[i], share, baseline, samples[i]);
            else
                samples[i].memoryBytes += n < exact ? memoryOf(process, share, baseline) : std::max<qint64>(0, process.resident - baseline);
        }
    }
    meter.forgetOthers();
    return samples;
}

DiskSample sampleDisk(const TreeTarget &target)
{
    QElapsedTimer clock;
    clock.start();
    DiskSample sample;
    sample.began = std::chrono::steady_clock::now();
    sample.kernel = target.kernel;
    sample.pid = target.pid;
    for (const QByteArray &path : {target.workspace, target.scratch}) {
        if (!path.isEmpty())
            sample.use.add(AT_FDCWD, path.constData());
    }
    struct statvfs system{};
    if (!target.workspace.isEmpty() && ::statvfs(target.workspace.constData(), &system) == 0)
        sample.free = qint64(system.f_bavail) * qint64(system.f_frsize);
    sample.tookMs = clock.elapsed();
    return sample;
}

QList<pid_t> treeProcesses(const TreeTarget &target)
{
    QList<pid_t> found;
    const QList<Process> processes = allProcesses();
    const QHash<pid_t, qsizetype> owners = ownersOf(processes, {target});
    for (const Process &process : processes) {
        if (!process.zombie && owners.contains(process.pid))
            found.append(process.pid);
    }
    return found;
}

} // namespace power::supervisor
