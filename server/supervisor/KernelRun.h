// The current run of a kernel.
#pragma once
#include "supervisor/KernelProcess.h"

namespace power::supervisor {

struct KernelProcess::Run {
    Run(const KernelLimits &limits, const QString &spool, OutputLog::Live live)
        : log(limits, spool, std::move(live))
    {
    }

    QString id;
    QByteArray code;           // of a cell; empty for a task
    bool isCell = false;
    std::chrono::milliseconds timeout{0};
    OneShot<RunOutcome> shot;
    OutputLog log;
    CancelToken::Registration cancel;
    QElapsedTimer clock;
    int stage = 0;          // of the ladder: 1 interrupted, 2 hard interrupt, 3 killed
    bool interrupted = false; // by interrupt()
    QString cause, limit, peak;
    qint64 peakMemory = 0;
    int asks = 0;              // questions of this run so far
    quint64 asking = 0;        // the one that is being worked on; 0: none
    CancelSource askCancel;
    std::function<void(const InputQuestion &)> onInput;
    int timeLeft = -1;         // ms of the limit while an input waits; -1: it runs
};

} // namespace power::supervisor
