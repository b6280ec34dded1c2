#include "supervisor/MemoryBudget.h"
#include <QByteArray>
#include <QFile>
#include <algorithm>
#include <unistd.h>

namespace power::supervisor {

namespace {
QByteArray contents(const QByteArray &path)
{
    QFile file(QString::fromLocal8Bit(path));
    return file.open(QIODevice::ReadOnly) ? file.readAll().trimmed() : QByteArray();
}

// Limits of all levels above a cgroup count: the smallest one rules.
qint64 smallestLimit(const QByteArray &mount, QByteArray path, const char *file, qint64 best)
{
    for (;;) {
        bool ok = false;
        const qint64 limit = contents(mount + path + '/' + file).toLongLong(&ok);
        if (ok && limit > 0)
            best = std::min(best, limit);
        const qsizetype cut = path.lastIndexOf('/');
        if (cut < 0)
            return best;
        path.truncate(cut);
    }
}
} // namespace

qint64 machineMemoryBytes()
{
    qint64 best = qint64(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
    const QByteArray groups = contents("/proc/self/cgroup");
    for (const QByteArray &line : groups.split('\n')) {
        const qsizetype path = line.lastIndexOf(':');
        if (line.startsWith("0::"))
            best = smallestLimit("/sys/fs/cgroup", line.mid(path + 1), "memory.max", best);
        else if (line.contains(":memory:"))
            best = smallestLimit("/sys/fs/cgroup/memory", line.mid(path + 1), "memory.limit_in_bytes", best);
    }
    return best;
}

qint64 kernelMemoryBudget(qint64 configured)
{
    if (configured > 0)
        return configured;
    const qint64 machine = machineMemoryBytes();
    const qint64 reserve = std::clamp<qint64>(machine / 10, 512ll << 20, 4ll << 30);
    return std::max(machine - reserve, machine / 2);
}

} // namespace power::supervisor
