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
    int pictures = 0, inputs = 0, calls = 0; // of them
    int progress = 0;          // notes of progress so far
    qint64 second = 0;         // of the run's clock, and calls and notes in it
    int callsInSecond = 0, progressInSecond = 0;
    CellCall onCall;
    std::function<void(double, double, const QString &)> onProgress;
    quint64 asking = 0;        // the one that is being worked on; 0: none
    CancelSource askCancel;
    std::function<void(const InputQuestion &)> onInput;
    int timeLeft = -1;         // ms of the limit while an input waits; -1: it runs
};

} // namespace power::supervisor
