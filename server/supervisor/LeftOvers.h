// What a server that died without a word may have left: processes of its sessions' users.
#pragma once
#include "supervisor/KernelHost.h"

namespace power::supervisor {

// Ends every process of config.sessionUids and removes what these own in /dev/shm and /tmp, by `power-kernel sweep`
// (about 10 ms when there is nothing; at most 20 s). Only where sessions have users of their own; needs root. What
// could not be ended is logged: it keeps its old workspace and nothing else. In `full` a session ends with its server
// (power-init's lifeline), so there it finds something only after a server of the tier `container`.
QCoro::Task<> sweepLeftOvers(HostConfig config);

} // namespace power::supervisor
