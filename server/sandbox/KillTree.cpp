#include "sandbox/KillTree.h"
#include "sandbox/Identity.h"
#include "sandbox/Limits.h"
#include "sandbox/Sys.h"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <filesystem>
#include <grp.h>
#include <memory>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

// Real uid of the killing helper: not the session's, so that no process of the session may signal it.
constexpr std::uint32_t kHelperOffset = 0x40000000;
constexpr int kHelperFailed = 1;

struct ProcessFacts {
    pid_t pid = 0, parent = 0;
    char state = 0;
    std::uint32_t uid = 0;
};

std::vector<ProcessFacts> processes()
{
    std::vector<ProcessFacts> all;
    const std::unique_ptr<DIR, int (*)(DIR *)> proc(::opendir("/proc"), &::closedir);
    while (const dirent *entry = proc ? ::readdir(proc.get()) : nullptr) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        const std::string directory = std::string("/proc/") + entry->d_name;
        const std::string stat = sys::readFile((directory + "/stat").c_str());
        const std::size_t name = stat.rfind(')'); // the name in front of it may hold anything
        struct stat facts {};
        if (name == std::string::npos || name + 4 > stat.size() || ::stat(directory.c_str(), &facts) != 0) continue;
        ProcessFacts process;
        process.pid = std::atoi(entry->d_name);
        process.state = stat[name + 2];
        process.parent = std::atoi(stat.c_str() + name + 4);
        process.uid = facts.st_uid;
        all.push_back(process);
    }
    return all;
}

bool isDead(const ProcessFacts &process)
{
    return process.state == 'Z' || process.state == 'X';
}

// In the helper: becomes the session's user for the purpose of kill(2), then kills all it may.
[[noreturn]] void killAllAs(std::uint32_t uid)
{
    Failure failure;
    // Ids that the user namespace does not map are refused; then the session's own must do.
    const bool switched =
        ::setresuid(uid + kHelperOffset, uid, uid + kHelperOffset) == 0 || ::setresuid(uid, uid, uid) == 0;
    // With a capability left, kill(-1) would mean everybody.
    if (!switched || !dropCapabilities(failure) || ::geteuid() != uid || ::getuid() == 0) ::_exit(kHelperFailed);
    const int result = ::kill(-1, SIGKILL);
    ::_exit(result == 0 || errno == ESRCH ? 0 : kHelperFailed);
}

// Descendants of the kernel and everything that carries its mark.
void killMarked(pid_t root)
{
    const std::uint64_t kept = treeMark(root);
    const std::uint64_t mark = kept ? kept : treeMarkFor(root);
    const std::uint32_t user = ::geteuid();
    // Stopped first, so that nothing is born between looking and killing.
    std::vector<pid_t> tree{root};
    ::kill(root, SIGSTOP);
    for (std::size_t before = 0; before != tree.size();) {
        before = tree.size();
        for (const ProcessFacts &process : processes()) {
            if (isDead(process) || process.pid == ::getpid() ||
                std::find(tree.begin(), tree.end(), process.pid) != tree.end())
                continue;
            const bool isChild = std::find(tree.begin(), tree.end(), process.parent) != tree.end();
            if (!isChild && (process.uid != user || treeMark(process.pid) != mark)) continue;
            tree.push_back(process.pid);
            ::kill(process.pid, SIGSTOP);
        }
    }
    for (const pid_t pid : tree)
        ::kill(pid, SIGKILL);
    ::kill(-root, SIGKILL);
}

void removeOwned(const char *directory, std::uint32_t uid)
{
    std::error_code error;
    for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
        struct stat facts {};
        std::error_code ignored;
        if (::lstat(at->path().c_str(), &facts) == 0 && facts.st_uid == uid)
            std::filesystem::remove_all(at->path(), ignored);
    }
}

void addOwners(const char *directory, std::set<std::uint32_t> &owners)
{
    std::error_code error;
    for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
        struct stat facts {};
        if (::lstat(at->path().c_str(), &facts) == 0) owners.insert(facts.st_uid);
    }
}

int livingOf(std::uint32_t uid)
{
    const std::vector<ProcessFacts> all = processes();
    return static_cast<int>(std::count_if(all.begin(), all.end(), [uid](const ProcessFacts &process) {
        return process.uid == uid && !isDead(process);
    }));
}

} // namespace

bool killUser(std::uint32_t uid, Failure &failure)
{
    if (uid == 0 || uid == ::getuid() || uid == ::geteuid()) {
        errno = EINVAL;
        return sys::fail(failure, "kill_user", "not a session's uid");
    }
    const pid_t helper = ::fork();
    if (helper < 0) return sys::fail(failure, "kill_user", "fork");
    if (helper == 0) killAllAs(uid);
    int status = 0;
    while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    // Ended by the session itself (possible only where the helper had to take its very uid): the caller repeats.
    errno = WIFSIGNALED(status) ? EAGAIN : EPERM;
    return sys::fail(failure, "kill_user", "uid " + std::to_string(uid));
}

bool killTree(const Tree &tree, Failure &failure)
{
    switch (tree.tier) {
    case Tier::Full:
        if (tree.init <= 1) {
            errno = EINVAL;
            return sys::fail(failure, "kill_tree", "no init");
        }
        ::kill(tree.init, SIGKILL);
        if (tree.kernel > 1) ::kill(tree.kernel, SIGKILL);
        return true;
    case Tier::Container:
        for (int attempt = 0; attempt < 3; ++attempt) {
            if (killUser(tree.uid, failure)) return true;
            if (failure.error != EAGAIN) break;
        }
        return false;
    case Tier::NonRoot:
    case Tier::None:
        break;
    }
    if (tree.kernel <= 1) {
        errno = EINVAL;
        return sys::fail(failure, "kill_tree", "no kernel");
    }
    killMarked(tree.kernel);
    return true;
}

int sweepUid(std::uint32_t uid, int waitMs, Failure &failure)
{
    int living = 0;
    for (int waited = 0;; waited += 5) {
        if (!killUser(uid, failure) && failure.error != EAGAIN) return -1;
        living = livingOf(uid);
        if (living == 0 || waited >= waitMs) break;
        const timespec pause{0, 5'000'000};
        ::nanosleep(&pause, nullptr);
    }
    if (living == 0) {
        removeOwned("/dev/shm", uid);
        removeOwned("/tmp", uid);
    }
    return living;
}

int sweepUids(const std::set<std::uint32_t> &uids, int waitMs, Failure &failure)
{
    std::set<std::uint32_t> owners;
    for (const ProcessFacts &process : processes())
        if (!isDead(process)) owners.insert(process.uid);
    addOwners("/dev/shm", owners);
    addOwners("/tmp", owners);
    int living = 0;
    for (const std::uint32_t uid : owners) {
        if (!uids.count(uid)) continue;
        const int left = sweepUid(uid, waitMs, failure);
        if (left < 0) return -1;
        living += left;
    }
    return living;
}

} // namespace power::sandbox
