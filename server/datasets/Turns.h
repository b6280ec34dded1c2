// So many at once, the others in order.
#pragma once
#include "base/OneShot.h"
#include <QCoroTask>
#include <deque>
#include <memory>

namespace power::datasets {

// Turns: take() waits; letting go of the last copy of the turn passes it on. Thread: the event loop's.
class Turns
{
    struct State {
        int free = 0;
        std::deque<OneShot<Done>> waiting;

        void pass()
        {
            while (!waiting.empty()) {
                const OneShot<Done> next = waiting.front();
                waiting.pop_front();
                if (next.isResolved()) // gave up
                    continue;
                next.resolve(Done{});
                return;
            }
            ++free;
        }
    };

public:
    using Turn = std::shared_ptr<void>;
    explicit Turns(int atOnce) : m_state(std::make_shared<State>()) { m_state->free = atOnce; }

    // Errors: Busy (nobody let go in time), Cancelled.
    QCoro::Task<Result<Turn>> take(std::chrono::milliseconds most, CancelToken cancel)
    {
        const std::shared_ptr<State> state = m_state;
        if (state->free > 0) {
            --state->free;
        } else {
            const OneShot<Done> mine;
            state->waiting.push_back(mine);
            const Result<Done> waited = co_await mine.wait(most, cancel);
            if (!waited && waited.error().code == ErrorCode::Timeout)
                co_return fail(ErrorCode::Busy, QStringLiteral("Others were before it the whole time."), QStringLiteral("Try again later."));
            if (!waited)
                co_return Unexpected<Error>{waited.error()};
        }
        // A token of its own, whose end passes the turn on.
        co_return Turn(new char, [state](char *token) {
            delete token;
            state->pass();
        });
    }

private:
    std::shared_ptr<State> m_state;
};

} // namespace power::datasets
