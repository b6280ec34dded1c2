// One Spawn frame: fork, confine, and become a kernel.
#pragma once
#include "kernel/Confine.h"
#include "sandbox/JsonReader.h"
#include <chrono>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace power::kernel
{

// The one-shot workers that a Spawn frame may ask for instead of a kernel ("run_as").
inline constexpr char kRenderRole[] = "render"; // draws a chart in a browser
inline constexpr char kViewRole[] = "view";     // looks into a file
inline constexpr char kLoadRole[] = "load";     // reads a table out of a file

// The frame's JSON values as text, and the descriptors that came with it in PROTOCOL.md's order.
struct SpawnOrder {
    std::string id; // "spawn" as JSON text (string or number)
    sandbox::Plan plan;
    sandbox::JsonValue kernel; // object
    std::string cwd;    // to enter after the sandbox is up; empty = where the sandbox left it
    std::vector<int> descriptors;
};

struct SpawnResult {
    int pid = 0; // 0: failed, and nothing of the child is left
    std::string meta; // of the Spawned or SpawnFailed frame
};

// A child that was forked and has not reported yet that its sandbox is up. Several put theirs up at the same time.
struct Birth {
    std::string id; // of the order
    sandbox::Tree tree;
    int report = -1; // pipe, not blocking; -1: the fork failed, `said` tells why
    std::string said;
    std::chrono::steady_clock::time_point until; // it reports by then or has failed
    bool ended = false, initEnded = false;       // reaped meanwhile by the zygote
    int status = 0;                              // of the ended child
    rusage usage{};
};

// Before the first birth: finds what every child calls, and leaves Python in the state in which it may be forked. The zygote
// runs no Python from here on: each page that it wrote to after a fork would have to be copied first.
void prepareBirths();

// Forks a kernel. Closes the order's descriptors in the parent; in the child this function does not return.
// Thread: the zygote's only one, with the GIL.
Birth beginBirth(const SpawnOrder &order, Confinement &confinement);

// Reads what the child says. True when it has said everything, or its time is over.
bool hearBirth(Birth &birth);

// Once, when hearBirth() was true: closes the report. A failed child is killed and reaped.
SpawnResult endBirth(Birth &birth);

} // namespace power::kernel
