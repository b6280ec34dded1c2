// Asking the client in the middle of a call: interim results and sealed states (2026-07-28), or requests on the call's
// stream (before). Only for this folder.
#pragma once
#include "mcp/Core.h"
#include "mcp/MethodTable.h"

namespace power::mcp {

// 2026-07-28: what the client sent back of an earlier input_required result, into call.caller. An error outcome when the
// state is forged, too old, or of another principal or call.
std::optional<Outcome> takeRetry(Core &core, Call &call);
// 2026-07-28: the input_required result, or -32021 when the client did not declare what it takes to answer.
Outcome askedBack(Core &core, const Call &call, const operations::InputNeed &need);

// Before: sends every question on the call's outlet and waits for the answers, into call->caller. Something = why the
// client could not be asked.
QCoro::Task<std::optional<Error>> askClient(CorePtr core, CallPtr call, operations::InputNeed need);
// That, as the call's outcome: an isError result of a tool, else a protocol error.
Outcome cannotAsk(Core &core, const Call &call, const Error &problem);

} // namespace power::mcp
