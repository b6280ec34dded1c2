#include "kernel/Confine.h"
#include "sandbox/Probe.h"
#include "sandbox/UserNamespace.h"
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

namespace power::kernel
{

namespace
{
// power-init is installed beside power-kernel.
std::string initProgram()
{
    char path[PATH_MAX];
    const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
    const std::string own = size > 0 ? std::string(path, std::size_t(size)) : std::string();
    return own.substr(0, own.rfind('/') + 1) + "power-init";
}
} // namespace

bool Confinement::prepare(sandbox::Failure &failure)
{
    m_init = initProgram();
    m_prepared = sandbox::prepare(failure);
    // Needed by `full` only: a plan of that tier fails with this reason.
    m_hasNamespace = m_namespace.open(m_namespaceFailure);
    return m_prepared != nullptr;
}

pid_t Confinement::forkBesideInit(int lifeline, pid_t &init, sandbox::Failure &failure)
{
    if (!m_hasNamespace) {
        failure = m_namespaceFailure;
        return -1;
    }
    const pid_t first = m_namespace.enter(m_init, lifeline, failure);
    if (first <= 0) return -1;
    const pid_t pid = ::fork();
    if (pid == 0) return 0;
    const int error = errno;
    const bool back = m_namespace.leave(failure);
    if (pid < 0) failure = {"fork", error, std::string("the kernel could not be forked: ") + std::strerror(error)};
    if (pid < 0 || !back) {
        endTree(pid, first);
        return -1;
    }
    init = first;
    return pid;
}

pid_t Confinement::fork(const sandbox::Plan &plan, int lifeline, pid_t &init, sandbox::Failure &failure)
{
    init = 0;
    if (plan.userNamespace) return sandbox::forkInUserNamespace(m_init, lifeline, init, failure);
    if (plan.tier == sandbox::Tier::Full) return forkBesideInit(lifeline, init, failure);
    const pid_t pid = ::fork();
    if (pid < 0) failure = {"fork", errno, std::string("the kernel could not be forked: ") + std::strerror(errno)};
    return pid;
}

bool Confinement::confine(const sandbox::Plan &plan, std::string &timings, sandbox::Failure &failure)
{
    std::vector<sandbox::StepTime> steps;
    const bool done = sandbox::apply(plan, *m_prepared, steps, failure);
    timings = "{";
    for (const sandbox::StepTime &step : steps) {
        timings += (timings.size() > 1 ? ",\"" : "\"") + std::string(step.step) +
                   "\":" + std::to_string(step.microseconds);
    }
    timings += "}";
    return done;
}

int endTree(pid_t kernel, pid_t init)
{
    // The kernel is reaped first: an init does not end before every process of its namespace is, and the kernel, though in
    // there, is our child.
    int ofInit = 0, status = 0;
    for (const pid_t child : {init, kernel}) {
        if (child > 0) ::kill(child, SIGKILL);
    }
    while (kernel > 0 && ::waitpid(kernel, &status, 0) < 0 && errno == EINTR) {
    }
    while (init > 0 && ::waitpid(init, &ofInit, 0) < 0 && errno == EINTR) {
    }
    return kernel > 0 ? status : ofInit;
}

void sweepTree(const sandbox::Tree &tree)
{
    sandbox::Failure ignored;
    if (tree.tier == sandbox::Tier::Full)
        ::kill(tree.init, SIGKILL);
    else if (tree.tier == sandbox::Tier::Container)
        sandbox::killUser(tree.uid, ignored);
    else
        ::kill(-tree.kernel, SIGKILL); // a group outlives its leader, and keeps the number taken
}

int runSweep()
{
    constexpr int kWaitMs = 2000;
    std::set<std::uint32_t> uids;
    for (std::uint32_t uid = 0; std::cin >> uid;)
        uids.insert(uid);
    sandbox::Failure failure;
    const int living = sandbox::sweepUids(uids, kWaitMs, failure);
    if (living < 0) std::fprintf(stderr, "power-kernel sweep: %s\n", failure.text.c_str());
    std::printf("%d\n", living);
    return living == 0 ? 0 : 1;
}

int runProbe(int argc, char **argv)
{
    int landlock = -1;
    sandbox::Tier tier = sandbox::Tier::None;
    bool forced = false;
    for (int i = 0; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--landlock") == 0) {
            landlock = std::atoi(argv[i + 1]);
        } else if (std::strcmp(argv[i], "--tier") == 0 && sandbox::tierFromWord(argv[i + 1], tier)) {
            forced = true;
        } else {
            std::fprintf(stderr, "power-kernel probe: %s %s is not understood\n", argv[i], argv[i + 1]);
            return 2;
        }
    }
    std::puts(sandbox::probe(landlock, forced ? &tier : nullptr).toJson().c_str());
    return 0;
}

} // namespace power::kernel
