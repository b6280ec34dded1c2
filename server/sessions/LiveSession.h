// What the server holds in memory of one session.
#pragma once
#include "sessions/InputHashes.h"
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
    InputHashes hashes;
    bool isNew = false;          // made by the first call that opened it; until a run has told so
    bool deleted = false;        // being removed: nothing may start any more
    bool hadKernel = false;      // in this life of the server
    bool manyFiles = false;      // looking for changes takes long: not on the event loop
    QString lossReason;          // why the last kernel is gone
    QString untold;              // the note on the present kernel, until a run has told it
    int executionCount = 0;
    int variables = 0;
    QDateTime lastUsed = QDateTime::currentDateTimeUtc();

    bool kernelAlive() const { return kernel && kernel->isAlive(); }
    // What an agent must know before it relies on variables, for a kernel that is about to be started.
    QString kernelNote(bool existedBefore) const;
};

} // namespace power::sessions
