// Which tier this machine offers, found by doing: forks children that try each layer for real.
#pragma once
#include "sandbox/Plan.h"
#include <string>

namespace power::sandbox {

struct ProbeResult {
    Tier best = Tier::None;
    int landlockAbi = 0; // to be used: what the kernel has, at most landlockCap and the newest this code knows
    bool seccomp = false, canSetuid = false, canMount = false, canPidNamespace = false, canNetNamespace = false,
         canUserNamespace = false;
    bool userNamespace = false; // `full` stands in user namespaces, because the server is not root: Plan::userNamespace
    std::string reason; // why not a higher tier, one sentence; empty for full, unless it stands in user namespaces
    std::string toJson() const;
};

// landlockCap: -1 = newest. forced: the tier to check instead of the best one (the answer's `best` is it, or None
// with the reason). A tier counts when a whole sandbox of it was put up in a child and held against a handful of
// attempts from inside. Takes about 20 ms. Leaves nothing behind.
// Thread: the only one of the process (it forks without exec).
ProbeResult probe(int landlockCap, const Tier *forced);

} // namespace power::sandbox
