// The order of calls to one session: first come, first served, one at a time.
#pragma once
#include "base/OneShot.h"
#include <QCoroTask>
#include <deque>
#include <memory>

namespace power::sessions {

// RunQueue: an asynchronous lock with a visible queue. Thread: the event loop's.
class RunQueue
{
    struct State {
        bool busy = false;
        std::deque<OneShot<Done>> waiting;
        void leave();
    };

public:
    // Holds the turn until destroyed; the next waiter is resumed inside the destructor.
    class Turn
    {
    public:
        explicit Turn(std::shared_ptr<State> state) : m_state(std::move(state)) {}
        Turn(Turn &&other) noexcept : m_state(std::move(other.m_state)) {}
        Turn &operator=(Turn &&other) = delete;
        ~Turn() { give(); }
        void give();

    private:
        std::shared_ptr<State> m_state;
    };

    RunQueue() : m_state(std::make_shared<State>()) {}
    bool isBusy() const { return m_state->busy; }
    // Calls that wait behind the running one.
    int waiting() const { return int(m_state->waiting.size()); }

    // Errors: Timeout after `patience`, Cancelled.
    QCoro::Task<Result<std::shared_ptr<Turn>>> enter(std::chrono::milliseconds patience, CancelToken token);

private:
    std::shared_ptr<State> m_state;
};

} // namespace power::sessions
