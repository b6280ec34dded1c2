// Answers that share one long-lived line to the client: standard output, or the stream of HTTP+SSE.
#pragma once
#include "mcp/Outlet.h"
#include "mcp/Sessions.h"

namespace power::mcp {

// LineOutlet: of one request; silent when the line is gone. Thread: the event loop's.
class LineOutlet final : public Outlet
{
public:
    explicit LineOutlet(std::weak_ptr<Session> session) : m_session(std::move(session)) {}
    bool canCarry() const override { return true; }
    bool isFlowing() const override { return true; }
    void carry(const QByteArray &message) override
    {
        if (const auto session = m_session.lock())
            session->line(message);
    }
    void finish(Reply reply) override
    {
        if (!reply.body.isEmpty())
            carry(reply.body);
    }

private:
    std::weak_ptr<Session> m_session;
};

} // namespace power::mcp
