// Disk work off the event loop.
#pragma once
#include "base/OneShot.h"
#include <QCoreApplication>
#include <functional>
#include <thread>

namespace power::storage {

// Runs `work` in a thread of its own; the shot resolves on the application's thread. work must not touch QObjects.
template <typename T>
OneShot<T> inThread(std::function<T()> work)
{
    const OneShot<T> shot;
    std::thread([shot, work = std::move(work)] {
        T value = work();
        QMetaObject::invokeMethod(QCoreApplication::instance(), [shot, value = std::move(value)] { shot.resolve(value); },
                                  Qt::QueuedConnection);
    }).detach();
    return shot;
}

} // namespace power::storage
