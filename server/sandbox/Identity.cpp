#include "sandbox/Identity.h"
#include "sandbox/Sys.h"
#include <cerrno>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

constexpr unsigned long kCapabilities = 64; // one past the highest the interface can carry

bool dropBoundingSet(bool must, Failure &failure)
{
    for (unsigned long capability = 0; capability < kCapabilities; ++capability) {
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        if (errno == EINVAL) break; // past the last one of this kernel
        if (must) return sys::fail(failure, "capbset_drop");
    }
    return true;
}

bool becomeUser(const Plan &plan, Failure &failure)
{
    if (plan.uid == 0 || plan.gid == 0) {
        errno = EINVAL;
        return sys::fail(failure, "setresuid", "a session must not be root");
    }
    if (::setgroups(0, nullptr) != 0) return sys::fail(failure, "setgroups");
    if (::setresgid(plan.gid, plan.gid, plan.gid) != 0) return sys::fail(failure, "setresgid");
    if (::setresuid(plan.uid, plan.uid, plan.uid) != 0) return sys::fail(failure, "setresuid");
    // The change cleared it, and with it the process's own access to /proc/self. Its user is its own: safe to set.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return true;
}

} // namespace

bool dropCapabilities(Failure &failure)
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    if (::syscall(SYS_capset, &header, data) != 0) return sys::fail(failure, "capset");
    return true;
}

bool dropIdentity(const Plan &plan, Failure &failure)
{
    const bool privileged = plan.tier == Tier::Full || plan.tier == Tier::Container;
    const bool switchUser = privileged && !plan.userNamespace; // there is no other user in there to become
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!dropBoundingSet(privileged, failure)) return false;
    if (switchUser && !becomeUser(plan, failure)) return false;
    if (!dropCapabilities(failure)) return false;
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::fail(failure, "no_new_privs");
    return true;
}

} // namespace power::sandbox
