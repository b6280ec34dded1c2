// A value that arrives once, later, on the same thread; what coroutines of this server wait for.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include <QTimer>
#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>

namespace power {

// OneShot<T>: a shared handle. The producer calls resolve() at most once with effect (later calls are
// ignored); one coroutine waits with `co_await shot.wait(deadline, token)`. The wait always ends:
// with the value, with ErrorCode::Timeout, or with ErrorCode::Cancelled.
// Thread: everything on the thread of the event loop that waits; other threads post a call that
// resolves. The waiter is resumed inside resolve(), so resolve() is the producer's last act.
template <typename T>
class OneShot
{
    struct State {
        std::optional<Result<T>> value;
        std::coroutine_handle<> waiter;
        std::unique_ptr<QTimer> timer;
        CancelToken::Registration cancel;
    };

public:
    OneShot() : m_state(std::make_shared<State>()) {}

    bool isResolved() const { return m_state->value.has_value(); }

    void resolve(Result<T> value) const
    {
        auto state = m_state;
        if (state->value)
            return;
        state->value.emplace(std::move(value));
        state->timer.reset();
        state->cancel.reset();
        if (auto waiter = std::exchange(state->waiter, nullptr))
            waiter.resume();
    }

    // timeout <= 0 waits until resolved or cancelled.
    auto wait(std::chrono::milliseconds timeout, CancelToken token = {}) const
    {
        return Awaiter{*this, timeout, std::move(token)};
    }

private:
    struct Awaiter {
        OneShot shot;
        std::chrono::milliseconds timeout;
        CancelToken token;

        bool await_ready() const
        {
            if (!shot.m_state->value && token.isCancelled())
                shot.m_state->value.emplace(
                    fail(ErrorCode::Cancelled, QStringLiteral("The call was cancelled.")));
            return shot.isResolved();
        }
        void await_suspend(std::coroutine_handle<> handle)
        {
            auto &state = *shot.m_state;
            state.waiter = handle;
            const OneShot copy = shot;
            if (timeout.count() > 0) {
                state.timer = std::make_unique<QTimer>();
                state.timer->setSingleShot(true);
                QObject::connect(state.timer.get(), &QTimer::timeout, state.timer.get(), [copy] {
                    // The timer must outlive its own signal.
                    if (auto timer = std::move(copy.m_state->timer))
                        timer.release()->deleteLater();
                    copy.resolve(fail(ErrorCode::Timeout, QStringLiteral("The wait timed out.")));
                });
                state.timer->start(timeout);
            }
            state.cancel = token.onCancel([copy] {
                copy.resolve(fail(ErrorCode::Cancelled, QStringLiteral("The call was cancelled.")));
            });
        }
        Result<T> await_resume() { return std::move(*shot.m_state->value); }
    };

    std::shared_ptr<State> m_state;
};

} // namespace power
