#include "mcp/EventLog.h"
#include "base/Ids.h"

namespace power::mcp {

namespace {
constexpr size_t kMostEvents = 1'000;
constexpr qsizetype kMostBytes = 8 << 20;
constexpr size_t kMostLogs = 256;
constexpr qsizetype kMostEndedBytes = 64 << 20;
constexpr std::chrono::minutes kKeptAfterEnd{5};
constexpr std::chrono::milliseconds kComeBack{500};
} // namespace

void EventLog::attach(std::shared_ptr<http::SseStream> stream, qint64 after)
{
    detach();
    m_stream = std::move(stream);
    for (size_t i = 0; i < m_events.size(); ++i) {
        const qint64 number = m_first + qint64(i);
        if (number > after)
            m_stream->send("message", m_events[i], eventId(number));
    }
    if (m_ended)
        detach();
}

void EventLog::prime()
{
    if (!isAttached())
        return;
    m_stream->setRetry(kComeBack);
    m_stream->send({}, {}, eventId(m_first + qint64(m_events.size()) - 1));
}

void EventLog::append(const QByteArray &message)
{
    if (m_ended)
        return;
    m_events.push_back(message);
    m_bytes += message.size();
    while (m_events.size() > kMostEvents || (m_bytes > kMostBytes && m_events.size() > 1)) {
        m_bytes -= m_events.front().size();
        m_events.pop_front();
        ++m_first;
    }
    if (isAttached())
        m_stream->send("message", message, eventId(m_first + qint64(m_events.size()) - 1));
}

std::chrono::steady_clock::duration EventLog::unreadFor()
{
    if (isAttached()) {
        m_unreadSince.reset();
        return {};
    }
    const auto now = std::chrono::steady_clock::now();
    if (!m_unreadSince)
        m_unreadSince = now;
    return now - *m_unreadSince;
}

void EventLog::end()
{
    m_ended = true;
    detach();
}

void EventLog::detach()
{
    if (const auto stream = std::exchange(m_stream, nullptr))
        stream->finish();
}

std::shared_ptr<EventLog> EventLogs::make(const QString &principal)
{
    const auto now = std::chrono::steady_clock::now();
    while (!m_ended.empty() && m_ended.front().when + kKeptAfterEnd < now)
        forgetOldestEnded();
    while (m_order.size() >= kMostLogs && !m_ended.empty())
        forgetOldestEnded();
    while (m_order.size() >= kMostLogs) {
        m_logs.remove(m_order.front());
        m_order.pop_front();
    }
    auto log = std::make_shared<EventLog>(newUuid().remove(u'-').toLatin1(), principal);
    m_logs.insert(log->id(), log);
    m_order.push_back(log->id());
    return log;
}

std::shared_ptr<EventLog> EventLogs::find(const QByteArray &eventId, const QString &principal, qint64 &number) const
{
    const qsizetype colon = eventId.lastIndexOf(':');
    bool isNumber = false;
    number = eventId.mid(colon + 1).toLongLong(&isNumber);
    const auto log = colon < 0 || !isNumber ? nullptr : m_logs.value(eventId.left(colon));
    return log && log->principal() == principal ? log : nullptr;
}

void EventLogs::ended(const std::shared_ptr<EventLog> &log)
{
    if (!m_logs.contains(log->id()))
        return;
    m_ended.push_back({std::chrono::steady_clock::now(), log->id(), log->bytes()});
    m_endedBytes += log->bytes();
    while (m_endedBytes > kMostEndedBytes)
        forgetOldestEnded();
}

void EventLogs::forgetOldestEnded()
{
    m_logs.remove(m_ended.front().id);
    std::erase(m_order, m_ended.front().id);
    m_endedBytes -= m_ended.front().bytes;
    m_ended.pop_front();
}

} // namespace power::mcp
