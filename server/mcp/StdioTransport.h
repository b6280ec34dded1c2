// MCP over two descriptors, one JSON-RPC message a line: for clients that start the server themselves.
#pragma once
#include "mcp/Endpoint.h"
#include <QSocketNotifier>

namespace power::mcp {

// StdioTransport: both eras, chosen per message. Reads and writes without blocking; a client that does not read
// 64 MiB of answers is given up. Ended (once, also when the client closes `in`): every call that came this way is
// cancelled, then `ended` is called. The descriptors stay open. Thread: the event loop's.
class StdioTransport
{
public:
    // `caller`: who the client is. The endpoint must outlive this.
    StdioTransport(const Endpoint &endpoint, operations::Caller caller, int in, int out, std::function<void()> ended);
    ~StdioTransport();

    struct State;

private:
    std::shared_ptr<State> m_state;
};

} // namespace power::mcp
