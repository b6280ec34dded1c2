// The one inbound classifier: which message this is and by which rules it is served, from the body first
// (reference MCP 2.1). An era belongs to a request, never to a connection.
#pragma once
#include "http/Message.h"
#include "mcp/Rpc.h"
#include "mcp/ToolSelection.h"
#include <variant>

namespace power::mcp {

struct Inbound {
    enum class Kind { Request, Notification, Response };
    Kind kind = Kind::Request;
    Door door = Door::Mcp;
    World world = Legacy;
    QString version;           // claimed in _meta (modern) or by the header (legacy); may be empty
    QJsonValue id;             // text or number for a request
    QString method;
    QJsonObject params;        // null and missing params are an empty object
    QJsonObject meta;          // params._meta
    QJsonValue progressToken;  // text or whole number, else null
    ToolSelection tools;       // what tools/list shows and tools/call may call; set by the dispatcher
    QJsonObject response;      // Kind::Response: the whole message
};

// A message that is not served: the status and the error to answer with.
struct Rejection {
    int httpStatus = 400;
    QJsonValue id;
    RpcError error;
};

using Classified = std::variant<Inbound, Rejection>;

// One message (an element of a batch counts as one). Shape errors are 400 -32600.
Classified classify(Door door, const http::Headers &headers, const QJsonValue &message);

// Body -> JSON, as UTF-8 with replacement of bad bytes; a byte order mark is skipped. False when it is no JSON.
bool parseBody(const QByteArray &body, QJsonValue &message);

} // namespace power::mcp
