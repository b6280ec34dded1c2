#include "sessions/LastSaving.h"
#include "sessions/LiveSession.h"
#include <algorithm>
#include <tuple>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
constexpr int kSavedAtOnce = 8; // of the quick ones; most of them wait for the disk
constexpr auto kLook = 500ms;
} // namespace

std::chrono::milliseconds LastSaving::State::remaining() const
{
    return std::max<std::chrono::milliseconds>(std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()), 1ms);
}

LastSaving::LastSaving(Snapshots &snapshots, std::chrono::milliseconds most) : m_state(std::make_shared<State>())
{
    m_state->snapshots = &snapshots;
    m_state->most = most;
}

QCoro::Task<QList<LastSaving::Lost>> LastSaving::run(QList<std::shared_ptr<LiveSession>> sessions)
{
    const std::shared_ptr<State> state = m_state;
    state->end = std::chrono::steady_clock::now() + state->most;
    state->left = sessions;
    for (const auto &session : std::as_const(sessions))
        saveOne(state, session);
    while (!state->left.isEmpty() && std::chrono::steady_clock::now() < state->end) {
        const OneShot<Done> step;
        state->step = step;
        beginSome(*state);
        const std::chrono::milliseconds look = std::min<std::chrono::milliseconds>(kLook, state->remaining());
        const CancelToken none;
        const Result<Done> stepped = co_await step.wait(look, none);
        Q_UNUSED(stepped);
    }
    state->isOver = true;
    const qint64 seconds = std::chrono::duration_cast<std::chrono::seconds>(state->most).count();
    for (const auto &session : std::as_const(state->left)) {
        const bool isReady = state->writing.contains(session)
                             || std::any_of(state->ready.cbegin(), state->ready.cend(), [&session](const Ready &one) { return one.session == session; });
        const QString what = isReady ? QStringLiteral("it was not written within %1 s") : QStringLiteral("what ran in the session did not end within %1 s");
        state->lost << Lost{session, what.arg(seconds)};
    }
    co_return state->lost;
}

QCoro::Task<> LastSaving::saveOne(std::shared_ptr<State> state, std::shared_ptr<LiveSession> session)
{
    if (session->queue.isBusy() && session->kernelAlive())
        session->kernel->interrupt(); // its caller has been let go
    const std::chrono::milliseconds patience = state->remaining();
    const CancelToken none;
    const auto turn = co_await session->queue.enter(patience, none);
    if (!turn || state->isOver)
        co_return;
    const OneShot<Done> begin;
    state->ready << Ready{session, begin};
    state->step.resolve(Done{});
    const std::chrono::milliseconds rest = state->remaining();
    const Result<Done> begun = co_await begin.wait(rest, none);
    if (!begun || state->isOver)
        co_return;
    const bool saved = co_await state->snapshots->save(session);
    if (state->isOver) // told already
        co_return;
    state->writing.removeOne(session);
    state->left.removeOne(session);
    if (!saved && !session->deleted) {
        const QString problem = state->snapshots->problemOf(*session);
        state->lost << Lost{session, !problem.isEmpty() ? problem : session->kernelAlive() ? QStringLiteral("its kernel was busy") : session->lossReason};
    }
    state->step.resolve(Done{});
}

void LastSaving::beginSome(State &state)
{
    // Those that are known to take long hold up nobody who comes after them.
    const auto patience = [](const Ready &one) {
        const SnapshotState &snapshot = one.session->snapshot;
        return std::make_tuple(snapshot.saving || snapshot.knownSlow, snapshot.failures, snapshot.took);
    };
    std::stable_sort(state.ready.begin(), state.ready.end(), [patience](const Ready &a, const Ready &b) { return patience(a) < patience(b); });
    auto quick = std::count_if(state.writing.cbegin(), state.writing.cend(), [](const auto &session) { return !Snapshots::isSlow(*session); });
    for (; quick < kSavedAtOnce && !state.ready.isEmpty(); ++quick) {
        const Ready next = state.ready.takeFirst();
        state.writing << next.session;
        next.begin.resolve(Done{}); // it may be done when this returns
    }
}

} // namespace power::sessions
