// What /proc says of processes: of all the machine's, or of those below a few.
#pragma once
#include <QByteArray>
#include <QList>
#include <sys/types.h>

namespace power::supervisor {

struct Process {
    pid_t pid = 0, parent = 0, group = 0, session = 0;
    quint32 uid = 0;
    int tasks = 0;
    quint64 born = 0;      // start time: a process id may come again
    qint64 resident = 0;   // bytes
    qint64 faults = 0;     // that needed no disk
    qint64 cpuMs = 0;      // with the children it has waited for
    bool zombie = false;
};

// About 20 us for each process of the machine. Thread: any.
QList<Process> allProcesses();

// The roots that live, and all that descends from them: about 30 us for each of these and nothing for the machine's others.
// Children of a process that ends meanwhile are found below the root they go to when that root comes after the others in
// `roots`: the first process of a pid namespace belongs at the end. Where the system does not list children
// (CONFIG_PROC_CHILDREN), the same out of all processes, without those that have lost their parents. Thread: any.
QList<Process> processesBelow(const QList<pid_t> &roots);

// The beginning (4 KiB) of a small file of /proc; empty when the process is gone. Thread: any.
QByteArray readProcFile(const char *path);

} // namespace power::supervisor
