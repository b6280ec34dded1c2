// Runs beside a session: jobs use its files, and its variables when they were kept for them, but never its kernel or turn.
#include "base/Ids.h"
#include "base/Offload.h"
#include "sessions/ApartRun.h"
#include "sessions/LiveSession.h"
#include "sessions/SessionRecords.h"
#include "sessions/SessionService.h"

namespace power::sessions {

namespace {
const QString &keptOwner()
{
    static const QString owner = QStringLiteral(".jobs");
    return owner;
}

QCoro::Task<> settleFiles(std::shared_ptr<workspace::Workspace> workspace)
{
    std::function<Result<Done>()> work = [workspace]() -> Result<Done> {
        workspace->openToGroup();
        return Done{};
    };
    const Result<Done> settled = co_await offload<Done>(std::move(work));
    Q_UNUSED(settled);
}
} // namespace

QCoro::Task<Result<RunReport>> SessionService::runApart(ApartCall apart)
{
    const SessionKey key = apart.call.key;
    const Result<Done> prepared = co_await prepare(key);
    if (!prepared)
        co_return Unexpected<Error>{prepared.error()};
    auto opened = open(apart.call.key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const std::shared_ptr<LiveSession> session = *opened;
    m_records.noteUse(session->key);
    const auto report = std::make_shared<RunReport>();
    report->runId = newUuid();
    const auto beside = std::make_shared<LiveSession>();
    beside->key = session->key;
    const quint32 uid = session->workspace->uid() == 0 ? 0 : apart.uid;
    beside->workspace = session->workspace->apart(uid);
    beside->apart = {true, uid, apart.cores};
    const auto space = beside->workspace;
    co_await settleFiles(space);
    const CancelToken cancel = apart.call.cancel;
    const Result<Done> started = co_await startKernel(beside, cancel);
    if (!started)
        co_return Unexpected<Error>{started.error()};
    if (!apart.state.isEmpty()) {
        const files::SnapshotKey kept{keptOwner(), apart.state, {}};
        const Restored restored = co_await m_snapshots.restore(beside, kept, 0, cancel);
        if (!restored.ok)
            co_return fail(cancel.isCancelled() ? ErrorCode::Cancelled : restored.later ? ErrorCode::Unavailable : ErrorCode::Conflict,
                           restored.tried ? QStringLiteral("The session's variables could not be brought into the job: %1")
                                                .arg(restored.facts.value(QStringLiteral("reason")).toString(restored.text))
                                          : QStringLiteral("The variables kept for this job are not on this server any more."),
                           QStringLiteral("Submit it again, or let the code build what it needs."));
        report->restored = restored.facts;
        report->restored.remove(QStringLiteral("lost_cells"));
        report->kernelNote = restored.text;
    }
    co_await beginChanges(beside);
    const QDateTime usedBefore = session->lastUsed;
    const Result<Done> may = mayStart(*session);
    if (!may)
        co_return Unexpected<Error>{may.error()};

    supervisor::RunRequest request;
    request.runId = report->runId;
    request.code = apart.call.code;
    request.timeout = apart.call.timeout;
    request.cancel = cancel;
    request.context = apart.call.context;
    request.onOutput = apart.onOutput;
    request.onProgress = apart.call.report;
    if (apart.call.tools)
        request.onCall = recordedCalls(apart.call.tools, report);
    if (apart.onStart)
        apart.onStart();
    report->outcome = co_await beside->kernel->run(std::move(request));
    // Nothing that the code left running writes after the job's end.
    co_await beside->kernel->stop();
    // Whose they are can be seen until they are given to the session; what this job tells, the session's next run does not.
    workspace::Workspace::Changes changes = co_await takeChanges(beside);
    const bool wasAlone = session->lastUsed == usedBefore && !session->queue.isBusy();
    session->workspace->disown(changes, wasAlone);
    co_await settleFiles(space);
    if (session->deleted)
        co_return fail(ErrorCode::NotFound, QStringLiteral("Session '%1' was deleted while the job ran; the job was ended.").arg(session->key.id));
    session->lastUsed = QDateTime::currentDateTimeUtc();
    co_await keepWholeOutput(session, report);
    co_await storeChanges(beside, report, std::move(changes));
    noteFiles(session);
    record(beside, apart.call, *report);
    co_return std::move(*report);
}

QCoro::Task<Result<QJsonObject>> SessionService::keepState(SessionKey key, QString id, CancelToken cancel)
{
    const auto opened = existing(key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const std::shared_ptr<LiveSession> session = *opened;
    const auto turn = co_await turnOf(session, cancel);
    if (!turn)
        co_return Unexpected<Error>{turn.error()};
    const Result<files::SnapshotFacts> facts = co_await saved(session);
    if (!facts)
        co_return Unexpected<Error>{facts.error()};
    files::SnapshotStore *store = &m_snapshots.store();
    const files::SnapshotKey from = Snapshots::keyOf(key), to{keptOwner(), id, {}};
    std::function<Result<Done>()> work = [store, from, to] { return store->copy(from, to, {{QStringLiteral("branch"), true}}); };
    const Result<Done> copied = co_await offload<Done>(std::move(work));
    if (!copied)
        co_return Unexpected<Error>{copied.error()};
    co_return QJsonObject{{QStringLiteral("cell"), facts->cell},
                          {QStringLiteral("variables"), facts->about.value(QStringLiteral("saved")).toInt()},
                          {QStringLiteral("not_carried"), facts->about.value(QStringLiteral("skipped")).toArray()},
                          {QStringLiteral("not_carried_count"), facts->about.value(QStringLiteral("skipped_count")).toInt()}};
}

QCoro::Task<> SessionService::dropState(QString id)
{
    files::SnapshotStore *store = &m_snapshots.store();
    std::function<Result<Done>()> work = [store, id]() -> Result<Done> {
        store->removeSession(keptOwner(), id);
        return Done{};
    };
    const Result<Done> dropped = co_await offload<Done>(std::move(work));
    Q_UNUSED(dropped);
}

} // namespace power::sessions
