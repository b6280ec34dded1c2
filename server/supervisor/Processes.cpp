#include "supervisor/Processes.h"
#include "supervisor/Fd.h"
#include <QHash>
#include <QSet>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace power::supervisor {

namespace {
bool readProcess(pid_t pid, Process &out)
{
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/stat", int(pid));
    const QByteArray stat = readProcFile(path);
    const qsizetype name = stat.lastIndexOf(')'); // the name may hold anything
    if (name < 0)
        return false;
    char state = 0;
    int parent = 0, group = 0, session = 0, threads = 0;
    long resident = 0;
    unsigned long long born = 0;
    long long faults = 0, user = 0, system = 0, childrenUser = 0, childrenSystem = 0;
    // After the name: state ppid pgrp session tty tpgid flags 4 faults 4 times priority nice num_threads 0 start vsize rss
    if (std::sscanf(stat.constData() + name + 1,
                    " %c %d %d %d %*d %*d %*u %lld %*u %*u %*u %lld %lld %lld %lld %*d %*d %d %*d %llu %*u %ld", &state, &parent, &group,
                    &session, &faults, &user, &system, &childrenUser, &childrenSystem, &threads, &born, &resident) != 12)
        return false;
    static const long ticks = ::sysconf(_SC_CLK_TCK);
    std::snprintf(path, sizeof path, "/proc/%d/status", int(pid));
    const QByteArray status = readProcFile(path);
    const qsizetype uid = status.indexOf("\nUid:");
    if (uid < 0)
        return false;
    out = {pid, parent, group, session, quint32(std::strtoul(status.constData() + uid + 5, nullptr, 10)), threads, born,
           qint64(resident) * ::sysconf(_SC_PAGESIZE), faults, (user + system + childrenUser + childrenSystem) * 1000 / ticks,
           state == 'Z' || state == 'X'};
    return true;
}

// The children that one thread made; none when it is gone.
void addChildren(const char *path, QList<pid_t> &children)
{
    const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    if (!file)
        return;
    QByteArray text;
    char bytes[4096];
    for (ssize_t size; (size = ::read(file.get(), bytes, sizeof bytes)) > 0;)
        text.append(bytes, size);
    for (const char *at = text.constData(), *end = at + text.size(); at < end;) {
        char *next = nullptr;
        const long pid = std::strtol(at, &next, 10);
        if (next == at)
            break;
        children << pid_t(pid);
        at = next + std::strspn(next, " ");
    }
}

QList<pid_t> childrenOf(const Process &process)
{
    QList<pid_t> children;
    char path[64];
    if (process.tasks <= 1) {
        std::snprintf(path, sizeof path, "/proc/%d/task/%d/children", int(process.pid), int(process.pid));
        addChildren(path, children);
        return children;
    }
    std::snprintf(path, sizeof path, "/proc/%d/task", int(process.pid));
    DIR *directory = ::opendir(path);
    if (!directory)
        return children;
    while (const dirent *entry = ::readdir(directory)) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        std::snprintf(path, sizeof path, "/proc/%d/task/%d/children", int(process.pid), std::atoi(entry->d_name));
        addChildren(path, children);
    }
    ::closedir(directory);
    return children;
}

bool listsChildren()
{
    static const bool lists = [] {
        char path[64];
        std::snprintf(path, sizeof path, "/proc/self/task/%d/children", int(::getpid()));
        return ::access(path, R_OK) == 0;
    }();
    return lists;
}

QList<Process> outOfAll(const QList<pid_t> &roots)
{
    QMultiHash<pid_t, Process> byParent;
    QList<Process> found;
    for (const Process &process : allProcesses()) {
        if (roots.contains(process.pid))
            found << process;
        else
            byParent.insert(process.parent, process);
    }
    for (qsizetype at = 0; at < found.size(); ++at)
        found << byParent.values(found.at(at).pid);
    return found;
}
} // namespace

QByteArray readProcFile(const char *path)
{
    const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    if (!file)
        return {};
    char bytes[4096];
    const ssize_t size = ::read(file.get(), bytes, sizeof bytes - 1);
    return size > 0 ? QByteArray(bytes, size) : QByteArray();
}

QList<Process> allProcesses()
{
    QList<Process> all;
    DIR *directory = ::opendir("/proc");
    if (!directory)
        return all;
    while (const dirent *entry = ::readdir(directory)) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        Process process;
        if (readProcess(pid_t(std::atoi(entry->d_name)), process))
            all.append(process);
    }
    ::closedir(directory);
    return all;
}

QList<Process> processesBelow(const QList<pid_t> &roots)
{
    if (!listsChildren())
        return outOfAll(roots);
    QList<Process> found;
    QSet<pid_t> seen;
    for (const pid_t root : roots) {
        QList<pid_t> waiting{root};
        while (!waiting.isEmpty()) {
            const pid_t pid = waiting.takeLast();
            Process process;
            if (pid <= 0 || seen.contains(pid) || !readProcess(pid, process))
                continue;
            seen.insert(pid);
            found << process;
            waiting << childrenOf(process);
        }
    }
    return found;
}

} // namespace power::supervisor
