// Calls in progress that a notifications/cancelled may stop.
#pragma once
#include "base/CancelToken.h"
#include "http/Message.h"
#include "operations/Operation.h"
#include <QMultiHash>

namespace power::mcp {

// RunningCalls: keyed by principal, session (header Mcp-Session-Id, or the peer's address without one) and id.
// Thread: the event loop's.
class RunningCalls
{
public:
    static QByteArray key(const operations::Caller &caller, const http::Request &request, const QJsonValue &id);

    void add(const QByteArray &key, const std::shared_ptr<CancelSource> &call);
    void remove(const QByteArray &key, const std::shared_ptr<CancelSource> &call);
    // Cancels the call of that key. Two calls of one key are different clients behind one address: then neither.
    bool cancel(const QByteArray &key);
    qsizetype count() const { return m_calls.size(); }

private:
    QMultiHash<QByteArray, std::shared_ptr<CancelSource>> m_calls;
};

} // namespace power::mcp
