// Puts up a sandbox the way the zygote does and runs a program in it; the tests' tool.
//   sandbox_try run <plan JSON> <seconds> <program> [arguments]  exit code: the program's, 128 + its signal, 124 after
//                                                                the time, 99 when the sandbox could not be put up
//   sandbox_try bench <plan JSON> <count>                        times of apply and of init, as JSON
//   sandbox_try probe [tier [landlock cap]]                      the probe's answer, its milliseconds on stderr
//   sandbox_try sweep <uid>                                      what a server does with its uids at start
// After `run` the tree is killed and swept; a process that survived is reported on stderr with exit code 98.
#include "sandbox/Apply.h"
#include "sandbox/KillTree.h"
#include "sandbox/PidNamespace.h"
#include "sandbox/Probe.h"
#include "sandbox/UserNamespace.h"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace power::sandbox;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kNoSandbox = 99, kLeftOver = 98, kTimedOut = 124;

double milliseconds(Clock::time_point since)
{
    return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}

std::string initProgram()
{
    const char *bin = std::getenv("POWER_BIN");
    return std::string(bin ? bin : ".") + "/power-init";
}

int complain(const Failure &failure)
{
    std::fprintf(stderr, "sandbox: %s\n", failure.text.c_str());
    return kNoSandbox;
}

// What the zygote keeps: prepared programs, its own pid namespace, the server's end of the lifeline.
struct Zygote {
    Prepared *prepared = nullptr;
    PidNamespace pids;
    int lifeline[2] = {-1, -1};

    bool open(Failure &failure)
    {
        prepared = prepare(failure);
        ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        return prepared && pids.open(failure) && ::pipe2(lifeline, O_CLOEXEC) == 0;
    }

    // Twice true: with tree.kernel 0 in the child.
    bool fork(const Plan &plan, Tree &tree, Failure &failure)
    {
        if (plan.userNamespace) {
            tree.kernel = forkInUserNamespace(initProgram(), lifeline[0], tree.init, failure);
            return tree.kernel >= 0;
        }
        if (plan.tier == Tier::Full) {
            tree.init = pids.enter(initProgram(), lifeline[0], failure);
            if (tree.init < 0) return false;
        }
        tree.kernel = ::fork();
        if (tree.kernel != 0 && plan.tier == Tier::Full) return pids.leave(failure);
        return tree.kernel >= 0;
    }
};

int execute(char **arguments, const Plan &plan)
{
    const std::string home = "HOME=" + (plan.tier == Tier::Full ? plan.workspaceInside : plan.workspace);
    const std::string temporary = "TMPDIR=" + (plan.tier == Tier::Full ? "/tmp" : plan.scratch);
    const char *environment[] = {"PATH=/usr/bin:/bin",     home.c_str(),          temporary.c_str(), "LANG=C.UTF-8",
                                 "OPENBLAS_NUM_THREADS=1", "MPLBACKEND=Agg",      "PYTHONDONTWRITEBYTECODE=1",
                                 "MPLCONFIGDIR=.",         nullptr};
    ::execve(arguments[0], arguments, const_cast<char **>(environment));
    std::perror(arguments[0]);
    return 127;
}

int waitFor(pid_t kernel, int seconds)
{
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, kernel, 0));
    pollfd waiting{pidfd, POLLIN, 0};
    const bool inTime = ::poll(&waiting, 1, seconds * 1000) == 1;
    ::close(pidfd);
    return inTime ? 0 : kTimedOut;
}

int run(const Plan &plan, int seconds, char **arguments)
{
    Failure failure;
    Zygote zygote;
    Tree tree{plan.tier, 0, 0, plan.uid};
    if (!zygote.open(failure)) return complain(failure);
    if (!zygote.fork(plan, tree, failure)) return complain(failure);
    if (tree.kernel == 0) {
        std::vector<StepTime> times;
        if (!apply(plan, *zygote.prepared, times, failure)) ::_exit(complain(failure));
        for (const int kept : keptDescriptors())
            ::fcntl(kept, F_SETFD, 0);
        ::_exit(execute(arguments, plan));
    }
    int code = waitFor(tree.kernel, seconds);
    const auto begin = Clock::now();
    if (!killTree(tree, failure)) complain(failure);
    int status = 0;
    ::waitpid(tree.kernel, &status, 0);
    if (tree.init > 0) ::waitpid(tree.init, nullptr, 0);
    if (plan.uid != ::geteuid()) {
        const int living = sweepUid(plan.uid, 1000, failure);
        if (living != 0) {
            std::fprintf(stderr, "sandbox: %d processes are left (%s)\n", living, failure.text.c_str());
            code = kLeftOver;
        }
    }
    int reaped = 0;
    while (::waitpid(-1, nullptr, WNOHANG) > 0)
        ++reaped;
    std::fprintf(stderr, "sandbox: ended in %.1f ms, %d orphans reaped\n", milliseconds(begin), reaped);
    if (code) return code;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void report(const char *name, std::vector<double> &values, bool last = false)
{
    if (values.empty()) values.push_back(0);
    std::sort(values.begin(), values.end());
    std::printf("\"%s\":{\"p50\":%.2f,\"p95\":%.2f}%s", name, values[values.size() / 2], values[values.size() * 95 / 100],
                last ? "}\n" : ",");
}

// All in ms: fork = namespaces, init and the fork of the kernel, plain = fork to exit without a sandbox, total = with it,
// apply = inside the child, kill = killTree to both reaped.
int bench(const Plan &plan, int count)
{
    Failure failure;
    Zygote zygote;
    if (!zygote.open(failure)) return complain(failure);
    std::vector<double> made, plain, total, inside, kill;
    for (int round = 0; round < count; ++round) {
        auto begin = Clock::now();
        const pid_t bare = ::fork();
        if (bare == 0) ::_exit(0);
        ::waitpid(bare, nullptr, 0);
        plain.push_back(milliseconds(begin));

        Tree tree{plan.tier, 0, 0, plan.uid};
        int pipes[2];
        if (::pipe2(pipes, O_CLOEXEC) != 0) return 1;
        begin = Clock::now();
        if (!zygote.fork(plan, tree, failure)) return complain(failure);
        if (tree.kernel != 0) made.push_back(milliseconds(begin));
        if (tree.kernel == 0) {
            std::vector<StepTime> times;
            const auto start = Clock::now();
            if (!apply(plan, *zygote.prepared, times, failure)) ::_exit(complain(failure));
            const double took = milliseconds(start);
            if (round == count / 2)
                for (const StepTime &time : times)
                    std::fprintf(stderr, "%s %lld us\n", time.step, static_cast<long long>(time.microseconds));
            if (::write(pipes[1], &took, sizeof(took)) != sizeof(took)) ::_exit(1);
            for (;;)
                ::pause();
        }
        ::close(pipes[1]);
        double took = 0;
        if (::read(pipes[0], &took, sizeof(took)) != sizeof(took)) return kNoSandbox;
        ::close(pipes[0]);
        total.push_back(milliseconds(begin));
        inside.push_back(took);
        begin = Clock::now();
        killTree(tree, failure);
        ::waitpid(tree.kernel, nullptr, 0);
        if (tree.init > 0) ::waitpid(tree.init, nullptr, 0);
        kill.push_back(milliseconds(begin));
    }
    std::printf("{\"tier\":\"%s\",", tierWord(plan.tier));
    report("fork", made);
    report("plain", plain);
    report("total", total);
    report("apply", inside);
    report("kill", kill, true);
    return 0;
}

int sweep(std::uint32_t uid)
{
    Failure failure;
    const int living = sweepUid(uid, 2000, failure);
    if (living < 0) return complain(failure);
    return living == 0 ? 0 : kLeftOver;
}

int probeNow(int count, char **arguments)
{
    Tier forced = Tier::None;
    if (count > 0 && !tierFromWord(arguments[0], forced)) return 2;
    const auto begin = Clock::now();
    const ProbeResult result = probe(count > 1 ? std::atoi(arguments[1]) : -1, count > 0 ? &forced : nullptr);
    std::fprintf(stderr, "probe took %.1f ms\n", milliseconds(begin));
    std::printf("%s\n", result.toJson().c_str());
    return result.best == Tier::None ? 1 : 0;
}

} // namespace

int main(int count, char **arguments)
{
    const std::string mode = count > 1 ? arguments[1] : "";
    if (mode == "probe") return probeNow(count - 2, arguments + 2);
    if (mode == "sweep" && count == 3) return sweep(static_cast<std::uint32_t>(std::atoi(arguments[2])));
    Plan plan;
    std::string reason;
    if (count < 4 || (mode != "run" && mode != "bench") || !planFromJson(arguments[2], plan, reason)) {
        std::fprintf(stderr, "sandbox_try: %s\n", reason.empty() ? "run | bench | probe | sweep" : reason.c_str());
        return 2;
    }
    if (mode == "bench") return bench(plan, std::atoi(arguments[3]));
    if (count < 5) return 2;
    return run(plan, std::atoi(arguments[3]), arguments + 4);
}
