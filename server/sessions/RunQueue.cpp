#include "sessions/RunQueue.h"

namespace power::sessions {

void RunQueue::State::leave()
{
    while (!waiting.empty()) {
        const OneShot<Done> next = waiting.front();
        waiting.pop_front();
        if (!next.isResolved()) {
            next.resolve(Done{}); // stays busy: the turn has passed on
            return;
        }
    }
    busy = false;
}

void RunQueue::Turn::give()
{
    if (auto state = std::exchange(m_state, nullptr))
        state->leave();
}

QCoro::Task<Result<std::shared_ptr<RunQueue::Turn>>> RunQueue::enter(std::chrono::milliseconds patience,
                                                                   CancelToken token)
{
    auto state = m_state;
    if (!state->busy) {
        state->busy = true;
        co_return std::make_shared<Turn>(state);
    }
    OneShot<Done> shot;
    state->waiting.push_back(shot);
    const Result<Done> turn = co_await shot.wait(patience, token);
    if (!turn) {
        std::erase_if(state->waiting, [](const OneShot<Done> &other) { return other.isResolved(); });
        co_return Unexpected<Error>{turn.error()};
    }
    co_return std::make_shared<Turn>(state);
}

} // namespace power::sessions
