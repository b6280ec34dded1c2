#include "mcp/RunningCalls.h"

namespace power::mcp {

bool RunningCalls::cancel(const QByteArray &key)
{
    const auto found = m_calls.values(key);
    if (found.size() != 1)
        return false;
    found.first()->cancel();
    return true;
}

void RunningCalls::cancelAll()
{
    const auto all = m_calls.values();
    for (const auto &call : all)
        call->cancel();
}

} // namespace power::mcp
