// Who wants to know of updates of which resource; providers are told of the first and of the last.
#pragma once
#include "mcp/Providers.h"
#include <QHash>

namespace power::mcp {

// Watches: thread: the event loop's.
class Watches
{
public:
    using Registration = std::shared_ptr<void>; // ends the watch when destroyed

    explicit Watches(std::shared_ptr<Features> features);
    // Error: NotFound (no provider owns it, or the owner says so).
    Result<Registration> add(const operations::Caller &caller, const QString &uri);

private:
    struct State {
        std::shared_ptr<Features> features;
        QHash<QString, int> counts; // by principal and URI
    };
    std::shared_ptr<State> m_state;
};

// The provider of a URI; null when there is none.
std::shared_ptr<ResourceProvider> providerOf(const Features &features, const QString &uri);

} // namespace power::mcp
