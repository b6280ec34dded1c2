// The methods, one group per file; MethodTable.cpp says in which worlds they exist. Only for this folder.
#pragma once
#include "mcp/Core.h"
#include "mcp/MethodTable.h"

namespace power::mcp {

// LifecycleMethods.cpp
Outcome initialize(Core &core, Call &call);
Outcome discover(Core &core, Call &call);
Outcome ping(Core &core, Call &call);
Outcome setLogLevel(Core &core, Call &call);
bool isLogLevel(const QString &level);
bool isLoggedAt(const QString &level, const QString &wanted); // wanted empty: never

// ToolMethods.cpp
Outcome listTools(Core &core, Call &call);
QCoro::Task<Outcome> callTool(CorePtr core, CallPtr call);

// ResourceMethods.cpp
QCoro::Task<Outcome> listResources(CorePtr core, CallPtr call);
Outcome listResourceTemplates(Core &core, Call &call);
QCoro::Task<Outcome> readResource(CorePtr core, CallPtr call);
Outcome subscribeResource(Core &core, Call &call);
Outcome unsubscribeResource(Core &core, Call &call);

// PromptMethods.cpp
Outcome listPrompts(Core &core, Call &call);
QCoro::Task<Outcome> getPrompt(CorePtr core, CallPtr call);
QCoro::Task<Outcome> complete(CorePtr core, CallPtr call);

// TaskMethods.cpp
QCoro::Task<Outcome> getTask(CorePtr core, CallPtr call);
QCoro::Task<Outcome> updateTask(CorePtr core, CallPtr call);
QCoro::Task<Outcome> cancelTask(CorePtr core, CallPtr call);
QCoro::Task<Outcome> taskResult(CorePtr core, CallPtr call);
QCoro::Task<Outcome> listTasks(CorePtr core, CallPtr call);
// A task of 2026-07-28 whole, for tasks/get and notifications/tasks; its error when there is no such task.
QCoro::Task<Outcome> wholeTask(CorePtr core, operations::Caller caller, QString id);

// ListenMethod.cpp: subscriptions/listen; ends with the client or the server.
QCoro::Task<Outcome> listenForChanges(CorePtr core, CallPtr call);

// One page of a list as the result {"<key>": [...], "nextCursor": ...}; -32602 for a cursor that was never handed out.
Outcome pageOf(const Inbound &inbound, const QString &key, const QJsonArray &all, int pageSize);

// A service's error as the protocol's: code by kind, text and details as they are.
RpcError protocolError(const Error &error);

} // namespace power::mcp
