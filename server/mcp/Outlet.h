// Where everything that is said about one request goes; one kind per transport.
#pragma once
#include "http/Message.h"

namespace power::mcp {

// The answer of one request. An empty body: nothing is to be said (notification, or the answer went another way).
struct Reply {
    int status = 200;        // HTTP only
    QByteArray body;
    http::Headers headers;   // HTTP only
};

// Outlet: messages before the answer (notifications, questions to the client), then the answer, once.
// Thread: the event loop's.
class Outlet
{
public:
    virtual ~Outlet() = default;
    // Whether a message can reach the client before the answer at all.
    virtual bool canCarry() const = 0;
    // Whether it can without turning the answer into a stream first.
    virtual bool isFlowing() const = 0;
    // Sends it now; dropped when it cannot be carried.
    virtual void carry(const QByteArray &message) = 0;
    virtual void finish(Reply reply) = 0;
    // Cuts the connection but not the call; the client comes back for the rest (2025-11-25). Without effect where the
    // client could not come back.
    virtual void disconnect() {}
    // Called when the outlet begins to flow.
    void onFlow(std::function<void()> call) { m_flow = std::move(call); }

protected:
    void flowBegan() const
    {
        if (m_flow)
            m_flow();
    }

private:
    std::function<void()> m_flow;
};

} // namespace power::mcp
