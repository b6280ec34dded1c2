// Progress of one call: strictly increasing, rate-limited, only the newest waits.
#pragma once
#include "mcp/Outlet.h"
#include <QJsonValue>
#include <QTimer>
#include <chrono>
#include <memory>
#include <optional>

namespace power::mcp {

struct StreamDelays {
    std::chrono::milliseconds withProgress{1'000};  // a call with a progressToken turns into a stream after this
    std::chrono::milliseconds keepAlive{10'000};    // one without a token, when the client named text/event-stream
    std::chrono::milliseconds refill{250};          // one progress message per this in the long run, four at once
};

// ProgressMeter: sends notifications/progress through the outlet once that flows. Thread: the event loop's.
class ProgressMeter
{
public:
    // token null: reports are ignored.
    ProgressMeter(std::shared_ptr<Outlet> outlet, QJsonValue token, StreamDelays delays);

    // done < 0: unknown, counted instead. Values that do not increase are raised minimally when their text is new.
    void report(double done, double total, const QString &text);
    // Nothing is sent after the answer.
    void stop();

private:
    struct Update {
        double done = 0, total = 0;
        QString text;
    };
    void flush();

    std::shared_ptr<Outlet> m_outlet; // null after stop()
    QJsonValue m_token;
    StreamDelays m_delays;
    std::optional<Update> m_waiting;
    QString m_lastText;
    double m_last = -1;
    int m_allowance;
    std::chrono::steady_clock::time_point m_refilled;
    QTimer m_timer;
};

} // namespace power::mcp
