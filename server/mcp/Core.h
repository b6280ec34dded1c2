// What all transports share, and one request on its way through it. Only for this folder.
#pragma once
#include "doors/Authenticator.h"
#include "http/Exchange.h"
#include "mcp/Asks.h"
#include "mcp/Classifier.h"
#include "mcp/Config.h"
#include "mcp/RunningCalls.h"
#include "mcp/Sessions.h"
#include "mcp/TaskRuns.h"
#include "mcp/ToolList.h"
#include "mcp/Watches.h"

namespace power::mcp {

struct Core {
    Core(const operations::Registry &operationRegistry, doors::Authenticator door, EndpointConfig given)
        : registry(operationRegistry), authenticate(std::move(door)), config(std::move(given)), tools(registry),
          sessions(config.sealer, config.features->changes), watches(config.features)
    {
        tools.setTasks(bool(config.features->tasks));
    }

    const operations::Registry &registry;
    doors::Authenticator authenticate;
    EndpointConfig config;
    ToolList tools;
    RunningCalls running;
    Sessions sessions;
    EventLogs logs;
    QHash<QByteArray, SessionPtr> lines; // of HTTP+SSE, by id
    Asks asks;
    TaskRuns taskRuns;
    Watches watches;
    CancelSource closing; // the server stops: streams that wait for news end

    const Features &features() const { return *config.features; }
};
using CorePtr = std::shared_ptr<Core>;

// Where a message came from. `scope` tells the request ids of different clients apart.
struct Arrival {
    Door door = Door::Mcp;
    operations::Caller caller;
    SessionPtr session;      // null: none was named
    QByteArray scope;
    http::Headers headers;   // empty for stdio
    Result<ToolSelection> tools = ToolSelection(); // what this client sees; an error is told to who asks for tools
    CancelToken gone;        // the client hung up
};

// One request that passed the ladder.
struct Call {
    Inbound inbound;
    Arrival from;
    operations::Caller caller; // as operations get it
    std::shared_ptr<Outlet> outlet;
    http::Headers replyHeaders;
    std::function<void(const QString &key, const QJsonValue &value)> note = {}; // for the access log
};
using CallPtr = std::shared_ptr<Call>;

} // namespace power::mcp
