// Pieces shared by the sources of StoredFiles.
#pragma once
#include "files/StoredFiles.h"

namespace power::files
{

constexpr std::chrono::milliseconds shortDeadline{5'000};
constexpr std::chrono::milliseconds bulkDeadline{60'000};
constexpr std::chrono::milliseconds workDeadline{900'000}; // of work on whole files or sessions, in a worker

// The database cannot be asked now; as opposed to an answer of it.
inline bool isAway(const Error &error)
{
    return error.code == ErrorCode::Unavailable || error.code == ErrorCode::Timeout ||
           error.code == ErrorCode::Busy;
}

inline Unexpected<Error> shuttingDown()
{
    return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
}

template <typename T>
OneShot<T> StoredFiles::inWorker(QThreadPool &workers, std::function<Result<T>()> work)
{
    OneShot<T> done;
    workers.start([this, done, work = std::move(work)] {
        Result<T> got = work();
        // The destructor waits for all of them, so `this` is there; it drops calls that were not delivered.
        QMetaObject::invokeMethod(
            this,
            [done, shared = std::make_shared<Result<T>>(std::move(got))] {
                done.resolve(std::move(*shared));
            },
            Qt::QueuedConnection);
    });
    return done;
}

} // namespace power::files
