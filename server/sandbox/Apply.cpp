#include "sandbox/Apply.h"
#include "sandbox/Identity.h"
#include "sandbox/Landlock.h"
#include "sandbox/Limits.h"
#include "sandbox/Mounts.h"
#include "sandbox/Policy.h"
#include "sandbox/Sys.h"
#include <cerrno>
#include <ctime>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace power::sandbox {

class Prepared
{
public:
    Program programs[kPolicyKinds];
};

namespace {

constexpr int kLandlockSafeAlone = 6; // signals and abstract sockets; without an own uid nothing else stops them

std::vector<int> g_keptDescriptors;

class Stopwatch
{
public:
    explicit Stopwatch(std::vector<StepTime> &times) : m_times(times), m_last(now()) {}

    // Notes the time since the last call; hands `good` through.
    bool note(const char *step, bool good)
    {
        const std::int64_t at = now();
        m_times.push_back({step, at - m_last});
        m_last = at;
        return good;
    }

private:
    static std::int64_t now()
    {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec * std::int64_t{1000000} + time.tv_nsec / 1000;
    }

    std::vector<StepTime> &m_times;
    std::int64_t m_last;
};

bool checkPlan(const Plan &plan, Failure &failure)
{
    errno = EINVAL;
    // Siblings of the namespace's init have their parent outside: 0 as seen from inside.
    if (plan.tier == Tier::Full && ::getppid() != 0)
        return sys::fail(failure, "pid_namespace", "full needs a pid namespace of its own (PidNamespace::enter, forkInUserNamespace)");
    if (plan.userNamespace && (plan.uid != ::geteuid() || plan.gid != ::getegid()))
        return sys::fail(failure, "plan", "a user namespace holds the server's own user and group only");
    if (plan.tier == Tier::Full && plan.workspaceInside.size() < 2)
        return sys::fail(failure, "plan", "full needs workspaceInside");
    if (plan.tier == Tier::Container && plan.landlockAbi < 1)
        return sys::fail(failure, "plan", "container needs Landlock");
    if (plan.tier == Tier::NonRoot && (plan.landlockAbi < kLandlockSafeAlone || landlockKernelAbi() < kLandlockSafeAlone))
        return sys::fail(failure, "plan", "nonroot needs Landlock ABI 6");
    errno = 0;
    return true;
}

// Inside path when it leads to the workspace (in `full` always, elsewhere by a real directory or a link).
bool enterWorkspace(const Plan &plan, Failure &failure)
{
    struct stat inside {}, real {};
    if (plan.tier == Tier::Full) {
        if (::chdir(plan.workspaceInside.c_str()) == 0) return true;
        return sys::fail(failure, "chdir", plan.workspaceInside);
    }
    if (!plan.workspaceInside.empty() && ::stat(plan.workspaceInside.c_str(), &inside) == 0 &&
        ::stat(plan.workspace.c_str(), &real) == 0 && inside.st_dev == real.st_dev && inside.st_ino == real.st_ino &&
        ::chdir(plan.workspaceInside.c_str()) == 0)
        return true;
    return ::chdir(plan.workspace.c_str()) == 0 || sys::fail(failure, "chdir", plan.workspace);
}

} // namespace

Prepared *prepare(Failure &failure)
{
    auto prepared = std::make_unique<Prepared>();
    for (int kind = 0; kind < kPolicyKinds; ++kind)
        if (!buildPolicy(static_cast<PolicyKind>(kind), prepared->programs[kind], failure)) return nullptr;
    return prepared.release();
}

void release(Prepared *prepared)
{
    delete prepared;
}

bool apply(const Plan &plan, const Prepared &prepared, std::vector<StepTime> &times, Failure &failure)
{
    Stopwatch watch(times);
    if (!checkPlan(plan, failure)) return false;
    sys::Fd autogroup;
    if (!watch.note("place", takePlace(plan, autogroup, failure))) return false;
    if (plan.tier == Tier::Full) {
        if (!watch.note("namespaces", enterNamespaces(failure))) return false;
        if (!watch.note("root", buildRoot(plan, failure))) return false;
    }
    if (!watch.note("limits", applyLimits(plan, failure))) return false;
    beNice(autogroup);
    autogroup = sys::Fd();
    if (!watch.note("identity", dropIdentity(plan, failure))) return false;
    // A job's kernel has another uid and the session's gid: what one writes the other may change. Others may not even read
    // it: where /dev/shm is everybody's they could.
    const bool ownUser = (plan.tier == Tier::Full || plan.tier == Tier::Container) && !plan.userNamespace;
    ::umask(ownUser ? 007 : 022);
    if (!watch.note("workspace", enterWorkspace(plan, failure))) return false;
    if (plan.tier == Tier::None) return true;
    if (!watch.note("landlock", applyLandlock(plan, g_keptDescriptors, failure))) return false;
    return watch.note("seccomp",
                      loadPolicy(prepared.programs[static_cast<int>(policyFor(plan))], failure));
}

const std::vector<int> &keptDescriptors()
{
    return g_keptDescriptors;
}

} // namespace power::sandbox
