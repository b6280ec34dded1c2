#include "sandbox/UserNamespace.h"
#include "sandbox/PidNamespace.h"
#include "sandbox/Sys.h"
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <sched.h>
#include <sys/mman.h>
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

constexpr std::size_t kHelperStack = 64 * 1024; // bytes

// What the caller and its helper share. Volatile: the helper writes behind the caller's back.
struct Birth {
    const std::string &initProgram;
    int lifeline;
    Failure &failure;
    std::jmp_buf inCaller;
    volatile pid_t init = 0, kernel = -1;
};

// The helper's life; of its fork, the kernel, only the jump back into the caller's frames (a copy of them).
int giveBirth(void *argument)
{
    Birth &birth = *static_cast<Birth *>(argument);
    if (!unshareUser(birth.failure)) return 0;
    int error = 0;
    const pid_t init = startInit(birth.initProgram.c_str(), birth.lifeline, error);
    if (init <= 0) {
        errno = error;
        sys::fail(birth.failure, "power_init", birth.initProgram);
        return 0;
    }
    birth.init = init;
    const pid_t kernel = ::fork();
    if (kernel == 0) std::longjmp(birth.inCaller, 1);
    if (kernel < 0) {
        sys::fail(birth.failure, "fork", "kernel");
        ::kill(init, SIGKILL); // its new parent reaps it
    }
    birth.kernel = kernel;
    return 0;
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
// to be those of the server. So a helper enters it. It borrows the caller's memory (the caller stands still until it
// ends), so that its fork is a fork of the caller in all but the parent; by its end both processes pass to the caller,
// their nearest subreaper outside the namespace. It runs on a stack of its own: on the caller's it would write over
// what the compiler keeps there.
pid_t forkInUserNamespace(const std::string &initProgram, int lifeline, pid_t &init, Failure &failure)
{
    init = 0;
    void *stack = ::mmap(nullptr, kHelperStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        sys::fail(failure, "mmap", "stack of the helper");
        return -1;
    }
    Birth birth{initProgram, lifeline, failure, {}};
    if (setjmp(birth.inCaller) != 0) { // the kernel, in memory of its own
        ::munmap(stack, kHelperStack);
        return 0;
    }
    const pid_t helper = ::clone(giveBirth, static_cast<char *>(stack) + kHelperStack, CLONE_VM | CLONE_VFORK | SIGCHLD, &birth);
    if (helper < 0) sys::fail(failure, "fork", "helper");
    while (helper > 0 && ::waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
    }
    ::munmap(stack, kHelperStack);
    if (birth.kernel > 0) {
        init = birth.init;
        return birth.kernel;
    }
    while (birth.init > 0 && ::waitpid(birth.init, nullptr, 0) < 0 && errno == EINTR) {
    }
    return -1;
}

} // namespace power::sandbox
