// Starts the server's own helper programs: clean environment, one inherited descriptor, nothing else.
#pragma once
#include "base/Error.h"
#include "supervisor/Fd.h"
#include <QByteArrayList>
#include <QString>
#include <sys/types.h>

namespace power::supervisor {

struct ChildStart {
    QString program;
    QByteArrayList arguments;    // without the program's name
    QByteArrayList environment;  // "NAME=value": the whole environment of the child
    int control = -1;            // becomes descriptor 3 of the child; -1: none
    int output = -1;             // becomes its stdout; -1: the server's stderr
};

struct Child {
    pid_t pid = 0;
    Fd pidfd;
};

// Executes the program in a session of its own (a Ctrl-C at the server's terminal does not reach it) with default
// signal handling, stdin from /dev/null, stderr of the server and no descriptor above 3. Error: Unavailable.
Result<Child> startChild(const ChildStart &start);

// The environment of every helper: nothing of the server's own goes in.
QByteArrayList helperEnvironment();

// pidfd_open(2); an empty Fd when the process is gone.
Fd openPidfd(pid_t pid);
// SIGKILL and the like by pidfd: never hits a reused pid.
void signalPidfd(const Fd &pidfd, int signal);
// The process is gone (a zombie counts as that).
bool hasEnded(const Fd &pidfd);

} // namespace power::supervisor
