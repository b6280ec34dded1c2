// Work that would block the event loop (fsync, hashing, big copies), awaited from a coroutine.
#pragma once
#include "base/OneShot.h"
#include <QCoreApplication>
#include <QThreadPool>

namespace power {

// Runs `work` on the global thread pool; resolves with its result on the event loop's thread. `work` owns everything it
// touches. It cannot be interrupted. Thread: call on the event loop's thread.
template <typename T>
OneShot<T> inPool(std::function<Result<T>()> work)
{
    OneShot<T> shot;
    auto job = std::make_shared<std::function<Result<T>()>>(std::move(work));
    QThreadPool::globalInstance()->start([shot, job] {
        auto result = std::make_shared<Result<T>>((*job)());
        QMetaObject::invokeMethod(
            qApp, [shot, result, job] { shot.resolve(std::move(*result)); }, Qt::QueuedConnection);
    });
    return shot;
}

// The same for coroutines: the wait always lasts until `work` has ended, so what it uses stays valid.
template <typename T>
QCoro::Task<Result<T>> offload(std::function<Result<T>()> work)
{
    const OneShot<T> shot = inPool<T>(std::move(work));
    const std::chrono::milliseconds untilDone{0};
    Result<T> result = co_await shot.wait(untilDone);
    co_return result;
}

} // namespace power
