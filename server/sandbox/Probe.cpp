#include "sandbox/Probe.h"
#include "sandbox/Apply.h"
#include "sandbox/JsonReader.h"
#include "sandbox/Landlock.h"
#include "sandbox/ProbeLayers.h"
#include "sandbox/Sys.h"
#include "sandbox/UserNamespace.h"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <linux/capability.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

constexpr std::uint32_t kProbeUser = 64124;

// A workspace, a /tmp and a neighbour's readable file that the sandbox must not show; gone with the object.
class Ground
{
public:
    // Empty, or why not.
    std::string make(bool ownUser)
    {
        if (ownUser && ::geteuid() != 0) return "the server does not run as root";
        for (const char *base : {"/tmp", "/var/tmp", "/dev/shm"}) {
            std::string pattern = std::string(base) + "/power-probe-XXXXXX";
            if (!::mkdtemp(pattern.data())) continue;
            root = pattern;
            break;
        }
        if (root.empty() || ::chmod(root.c_str(), 0711) != 0)
            return problem("no directory can be made in /tmp, /var/tmp and /dev/shm");
        for (const char *name : {"/work", "/tmp"}) {
            const std::string path = root + name;
            if (::mkdir(path.c_str(), 0700) != 0) return problem(path.c_str());
            if (ownUser && ::chown(path.c_str(), kProbeUser, kProbeUser) != 0)
                return problem("a directory cannot be given to another user");
        }
        const sys::Fd file(::open((root + "/neighbour").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        return file ? std::string() : problem("a file cannot be made");
    }

    ~Ground()
    {
        std::error_code ignored;
        if (!root.empty()) std::filesystem::remove_all(root, ignored);
    }

    std::string root;

private:
    static std::string problem(const char *what)
    {
        Failure failure;
        sys::fail(failure, what);
        return failure.text;
    }
};

bool hasCapabilities()
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    return ::syscall(SYS_capget, &header, data) != 0 || data[0].permitted || data[1].permitted;
}

std::string checkInside(const Plan &plan, const std::string &neighbour, pid_t outside)
{
    if ((::getuid() != plan.uid || ::geteuid() != plan.uid)) return "the user is not the session's";
    if (hasCapabilities()) return "a capability is left";
    if (::open(neighbour.c_str(), O_RDONLY | O_CLOEXEC) >= 0) return "another session's file can be read";
    if (::open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0) return "/etc/shadow can be read";
    if (plan.tier != Tier::Full && ::kill(outside, 0) == 0) return "the server can be signalled";
    if (::socket(AF_NETLINK, SOCK_RAW, 0) >= 0) return "a netlink socket can be made";
    if (plan.tier != Tier::Full && ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0) return "a unix socket can be made";
    if (::unshare(CLONE_NEWUSER) == 0) return "a user namespace can be made";
    const sys::Fd own(::open("probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!own) return "the workspace cannot be written";
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) return "a child process cannot be started";
    return {};
}

std::string confine(const Plan &plan, const Prepared &prepared, const std::string &neighbour, pid_t outside)
{
    Failure failure;
    std::vector<StepTime> times;
    if (!apply(plan, prepared, times, failure)) return failure.text;
    return checkInside(plan, neighbour, outside);
}

// In a child: a pid namespace whose first process just waits, and the sandbox beside it.
std::string confineInNamespace(const Plan &plan, const Prepared &prepared, const std::string &neighbour)
{
    Failure failure;
    const bool apart = plan.userNamespace ? unshareUser(failure)
                                          : ::unshare(CLONE_NEWPID) == 0 || sys::fail(failure, "unshare", "pid namespace");
    if (!apart) return failure.text;
    const pid_t init = ::fork();
    if (init == 0) {
        for (;;)
            ::pause();
    }
    const std::string text = inChild([&] { return confine(plan, prepared, neighbour, 0); });
    if (init > 0) {
        ::kill(init, SIGKILL);
        ::waitpid(init, nullptr, 0);
    }
    return text;
}

// userNamespace: the way to `full` of a server that is not root.
std::string tryTier(Tier tier, bool userNamespace, const Prepared &prepared, const ProbeResult &found)
{
    Ground ground;
    const bool ownUser = tier != Tier::NonRoot && !userNamespace;
    const std::string missing = ground.make(ownUser);
    if (!missing.empty()) return missing;
    Plan plan;
    plan.tier = tier;
    plan.landlockAbi = found.landlockAbi;
    plan.userNamespace = userNamespace;
    plan.uid = ownUser ? kProbeUser : ::geteuid();
    plan.gid = ownUser ? kProbeUser : ::getegid();
    plan.workspace = ground.root + "/work";
    plan.workspaceInside = "/app/sandbox_data/probe";
    plan.scratch = ground.root + "/tmp";
    const std::string neighbour = ground.root + "/neighbour";
    const pid_t outside = ::getpid();
    if (tier == Tier::Full) return inChild([&] { return confineInNamespace(plan, prepared, neighbour); });
    return inChild([&] { return confine(plan, prepared, neighbour, outside); });
}

const char *word(bool value)
{
    return value ? "true" : "false";
}

} // namespace

std::string ProbeResult::toJson() const
{
    std::string json = "{\"tier\":" + quoteJson(tierWord(best)) + ",\"landlock\":" + std::to_string(landlockAbi);
    json += std::string(",\"seccomp\":") + word(seccomp) + ",\"setuid\":" + word(canSetuid);
    json += std::string(",\"mount\":") + word(canMount) + ",\"pid_namespace\":" + word(canPidNamespace);
    json += std::string(",\"net_namespace\":") + word(canNetNamespace) + ",\"can_user_namespace\":" + word(canUserNamespace);
    json += std::string(",\"user_namespace\":") + word(userNamespace);
    json += ",\"reason\":" + quoteJson(reason) + "}";
    return json;
}

ProbeResult probe(int landlockCap, const Tier *forced)
{
    ProbeResult result;
    result.landlockAbi = std::min(landlockKernelAbi(), kLandlockNewest);
    if (landlockCap >= 0) result.landlockAbi = std::min(result.landlockAbi, landlockCap);
    Failure failure;
    const std::unique_ptr<Prepared, void (*)(Prepared *)> prepared(prepare(failure), &release);
    if (!prepared) result.reason = "no tier is possible: " + failure.text;
    if (forced && *forced == Tier::None) result.reason = "no sandbox was asked for: user code runs without a wall";
    for (const Tier tier : {Tier::Full, Tier::Container, Tier::NonRoot}) {
        if (!prepared || (forced && *forced != tier)) continue;
        const bool userNamespace = tier == Tier::Full && ::geteuid() != 0;
        const std::string problem = tryTier(tier, userNamespace, *prepared, result);
        if (problem.empty()) {
            result.best = tier;
            result.userNamespace = userNamespace;
            if (userNamespace) result.reason = "in user namespaces, because the server does not run as root";
            break;
        }
        if (!result.reason.empty()) result.reason += "; ";
        result.reason += std::string(tierWord(tier)) + " is not possible" +
                         (userNamespace ? " in a user namespace (and the server is not root): " : ": ") + problem;
    }
    probeLayers(result);
    return result;
}

} // namespace power::sandbox
