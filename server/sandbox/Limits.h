// What one process may use, and its place among the others of the machine.
#pragma once
#include "sandbox/Apply.h"

namespace power::sandbox {

// Joins the cgroup (if any), becomes the leader of a session and process group of its own, nice 10 (for the autogroup
// as well, which setsid would otherwise free from it), first for the OOM killer. Needs the host's /proc still.
bool takePlace(const Plan &plan, Failure &failure);

// Soft = hard, never above the hard limit already in force. No core files.
// In `nonroot` the process limit counts from what the user runs already, because the server shares the user.
bool applyLimits(const Plan &plan, Failure &failure);

} // namespace power::sandbox
