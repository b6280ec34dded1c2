// The answer of one POST: JSON in the body, or an event stream when something must flow meanwhile.
#pragma once
#include "mcp/EventLog.h"
#include "mcp/Negotiation.h"
#include "mcp/Outlet.h"
#include "mcp/ProgressMeter.h"

namespace power::mcp {

struct StreamRules {
    AnswerForms forms;
    StreamDelays delays;
    bool wantsProgress = false;  // the request has a progressToken
    EventLogs *logs = nullptr;   // not null: the client can come back for the rest of a stream
    bool prime = false;          // and wants the priming event
    QString principal;
};

// HttpOutlet: answers its exchange exactly once, by finish(). Thread: the event loop's.
class HttpOutlet final : public Outlet
{
public:
    HttpOutlet(http::ExchangePtr exchange, StreamRules rules);

    bool canCarry() const override { return m_rules.forms.mayStream; }
    bool isFlowing() const override { return m_stream || m_log; }
    void carry(const QByteArray &message) override;
    void finish(Reply reply) override;
    void disconnect() override;

private:
    void begin(const http::Headers &headers);
    void say(const QByteArray &message);
    void end();

    http::ExchangePtr m_exchange;
    StreamRules m_rules;
    std::shared_ptr<http::SseStream> m_stream; // without a log
    std::shared_ptr<EventLog> m_log;
    bool m_finished = false;
    QTimer m_startTimer;
};

} // namespace power::mcp
