// The `zygote` role: a warm, single-threaded Python that forks kernels on the server's order.
#pragma once
#include <string>
#include <vector>

namespace power::kernel
{

// Serves the control socket on descriptor 3 until the server closes it; then kills its kernels and returns 0.
// `imports`: further modules to import before serving. Returns 1 when it refuses to serve (the ZygoteReady
// frame says why).
int runZygote(const std::vector<std::string> &imports);

} // namespace power::kernel
