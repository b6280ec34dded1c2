// The database for code that runs in threads of its own and waits there: disk work that must ask in between.
#pragma once
#include "storage/Database.h"
#include <QPointer>
#include <QThread>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace power::storage {

// FromThread: run() blocks the calling thread, never the event loop's. Copies share one state. Thread: made and closed on
// the event loop's thread, run() on any other.
class FromThread
{
public:
    explicit FromThread(Database &database) : m_state(std::make_shared<State>())
    {
        m_state->database = &database;
        m_state->receiver = std::make_unique<QObject>();
    }

    // Fails everything that waits and everything to come; to be called before waiting for the threads that use it.
    void close() const
    {
        const std::lock_guard lock(m_state->mutex);
        m_state->closed = true;
        m_state->receiver.reset();
        m_state->changed.notify_all();
    }

    // Errors: those of Database::run; Unavailable when closed.
    template <typename T>
    Result<T> run(Lane lane, std::chrono::milliseconds deadline, Job<T> job) const
    {
        const auto answer = std::make_shared<std::optional<Result<T>>>();
        std::unique_lock lock(m_state->mutex);
        Q_ASSERT(m_state->closed || m_state->receiver->thread() != QThread::currentThread());
        if (!m_state->closed) {
            auto held = std::make_shared<Job<T>>(std::move(job));
            QMetaObject::invokeMethod(
                m_state->receiver.get(), [state = m_state, lane, deadline, held, answer] { ask<T>(state, lane, deadline, std::move(*held), answer); },
                Qt::QueuedConnection);
            m_state->changed.wait(lock, [this, &answer] { return m_state->closed || answer->has_value(); });
        }
        if (!answer->has_value())
            return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
        return std::move(**answer);
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::unique_ptr<QObject> receiver;
        QPointer<Database> database;
        bool closed = false;
    };

    template <typename T>
    static QCoro::Task<> ask(std::shared_ptr<State> state, Lane lane, std::chrono::milliseconds deadline, Job<T> job,
                             std::shared_ptr<std::optional<Result<T>>> answer)
    {
        Result<T> got = fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
        const CancelToken never;
        if (state->database)
            got = co_await state->database->run<T>(lane, deadline, std::move(job), never);
        const std::lock_guard lock(state->mutex);
        answer->emplace(std::move(got));
        state->changed.notify_all();
    }

    std::shared_ptr<State> m_state;
};

} // namespace power::storage
