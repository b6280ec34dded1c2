// What the server holds in memory of one session.
#pragma once
#include "sessions/InputHashes.h"
#include "sessions/RunQueue.h"
#include "sessions/Session.h"
#include "sessions/Snapshots.h"
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
    Restored restored;           // what the present kernel began with, until a run has told it
    qint64 fileChanges = 0, filesKept = 0; // runs that may have changed files; of them in the database
    bool keepingFiles = false, keepingFailed = false;
    QElapsedTimer filesTouched;  // since the last of them, or the last try to keep them
    SnapshotState snapshot;
    QList<OneShot<Done>> snapshotWaiting; // for the end of the one that is being written; each waits for its own
    // A second kernel in the same directory, known to nobody but its run: see SessionService::runApart.
    struct Apart {
        bool is = false;
        quint32 uid = 0;
        int cores = 1;
    } apart;
    int lastCell = 0;            // the newest that ran, in this life of the server
    int executionCount = 0;
    int variables = 0;
    QDateTime lastUsed = QDateTime::currentDateTimeUtc();

    bool kernelAlive() const { return kernel && kernel->isAlive(); }
    // Why the kernel that is about to be started is new: what an agent must know before it relies on variables.
    QString kernelNote(bool existedBefore) const;
};

} // namespace power::sessions
