// Starts a program as another user, in its own session, and tells when it ends.
#pragma once
#include "base/Error.h"
#include "base/OneShot.h"
#include <QStringList>
#include <sys/types.h>

namespace power::storage {

struct SpawnPlan {
    QString program;
    QStringList arguments;
    QStringList environment;   // NAME=value; nothing is inherited
    uid_t uid = 0;             // ours unless we are root
    gid_t gid = 0;
    int directory = -1;        // becomes the working directory, and descriptor 9 of the program
    int output = -1;           // stdout and stderr
    qint64 dataBytes = 0;      // what each of its processes may have for itself (RLIMIT_DATA); 0 = as we
};

// Forks and execs. The child is in a session of its own, so it outlives this process and its terminal.
// Error: Unavailable with the step that failed.
Result<pid_t> spawn(const SpawnPlan &plan);

// Resolves with the exit status as of waitpid (0 when the process is not our child) once `pid` has ended.
// At once when it does not exist. Thread: the event loop's.
OneShot<int> whenEnded(pid_t pid);

} // namespace power::storage
