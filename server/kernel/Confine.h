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

    // The fork of a kernel, like fork(2): 0 in the child; in the zygote the kernel's pid, or -1 + failure with nothing
    // of it left. In `full` the child is in a new pid namespace beside its power-init (init = its pid); elsewhere
    // init stays 0. Both are the zygote's children.
    pid_t fork(const sandbox::Plan &plan, int lifeline, pid_t &init, sandbox::Failure &failure);

    // In the child: puts the plan into force. `timings` becomes a JSON object of microseconds per step.
    // False: the child must _exit, it may be half confined.
    bool confine(const sandbox::Plan &plan, std::string &timings, sandbox::Failure &failure);

private:
    pid_t forkBesideInit(int lifeline, pid_t &init, sandbox::Failure &failure);

    sandbox::Prepared *m_prepared = nullptr;
    sandbox::PidNamespace m_namespace;
    bool m_hasNamespace = false;
    sandbox::Failure m_namespaceFailure;
    std::string m_init;
};

// Kills and reaps both (0: none). The wait status of the kernel.
int endTree(pid_t kernel, pid_t init);

// After the death of a kernel, already reaped: ends what it left behind.
void sweepTree(const sandbox::Tree &tree);

// The `sweep` role: user ids on standard input, separated by white space (sandbox::sweepUids). Prints the number of
// processes that are left. Returns the exit code: 0 when none is.
int runSweep();

// The `probe` role: prints the probe's JSON. Returns the exit code.
int runProbe(int argc, char **argv);

} // namespace power::kernel
