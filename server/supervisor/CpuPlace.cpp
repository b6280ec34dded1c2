#include "supervisor/CpuPlace.h"
#include "supervisor/Fd.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace power::supervisor {

namespace {
constexpr qint64 kLongRun = 100, kShortRun = 50; // ms
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

} // namespace power::supervisor
