// Landlock rules of a plan: which paths the process may reach, no TCP, no signals and abstract sockets out of it.
#pragma once
#include "sandbox/Apply.h"

namespace power::sandbox {

// Highest ABI this code knows (all rights of it are handled).
inline constexpr int kLandlockNewest = 8;

// ABI of the running kernel, 0 without Landlock.
int landlockKernelAbi();

// Builds the rules from the paths as they are seen now (in `full`: inside the new root) and enforces them.
// Paths of the list that do not exist are left out; the workspace must exist. PR_SET_NO_NEW_PRIVS must be set.
// kept: descriptors of the process's own entries in /proc, outside `full`: a rule on one lasts only while the system
// remembers the entry, and an open descriptor makes it.
bool applyLandlock(const Plan &plan, std::vector<int> &kept, Failure &failure);

} // namespace power::sandbox
