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
    HeaderMismatch = -32020,
    UnsupportedVersion = -32022,
};

struct RpcError {
    int code = InvalidRequest;
    QString message;
    QJsonObject data; // empty = left out
};

// The address a message came to.
enum class Door {
    Mcp, // /mcp: Streamable HTTP, both eras
    Sse, // POST /mcp/sse: plain JSON-RPC (contract D12)
};

// The rules a message is served by; bits, for the masks of the method table.
enum World : unsigned {
    Modern = 1, // 2026-07-28: stateless, _meta on every request
    Legacy = 2, // 2024-11-05 .. 2025-11-25 on /mcp
    Plain = 4,  // the same versions on /mcp/sse
};

inline constexpr char kMetaVersion[] = "io.modelcontextprotocol/protocolVersion";
inline constexpr char kMetaCapabilities[] = "io.modelcontextprotocol/clientCapabilities";
inline constexpr char kMetaServerInfo[] = "io.modelcontextprotocol/serverInfo";
inline constexpr char kLatestLegacy[] = "2025-11-25";
inline constexpr char kFirstLegacy[] = "2024-11-05";

const QStringList &modernVersions();
const QStringList &legacyVersions();

// One value as JSON text.
QByteArray jsonBytes(const QJsonValue &value);

// `result` is JSON text already.
QByteArray resultMessage(const QJsonValue &id, const QByteArray &result);
// An id that is neither text nor number is sent as null.
QByteArray errorMessage(const QJsonValue &id, const RpcError &error);

} // namespace power::mcp
