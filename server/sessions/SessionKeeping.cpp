// Where the database keeps the files of sessions (FILE_STORE=postgres): when they go there and how they come back; and the
// end of sessions nobody uses.
#include "base/Log.h"
#include "base/Offload.h"
#include "sessions/LiveSession.h"
#include "sessions/SessionRecords.h"
#include "sessions/SessionService.h"
#include <QPointer>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
constexpr auto kKeepTick = 500ms;
constexpr auto kQuietFiles = 1500ms; // after the last run; what its answer told of is stored before
constexpr auto kRetryFiles = 10s;
constexpr auto kKeepAllTime = 20s;   // of a shutdown
} // namespace

QCoro::Task<Result<Done>> SessionService::prepare(SessionKey key)
{
    const QString text = key.text();
    if (!m_files.keepsSessions() || key.id.isEmpty() || m_prepared.contains(text))
        co_return Done{};
    if (m_preparing.contains(text)) {
        const OneShot<Done> turn;
        m_preparing[text] << turn;
        const std::chrono::milliseconds untilDone{0};
        const CancelToken none;
        Result<Done> ready = co_await turn.wait(untilDone, none);
        co_return ready;
    }
    const QPointer<SessionService> self(this);
    m_preparing.insert(text, {});
    const quint64 takeovers = m_takeovers;
    const QString principal = key.principal, id = key.id;
    const bool hasDirectory = m_workspaces.exists(key.slug, key.id);
    Result<Done> ready = Done{};
    const Result<bool> elsewhere = co_await m_files.isElsewhere(principal, id, hasDirectory);
    if (!self)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
    if (!elsewhere && !hasDirectory) {
        ready = fail(ErrorCode::Unavailable,
                     QStringLiteral("Whether session '%1' exists is not known while the database is away, which keeps its files: %2")
                         .arg(id, elsewhere.error().message),
                     QStringLiteral("Try again in a few seconds. Sessions used since the server's start go on."));
    } else if (elsewhere && *elsewhere) {
        const auto workspace = m_workspaces.openSession(key.slug, key.id);
        if (!workspace) {
            ready = Unexpected<Error>{workspace.error()};
        } else {
            const auto space = *workspace;
            const Result<int> brought = co_await m_files.bringBack(principal, id, space);
            if (!self)
                co_return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
            if (!brought)
                ready = fail(ErrorCode::Unavailable, QStringLiteral("The files of session '%1' could not be brought back: %2").arg(id, brought.error().message),
                             QStringLiteral("Try again; nothing of them is lost."));
        }
    }
    if (ready && elsewhere && (hasDirectory || *elsewhere) && takeovers == m_takeovers)
        m_prepared.insert(text);
    const QList<OneShot<Done>> waiting = m_preparing.take(text);
    for (const OneShot<Done> &turn : waiting)
        turn.resolve(ready);
    co_return ready;
}

// Another server has the newest state of that session's files (no name: of any session, perhaps).
void SessionService::forgetPrepared(const QString &principal, const QString &sessionId)
{
    ++m_takeovers;
    if (sessionId.isEmpty())
        m_prepared.clear();
    else
        m_prepared.remove(SessionKey{principal, {}, sessionId}.text());
}

// Another server has deleted the session: its kernel here ends, and what of its files still lies here goes. What was
// written here and not stored yet stays, as a session of its own.
QCoro::Task<> SessionService::followDeletion(QString principal, QString sessionId)
{
    const QPointer<SessionService> self(this);
    SessionKey key{principal, {}, sessionId};
    std::shared_ptr<LiveSession> live = m_live.value(key.text());
    if (live)
        key = live->key;
    else if (principal != u"owner") // whose directory is not known; followed when it is used again
        co_return;
    if (!m_workspaces.exists(key.slug, key.id) || (live && live->deleted))
        co_return;
    if (!live) {
        const auto opened = open(key);
        if (!opened)
            co_return;
        live = *opened;
    }
    log::info("session_deleted_elsewhere", {{QStringLiteral("session"), key.id}});
    co_await endLive(live);
    if (!self)
        co_return;
    const auto workspace = live->workspace;
    const Result<int> followed = co_await m_files.bringBack(principal, sessionId, workspace);
    if (!self)
        co_return;
    const bool hasDirectory = false;
    const Result<bool> isKnown = co_await m_files.isElsewhere(principal, sessionId, hasDirectory);
    if (!self)
        co_return;
    if (followed && isKnown && !*isKnown) {
        workspace::Workspaces *workspaces = &m_workspaces;
        files::SnapshotStore *snapshots = &m_snapshots.store();
        const files::SnapshotKey kept = Snapshots::keyOf(key);
        std::function<Result<Done>()> work = [workspaces, snapshots, key, kept] {
            snapshots->removeSession(kept.owner, kept.session); // one that was just being written here
            return workspaces->removeSession(key.slug, key.id);
        };
        const Result<Done> gone = co_await offload<Done>(std::move(work));
        if (!self)
            co_return;
        if (!gone)
            log::warning("session_files_left", {{QStringLiteral("session"), key.id}, {QStringLiteral("reason"), gone.error().message}});
    }
    if (m_live.value(key.text()) == live)
        m_live.remove(key.text());
    Q_EMIT sessionsChanged(key.principal);
}

void SessionService::noteFiles(const std::shared_ptr<LiveSession> &session)
{
    if (!m_files.keepsSessions() || session->deleted)
        return;
    ++session->fileChanges;
    session->filesTouched.start();
    if (!m_keepTimer.isActive() && !m_stopping)
        m_keepTimer.start(kKeepTick);
}

void SessionService::keepDueFiles()
{
    bool more = false;
    const auto all = m_live.values();
    for (const auto &session : all) {
        if (session->fileChanges == session->filesKept || session->deleted)
            continue;
        more = true;
        const std::chrono::milliseconds since(session->filesTouched.elapsed());
        const bool isQuiet = !session->queue.isBusy() && !session->keepingFailed && since >= kQuietFiles;
        if (!session->keepingFiles && (isQuiet || since >= kRetryFiles))
            keepFiles(session);
    }
    if (!more)
        m_keepTimer.stop();
}

QCoro::Task<Result<Done>> SessionService::keepFiles(std::shared_ptr<LiveSession> session)
{
    if (!m_files.keepsSessions() || session->deleted)
        co_return Done{};
    session->keepingFiles = true;
    session->filesTouched.start();
    const qint64 changes = session->fileChanges;
    const QString principal = session->key.principal, id = session->key.id;
    auto workspace = session->workspace;
    const QPointer<SessionService> self(this);
    Result<Done> kept = co_await m_files.keepSession(principal, id, workspace);
    session->keepingFiles = false;
    session->keepingFailed = !kept;
    if (kept) {
        session->filesKept = qMax(session->filesKept, changes);
        co_return kept;
    }
    if (!self)
        co_return kept;
    // Tried again, less often.
    session->fileChanges = qMax(session->fileChanges, session->filesKept + 1);
    session->filesTouched.start();
    if (!m_keepTimer.isActive() && !m_stopping)
        m_keepTimer.start(kKeepTick);
    if (kept.error().code != ErrorCode::Conflict) // a file that is just being written
        log::warning("session_files_not_kept", {{QStringLiteral("session"), id}, {QStringLiteral("reason"), kept.error().message}});
    co_return kept;
}

QCoro::Task<> SessionService::keepAllFiles()
{
    if (!m_files.keepsSessions())
        co_return;
    const auto begun = std::chrono::steady_clock::now();
    const auto all = m_live.values();
    for (const auto &session : all) {
        if (session->fileChanges == session->filesKept || session->deleted)
            continue;
        if (std::chrono::steady_clock::now() - begun > kKeepAllTime) {
            log::warning("session_files_not_kept", {{QStringLiteral("session"), session->key.id}, {QStringLiteral("reason"), QStringLiteral("the server stops")}});
            continue;
        }
        const Result<Done> kept = co_await keepFiles(session);
        Q_UNUSED(kept);
    }
}

QCoro::Task<> SessionService::removeUnused()
{
    if (m_config.timeToLive.count() <= 0)
        co_return;
    const QPointer<SessionService> self(this);
    const QDateTime limit = QDateTime::currentDateTimeUtc().addSecs(-std::chrono::seconds(m_config.timeToLive).count());
    const Result<QList<SessionInfo>> unused = co_await m_records.unusedSince(limit);
    if (!self || !unused)
        co_return;
    for (const SessionInfo &info : *unused) {
        const auto live = m_live.value(info.key.text());
        if (live && (live->lastUsed > limit || live->queue.isBusy()))
            continue;
        const SessionKey key = info.key;
        const Result<Done> removed = co_await remove(key);
        if (!self)
            co_return;
        if (removed)
            log::info("session_expired", {{QStringLiteral("session"), key.id}, {QStringLiteral("unused_hours"), qint64(m_config.timeToLive.count())}});
        else
            log::warning("session_not_removed", {{QStringLiteral("session"), key.id}, {QStringLiteral("reason"), removed.error().message}});
    }
}

} // namespace power::sessions
