// When which kernel is checkpointed: off the path of requests, at most so many a second in all.
#pragma once
#include <QObject>
#include <QTimer>
#include <chrono>
#include <functional>

namespace power::supervisor {

class KernelProcess;

// What speaks for a checkpoint of one kernel.
struct CheckpointNeed {
    bool possible = false;                  // it is idle, and something has run since the last attempt
    bool urgent = false;                    // it has just been restored and has none
    int cells = 0;                          // run since the last checkpoint
    std::chrono::milliseconds runTime{0};   // that they took
    std::chrono::milliseconds idle{0};      // since the last of them
    qint64 growth = 0;                      // bytes
    std::chrono::microseconds price{3000};  // that the last checkpoint cost
};

// What would be lost, in milliseconds of work; 0 = not worth a checkpoint now. A session that pauses for a second is
// protected whatever it did; in a faster one there must be much more to lose than the copy costs.
double checkpointWorth(const CheckpointNeed &need);

// CheckpointPacer: ticks only while some kernel has something to protect; each tick takes the one that has most to lose.
// Thread: the event loop's.
class CheckpointPacer : public QObject
{
    Q_OBJECT
public:
    using Visit = std::function<void(KernelProcess &)>;

    // perSecond: 0 = never. forEach: calls back for every kernel.
    CheckpointPacer(int perSecond, std::function<void(const Visit &)> forEach);

    // A run has ended somewhere.
    void wake();

private:
    void tick();

    std::function<void(const Visit &)> m_forEach;
    QTimer m_timer;
    bool m_on;
};

} // namespace power::supervisor
