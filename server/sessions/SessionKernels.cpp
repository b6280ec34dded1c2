// The kernels behind the sessions: started when they are needed, ended when others need the room, never without trace.
#include "base/Log.h"
#include "sessions/LastSaving.h"
#include "sessions/LiveSession.h"
#include "sessions/SessionRecords.h"
#include "sessions/SessionService.h"
#include <algorithm>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
constexpr auto kLeastUnused = 2s;    // of a session that comes back from its snapshot
constexpr auto kLongUnused = 60s;    // of one that does not
constexpr int kMostEvictions = 8;    // for one new kernel
constexpr auto kSaveAllTime = 20s;   // of a shutdown
} // namespace

QCoro::Task<Result<Done>> SessionService::ensureKernel(std::shared_ptr<LiveSession> session, CancelToken cancel)
{
    if (session->kernelAlive())
        co_return Done{};
    const bool hadKernel = session->hadKernel;
    session->untold = session->kernelNote(!session->isNew);
    session->restored = {};
    session->kernel.reset();
    const Result<Done> started = co_await startKernel(session, cancel);
    if (!started)
        co_return started;
    const Result<Done> back = co_await bringBack(session, hadKernel, cancel);
    co_return back;
}

QCoro::Task<Result<Done>> SessionService::startKernel(std::shared_ptr<LiveSession> session, CancelToken cancel)
{
    const LiveSession::Apart &apart = session->apart;
    if (!apart.is && m_config.maxSessions > 0 && liveKernels() >= m_config.maxSessions) {
        const bool made = co_await evictIdlest(session);
        if (!made)
            co_return fail(ErrorCode::Busy,
                           QStringLiteral("All %1 kernels are in use (MAX_SESSIONS).").arg(m_config.maxSessions),
                           QStringLiteral("Use an existing session, delete one with delete_session, or try again later."));
    }
    supervisor::KernelSpec spec;
    spec.sessionId = session->key.id;
    spec.workspace = session->workspace->hostPath();
    spec.scratch = session->workspace->scratchPath();
    spec.uid = session->workspace->uid();
    spec.gid = session->workspace->gid();
    spec.limits = m_config.kernel;
    if (apart.is) {
        spec.uid = apart.uid > 0 ? apart.uid : spec.uid;
        spec.checkpoints = false;
        spec.cores = apart.cores;
        spec.limits.processes += 2 * apart.cores; // the threads of two pools
    }
    auto spawned = co_await m_host.spawn(spec, cancel);
    for (int i = 0; i < kMostEvictions && !spawned && spawned.error().code == ErrorCode::Busy; ++i) {
        const bool made = co_await evictIdlest(session);
        if (!made)
            break;
        spawned = co_await m_host.spawn(spec, cancel);
    }
    if (!spawned)
        co_return Unexpected<Error>{spawned.error()};
    const Result<Done> still = mayStart(*session); // else the fresh kernel ends with `spawned`
    if (!still)
        co_return still;
    session->kernel = std::move(*spawned);
    session->hadKernel = true;
    session->lossReason.clear();
    session->executionCount = 0;
    session->variables = 0;
    std::weak_ptr<LiveSession> weak = session;
    session->kernel->onDeath([weak] {
        if (auto dead = weak.lock(); dead && dead->kernel) {
            dead->lossReason = dead->kernel->deathReason();
            log::info("variables_lost", {{QStringLiteral("session"), dead->key.id},
                                         {QStringLiteral("reason"), dead->lossReason}});
        }
    });
    co_return Done{};
}

// From the snapshot, when there is one. One that breaks the kernel is set aside, and the session begins empty.
QCoro::Task<Result<Done>> SessionService::bringBack(std::shared_ptr<LiveSession> session, bool hadKernel, CancelToken cancel)
{
    const bool fresh = session->isNew;
    const SessionKey key = session->key;
    const QString latest;
    const files::SnapshotKey stored = Snapshots::keyOf(key);
    int lastCell = session->lastCell;
    if (m_snapshots.isOn()) {
        const Result<files::SnapshotFacts> facts = co_await m_snapshots.facts(key, latest);
        if (facts && lastCell == 0) {
            const QDateTime since = facts->created;
            const Result<int> last = co_await m_records.lastCell(key, since);
            lastCell = std::max(last ? *last : 0, facts->about.value(QStringLiteral("lost_to")).toInt());
        }
        if (facts || facts.error().code != ErrorCode::NotFound) {
            session->restored = co_await m_snapshots.restore(session, stored, lastCell, cancel);
            if (cancel.isCancelled()) { // nobody has been told: the next call begins anew
                session->kernel.reset();
                co_return fail(ErrorCode::Cancelled, QStringLiteral("The call was cancelled."));
            }
        }
    }
    const Result<Done> still = mayStart(*session);
    if (!still) {
        session->kernel.reset();
        co_return still;
    }
    if (session->restored.later) { // nothing may run in its place, or its snapshot would be written over
        const QString reason = session->restored.text;
        session->restored = {};
        session->kernel.reset();
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The variables of session '%1' cannot be brought back just now: %2.").arg(key.id, reason),
                       QStringLiteral("Try again in a moment; nothing was run. Another session_id can be used meanwhile."));
    }
    session->lastCell = std::max(lastCell, session->restored.cell);
    if (session->restored.ok) {
        session->executionCount = session->lastCell;
        session->variables = session->restored.variables;
        if (fresh) // its files were elsewhere
            session->untold = QStringLiteral("The kernel of session '%1' is new on this server.").arg(key.id);
        session->isNew = false;
    }
    if (session->restored.tried) {
        session->untold += u' ' + session->restored.text;
    } else if (!fresh) {
        QString problem = m_snapshots.problemOf(*session);
        if (problem.isEmpty() && !hadKernel)
            problem = QStringLiteral("no state of them had been stored when the server ended");
        session->untold += problem.isEmpty() ? QStringLiteral(" Earlier variables are gone; files remain.")
                                             : QStringLiteral(" Earlier variables are gone (%1); files remain.").arg(problem);
    }
    if (session->kernelAlive())
        co_return Done{};
    // The snapshot was its end; it is out of the way now.
    const Result<Done> again = co_await startKernel(session, cancel);
    co_return again;
}

QCoro::Task<bool> SessionService::retire(std::shared_ptr<LiveSession> session, QString reason, bool onlySaved)
{
    // Calls that come meanwhile wait, and start the kernel anew.
    const std::chrono::milliseconds none{1};
    const CancelToken never;
    const auto turn = co_await session->queue.enter(none, never);
    if (!turn || !session->kernelAlive())
        co_return false;
    const bool saved = co_await m_snapshots.save(session);
    if ((!saved && onlySaved) || !session->kernelAlive())
        co_return false;
    session->lossReason = reason;
    log::info("kernel_evicted", {{QStringLiteral("session"), session->key.id}, {QStringLiteral("saved"), saved}});
    auto kernel = std::move(session->kernel);
    co_await kernel->stop();
    co_return true;
}

QCoro::Task<bool> SessionService::evictIdlest(std::shared_ptr<LiveSession> except)
{
    QList<std::shared_ptr<LiveSession>> unused;
    const QDateTime limit = QDateTime::currentDateTimeUtc().addSecs(-std::chrono::seconds(kLeastUnused).count());
    const QDateTime longAgo = QDateTime::currentDateTimeUtc().addSecs(-std::chrono::seconds(kLongUnused).count());
    for (const auto &session : std::as_const(m_live)) {
        if (session != except && session->kernelAlive() && !session->queue.isBusy() && session->lastUsed < limit)
            unused << session;
    }
    std::sort(unused.begin(), unused.end(), [](const auto &a, const auto &b) { return a->lastUsed < b->lastUsed; });
    const QString reason = QStringLiteral("it was ended to make room, being the longest unused one.");
    for (const bool onlySaved : {true, false}) {
        for (const auto &session : std::as_const(unused)) {
            if (!onlySaved && session->lastUsed > longAgo)
                break;
            const bool gone = co_await retire(session, reason, onlySaved);
            if (gone)
                co_return true;
        }
    }
    co_return false;
}

void SessionService::evictExpired()
{
    const QDateTime limit =
        QDateTime::currentDateTimeUtc().addSecs(-std::chrono::seconds(m_config.idleKernel).count());
    const QString reason = QStringLiteral("it was unused for %1 minutes (SESSION_IDLE_MINUTES).").arg(m_config.idleKernel.count());
    const auto all = m_live.values();
    for (const auto &session : all) {
        if (session->kernelAlive() && !session->queue.isBusy() && session->lastUsed < limit)
            retire(session, reason, false);
    }
}

QCoro::Task<> SessionService::saveAll()
{
    if (!m_snapshots.isOn())
        co_return;
    QList<std::shared_ptr<LiveSession>> unsaved;
    for (const auto &session : std::as_const(m_live)) {
        if (session->kernelAlive() && !session->deleted && (session->snapshot.isDirty() || session->queue.isBusy()))
            unsaved << session;
    }
    LastSaving saving(m_snapshots, kSaveAllTime);
    const QList<LastSaving::Lost> lost = co_await saving.run(unsaved);
    for (const LastSaving::Lost &one : lost)
        log::warning("session_not_saved", {{QStringLiteral("session"), one.session->key.id},
                                           {QStringLiteral("reason"), one.reason},
                                           {QStringLiteral("last_cell"), one.session->lastCell},
                                           {QStringLiteral("saved_cell"), one.session->snapshot.cell}});
}

} // namespace power::sessions
