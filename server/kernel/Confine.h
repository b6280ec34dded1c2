// Where the zygote and its children meet the sandbox layer.
#pragma once
#include "sandbox/Apply.h"
#include "sandbox/KillTree.h"
#include "sandbox/PidNamespace.h"
#include <string>

namespace power::kernel
{

// The zygote's hold on the sandbox layer: built once, used by every fork. Thread: the zygote's only one.
class Confinement
{
public:
    // Before the first fork. False + failure when no sandbox can be built at all.
    bool prepare(sandbox::Failure &failure);

    // Around the fork of a kernel. In `full` it starts power-init in a new pid namespace (init = its pid);
    // elsewhere init stays 0. False: nothing of it is left.
    bool beforeFork(const sandbox::Plan &plan, int lifeline, pid_t &init, sandbox::Failure &failure);
    bool afterFork(const sandbox::Plan &plan, sandbox::Failure &failure);

    // In the child: puts the plan into force. `timings` becomes a JSON object of microseconds per step.
    // False: the child must _exit, it may be half confined.
    bool confine(const sandbox::Plan &plan, std::string &timings, sandbox::Failure &failure);

private:
    sandbox::Prepared *m_prepared = nullptr;
    sandbox::PidNamespace m_namespace;
    bool m_hasNamespace = false;
    sandbox::Failure m_namespaceFailure;
    std::string m_init;
};

// After the death of a kernel, already reaped: ends what it left behind.
void sweepTree(const sandbox::Tree &tree);

// The `probe` role: prints the probe's JSON. Returns the exit code.
int runProbe(int argc, char **argv);

} // namespace power::kernel
