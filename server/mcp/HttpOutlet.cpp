#include "mcp/HttpOutlet.h"

namespace power::mcp {

HttpOutlet::HttpOutlet(http::ExchangePtr exchange, StreamRules rules)
    : m_exchange(std::move(exchange)), m_rules(std::move(rules))
{
    m_startTimer.setSingleShot(true);
    QObject::connect(&m_startTimer, &QTimer::timeout, &m_startTimer, [this] { begin({}); });
    const AnswerForms &forms = m_rules.forms;
    if (forms.streamOnly || (m_rules.wantsProgress && forms.mayStream && m_rules.delays.withProgress.count() > 0))
        m_startTimer.start(m_rules.delays.withProgress);
    else if (forms.mayKeepAlive)
        m_startTimer.start(m_rules.delays.keepAlive);
}

void HttpOutlet::begin(const http::Headers &headers)
{
    m_startTimer.stop();
    if (isFlowing() || m_exchange->isAnswered() || m_exchange->disconnected().isCancelled())
        return;
    auto stream = m_exchange->startSse(headers);
    if (m_rules.logs) {
        m_log = m_rules.logs->make(m_rules.principal);
        m_log->attach(std::move(stream), -1);
        if (m_rules.prime)
            m_log->prime();
    } else {
        m_stream = std::move(stream);
    }
    flowBegan();
}

void HttpOutlet::say(const QByteArray &message)
{
    if (m_log)
        m_log->append(message);
    else if (m_stream)
        m_stream->send("message", message);
}

void HttpOutlet::carry(const QByteArray &message)
{
    if (m_finished || !canCarry())
        return;
    begin({});
    say(message);
}

void HttpOutlet::finish(Reply reply)
{
    if (std::exchange(m_finished, true))
        return;
    m_startTimer.stop();
    if (!isFlowing() && m_rules.forms.streamOnly && reply.status == 200 && !reply.body.isEmpty())
        begin(reply.headers);
    if (isFlowing()) {
        if (!reply.body.isEmpty())
            say(reply.body);
        return end();
    }
    if (m_exchange->isAnswered())
        return;
    http::Response response = reply.body.isEmpty() ? http::Response::empty(reply.status == 200 ? 202 : reply.status)
                                                   : http::Response::bytes(reply.status, "application/json", reply.body);
    for (const auto &field : reply.headers.fields())
        response.headers.add(field.name, field.value);
    m_exchange->reply(std::move(response));
}

void HttpOutlet::end()
{
    if (m_stream)
        m_stream->finish();
    if (m_log) {
        m_log->end();
        m_rules.logs->ended(m_log);
    }
}

void HttpOutlet::disconnect()
{
    if (m_finished || !m_rules.prime)
        return;
    begin({});
    if (m_log)
        m_log->detach();
}

} // namespace power::mcp
