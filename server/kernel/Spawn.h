// One Spawn frame: fork, confine, and become a kernel.
#pragma once
#include "kernel/Confine.h"
#include <string>
#include <vector>

namespace power::kernel
{

// The one-shot workers that a Spawn frame may ask for instead of a kernel ("run_as").
inline constexpr char kRenderRole[] = "render"; // draws a chart in a browser
inline constexpr char kViewRole[] = "view";     // looks into a file

// The frame's JSON values as text, and the descriptors that came with it in PROTOCOL.md's order.
struct SpawnOrder {
    std::string id; // "spawn" as JSON text (string or number)
    sandbox::Plan plan;
    std::string kernel; // JSON object
    std::string cwd;    // to enter after the sandbox is up; empty = where the sandbox left it
    std::vector<int> descriptors;
};

struct SpawnResult {
    int pid = 0; // 0: failed, and nothing of the child is left
    int initPid = 0;
    std::string meta; // of the Spawned or SpawnFailed frame
};

// Forks a kernel. Closes the order's descriptors in the parent; in the child this function does not return.
// Waits at most 10 s for the child's report. Thread: the zygote's only one, with the GIL.
SpawnResult spawnKernel(const SpawnOrder &order, Confinement &confinement);

} // namespace power::kernel
