// Keeps the state of sessions on disk: when to write it, and how it comes back.
#pragma once
#include "files/SnapshotStore.h"
#include "sessions/Session.h"
#include "supervisor/KernelHost.h"
#include <QCoroTask>
#include <QElapsedTimer>
#include <QObject>
#include <QTimer>
#include <atomic>
#include <memory>

namespace power::sessions {

class LiveSession;

// What is known of the snapshot of one session; part of LiveSession. Times of the event loop's clock.
struct SnapshotState {
    qint64 changes = 0;              // runs that have ended since the session was opened
    qint64 saved = 0;                // of them in the stored snapshot, or in one that was restored
    int cell = -1;                   // the stored snapshot holds the state after this cell; -1: there is none (known of)
    bool saving = false;
    bool knownSlow = false;          // the last one took long for its size
    int failures = 0;                // in a row
    QString problem;                 // why the last one failed; a part of a sentence
    QStringList skip;                // names that took too long
    QElapsedTimer changed, touched;  // since the first unsaved run; since the last run
    QElapsedTimer written;           // since the last snapshot was begun
    std::shared_ptr<std::atomic<qint64>> arrived; // bytes of the one that is being written, counted in its reader's thread
    std::shared_ptr<std::atomic<bool>> stop;      // set: that one ends; null when somebody waits for it
    std::chrono::milliseconds took{0};
    bool isDirty() const { return changes > saved; }
};

// What came of bringing a session back.
struct Restored {
    bool tried = false;              // there was a snapshot
    bool ok = false;
    bool later = false;              // it could not be read now: nothing is wrong with it, and it is kept
    QString text;                    // for the next answer
    QJsonObject facts;               // the same for programs: from_cell, lost_cells, restored, not_restored, remarks
    int cell = 0;
    int variables = 0;
};

// Snapshots: written by low-priority children of idle kernels, two at a time, two seconds after a session's last run, or
// between two runs when it has been busy for half a minute. Large ones less often; up to ten seconds later while many
// sessions begin at once. One whose bytes come slowly (values
// may take as long as they please to say what they are) does not keep the others waiting: up to kSlowAtOnce such, kSlowOfOne
// of one principal, go on beside the two. When there are as many, a further one is begun all the same, unless it was slow
// before, and stopped when it turns out slow; it waits for its turn among the slow ones. Only kernels ever read them.
// Thread: the event loop's; the disk work is done beside it.
class Snapshots : public QObject
{
    Q_OBJECT
public:
    struct Config {
        qint64 limitBytes = 1ll << 30; // of one; 0 = none are written or read
        qint64 memoryBytes = 0;        // of a session: the writing child must fit in what is left
    };
    Snapshots(Config config, files::SnapshotStore &store, supervisor::KernelHost &host, QObject *parent = nullptr);
    ~Snapshots() override;

    bool isOn() const { return m_config.limitBytes > 0; }
    // A run of this session has ended and its kernel is alive.
    void noteRun(const std::shared_ptr<LiveSession> &session);
    // The kernel's state as it is goes to the disk, unless it is there already. True: the stored snapshot is that of the
    // last run. Waits for one that is being written.
    QCoro::Task<bool> save(std::shared_ptr<LiveSession> session);
    // Into the fresh kernel of the session. `lastCell`: the newest cell that is known to have run. `key`: the session's own
    // (set aside when it does harm), a named one, or another's.
    QCoro::Task<Restored> restore(std::shared_ptr<LiveSession> session, files::SnapshotKey key, int lastCell, CancelToken cancel);
    // Of the stored one. Errors: NotFound, Conflict (damaged).
    QCoro::Task<Result<files::SnapshotFacts>> facts(SessionKey key, QString name);
    // It is being written, and its bytes come slowly.
    static bool isSlow(const LiveSession &session);
    // Why the session has no (newer) snapshot; empty when nothing speaks against one.
    QString problemOf(const LiveSession &session) const;

    files::SnapshotStore &store() { return m_store; }
    static files::SnapshotKey keyOf(const SessionKey &key, const QString &name = {});

private:
    static constexpr int kSlowAtOnce = 24, kSlowOfOne = 12;

    // mayStop: nobody waits for it.
    QCoro::Task<bool> write(std::shared_ptr<LiveSession> session, bool mayStop);
    bool hasRoomFor(const LiveSession &session) const;
    QCoro::Task<> writeSoon(std::shared_ptr<LiveSession> session);
    bool isDue(const LiveSession &session) const;
    void stopTooSlow();
    void tick();

    Config m_config;
    files::SnapshotStore &m_store;
    supervisor::KernelHost &m_host;
    QHash<QString, std::weak_ptr<LiveSession>> m_dirty;
    QTimer m_timer;
    QList<std::shared_ptr<LiveSession>> m_writing;
};

} // namespace power::sessions
