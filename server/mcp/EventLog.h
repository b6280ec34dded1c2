// Streams a client can come back to: every event has an id, the newest are kept (2025-03-26 .. 2025-11-25).
#pragma once
#include "http/Exchange.h"
#include <QTimer>
#include <deque>
#include <optional>

namespace power::mcp {

// EventLog: the events of one stream and the connection that reads them now, if any.
// At most 1,000 events or 8 MiB are kept; older ones cannot be replayed. Thread: the event loop's.
class EventLog
{
public:
    EventLog(QByteArray id, QString principal) : m_id(std::move(id)), m_principal(std::move(principal)) {}

    const QByteArray &id() const { return m_id; }
    const QString &principal() const { return m_principal; }

    // Replaces the connection (the one before is closed) and sends what came after event `after` (-1: all kept).
    void attach(std::shared_ptr<http::SseStream> stream, qint64 after);
    // The priming event: an id without data and the delay before coming back; only for clients of 2025-11-25.
    void prime();
    void append(const QByteArray &message);
    // Nothing follows any more; the connection is closed.
    void end();
    // Closes the connection, keeps the log.
    void detach();

    bool isEnded() const { return m_ended; }
    qsizetype bytes() const { return m_bytes; }
    bool isAttached() const { return m_stream && m_stream->isOpen(); }
    // Since when nobody reads, as far as was noticed: by the first call of this after the break.
    std::chrono::steady_clock::duration unreadFor();

private:
    QByteArray eventId(qint64 number) const { return m_id + ':' + QByteArray::number(number); }

    QByteArray m_id;
    QString m_principal;
    std::deque<QByteArray> m_events; // number of the first: m_first
    qint64 m_first = 1;
    qsizetype m_bytes = 0;
    bool m_ended = false;
    std::optional<std::chrono::steady_clock::time_point> m_unreadSince;
    std::shared_ptr<http::SseStream> m_stream;
};

// EventLogs: those that may be asked for again: open ones, and ended ones for five minutes. At most 256, and 64 MiB of
// ended ones; then the oldest are forgotten, ended ones first. Thread: the event loop's.
class EventLogs
{
public:
    std::shared_ptr<EventLog> make(const QString &principal);
    // The log and event number of a Last-Event-ID; null when it is unknown, forgotten or another principal's.
    std::shared_ptr<EventLog> find(const QByteArray &eventId, const QString &principal, qint64 &number) const;
    // It has ended and may be forgotten in five minutes.
    void ended(const std::shared_ptr<EventLog> &log);

private:
    void forgetOldestEnded();

    QHash<QByteArray, std::shared_ptr<EventLog>> m_logs;
    std::deque<QByteArray> m_order;
    struct Ended {
        std::chrono::steady_clock::time_point when;
        QByteArray id;
        qsizetype bytes = 0;
    };
    std::deque<Ended> m_ended;
    qsizetype m_endedBytes = 0;
};

} // namespace power::mcp
