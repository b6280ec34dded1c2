// What a stopping server still keeps of its sessions.
#pragma once
#include "base/OneShot.h"
#include <QCoroTask>
#include <QList>
#include <QString>
#include <chrono>
#include <memory>

namespace power::sessions {

class LiveSession;
class Snapshots;

// LastSaving: the states that are not stored, within a bounded time. What still runs is interrupted. Each is written as soon as
// the run of its session has unwound, several at once, those first that are not known to take long. One that turns out slow
// keeps none of the others waiting. Used once. Thread: the event loop's.
class LastSaving
{
public:
    LastSaving(Snapshots &snapshots, std::chrono::milliseconds most);

    struct Lost {
        std::shared_ptr<LiveSession> session;
        QString reason; // a part of a sentence
    };
    // Whose state is not stored; those are all when it could not be. When `most` is over, what is still under way goes on
    // without consequence and ends with its kernel.
    QCoro::Task<QList<Lost>> run(QList<std::shared_ptr<LiveSession>> sessions);

private:
    struct Ready {
        std::shared_ptr<LiveSession> session;
        OneShot<Done> begin;
    };
    // Shared with those that are under way when the time is over.
    struct State {
        Snapshots *snapshots;
        std::chrono::milliseconds most;
        std::chrono::steady_clock::time_point end;
        bool isOver = false;
        QList<Ready> ready;                         // it is their turn, as far as their sessions are concerned
        QList<std::shared_ptr<LiveSession>> writing;
        QList<std::shared_ptr<LiveSession>> left;   // neither kept nor lost
        QList<Lost> lost;
        OneShot<Done> step;                         // something has changed
        std::chrono::milliseconds remaining() const;
    };
    static QCoro::Task<> saveOne(std::shared_ptr<State> state, std::shared_ptr<LiveSession> session);
    static void beginSome(State &state);

    std::shared_ptr<State> m_state;
};

} // namespace power::sessions
