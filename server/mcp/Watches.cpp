#include "mcp/Watches.h"

namespace power::mcp {

std::shared_ptr<ResourceProvider> providerOf(const Features &features, const QString &uri)
{
    for (const auto &provider : features.resources) {
        if (provider->owns(uri))
            return provider;
    }
    return nullptr;
}

Watches::Watches(std::shared_ptr<Features> features) : m_state(std::make_shared<State>())
{
    m_state->features = std::move(features);
}

Result<Watches::Registration> Watches::add(const operations::Caller &caller, const QString &uri)
{
    const auto provider = providerOf(*m_state->features, uri);
    if (!provider)
        return fail(ErrorCode::NotFound, QStringLiteral("Resource not found: %1").arg(uri.left(200)));
    const QString key = caller.principal + u'\n' + uri;
    if (m_state->counts.value(key) == 0) {
        const Result<Done> watched = provider->watch(caller, uri, true);
        if (!watched)
            return Unexpected<Error>{watched.error()};
    }
    ++m_state->counts[key];
    operations::Caller owner;
    owner.principal = caller.principal;
    owner.slug = caller.slug;
    return Registration(static_cast<void *>(nullptr), [state = m_state, key, owner, uri, provider](void *) {
        if (--state->counts[key] > 0)
            return;
        state->counts.remove(key);
        static_cast<void>(provider->watch(owner, uri, false));
    });
}

} // namespace power::mcp
