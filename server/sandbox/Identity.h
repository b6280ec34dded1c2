// Who the process is: the session's user and group, no other groups, no capability now or later.
#pragma once
#include "sandbox/Apply.h"

namespace power::sandbox {

// Order matters: the bounding set while still root, then groups and ids, then the capability sets, then
// PR_SET_NO_NEW_PRIVS. In `nonroot` and `none` the ids stay.
bool dropIdentity(const Plan &plan, Failure &failure);

// Empties the effective, permitted and inheritable sets of the calling thread.
bool dropCapabilities(Failure &failure);

} // namespace power::sandbox
