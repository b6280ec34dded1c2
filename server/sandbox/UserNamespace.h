// `full` for a server that is not root: user and pid namespace per kernel, in which it may do what root may outside.
#pragma once
#include "sandbox/Apply.h"
#include <sys/types.h>

namespace power::sandbox {

// Puts the process into a user namespace of its own (its uid and gid are mapped to themselves, nothing else is) and
// its children to come into a pid namespace that belongs to it. There is no way back. The caller's supplementary
// groups stay: they cannot be given up here, and no path that they open is in sight once the root has changed.
// Needs to be dumpable for a moment, otherwise its maps would be root's; restores what it was.
// Thread: the only one. Failure names what forbids it (sysctl, AppArmor, a container's seccomp profile).
bool unshareUser(Failure &failure);

// fork(2) into a new user and pid namespace, where power-init (lifeline: see PidNamespace::enter) is the first process
// and the child the second. The caller stays outside, becomes the parent of both (it must be a child subreaper:
// PR_SET_CHILD_SUBREAPER) and reaps them with their own exit status. 0 in the child; in the caller the child's pid,
// or -1 with nothing left. The memory is copied once, as with fork(2), and no further process stays.
// Thread: the only one; runs the fork handlers of the libraries.
pid_t forkInUserNamespace(const std::string &initProgram, int lifeline, pid_t &init, Failure &failure);

} // namespace power::sandbox
