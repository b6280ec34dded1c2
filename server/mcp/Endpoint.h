// The MCP doors: /mcp (both eras), POST /mcp/sse (plain JSON-RPC), GET /mcp/sse with /mcp/messages (HTTP+SSE of
// 2024-11-05) and standard input; one dispatcher behind all.
#pragma once
#include "doors/Authenticator.h"
#include "http/Dispatcher.h"
#include "mcp/Config.h"
#include "mcp/MethodTable.h"

namespace power::mcp {

// Endpoint: routes -> authentication -> JSON -> classifier -> ladder -> method -> finalizer -> JSON or SSE.
// Never answers 500. The registry must be complete before the first request and outlive the endpoint's calls.
// Thread: the event loop's.
class Endpoint
{
public:
    Endpoint(const operations::Registry &registry, doors::Authenticator authenticate, EndpointConfig config);
    ~Endpoint();

    // /mcp, /mcp/sse, /mcp/messages, and 404 as JSON for the authorization probes of clients.
    void addRoutes(http::Dispatcher &dispatcher);
    // One POST to /mcp or /mcp/sse, one GET and one DELETE of /mcp; what the routes call.
    void post(http::ExchangePtr exchange, Door door);
    void get(http::ExchangePtr exchange);
    void remove(http::ExchangePtr exchange);
    // GET /mcp/sse and POST /mcp/messages.
    void openStream(http::ExchangePtr exchange);
    void postToStream(http::ExchangePtr exchange);
    // Ends every stream that waits for news and every question to a client, so that the server can stop; running calls go on.
    void close();
    // Calls in progress, all clients.
    qsizetype runningCalls() const;
    // For the other transports of this folder.
    const std::shared_ptr<Core> &core() const { return m_core; }

private:
    std::shared_ptr<Core> m_core;
};

} // namespace power::mcp
