#include "sandbox/ProbeLayers.h"
#include "sandbox/Policy.h"
#include "sandbox/Sys.h"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

constexpr int kChildLimitMs = 3000;
constexpr unsigned kSomeUser = 64123; // below 65536: also there in a remapped container

std::string errorText(const char *what)
{
    return std::string(what) + ": " + std::strerror(errno);
}

std::string readAnswer(int fd)
{
    std::string text;
    for (;;) {
        pollfd waiting{fd, POLLIN, 0};
        const int ready = ::poll(&waiting, 1, kChildLimitMs);
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) return "no answer within 3 s";
        char buffer[512];
        const ssize_t got = ::read(fd, buffer, sizeof(buffer));
        if (got <= 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
}

std::string tryMount()
{
    if (::unshare(CLONE_NEWNS) != 0) return errorText("unshare");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errorText("private");
    return ::mount("tmpfs", "/usr", "tmpfs", 0, "size=4k") == 0 ? std::string() : errorText("tmpfs");
}

std::string trySetuid()
{
    if (::setgroups(0, nullptr) != 0) return errorText("setgroups");
    if (::setresgid(kSomeUser, kSomeUser, kSomeUser) != 0) return errorText("setresgid");
    return ::setresuid(kSomeUser, kSomeUser, kSomeUser) == 0 ? std::string() : errorText("setresuid");
}

std::string trySeccomp()
{
    Program program;
    Failure failure;
    if (!buildPolicy(PolicyKind::Container, program, failure)) return failure.text;
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!loadPolicy(program, failure)) return failure.text;
    return ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT ? std::string() : "the filter does not filter";
}

std::string tryUnshare(int flag)
{
    return ::unshare(flag) == 0 ? std::string() : errorText("unshare");
}

} // namespace

std::string inChild(const std::function<std::string()> &body)
{
    int pipes[2];
    if (::pipe2(pipes, O_CLOEXEC) != 0) return errorText("pipe");
    const pid_t child = ::fork();
    if (child < 0) {
        ::close(pipes[0]);
        ::close(pipes[1]);
        return errorText("fork");
    }
    if (child == 0) {
        ::setsid();
        const std::string text = body();
        const ssize_t written = ::write(pipes[1], text.data(), text.size());
        ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    ::close(pipes[1]);
    std::string text = readAnswer(pipes[0]);
    ::close(pipes[0]);
    // The body may have ended with children of its own; the child itself is reaped below, so the group is still its.
    siginfo_t info{};
    if (!text.empty()) ::kill(child, SIGKILL);
    while (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    ::kill(-child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (text.empty() && WIFSIGNALED(status)) text = std::string("ended by ") + ::strsignal(WTERMSIG(status));
    if (text.empty() && WIFEXITED(status) && WEXITSTATUS(status) != 0) text = "ended early";
    return text;
}

void probeLayers(ProbeResult &result)
{
    const bool full = result.best == Tier::Full;
    result.seccomp = result.best != Tier::None || inChild(&trySeccomp).empty();
    result.canSetuid = (full && !result.userNamespace) || result.best == Tier::Container || inChild(&trySetuid).empty();
    result.canMount = full || inChild(&tryMount).empty();
    result.canPidNamespace = full || inChild([] { return tryUnshare(CLONE_NEWPID); }).empty();
    result.canNetNamespace = full || inChild([] { return tryUnshare(CLONE_NEWNET); }).empty();
    result.canUserNamespace = result.userNamespace || inChild([] { return tryUnshare(CLONE_NEWUSER); }).empty();
}

} // namespace power::sandbox
