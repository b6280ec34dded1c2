// The memory counters the system keeps of one process.
#pragma once
#include <QtGlobal>
#include <sys/types.h>

namespace power::supervisor {

struct ProcMemory {
    pid_t pid = 0;       // 0: it was gone
    qint64 own = 0;      // bytes: anonymous and shared memory, pages shared with the zygote among them
    qint64 resident = 0; // with the pages of files
    qint64 highest = 0;  // the most that was resident since its start
};

// One read of /proc/<pid>/status, about 10 us. Thread: any.
ProcMemory procMemory(pid_t pid);

// The most of its own that the process had during a run that ended as `now`: what it has, and when its highest point was
// passed since `highestBefore`, what it has given back since. `shared`: bytes of the zygote's in it; `exact`: what it has,
// where that is known better.
qint64 peakOf(const ProcMemory &now, qint64 highestBefore, qint64 shared, qint64 exact = 0);

} // namespace power::supervisor
