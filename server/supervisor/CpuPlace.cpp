#include "supervisor/CpuPlace.h"
#include "supervisor/Fd.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::supervisor {

namespace {
constexpr qint64 kLongRun = 100, kShortRun = 50; // ms
constexpr std::uint64_t kShortTurn = 100'000;     // ns, the least that the system takes

// struct sched_attr of sched_setattr(2) in its first size; libc has none before glibc 2.41.
struct SchedulerAttributes {
    std::uint32_t size = sizeof(SchedulerAttributes), policy = 0; // SCHED_OTHER
    std::uint64_t flags = 1;                                      // SCHED_FLAG_RESET_ON_FORK
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0, deadline = 0, period = 0;
};
} // namespace

int niceFor(int present, const CpuDemand &demand)
{
    if (demand.elapsedMs <= 0)
        return present;
    const bool background = demand.longestRunMs == 0;
    if (demand.wantedMs * 4 >= demand.elapsedMs && (background || demand.longestRunMs >= kLongRun))
        return kComputingNice;
    if (demand.wantedMs * 10 < demand.elapsedMs || (!background && demand.longestRunMs < kShortRun))
        return kAtRestNice;
    return present;
}

int niceOfEach(int nice, qsizetype sessions)
{
    constexpr double kStep = 1.25; // of the weights of neighbouring levels (sched(7))
    for (double rest = double(sessions); rest > 1 && nice < 19; rest /= kStep)
        ++nice;
    return nice;
}

void placeTree(const QList<pid_t> &oneOfEachSession, int nice)
{
    const int each = niceOfEach(nice, oneOfEachSession.size());
    for (const pid_t pid : oneOfEachSession) {
        char path[64], text[64] = {};
        std::snprintf(path, sizeof path, "/proc/%d/autogroup", int(pid));
        const Fd file(::open(path, O_RDWR | O_CLOEXEC));
        if (!file || ::pread(file.get(), text, sizeof text - 1, 0) <= 0)
            continue;
        const char *said = std::strstr(text, "nice "); // "/autogroup-123 nice 10"
        if (!said || std::atoi(said + 5) == each)
            continue;
        const int size = std::snprintf(text, sizeof text, "%d", each);
        (void)!::write(file.get(), text, std::size_t(size));
    }
}

bool takeShortTurns()
{
    SchedulerAttributes asked;
    asked.nice = ::getpriority(PRIO_PROCESS, 0);
    asked.runtime = kShortTurn;
    SchedulerAttributes got;
    return ::syscall(SYS_sched_setattr, 0, &asked, 0) == 0 && ::syscall(SYS_sched_getattr, 0, &got, sizeof got, 0) == 0 &&
           got.runtime == kShortTurn;
}

} // namespace power::supervisor
