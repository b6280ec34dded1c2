// The system calls user code may make: an allowlist with EPERM for the rest, ENOSYS where libraries know a way
// without the call, and the end of the process for calls of a foreign architecture.
#pragma once
#include "sandbox/Apply.h"
#include <linux/filter.h>
#include <vector>

namespace power::sandbox {

// Which program a plan gets. Full has a network namespace and private paths around it, so sockets of the families
// unix, inet and inet6 lead nowhere; Container has no AF_UNIX by name and no memfd (memory no limit counts);
// ContainerUnix (render worker) has AF_UNIX and memfd. NonRoot is Container for a process that shares the server's user: what
// the system allows among processes and files of one user and Landlock does not check is closed as well.
enum class PolicyKind { Full, Container, ContainerUnix, NonRoot, NonRootUnix };
inline constexpr int kPolicyKinds = 5;
PolicyKind policyFor(const Plan &plan);

using Program = std::vector<sock_filter>;

// Builds one program with libseccomp (about 1 ms). Done once, in the zygote.
bool buildPolicy(PolicyKind kind, Program &out, Failure &failure);

// Loads a built program. PR_SET_NO_NEW_PRIVS must be set. From here on every call of the process is checked.
bool loadPolicy(const Program &program, Failure &failure);

} // namespace power::sandbox
