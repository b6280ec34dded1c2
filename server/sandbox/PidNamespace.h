// The zygote's side of `full`: one pid namespace per kernel, with power-init as its first process.
#pragma once
#include "sandbox/Apply.h"
#include <sys/types.h>

namespace power::sandbox {

// Use: open() once; then per kernel enter(), plain fork() (the child is the kernel: sibling of init, inside the
// namespace), leave(). The caller reaps init and kernel, both its children.
// Thread: the only one of the process (unshare and setns are refused otherwise).
class PidNamespace
{
public:
    PidNamespace() = default;
    ~PidNamespace();
    PidNamespace(const PidNamespace &) = delete;
    PidNamespace &operator=(const PidNamespace &) = delete;

    // Remembers the namespace of the process.
    bool open(Failure &failure);

    // Makes a new namespace for the children to come and starts power-init in it. lifeline: the read end of a pipe
    // (or a socket) whose other end only the server holds; init ends at its end of file, and all of the namespace
    // with it. Gives init's pid as the caller sees it, -1 on failure (the process is back in its own namespace then).
    pid_t enter(const std::string &initProgram, int lifeline, Failure &failure);

    // Children are made in the own namespace again.
    bool leave(Failure &failure);

private:
    int m_own = -1;
};

// The part of enter() that starts power-init, in the pid namespace children are made in. -1 + errno in `error`.
pid_t startInit(const char *program, int lifeline, int &error);

} // namespace power::sandbox
