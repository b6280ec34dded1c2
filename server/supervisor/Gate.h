// Something several coroutines may wait for at once (a OneShot has one waiter).
#pragma once
#include "base/OneShot.h"
#include <QList>

namespace power::supervisor {

// Gate: closed until open(); may be closed again. Thread: the event loop's.
class Gate
{
public:
    // A shot that resolves when the gate opens; at once when it is open.
    OneShot<Done> pass()
    {
        OneShot<Done> shot;
        if (m_open)
            shot.resolve(Done{});
        else
            m_waiting.append(shot);
        return shot;
    }
    // Resumes the waiters: the caller's last act.
    void open()
    {
        m_open = true;
        const QList<OneShot<Done>> waiting = std::exchange(m_waiting, {});
        for (const OneShot<Done> &shot : waiting)
            shot.resolve(Done{});
    }
    void close() { m_open = false; }

private:
    bool m_open = false;
    QList<OneShot<Done>> m_waiting;
};

} // namespace power::supervisor
