// The answer of one call: JSON in the body, or an event stream when progress must flow meanwhile.
#pragma once
#include "http/Exchange.h"
#include "mcp/Negotiation.h"
#include <QTimer>

namespace power::mcp {

struct StreamDelays {
    std::chrono::milliseconds withProgress{1'000};  // a call with a progressToken turns into a stream after this
    std::chrono::milliseconds keepAlive{10'000};    // one without a token, when the client named text/event-stream
    std::chrono::milliseconds refill{250};          // one progress message per this in the long run, four at once
};

// ProgressStream: answers its exchange exactly once, by finish(). Before that, progress reported after the call has
// become a stream is sent, strictly increasing and rate-limited; the newest text waits for its turn.
// Thread: the event loop's.
class ProgressStream
{
public:
    ProgressStream(http::ExchangePtr exchange, AnswerForms forms, QJsonValue progressToken, StreamDelays delays);

    // done < 0: unknown, counted instead. Values that do not increase are raised minimally when their text is new.
    void report(double done, double total, const QString &text);
    // The JSON-RPC response; `status` and `headers` only when no stream has begun.
    void finish(int status, QByteArray message, http::Headers headers);

    bool isStreaming() const { return bool(m_stream); }
    int sentCount() const { return m_sent; }

private:
    struct Update {
        double done = 0, total = 0;
        QString text;
    };
    void begin();
    void flush();

    http::ExchangePtr m_exchange;
    AnswerForms m_forms;
    QJsonValue m_token;
    StreamDelays m_delays;
    std::shared_ptr<http::SseStream> m_stream;
    std::optional<Update> m_waiting;
    QString m_lastText;
    double m_last = 0;
    int m_allowance = 4;
    int m_sent = 0;
    bool m_finished = false;
    std::chrono::steady_clock::time_point m_refilled;
    QTimer m_startTimer;
    QTimer m_flushTimer;
};

} // namespace power::mcp
