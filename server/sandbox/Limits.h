// What one process may use, and its place among the others of the machine.
#pragma once
#include "sandbox/Apply.h"
#include "sandbox/Sys.h"
#include <sys/types.h>

namespace power::sandbox {

// Joins the cgroup (if any), becomes the leader of a session and process group of its own, first for the OOM killer.
// Needs the host's /proc. autogroup: opened for beNice, when the session is the process's own and the file is there.
bool takePlace(const Plan &plan, sys::Fd &autogroup, Failure &failure);

// Nice 10, and 5 for the autogroup, which a session of its own would otherwise free from it. Apart from takePlace,
// because what remains to be set up is slow for a process that stands behind all others; needs root still (the
// system takes only ten such changes a second from users).
void beNice(const sys::Fd &autogroup);

// Soft = hard, never above the hard limit already in force. No core files.
// In `nonroot` the process limit counts from what the user runs already, because the server shares the user.
bool applyLimits(const Plan &plan, Failure &failure);

// Where no uid and no namespace tells whose a process is (nonroot, none), applyLimits() writes the kernel's pid into a
// limit that the system no longer uses (file locks): every descendant inherits it, whatever session or parent it has,
// and the system call policy of nonroot refuses to change it. 0 when the process has no mark or is gone.
std::uint64_t treeMark(pid_t process);
// The mark that the process `kernel` gives itself.
std::uint64_t treeMarkFor(pid_t kernel);

} // namespace power::sandbox
