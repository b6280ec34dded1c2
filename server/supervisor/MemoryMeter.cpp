#include "supervisor/MemoryMeter.h"
#include "supervisor/Fd.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <limits>
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

bool MemoryMeter::isDue(const Count &count, const QList<MemoryHints> &now)
{
    if (!count.since.isValid() || count.processes.size() != now.size())
        return true;
    static const qint64 page = ::sysconf(_SC_PAGESIZE);
    qint64 total = 0, grown = 0, changed = 0;
    for (const MemoryHints &hints : now) {
        const auto known = count.processes.constFind(hints.pid);
        if (known == count.processes.cend() || known->at.born != hints.born || !known->share.exact)
            return true;
        const qint64 more = hints.resident - known->at.resident;
        total += known->share.bytes;
        grown += more;
        changed += std::max(std::abs(more), (hints.faults - known->at.faults) * page);
    }
    const qint64 age = count.since.elapsed();
    return age >= kLongest
           || (changed > std::max(kSmallChange, total / 32) && (age > count.cost * kRestPerCost || grown > total / 8));
}

QList<MemoryShare> MemoryMeter::carriedOn(const Count &count, const QList<MemoryHints> &now)
{
    QList<MemoryShare> shares;
    for (const MemoryHints &hints : now) {
        const auto known = count.processes.constFind(hints.pid);
        if (known == count.processes.cend() || known->at.born != hints.born || !known->share.exact) {
            shares << MemoryShare();
            continue;
        }
        const qint64 grown = hints.resident - known->at.resident;
        shares << MemoryShare{std::max<qint64>(0, known->share.bytes + grown), std::max<qint64>(0, known->share.own + grown), true};
    }
    return shares;
}

void MemoryMeter::beginPass(std::chrono::milliseconds forQuiet)
{
    m_left = std::chrono::microseconds(forQuiet).count();
}

QList<MemoryShare> MemoryMeter::sharesOf(quint64 tree, const QList<MemoryHints> &now, bool quiet)
{
    Count &count = m_counts[tree];
    count.asked.start();
    if (!isDue(count, now) || (quiet && m_left <= 0))
        return carriedOn(count, now);
    QElapsedTimer clock;
    clock.start();
    QList<MemoryShare> shares;
    count.processes.clear();
    for (const MemoryHints &hints : now) {
        shares << countedShare(hints.pid);
        count.processes.insert(hints.pid, {hints, shares.last()});
    }
    count.cost = clock.elapsed();
    count.since.start();
    if (quiet)
        m_left -= clock.nsecsElapsed() / 1000;
    return shares;
}

qint64 MemoryMeter::ageOf(quint64 tree) const
{
    const auto count = m_counts.constFind(tree);
    return count == m_counts.cend() || !count->since.isValid() ? std::numeric_limits<qint64>::max() : count->since.elapsed();
}

void MemoryMeter::forgetOthers()
{
    for (auto count = m_counts.begin(); count != m_counts.end();)
        count = count->asked.elapsed() > kForgotten ? m_counts.erase(count) : std::next(count);
}

} // namespace power::supervisor
