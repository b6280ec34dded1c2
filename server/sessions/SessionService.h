// Sessions: identity, order of runs, the kernel behind each, what its runs wrote, and what survives.
#pragma once
#include "files/FileStore.h"
#include "files/SnapshotStore.h"
#include "sessions/ApartRun.h"
#include "sessions/RunQueue.h"
#include "sessions/Session.h"
#include "supervisor/KernelHost.h"
#include "workspace/Workspace.h"
#include <QCoroTask>
#include <QObject>
#include <QSet>

namespace power::sessions {

class SessionRecords;
class Snapshots;
class LiveSession;

// SessionService: created on first use, kept until deleted. Variables live as long as the kernel; every loss is
// told in the next answer with its reason and the files that remain. Thread: the event loop's.
class SessionService : public QObject
{
    Q_OBJECT
public:
    struct Config {
        supervisor::KernelLimits kernel;
        int maxSessions = 0;                       // kernels alive at once; 0 = by memory
        int maxQueued = 32;                        // calls waiting for one session
        std::chrono::hours timeToLive{0};          // of an unused session; 0 = for ever
        std::chrono::minutes idleKernel{0};        // a kernel unused that long is ended; 0 = only under memory pressure
    };
    SessionService(Config config, supervisor::KernelHost &host, workspace::Workspaces &workspaces,
                   files::FileStore &files, SessionRecords &records, Snapshots &snapshots, QObject *parent = nullptr);
    ~SessionService() override;

    // Runs one cell; waits for its turn. Errors: Busy (queue full, or its turn did not come within the timeout: with
    // the position), Unavailable (no safe sandbox, no memory), Cancelled. User code that fails is not an error.
    QCoro::Task<Result<RunReport>> run(RunCall call);

    // Runs one cell beside the session: in a kernel of its own that ends with it, with the session's files, never in its
    // queue; in its history as any other. Errors: Busy and Unavailable (no room; nothing was run), Cancelled before it
    // began, Conflict (the kept variables cannot be restored), NotFound (the session was deleted meanwhile).
    QCoro::Task<Result<RunReport>> runApart(ApartCall call);
    // Keeps the session's variables of now for runApart; resolves with what is carried and what is not. Errors: as checkpoint.
    QCoro::Task<Result<QJsonObject>> keepState(SessionKey key, QString id, CancelToken cancel);
    QCoro::Task<> dropState(QString id);

    // Built-in work on the session's variables ("query", "frames"); same order as runs, no history. tools: what it may ask of
    // the server; may be empty.
    QCoro::Task<Result<supervisor::RunOutcome>> task(SessionKey key, QString task, QJsonObject arguments, std::chrono::milliseconds timeout,
                                                     CancelToken cancel, supervisor::CellCall tools = {});

    // Durable when it resolves. An existing session is returned as it is, with name and description updated.
    QCoro::Task<Result<SessionInfo>> create(SessionKey key, QString name, QString description, QJsonObject metadata);
    QCoro::Task<Result<QList<SessionInfo>>> list(QString principal);
    QCoro::Task<Result<SessionInfo>> get(SessionKey key);
    // Kernel, workspace, links and row are gone when it resolves. Errors: NotFound.
    QCoro::Task<Result<Done>> remove(SessionKey key);

    // Variables and files under a name; going back to them; and a session that begins as a copy of this one. Errors:
    // NotFound (no such session or checkpoint, no variables), Conflict (`to` exists, too many checkpoints, a damaged one),
    // Busy, Unavailable (snapshots are off, the state could not be stored). The results are the tools' answers.
    QCoro::Task<Result<QJsonObject>> checkpoint(SessionKey key, QString name, CancelToken cancel);
    QCoro::Task<Result<QJsonObject>> restore(SessionKey key, QString name, CancelToken cancel);
    QCoro::Task<Result<QJsonObject>> fork(SessionKey key, SessionKey to, CancelToken cancel);

    // To be awaited before a session's files are used: where the database keeps them, they may have to be brought back
    // to this disk. At once when there is nothing to do. run() and task() do it themselves. Errors: Unavailable.
    QCoro::Task<Result<Done>> prepare(SessionKey key);
    // Deletes the sessions that were not used for Config::timeToLive; run hourly.
    QCoro::Task<> removeUnused();

    // The workspace of a session, made on first use.
    Result<std::shared_ptr<workspace::Workspace>> workspace(const SessionKey &key);
    // The same for who only looks: nothing is made, and looking is no use of the session. Errors: NotFound.
    Result<std::shared_ptr<workspace::Workspace>> existingWorkspace(const SessionKey &key);
    // The session for who uses it but does not make it. Errors: NotFound.
    Result<std::shared_ptr<LiveSession>> existing(const SessionKey &key);
    // Files were written or removed by an operation rather than by a run.
    void tellFilesChanged(const SessionKey &key, const QStringList &written, const QStringList &removed);

    const Config &config() const { return m_config; }
    int liveKernels() const;
    // Ends every kernel; resolves when no process is left.
    QCoro::Task<> stop();

Q_SIGNALS:
    // By runs and by operations; what a leftover thread of a cell writes is told after the next run. Paths are relative
    // to the workspace; "/tmp/..." are left out. A deleted session tells no files.
    void filesChanged(const power::sessions::SessionKey &key, const QStringList &written, const QStringList &removed);
    // A session is there for the first time, or gone.
    void sessionsChanged(const QString &principal);
    // Its deletion begins: what else works in it should end.
    void sessionDeleted(const power::sessions::SessionKey &key);

private:
    Result<std::shared_ptr<LiveSession>> open(const SessionKey &key);
    static supervisor::CellCall recordedCalls(supervisor::CellCall tools, const std::shared_ptr<RunReport> &report);
    QCoro::Task<Result<Done>> ensureKernel(std::shared_ptr<LiveSession> session, CancelToken cancel);
    // The parts of ensureKernel: a kernel, others making room for it when need be; and what it begins with (`hadKernel`: there
    // was one before it, in this life of the server).
    QCoro::Task<Result<Done>> startKernel(std::shared_ptr<LiveSession> session, CancelToken cancel);
    QCoro::Task<Result<Done>> bringBack(std::shared_ptr<LiveSession> session, bool hadKernel, CancelToken cancel);
    // Ends the kernel of the longest unused session: of one that its snapshot brings back, else of one unused for long.
    QCoro::Task<bool> evictIdlest(std::shared_ptr<LiveSession> except);
    // Ends an idle session's kernel behind its snapshot. False: it is in use, or (onlySaved) could not be saved.
    QCoro::Task<bool> retire(std::shared_ptr<LiveSession> session, QString reason, bool onlySaved);
    // Of a shutdown: every state that is not stored, within a bounded time; see LastSaving.
    QCoro::Task<> saveAll();
    // What the branches work with: the state of now on disk; the session's turn.
    QCoro::Task<Result<files::SnapshotFacts>> saved(std::shared_ptr<LiveSession> session);
    QCoro::Task<Result<std::shared_ptr<RunQueue::Turn>>> turnOf(std::shared_ptr<LiveSession> session, CancelToken cancel);
    // Error: the session was deleted or the server stops; nothing may start.
    Result<Done> mayStart(const LiveSession &session) const;
    // Change detection; a workspace with very many files is looked at beside the event loop.
    QCoro::Task<> beginChanges(std::shared_ptr<LiveSession> session);
    QCoro::Task<workspace::Workspace::Changes> takeChanges(std::shared_ptr<LiveSession> session);
    QCoro::Task<QStringList> remainingFiles(std::shared_ptr<LiveSession> session);
    QCoro::Task<> collectFiles(std::shared_ptr<LiveSession> session, std::shared_ptr<RunReport> report);
    QCoro::Task<> storeChanges(std::shared_ptr<LiveSession> session, std::shared_ptr<RunReport> report, workspace::Workspace::Changes changes);
    // Hands the run over to the history: not waited for.
    void record(std::shared_ptr<LiveSession> session, const RunCall &call, RunReport &report);
    QCoro::Task<> hashInputs(std::shared_ptr<LiveSession> session, QString runId, QList<ReadFile> read);
    QCoro::Task<> keepWholeOutput(std::shared_ptr<LiveSession> session, std::shared_ptr<RunReport> report);
    void evictExpired();
    // Where the database keeps the files of sessions: what a run changed is there some seconds later at the latest.
    void forgetPrepared(const QString &principal, const QString &sessionId);
    QCoro::Task<> followDeletion(QString principal, QString sessionId);
    // What remove() and followDeletion() do first: nobody opens it any more, its kernel ends, what runs or waits leaves.
    QCoro::Task<> endLive(std::shared_ptr<LiveSession> live);
    void noteFiles(const std::shared_ptr<LiveSession> &session);
    void keepDueFiles();
    QCoro::Task<Result<Done>> keepFiles(std::shared_ptr<LiveSession> session);
    QCoro::Task<> keepAllFiles();

    Config m_config;
    supervisor::KernelHost &m_host;
    workspace::Workspaces &m_workspaces;
    files::FileStore &m_files;
    SessionRecords &m_records;
    Snapshots &m_snapshots;
    QHash<QString, std::shared_ptr<LiveSession>> m_live;
    QSet<QString> m_prepared;                            // key text: its files are on this disk
    QHash<QString, QList<OneShot<Done>>> m_preparing;    // and who waits for that
    quint64 m_takeovers = 0;                             // by other servers, as far as told
    QTimer m_keepTimer;
    QTimer m_idleTimer;
    bool m_stopping = false;
};

} // namespace power::sessions
