// The third adapter: operations as functions of the module `power` inside of code.
#pragma once
#include "operations/Operation.h"
#include "sessions/Session.h"

namespace power::operations {

// What a run's code may call, with the rights of `caller` and in `session` alone: every operation whose declaration has an
// inside name. Each call is logged; the registry outlives the run. Thread: the event loop's.
supervisor::CellCall insideTools(const Registry &registry, Caller caller, QString session);

} // namespace power::operations
