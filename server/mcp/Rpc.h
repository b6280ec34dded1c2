// JSON-RPC 2.0 messages and the facts of the protocol versions.
#pragma once
#include <QByteArray>
#include <QJsonObject>
#include <QJsonValue>
#include <QString>
#include <QStringList>

namespace power::mcp {

// Error codes in use; -32020..-32022 are MCP's (2026-07-28), the rest JSON-RPC's.
enum RpcCode {
    ParseError = -32700,
    InvalidRequest = -32600,
    MethodNotFound = -32601,
    InvalidParams = -32602,
    InternalError = -32603,
    ResourceNotFound = -32002, // initialize era; 2026-07-28 uses InvalidParams
    HeaderMismatch = -32020,
    MissingCapability = -32021,
    UnsupportedVersion = -32022,
};

struct RpcError {
    int code = InvalidRequest;
    QString message;
    QJsonObject data = {}; // empty = left out
    int httpStatus = 200;
};

// The way a message came in; bits, for the masks of the ladder.
enum class Door : unsigned {
    Mcp = 1,    // /mcp: Streamable HTTP, both eras
    Sse = 2,    // POST /mcp/sse: plain JSON-RPC (contract D12)
    Stream = 4, // POST /mcp/messages: HTTP+SSE of 2024-11-05, answers on the stream
    Stdio = 8,  // a line of standard input, both eras
};

// The rules a message is served by; bits, for the masks of the method table.
enum World : unsigned {
    Modern = 1, // 2026-07-28: stateless, _meta on every request
    Legacy = 2, // 2024-11-05 .. 2025-11-25
    Plain = 4,  // the same versions on /mcp/sse
};

inline constexpr char kMetaVersion[] = "io.modelcontextprotocol/protocolVersion";
inline constexpr char kMetaCapabilities[] = "io.modelcontextprotocol/clientCapabilities";
inline constexpr char kMetaServerInfo[] = "io.modelcontextprotocol/serverInfo";
inline constexpr char kMetaClientInfo[] = "io.modelcontextprotocol/clientInfo";
inline constexpr char kMetaLogLevel[] = "io.modelcontextprotocol/logLevel";
inline constexpr char kMetaSubscription[] = "io.modelcontextprotocol/subscriptionId";
inline constexpr char kTasksExtension[] = "io.modelcontextprotocol/tasks";
inline constexpr char kMetaRelatedTask[] = "io.modelcontextprotocol/related-task";
inline constexpr char kLatestLegacy[] = "2025-11-25";
inline constexpr char kFirstLegacy[] = "2024-11-05";

const QStringList &modernVersions();
const QStringList &legacyVersions();

// One value as JSON text.
QByteArray jsonBytes(const QJsonValue &value);

// `result` is JSON text already.
QByteArray resultMessage(const QJsonValue &id, const QByteArray &result);
QByteArray notificationMessage(const QString &method, const QJsonObject &params);
QByteArray requestMessage(const QJsonValue &id, const QString &method, const QJsonObject &params);
// An id that is neither text nor number is sent as null.
QByteArray errorMessage(const QJsonValue &id, const RpcError &error);

} // namespace power::mcp
