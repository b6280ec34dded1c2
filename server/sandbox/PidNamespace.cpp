#include "sandbox/PidNamespace.h"
#include "sandbox/Sys.h"
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

constexpr int kLifelineOfInit = 3;

} // namespace

// vfork, because the zygote is large: a fork would copy its page tables only to throw them away at exec.
// The child shares this memory until then, so it makes system calls only.
pid_t startInit(const char *program, int lifeline, int &error)
{
    char name[] = "power-init";
    char *const arguments[] = {name, nullptr};
    char *const environment[] = {nullptr};
    volatile int childError = 0;
    const pid_t pid = ::vfork();
    if (pid == 0) {
        const int moved = lifeline == kLifelineOfInit ? ::fcntl(lifeline, F_SETFD, 0) : ::dup2(lifeline, kLifelineOfInit);
        if (moved < 0) {
            childError = errno;
            ::_exit(127);
        }
        ::close_range(0, 2, 0);
        ::close_range(kLifelineOfInit + 1, ~0u, 0);
        ::execve(program, arguments, environment);
        childError = errno;
        ::_exit(127);
    }
    error = pid < 0 ? errno : childError;
    if (pid > 0 && childError) {
        ::waitpid(pid, nullptr, 0);
        return -1;
    }
    return pid;
}

PidNamespace::~PidNamespace()
{
    if (m_own >= 0) ::close(m_own);
}

bool PidNamespace::open(Failure &failure)
{
    if (m_own >= 0) return true;
    m_own = ::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    return m_own >= 0 || sys::fail(failure, "pid_namespace", "/proc/self/ns/pid");
}

pid_t PidNamespace::enter(const std::string &initProgram, int lifeline, Failure &failure)
{
    if (::unshare(CLONE_NEWPID) != 0) {
        sys::fail(failure, "unshare", "pid namespace");
        return -1;
    }
    int error = 0;
    const pid_t pid = startInit(initProgram.c_str(), lifeline, error);
    if (pid > 0) return pid;
    Failure ignored;
    leave(ignored);
    errno = error;
    sys::fail(failure, "power_init", initProgram);
    return -1;
}

bool PidNamespace::leave(Failure &failure)
{
    return ::setns(m_own, CLONE_NEWPID) == 0 || sys::fail(failure, "setns", "own pid namespace");
}

} // namespace power::sandbox
