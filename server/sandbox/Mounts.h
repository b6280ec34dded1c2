// The private root of a `full` sandbox: what is not put there does not exist for the process.
#pragma once
#include "sandbox/Apply.h"

namespace power::sandbox {

// In a process that is already in a pid namespace of its own: new mount, network, ipc, uts and cgroup namespaces and a
// new host name; loopback is brought up.
bool enterNamespaces(Failure &failure);

// Private root of tmpfs with read-only binds of the system, the workspace, /tmp, /dev, /proc; then pivot_root.
// Working directory afterwards: "/". Needs CAP_SYS_ADMIN in the mount namespace's user namespace.
bool buildRoot(const Plan &plan, Failure &failure);

} // namespace power::sandbox
