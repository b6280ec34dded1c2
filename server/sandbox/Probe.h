// Which tier this machine offers, found by doing: forks children that try each layer for real.
#pragma once
#include "sandbox/Plan.h"
#include <string>

namespace power::sandbox {

struct ProbeResult {
    Tier best = Tier::None;
    int landlockAbi = 0;
    bool seccomp = false, canSetuid = false, canMount = false, canPidNamespace = false, canNetNamespace = false,
         canUserNamespace = false, cgroupWritable = false;
    std::string reason; // why not a higher tier, one sentence
    std::string toJson() const;
};

// landlockCap: -1 = newest. forced: the tier to check instead of the best one (the answer's `best` is it, or None
// with the reason). Takes about 20 ms. Leaves nothing behind.
ProbeResult probe(int landlockCap, const Tier *forced);

} // namespace power::sandbox
