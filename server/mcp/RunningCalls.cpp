#include "mcp/RunningCalls.h"
#include "mcp/Rpc.h"

namespace power::mcp {

QByteArray RunningCalls::key(const operations::Caller &caller, const http::Request &request, const QJsonValue &id)
{
    const QByteArray session = request.headers.value("Mcp-Session-Id");
    return caller.principal.toUtf8() + '\n'
         + (session.isEmpty() ? "peer " + request.peer.toString().toLatin1() : "session " + session) + '\n' + jsonBytes(id);
}

void RunningCalls::add(const QByteArray &key, const std::shared_ptr<CancelSource> &call)
{
    m_calls.insert(key, call);
}

void RunningCalls::remove(const QByteArray &key, const std::shared_ptr<CancelSource> &call)
{
    m_calls.remove(key, call);
}

bool RunningCalls::cancel(const QByteArray &key)
{
    const auto found = m_calls.values(key);
    if (found.size() != 1)
        return false;
    found.first()->cancel();
    return true;
}

} // namespace power::mcp
