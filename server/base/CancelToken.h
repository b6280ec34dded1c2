// Cooperative cancellation: a client that disconnected, a shutdown, an explicit cancel.
#pragma once
#include <functional>
#include <list>
#include <memory>

namespace power {

class CancelSource;

// CancelToken: a copyable view. A default token is never cancelled.
// Thread: the event loop's thread only.
class CancelToken
{
    struct Entry {
        std::function<void()> call;
    };
    struct State {
        bool cancelled = false;
        std::list<std::weak_ptr<Entry>> entries;
    };

public:
    // Keeps a callback registered; destroying it forgets the callback.
    using Registration = std::shared_ptr<void>;

    bool isCancelled() const { return m_state && m_state->cancelled; }

    // Calls `call` once when cancelled (at once if it already is). Null for a default token.
    [[nodiscard]] Registration onCancel(std::function<void()> call) const
    {
        if (!m_state)
            return {};
        if (m_state->cancelled) {
            call();
            return {};
        }
        m_state->entries.remove_if([](const auto &entry) { return entry.expired(); });
        auto entry = std::make_shared<Entry>(Entry{std::move(call)});
        m_state->entries.push_back(entry);
        return entry;
    }

private:
    friend class CancelSource;
    std::shared_ptr<State> m_state;
};

// CancelSource: the side that decides. Destroying it does not cancel.
class CancelSource
{
public:
    CancelSource() { m_token.m_state = std::make_shared<CancelToken::State>(); }
    CancelToken token() const { return m_token; }

    void cancel()
    {
        auto state = m_token.m_state;
        if (state->cancelled)
            return;
        state->cancelled = true;
        auto entries = std::move(state->entries);
        for (const auto &weak : entries) {
            if (auto entry = weak.lock())
                entry->call();
        }
    }

private:
    CancelToken m_token;
};

} // namespace power
