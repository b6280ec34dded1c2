// The MCP doors: /mcp (both eras) and POST /mcp/sse (plain JSON-RPC), one dispatcher behind both.
#pragma once
#include "doors/Authenticator.h"
#include "http/Dispatcher.h"
#include "mcp/MethodTable.h"
#include "mcp/ProgressStream.h"
#include "mcp/Providers.h"
#include "mcp/ResultShaping.h"

namespace power::mcp {

struct EndpointConfig {
    ServerFacts facts;
    ShapeRules shape;
    StreamDelays delays;
    std::shared_ptr<Features> features = std::make_shared<Features>(); // resources, prompts, completions
    ToolSelection tools;               // for requests that select none; its read-only switch holds for all
    qint64 maxBody = 64 * 1024 * 1024; // bytes of one POST; uploads larger than that go by URL or REST
};

// Endpoint: routes -> authentication -> JSON -> classifier -> ladder -> method -> finalizer -> JSON or SSE.
// Never answers 500. The registry must be complete before the first request and outlive the endpoint's calls.
// Thread: the event loop's.
class Endpoint
{
public:
    Endpoint(const operations::Registry &registry, doors::Authenticator authenticate, EndpointConfig config);
    ~Endpoint();

    // /mcp, /mcp/sse, and 404 as JSON for the authorization probes of clients.
    void addRoutes(http::Dispatcher &dispatcher);
    // One POST; what the routes call.
    void post(http::ExchangePtr exchange, Door door);
    // Calls in progress, all clients.
    qsizetype runningCalls() const;

private:
    struct Core;
    std::shared_ptr<Core> m_core;
};

} // namespace power::mcp
