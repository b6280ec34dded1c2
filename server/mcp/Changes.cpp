#include "mcp/Changes.h"

namespace power::mcp {

Changes::Registration Changes::listen(Listener listener)
{
    auto entry = std::make_shared<Listener>(std::move(listener));
    m_listeners.push_back(entry);
    return entry;
}

void Changes::tell(const Change &change)
{
    m_listeners.remove_if([](const auto &entry) { return entry.expired(); });
    const auto now = m_listeners; // a listener may end itself or others
    for (const auto &weak : now) {
        if (const auto listener = weak.lock())
            (*listener)(change);
    }
}

} // namespace power::mcp
