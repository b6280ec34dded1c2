#include "supervisor/MemoryMeter.h"
#include "supervisor/Fd.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace power::supervisor {

namespace {
constexpr qint64 kSmallChange = 4 << 20, kRestPerCost = 20;
constexpr qint64 kLongest = 20'000, kForgotten = 60'000; // ms

MemoryShare countedShare(pid_t pid)
{
    char path[64], text[4096] = {};
    std::snprintf(path, sizeof path, "/proc/%d/smaps_rollup", int(pid));
    const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    // Root without CAP_SYS_PTRACE, as in a container, may open it and not read it.
    if (!file || ::read(file.get(), text, sizeof text - 1) <= 0)
        return {};
    const auto bytes = [&text](const char *name) {
        const char *at = std::strstr(text, name);
        return at ? std::strtoll(at + std::strlen(name), nullptr, 10) * 1024 : 0;
    };
    MemoryShare share{bytes("\nPss:"), bytes("\nPrivate_Clean:") + bytes("\nPrivate_Dirty:"), false};
    share.exact = share.bytes > 0;
    return share;
}
} // namespace

MemoryShare MemoryMeter::shareOf(const MemoryHints &now)
{
    Count &count = m_counts[now.pid];
    count.asked.start();
    if (count.since.isValid() && count.at.born == now.born && count.share.exact) {
        static const qint64 page = ::sysconf(_SC_PAGESIZE);
        const qint64 grown = now.resident - count.at.resident, age = count.since.elapsed();
        const qint64 changed = std::max(std::abs(grown), (now.faults - count.at.faults) * page);
        const bool due = changed > std::max(kSmallChange, count.share.bytes / 32)
                         && (age > count.cost * kRestPerCost || grown > count.share.bytes / 8);
        if (!due && age < kLongest)
            return {std::max<qint64>(0, count.share.bytes + grown), std::max<qint64>(0, count.share.own + grown), true};
    }
    QElapsedTimer clock;
    clock.start();
    count.share = countedShare(now.pid);
    count.at = now;
    count.cost = clock.elapsed();
    count.since.start();
    return count.share;
}

void MemoryMeter::forgetOthers()
{
    for (auto count = m_counts.begin(); count != m_counts.end();)
        count = count->asked.elapsed() > kForgotten ? m_counts.erase(count) : std::next(count);
}

} // namespace power::supervisor
