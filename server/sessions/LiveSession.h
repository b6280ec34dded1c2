// What the server holds in memory of one session.
#pragma once
#include "sessions/RunQueue.h"
#include "sessions/Session.h"
#include "workspace/Workspace.h"

namespace power::sessions {

// LiveSession: shared by the calls that use it. Thread: the event loop's.
class LiveSession
{
public:
    SessionKey key;
    std::shared_ptr<workspace::Workspace> workspace;
    std::unique_ptr<supervisor::Kernel> kernel;
    RunQueue queue;
    bool isNew = false;          // made by the first call that opened it
    bool deleted = false;
    bool hadKernel = false;      // in this life of the server
    QString lossReason;          // why the last kernel is gone; told once
    int executionCount = 0;
    int variables = 0;
    QDateTime lastUsed = QDateTime::currentDateTimeUtc();

    bool kernelAlive() const { return kernel && kernel->isAlive(); }
    // What an agent must know before it relies on variables; empty while the kernel is warm.
    QString kernelNote(bool existedBefore) const;
    // "a.csv, b.png and 3 more"; empty without files.
    QStringList remainingFiles() const;
};

} // namespace power::sessions
