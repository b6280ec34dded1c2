#include "kernel/Confine.h"
#include "sandbox/Probe.h"
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

bool Confinement::beforeFork(const sandbox::Plan &plan, int lifeline, pid_t &init, sandbox::Failure &failure)
{
    init = 0;
    if (plan.tier != sandbox::Tier::Full) return true;
    if (!m_hasNamespace) {
        failure = m_namespaceFailure;
        return false;
    }
    init = m_namespace.enter(m_init, lifeline, failure);
    return init > 0;
}

bool Confinement::afterFork(const sandbox::Plan &plan, sandbox::Failure &failure)
{
    return plan.tier != sandbox::Tier::Full || m_namespace.leave(failure);
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
