#include "sandbox/Landlock.h"
#include "sandbox/RootFiles.h"
#include "sandbox/Sys.h"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

enum Access : std::uint64_t {
    Execute = 1 << 0,
    WriteFile = 1 << 1,
    ReadFile = 1 << 2,
    ReadDirectory = 1 << 3,
    RemoveDirectory = 1 << 4,
    RemoveFile = 1 << 5,
    MakeDirectory = 1 << 7,
    MakeFile = 1 << 8,
    MakeSocket = 1 << 9,
    MakeFifo = 1 << 10,
    MakeSymlink = 1 << 12,
    Refer = 1 << 13,         // ABI 2
    Truncate = 1 << 14,      // ABI 3
    DeviceControl = 1 << 15, // ABI 5
};

constexpr std::uint64_t kRead = ReadFile | ReadDirectory;
constexpr std::uint64_t kReadExecute = kRead | Execute;
constexpr std::uint64_t kChange = kReadExecute | WriteFile | RemoveDirectory | RemoveFile | MakeDirectory | MakeFile |
                                  MakeSocket | MakeFifo | MakeSymlink | Refer | Truncate;
// The shared /dev/shm: names one knows, no listing of those of others.
constexpr std::uint64_t kShared = ReadFile | WriteFile | RemoveFile | MakeFile | Truncate;
// What a rule on something that is not a directory may carry.
constexpr std::uint64_t kFileOnly = Execute | WriteFile | ReadFile | Truncate | DeviceControl;

struct RulesetAttributes {
    std::uint64_t files = 0, network = 0, scopes = 0;
};

struct [[gnu::packed]] BeneathAttributes {
    std::uint64_t allowed = 0;
    std::int32_t parent = -1;
};

std::uint64_t handledFiles(int abi)
{
    std::uint64_t all = (1 << 13) - 1;
    if (abi >= 2) all |= Refer;
    if (abi >= 3) all |= Truncate;
    if (abi >= 5) all |= DeviceControl;
    return all;
}

class Ruleset
{
public:
    bool create(int abi, bool denyTcp, Failure &failure)
    {
        RulesetAttributes attributes;
        attributes.files = m_handled = handledFiles(abi);
        if (abi >= 4 && denyTcp) attributes.network = 3; // bind and connect
        if (abi >= 6) attributes.scopes = 3;             // abstract unix sockets and signals
        const std::size_t size = abi < 4 ? 8 : abi < 6 ? 16 : 24;
        m_fd = sys::Fd(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
        return m_fd ? true : sys::fail(failure, "landlock_create_ruleset");
    }

    // optional: a path that is not there gives no rule and no error.
    bool allow(const std::string &path, std::uint64_t rights, bool optional, Failure &failure)
    {
        const sys::Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
        if (!fd) return optional || sys::fail(failure, "landlock_path", path);
        return allow(fd.get(), path, rights, failure);
    }

    bool allow(int fd, const std::string &path, std::uint64_t rights, Failure &failure)
    {
        struct stat facts {};
        if (::fstat(fd, &facts) != 0) return sys::fail(failure, "landlock_path", path);
        if (!S_ISDIR(facts.st_mode)) rights &= kFileOnly;
        BeneathAttributes rule;
        rule.allowed = rights & m_handled;
        rule.parent = fd;
        if (::syscall(SYS_landlock_add_rule, m_fd.get(), 1 /* path beneath */, &rule, 0) != 0)
            return sys::fail(failure, "landlock_add_rule", path);
        return true;
    }

    bool restrict(Failure &failure)
    {
        if (::syscall(SYS_landlock_restrict_self, m_fd.get(), 0) != 0)
            return sys::fail(failure, "landlock_restrict_self");
        return true;
    }

private:
    sys::Fd m_fd;
    std::uint64_t m_handled = 0;
};

bool allowSystem(Ruleset &rules, const Plan &plan, Failure &failure)
{
    for (const char *path : rootfiles::kSystemDirectories)
        if (!rules.allow(path, kReadExecute, true, failure)) return false;
    for (const char *path : rootfiles::kSettings)
        if (!rules.allow(path, kRead, true, failure)) return false;
    for (const char *path : {"/dev/zero", "/dev/random", "/dev/urandom"})
        if (!rules.allow(path, ReadFile, true, failure)) return false;
    for (const char *path : {"/dev/null", "/dev/full"})
        if (!rules.allow(path, ReadFile | WriteFile | Truncate, true, failure)) return false;
    for (const std::string &path : plan.readOnly)
        if (!rules.allow(path, kReadExecute, true, failure)) return false;
    return true;
}

// In `full` the root holds nothing but what was put there, so listing it and all of its own /proc are free.
bool allowInside(Ruleset &rules, const Plan &plan, Failure &failure)
{
    for (const Bind &bind : plan.binds)
        if (!rules.allow(bind.target, bind.writable ? kChange : kReadExecute, false, failure)) return false;
    return rules.allow("/", ReadDirectory, false, failure) && rules.allow("/proc", kRead, false, failure) &&
           rules.allow("/etc", kRead, false, failure) && rules.allow("/tmp", kChange, false, failure) &&
           rules.allow("/dev/shm", kChange, false, failure) &&
           rules.allow(rootfiles::kProcessorDirectory, kRead, true, failure) &&
           rules.allow(plan.workspaceInside, kChange, false, failure);
}

// The host's tree is in sight: single files of /proc, and of /proc/<pid> the own one without its view of the network
// (the server's connections) and of the mounts.
bool allowOutside(Ruleset &rules, const Plan &plan, std::vector<int> &kept, Failure &failure)
{
    for (const Bind &bind : plan.binds)
        if (!rules.allow(bind.source, bind.writable ? kChange : kReadExecute, false, failure)) return false;
    for (const char *path : rootfiles::kSharedFacts)
        if (!rules.allow(path, kRead, true, failure)) return false;
    for (const char *name : rootfiles::kOwnFacts) {
        const std::string path = std::string("/proc/self/") + name;
        const int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
        if (fd < 0) continue;
        kept.push_back(fd);
        if (!rules.allow(fd, path, kRead, failure)) return false;
    }
    if (!plan.scratch.empty() && !rules.allow(plan.scratch, kChange, false, failure)) return false;
    return rules.allow("/dev/shm", kShared, true, failure) && rules.allow(plan.workspace, kChange, false, failure);
}

} // namespace

int landlockKernelAbi()
{
    const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1 /* version */);
    return abi < 0 ? 0 : static_cast<int>(abi);
}

bool applyLandlock(const Plan &plan, std::vector<int> &kept, Failure &failure)
{
    const int abi = std::min({plan.landlockAbi, landlockKernelAbi(), kLandlockNewest});
    if (abi <= 0) return true;
    Ruleset rules;
    const bool full = plan.tier == Tier::Full;
    // The own network namespace of `full` leads nowhere but to itself; TCP there is wanted.
    if (!rules.create(abi, !full, failure) || !allowSystem(rules, plan, failure)) return false;
    if (full ? !allowInside(rules, plan, failure) : !allowOutside(rules, plan, kept, failure)) return false;
    return rules.restrict(failure);
}

} // namespace power::sandbox
