// Where the zygote and its children meet the sandbox layer.
#pragma once
#include <string>
#include <sys/types.h>

namespace power::kernel {

struct ConfineFailure {
    std::string step;
    int error = 0;
    std::string text;
};

// What a Kill frame names.
struct Tree {
    pid_t pid = 0;
    pid_t initPid = 0;
    unsigned uid = 0;
    std::string tier;
};

// In the zygote, once, before the first fork.
bool prepareConfinement(ConfineFailure &failure);

// In the freshly forked child: puts the plan (JSON of the Spawn frame) into force. `timings` becomes a JSON object
// of microseconds per step. False: the child must _exit, it may be half confined.
bool confine(const std::string &planJson, std::string &timings, ConfineFailure &failure);

// Kills every process of a session's tree. Asynchronous: the deaths arrive through wait4.
void killTree(const Tree &tree);

// The `probe` role: prints the probe's JSON. Returns the exit code.
int runProbe(int argc, char **argv);

} // namespace power::kernel
