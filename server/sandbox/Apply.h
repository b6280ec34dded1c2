// Puts a Plan into force, in the order of the design: place (cgroup, nice), namespaces, mounts, limits, ids and
// capabilities, Landlock, seccomp last. Nothing here allocates Python objects or needs it.
#pragma once
#include "sandbox/Plan.h"
#include <string>
#include <vector>

namespace power::sandbox {

struct StepTime {
    const char *step;
    std::int64_t microseconds;
};

struct Failure {
    std::string step; // "landlock_restrict_self"
    int error = 0;    // errno
    std::string text; // step, what it was about, and the error in words
};

// In the zygote, once, before any fork: builds the seccomp programs (about 4 ms). Null + failure when libseccomp
// cannot. Normally kept as long as the process lives.
class Prepared;
Prepared *prepare(Failure &failure);
void release(Prepared *prepared);

// In the freshly forked child (single-threaded, still privileged in full and container). On success the process
// is confined for good: umask 022 (007 under a uid and gid of the session's own), leader of its own session and process
// group, working directory = the workspace (by workspaceInside where that path leads to it). On failure it must _exit: it may be half confined.
// `full`: the child must be in a pid namespace made by PidNamespace::enter, with userNamespace by forkInUserNamespace. No PR_SET_PDEATHSIG is set.
// Tier None: limits, capabilities and working directory only, no wall.
// Thread: the only one.
bool apply(const Plan &plan, const Prepared &prepared, std::vector<StepTime> &times, Failure &failure);

// After apply(): descriptors (close-on-exec) to leave open as long as the process lives; none in `full`. Outside it the
// right to read the process's own entries in /proc ends when they are closed.
const std::vector<int> &keptDescriptors();

} // namespace power::sandbox
