// One message, whatever way it came: classified, checked, answered. Only for this folder.
#pragma once
#include "mcp/Core.h"
#include "mcp/MethodTable.h"
#include <QJsonArray>

namespace power::mcp {

// What is known at once: the whole reply (also an empty one, for what is not answered), or a call to run with serve().
using Begun = std::variant<Reply, CallPtr>;
Begun begin(Core &core, const Arrival &arrival, const QJsonValue &message);

// Runs a call; call->outlet must be set. Asks the client what the method needs to know: by an input_required result
// (2026-07-28), or by requests on the outlet (before). Its progress and log messages go to the outlet. The caller gives
// the reply to the outlet.
QCoro::Task<Reply> serve(CorePtr core, CallPtr call);

// Why an array is refused; nothing = it is a batch (2025-03-26, or no known version).
std::optional<QString> batchProblem(const Arrival &arrival, const QJsonArray &batch);
// One element after the other; an array of replies, or an empty reply when nothing is to be said.
QCoro::Task<Reply> serveBatch(CorePtr core, Arrival arrival, QJsonArray batch);

// A text that is no message of any era.
Reply badMessage(int status, int code, const QString &text);

// Key of RunningCalls.
QByteArray runningKey(const Arrival &arrival, const QJsonValue &id);

} // namespace power::mcp
