#include "sandbox/UserNamespace.h"
#include "sandbox/PidNamespace.h"
#include "sandbox/Sys.h"
#include <cerrno>
#include <csignal>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

std::string ownLine(std::uint32_t id)
{
    return std::to_string(id) + ' ' + std::to_string(id) + " 1";
}

bool mapOwnIds(std::uint32_t uid, std::uint32_t gid, Failure &failure)
{
    // Without this the system refuses a gid map to a user: giving up a group could open what the group is denied.
    if (!sys::writeFile("/proc/self/setgroups", "deny")) return sys::fail(failure, "user_namespace", "setgroups");
    if (!sys::writeFile("/proc/self/gid_map", ownLine(gid))) return sys::fail(failure, "user_namespace", "gid_map");
    return sys::writeFile("/proc/self/uid_map", ownLine(uid)) || sys::fail(failure, "user_namespace", "uid_map");
}

// What the helper leaves in the memory it shares with the caller. Volatile: written behind the compiler's back.
struct Birth {
    volatile pid_t init = 0, kernel = -1;
};

// In the helper. 0 in the kernel, otherwise the result is in `birth` and `failure`.
pid_t giveBirth(const std::string &initProgram, int lifeline, Birth &birth, Failure &failure)
{
    if (!unshareUser(failure)) return -1;
    int error = 0;
    const pid_t init = startInit(initProgram.c_str(), lifeline, error);
    if (init <= 0) {
        errno = error;
        sys::fail(failure, "power_init", initProgram);
        return -1;
    }
    birth.init = init;
    const pid_t kernel = ::fork();
    if (kernel < 0) {
        sys::fail(failure, "fork", "kernel");
        ::kill(init, SIGKILL); // its new parent reaps it
    }
    if (kernel != 0) birth.kernel = kernel;
    return kernel;
}

} // namespace

bool unshareUser(Failure &failure)
{
    const std::uint32_t uid = ::geteuid(), gid = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) return sys::fail(failure, "unshare", "user and pid namespace");
    const int dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    if (dumpable != 1) ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    const bool mapped = mapOwnIds(uid, gid, failure);
    if (dumpable != 1) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return mapped;
}

// A process that has entered a user namespace cannot leave it, and the zygote must not enter one: its kernels' pids are
// to be those of the server. So a helper enters it. Made by vfork it borrows the caller's memory (the caller stands still
// until it ends), so that its fork is a fork of the caller in all but the parent; by its end both processes pass to
// the caller, their nearest subreaper outside the namespace.
pid_t forkInUserNamespace(const std::string &initProgram, int lifeline, pid_t &init, Failure &failure)
{
    Birth birth;
    init = 0;
    const pid_t helper = ::vfork();
    if (helper == 0) {
        if (giveBirth(initProgram, lifeline, birth, failure) == 0) return 0; // the kernel, in memory of its own
        ::_exit(0);
    }
    if (helper < 0) {
        sys::fail(failure, "fork", "helper");
        return -1;
    }
    while (::waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (birth.kernel > 0) {
        init = birth.init;
        return birth.kernel;
    }
    if (birth.init > 0) {
        while (::waitpid(birth.init, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    return -1;
}

} // namespace power::sandbox
