// Calls in progress that a notifications/cancelled may stop.
#pragma once
#include "base/CancelToken.h"
#include <QByteArray>
#include <QMultiHash>

namespace power::mcp {

// RunningCalls: keyed by whose request it is (principal, session or address) and its id. Thread: the event loop's.
class RunningCalls
{
public:
    void add(const QByteArray &key, const std::shared_ptr<CancelSource> &call) { m_calls.insert(key, call); }
    void remove(const QByteArray &key, const std::shared_ptr<CancelSource> &call) { m_calls.remove(key, call); }
    // Cancels the call of that key. Two calls of one key are different clients behind one address: then neither.
    bool cancel(const QByteArray &key);
    void cancelAll();
    qsizetype count() const { return m_calls.size(); }

private:
    QMultiHash<QByteArray, std::shared_ptr<CancelSource>> m_calls;
};

} // namespace power::mcp
