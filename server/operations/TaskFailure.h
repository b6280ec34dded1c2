// What a tool says when its own code in a session did not end well.
#pragma once
#include "base/Error.h"
#include "supervisor/Kernel.h"

namespace power::operations {

// what: "The query"; smaller: what to do when it was too much. Errors: InvalidArgument (its own refusal, with the words of
// it), Timeout, Unavailable; details.cause, limit, variables_survived.
Unexpected<Error> runFailure(const supervisor::RunOutcome &outcome, const QString &what, const QString &smaller);

} // namespace power::operations
