// tools/call where the answer may be a task. Only for this folder.
#pragma once
#include "mcp/Core.h"
#include "mcp/MethodTable.h"

namespace power::mcp {

// Whether and when a call becomes a task: by the client's `task` parameter (2025-11-25), or by the server for clients that
// declare the extension (2026-07-28).
struct TaskWish {
    bool isOn = false;
    bool isAsked = false;                 // by the parameter: at once
    std::chrono::milliseconds after{0};
    std::optional<RpcError> problem = {}; // the tool cannot be called so
};
TaskWish taskWish(const Core &core, const Call &call, const operations::Operation &operation);

struct TaskedCall {
    std::optional<QJsonObject> created;   // the result that names the task
    Result<operations::Answer> answer = operations::Answer(); // else: as if it had been called without
};
QCoro::Task<TaskedCall> callAsTask(CorePtr core, CallPtr call, TaskWish wish, QString tool, QJsonObject arguments);

// taskId, status ... in the names of the world.
QJsonObject taskObject(const TaskFacts &facts, World world);

} // namespace power::mcp
