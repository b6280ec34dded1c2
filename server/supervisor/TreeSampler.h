// What the process trees of the sessions use, read from /proc and from their directories.
#pragma once
#include "base/DiskUse.h"
#include "supervisor/MemoryMeter.h"
#include <QByteArray>
#include <QHash>
#include <QList>
#include <chrono>
#include <sys/types.h>

namespace power::supervisor {

struct TreeTarget {
    quint64 kernel = 0;     // the caller's number
    pid_t pid = 0;
    pid_t initPid = 0;      // 0: none
    pid_t session = 0;      // session id of those that did not leave it; 0: none
    pid_t copy = 0;         // a checkpoint: not one of the session's processes, but its memory counts; 0: none
    qint64 faultsBefore = -1, residentBefore = 0; // of `pid` when the copy was made: page faults, private bytes
    quint32 uid = 0;
    bool ownUid = false;    // the uid belongs to this session alone: every process of it counts
    QByteArray workspace, scratch;
    int taskLimit = 0;      // trees at it are only counted: they are about to be ended
    bool skipMemory = false; // too early to count it
    bool quiet = false;      // nothing runs in it: its memory is counted when there is time for that
    // For the session's place on the processors, see CpuPlace.h: since the last sample of this `pid`.
    qint64 cpuBefore = -1;  // TreeSample::cpuMs of that; -1: there was none
    qint64 elapsedMs = 0, longestRunMs = 0;
    int nice = 0;
    QByteArray group;        // its control group, which has that niceness as well; empty: none
};

struct TreeSample {
    quint64 kernel = 0;
    pid_t pid = 0;          // of the target, when the sample was asked for
    qint64 memoryBytes = 0; // proportional where the system lets us read it, else estimated from private pages; -1: not asked for
    qint64 copyBytes = 0;   // of them: what would be free without the copy
    int processes = 0;      // living ones
    int tasks = 0;          // with their threads: what RLIMIT_NPROC counts
    qint64 cpuMs = 0;       // that its processes have run, and that the kernel has waited to run
    int nice = 0;           // the session's now
};

// What a session's directories take.
struct DiskSample {
    quint64 kernel = 0;
    pid_t pid = 0;         // of the target, when the sample was asked for
    DiskUse use;
    std::chrono::steady_clock::time_point began; // what a later run did is not in it
    qint64 free = -1;      // of the file system; -1: unknown
    qint64 tookMs = 0;
};

// One look at all targets, and their places on the processors set anew: about 30 us for each of their processes, or 20 for
// each of the machine where they have no pid namespaces, and what the meter takes, of which `forQuiet` at most for quiet
// ones (and one tree more).
// baseline: private bytes that a fresh kernel shares with the zygote, subtracted where only estimates can be read.
// Thread: any, one at a time with the same meter; called off the event loop.
QList<TreeSample> sampleTrees(const QList<TreeTarget> &targets, qint64 baseline, MemoryMeter &meter,
                              std::chrono::milliseconds forQuiet);

// Up to 2 s for the largest trees (DiskUse): apart from the passes over /proc, which watch the memory. Thread: any.
DiskSample sampleDisk(const TreeTarget &target);

// Process ids of the living (not zombie) processes of one target. Thread: any.
QList<pid_t> treeProcesses(const TreeTarget &target);

// Page faults of a process that needed no disk; -1 when it is gone. Each may have made one page its own.
qint64 minorFaults(pid_t pid);

// One "Name:  123 kB" line of /proc/<pid>/<file> in bytes; 0 when absent.
qint64 procKilobytes(pid_t pid, const char *file, const char *name);

} // namespace power::supervisor
