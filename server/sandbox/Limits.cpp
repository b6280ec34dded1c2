#include "sandbox/Limits.h"
#include "sandbox/Sys.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

constexpr int kNice = 10;
constexpr int kAutogroupNice = 5; // the supervisor moves it with what the session does (CpuPlace.h)
constexpr std::uint64_t kMarkBase = 0x5057ull << 32; // no limit anybody would set

bool limit(int resource, rlim_t wanted, const char *name, Failure &failure)
{
    rlimit current{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &current) != 0) return sys::fail(failure, "getrlimit", name);
    current.rlim_cur = current.rlim_max = std::min(wanted, current.rlim_max);
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &current) != 0) return sys::fail(failure, "setrlimit", name);
    return true;
}

// Threads of the own user, which is what RLIMIT_NPROC counts.
rlim_t threadsOfUser()
{
    rlim_t threads = 0;
    const std::unique_ptr<DIR, int (*)(DIR *)> proc(::opendir("/proc"), &::closedir);
    while (const dirent *entry = proc ? ::readdir(proc.get()) : nullptr) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        const std::string path = std::string("/proc/") + entry->d_name + "/task";
        struct stat facts {};
        // the link count of a directory is its subdirectories + 2
        if (::stat(path.c_str(), &facts) == 0 && facts.st_uid == ::geteuid() && facts.st_nlink > 2)
            threads += facts.st_nlink - 2;
    }
    return threads;
}

} // namespace

bool takePlace(const Plan &plan, sys::Fd &autogroup, Failure &failure)
{
    if (!plan.cgroup.empty() && !sys::writeFile((plan.cgroup + "/cgroup.procs").c_str(), "0"))
        return sys::fail(failure, "cgroup", plan.cgroup);
    const bool ownSession = ::getsid(0) == ::getpid() || ::setsid() >= 0;
    // Both files may be absent or refuse (autogroup off, a container's own rules); nothing else rests on them.
    if (ownSession) autogroup = sys::Fd(::open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC));
    sys::writeFile("/proc/self/oom_score_adj", "900");
    return true;
}

void beNice(const sys::Fd &autogroup)
{
    ::setpriority(PRIO_PROCESS, 0, kNice);
    const std::string text = std::to_string(kAutogroupNice);
    if (autogroup) (void)!::write(autogroup.get(), text.data(), text.size());
}

bool applyLimits(const Plan &plan, Failure &failure)
{
    rlim_t processes = plan.processes;
    if (plan.tier == Tier::NonRoot) processes += threadsOfUser();
    if (plan.userNamespace) ++processes; // power-init is of the same user there
    const rlim_t memory = plan.memoryBytes ? plan.memoryBytes : RLIM_INFINITY;
    const rlim_t file = plan.fileBytes ? plan.fileBytes : RLIM_INFINITY;
    return limit(RLIMIT_CORE, 0, "core", failure) && limit(RLIMIT_DATA, memory, "memory", failure) &&
           limit(RLIMIT_FSIZE, file, "file size", failure) && limit(RLIMIT_NPROC, processes, "processes", failure) &&
           limit(RLIMIT_NOFILE, plan.openFiles, "open files", failure) &&
           limit(RLIMIT_MEMLOCK, 8u << 20, "locked memory", failure) &&
           limit(RLIMIT_MSGQUEUE, 0, "message queues", failure) && limit(RLIMIT_RTPRIO, 0, "real time", failure) &&
           limit(RLIMIT_NICE, 0, "nice", failure) &&
           (plan.tier >= Tier::Container || limit(RLIMIT_LOCKS, treeMarkFor(::getpid()), "mark", failure));
}

std::uint64_t treeMarkFor(pid_t kernel)
{
    return kMarkBase + static_cast<std::uint64_t>(kernel);
}

std::uint64_t treeMark(pid_t process)
{
    static constexpr char kLine[] = "Max file locks";
    const std::string text = sys::readFile(("/proc/" + std::to_string(process) + "/limits").c_str());
    const std::size_t at = text.find(kLine);
    if (at == std::string::npos) return 0;
    const std::uint64_t value = std::strtoull(text.c_str() + at + sizeof(kLine) - 1, nullptr, 10);
    return value >= kMarkBase && value >> 32 == kMarkBase >> 32 ? value : 0;
}

} // namespace power::sandbox
