// The end of a kernel's whole process tree, whatever user code started in it.
#pragma once
#include "sandbox/Apply.h"
#include <set>
#include <sys/types.h>

namespace power::sandbox {

struct Tree {
    Tier tier = Tier::None;
    pid_t init = 0;        // full: from PidNamespace::enter
    pid_t kernel = 0;      // as the caller sees it; leader of its process group after apply()
    std::uint32_t uid = 0; // container: the session's own
};

// SIGKILL to every process of the tree; at most a few milliseconds, waits for none of them. init and kernel must be
// children of the caller that it has not reaped yet (so that their pids are still theirs).
//   full       the namespace dies with its init, in one step
//   container  everything of the uid, in one step, a fork bomb as well
//   nonroot    descendants, and whatever carries the mark of the kernel (Limits.h), orphans in sessions of their own as
//              well; scans /proc. With a kernel that is already reaped it still finds its orphans.
bool killTree(const Tree &tree, Failure &failure);

// SIGKILL to everything of a session's uid. Needs CAP_SETUID and CAP_KILL. Refuses uid 0 and the caller's own.
bool killUser(std::uint32_t uid, Failure &failure);

// Before a uid is given to another session, and at the server's start for its uid range: kills everything of the uid,
// waits until it is dead (at most `waitMs`; zombies count as dead), then removes what it owns in /dev/shm and /tmp.
// Gives the number of processes still alive, -1 on failure. Zombies are the subreaper's to reap.
int sweepUid(std::uint32_t uid, int waitMs, Failure &failure);

// sweepUid for those of `uids` that own a process or something in /dev/shm or /tmp: what the sessions of a server that
// died without a word left. One pass over /proc when there is nothing. Gives the number of processes still alive
// after at most waitMs for each uid, -1 on failure.
int sweepUids(const std::set<std::uint32_t> &uids, int waitMs, Failure &failure);

} // namespace power::sandbox
