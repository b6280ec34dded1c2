// Puts a Plan into force, in the order of the design: namespaces, mounts, limits, ids and capabilities,
// Landlock, seccomp last. Nothing here allocates Python objects or needs it.
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
    std::string text;
};

// In the zygote, once, before any fork: builds the seccomp programs and opens what children need.
class Prepared;
Prepared *prepare(Failure &failure);

// In the freshly forked child (single-threaded, still privileged in full and container). On success the process
// is confined for good. On failure it must _exit: it may be half confined.
// Thread: the only one.
bool apply(const Plan &plan, const Prepared &prepared, std::vector<StepTime> &times, Failure &failure);

} // namespace power::sandbox
