#include "sessions/SessionService.h"
#include "base/Ids.h"
#include "base/Log.h"
#include "base/Offload.h"
#include "sessions/LiveSession.h"
#include "sessions/SessionRecords.h"
#include <QJsonDocument>
#include <QPointer>
#include <algorithm>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
// A run that is being killed ends within this; then its session is removed all the same.
constexpr auto kUnwind = 10s;
constexpr qsizetype kMostCallsKept = 100;

// A call of the code, noted in the run's report unless that has been handed on.
QCoro::Task<Result<QByteArray>> callRecorded(supervisor::CellCall tools, std::weak_ptr<RunReport> report, QString tool,
                                             QJsonObject arguments, CancelToken cancel)
{
    InsideCall noted;
    noted.tool = tool;
    noted.arguments = QString::fromUtf8(QJsonDocument(arguments).toJson(QJsonDocument::Compact)).left(500);
    const auto started = std::chrono::steady_clock::now();
    QCoro::Task<Result<QByteArray>> running = tools(std::move(tool), std::move(arguments), std::move(cancel));
    Result<QByteArray> answer = co_await running;
    noted.ok = answer.ok();
    noted.error = answer ? QString() : QString(QLatin1String(errorWord(answer.error().code)));
    noted.milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started).count();
    const auto open = report.lock();
    if (open && !noted.tool.isEmpty() && open->calls.size() < kMostCallsKept)
        open->calls << noted;
    co_return answer;
}
} // namespace

SessionService::SessionService(Config config, supervisor::KernelHost &host, workspace::Workspaces &workspaces,
                               files::FileStore &files, SessionRecords &records, Snapshots &snapshots, QObject *parent)
    : QObject(parent)
    , m_config(std::move(config))
    , m_host(host)
    , m_workspaces(workspaces)
    , m_files(files)
    , m_records(records)
    , m_snapshots(snapshots)
{
    if (m_config.idleKernel.count() > 0) {
        connect(&m_idleTimer, &QTimer::timeout, this, &SessionService::evictExpired);
        m_idleTimer.start(30s);
    }
    connect(&m_keepTimer, &QTimer::timeout, this, &SessionService::keepDueFiles);
    const QPointer<SessionService> self(this);
    m_files.whenMoved([self](const QString &principal, const QString &sessionId, bool isDeleted) {
        if (!self)
            return;
        self->forgetPrepared(principal, sessionId);
        if (isDeleted)
            self->followDeletion(principal, sessionId);
    });
}

SessionService::~SessionService() = default;

static void addLiveFacts(SessionInfo &info, const std::shared_ptr<LiveSession> &session, std::chrono::hours timeToLive)
{
    if (session) {
        info.hasKernel = session->kernelAlive();
        info.executionCount = session->executionCount;
        info.variables = info.hasKernel ? session->variables : 0;
        info.busy = session->queue.isBusy();
        info.queued = session->queue.waiting();
        info.lastUsed = qMax(info.lastUsed, session->lastUsed);
        info.memoryBytes = info.hasKernel ? session->kernel->memoryBytes() : 0;
    }
    if (timeToLive.count() > 0)
        info.expires = info.lastUsed.addSecs(std::chrono::seconds(timeToLive).count());
}

int SessionService::liveKernels() const
{
    return int(std::count_if(m_live.cbegin(), m_live.cend(),
                             [](const auto &session) { return session->kernelAlive(); }));
}

Result<std::shared_ptr<LiveSession>> SessionService::open(const SessionKey &key)
{
    if (m_stopping)
        return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."), QStringLiteral("Try again in a minute."));
    if (auto found = m_live.value(key.text())) {
        if (found->deleted)
            return fail(ErrorCode::Busy, QStringLiteral("Session '%1' is just being deleted.").arg(key.id),
                        QStringLiteral("Call again in a few seconds to start it afresh, or use another session_id."));
        return found;
    }
    const bool existed = m_workspaces.exists(key.slug, key.id);
    auto workspace = m_workspaces.openSession(key.slug, key.id);
    if (!workspace)
        return Unexpected<Error>{workspace.error()};
    auto session = std::make_shared<LiveSession>();
    session->key = key;
    session->workspace = *workspace;
    session->isNew = !existed;
    m_live.insert(key.text(), session);
    if (!existed)
        Q_EMIT sessionsChanged(key.principal);
    return session;
}

Result<std::shared_ptr<workspace::Workspace>> SessionService::workspace(const SessionKey &key)
{
    auto session = open(key);
    if (!session)
        return Unexpected<Error>{session.error()};
    (*session)->lastUsed = QDateTime::currentDateTimeUtc();
    m_records.noteUse(key);
    return (*session)->workspace;
}

Result<std::shared_ptr<workspace::Workspace>> SessionService::existingWorkspace(const SessionKey &key)
{
    const auto live = m_live.value(key.text());
    if (live && !live->deleted)
        return live->workspace;
    if (live || !m_workspaces.exists(key.slug, key.id))
        return fail(ErrorCode::NotFound, QStringLiteral("There is no session '%1'.").arg(key.id),
                    QStringLiteral("list_sessions shows the existing ones; execute_code makes one on first use."));
    return m_workspaces.openSession(key.slug, key.id);
}

Result<std::shared_ptr<LiveSession>> SessionService::existing(const SessionKey &key)
{
    const auto known = existingWorkspace(key);
    if (!known)
        return Unexpected<Error>{known.error()};
    return open(key);
}

void SessionService::tellFilesChanged(const SessionKey &key, const QStringList &written, const QStringList &removed)
{
    const auto visible = [](QStringList paths) {
        paths.removeIf([](const QString &path) { return path.startsWith(u'/'); });
        return paths;
    };
    const QStringList shown = visible(written), gone = visible(removed);
    if (!shown.isEmpty() || !gone.isEmpty())
        Q_EMIT filesChanged(key, shown, gone);
}

supervisor::CellCall SessionService::recordedCalls(supervisor::CellCall tools, const std::shared_ptr<RunReport> &report)
{
    return [tools = std::move(tools), seen = std::weak_ptr(report)](QString tool, QJsonObject arguments, CancelToken cancel) {
        return callRecorded(tools, seen, std::move(tool), std::move(arguments), std::move(cancel));
    };
}

QCoro::Task<Result<RunReport>> SessionService::run(RunCall call)
{
    const SessionKey key = call.key;
    const Result<Done> prepared = co_await prepare(key);
    if (!prepared)
        co_return Unexpected<Error>{prepared.error()};
    auto opened = open(call.key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    std::shared_ptr<LiveSession> session = *opened;

    auto report = std::make_shared<RunReport>();
    report->runId = newUuid();
    const int position = session->queue.isBusy() ? session->queue.waiting() + 1 : 0;
    report->queuePosition = position;
    if (position > m_config.maxQueued)
        co_return fail(ErrorCode::Busy,
                       QStringLiteral("Session '%1' already has %2 calls waiting.").arg(call.key.id).arg(position - 1),
                       QStringLiteral("Wait for them, or use another session_id: sessions run in parallel."),
                       {{QStringLiteral("queue_position"), position}});
    if (position > 0 && call.progress)
        call.progress(QStringLiteral("waiting: position %1 in the queue of session '%2'").arg(position).arg(call.key.id));

    const auto arrived = std::chrono::steady_clock::now();
    auto turn = co_await session->queue.enter(call.timeout, call.cancel);
    report->queuedFor = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - arrived);
    if (!turn) {
        if (turn.error().code == ErrorCode::Cancelled)
            co_return Unexpected<Error>{turn.error()};
        co_return fail(ErrorCode::Busy,
                       QStringLiteral("Session '%1' is busy: this call waited %2 s at position %3 of its queue and did "
                                      "not run.")
                           .arg(call.key.id)
                           .arg(report->queuedFor.count() / 1000)
                           .arg(position),
                       QStringLiteral("Try again, raise timeout, or use another session_id: sessions run in parallel."),
                       {{QStringLiteral("queue_position"), position}});
    }
    const Result<Done> may = mayStart(*session);
    if (!may)
        co_return Unexpected<Error>{may.error()};
    const Result<Done> ready = co_await ensureKernel(session, call.cancel);
    if (!ready)
        co_return Unexpected<Error>{ready.error()};
    report->sessionIsNew = std::exchange(session->isNew, false);
    report->kernelNote = std::exchange(session->untold, QString());
    const auto tellRestoration = [&session, &report] { // it died between two calls and went on from a checkpoint
        const auto restored = session->kernel ? session->kernel->takeRestoration() : std::nullopt;
        if (restored)
            report->kernelNote = restored->reason + u' ' + restored->text();
        return restored.has_value();
    };
    if (!tellRestoration())
        report->kernelIsNew = !report->kernelNote.isEmpty() && !session->restored.ok;
    report->restored = std::exchange(session->restored, Restored()).facts;
    if (report->kernelIsNew && !report->sessionIsNew)
        report->remaining = co_await remainingFiles(session);

    supervisor::RunRequest request;
    request.runId = report->runId;
    request.code = call.code;
    request.timeout = call.timeout;
    request.cancel = call.cancel;
    request.context = call.context;
    request.onInput = call.onInput;
    if (call.progress) {
        request.onOutput = [progress = call.progress](const supervisor::OutputEvent &event) {
            if (!event.text.isEmpty())
                progress(QString::fromUtf8(event.text));
        };
    }
    request.onProgress = call.report;
    if (call.tools)
        request.onCall = recordedCalls(call.tools, report);
    co_await beginChanges(session);
    const Result<Done> unchanged = mayStart(*session);
    if (!unchanged)
        co_return Unexpected<Error>{unchanged.error()};
    report->outcome = co_await session->kernel->run(std::move(request));
    tellRestoration(); // under way when the call came
    if (session->deleted)
        co_return fail(ErrorCode::NotFound,
                       QStringLiteral("Session '%1' was deleted while this call ran; the run was ended.").arg(call.key.id),
                       QStringLiteral("Call again to start it afresh."));
    session->lastUsed = QDateTime::currentDateTimeUtc();
    session->executionCount = report->outcome.executionCount;
    session->variables = report->outcome.variables;
    session->lastCell = std::max(session->lastCell, session->executionCount);
    if (session->kernelAlive())
        m_snapshots.noteRun(session);
    if (!report->outcome.variablesSurvived) {
        if (!report->outcome.restored && m_snapshots.isOn())
            report->snapshotCell = session->snapshot.cell;
        if (session->lossReason.isEmpty())
            session->lossReason = session->kernel ? session->kernel->deathReason() : report->outcome.cause;
        report->remaining = co_await remainingFiles(session);
    }
    co_await keepWholeOutput(session, report);
    co_await collectFiles(session, report);
    noteFiles(session);
    record(session, call, *report);
    co_return std::move(*report);
}

void SessionService::record(std::shared_ptr<LiveSession> session, const RunCall &call, RunReport &report)
{
    const bool isOpen = !report.read.isEmpty() && session->hashes.fill(report.read);
    m_records.noteRun(call, report);
    if (isOpen)
        hashInputs(std::move(session), report.runId, report.read);
}

QCoro::Task<> SessionService::hashInputs(std::shared_ptr<LiveSession> session, QString runId, QList<ReadFile> read)
{
    const QPointer<SessionService> self(this);
    std::function<Result<QList<ReadFile>>()> work = [space = session->workspace, files = read]() -> Result<QList<ReadFile>> {
        return hashed(*space, files);
    };
    const Result<QList<ReadFile>> files = co_await offload<QList<ReadFile>>(std::move(work));
    if (!self || !files || session->deleted)
        co_return;
    for (const ReadFile &file : *files)
        session->hashes.learn(file.path, file.size, file.modifiedNs, file.sha256);
    m_records.noteInputs(runId, *files);
}

Result<Done> SessionService::mayStart(const LiveSession &session) const
{
    if (session.deleted)
        return fail(ErrorCode::NotFound, QStringLiteral("Session '%1' was deleted while this call waited.").arg(session.key.id),
                    QStringLiteral("Call again to start it afresh."));
    if (m_stopping)
        return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."), QStringLiteral("Try again in a minute."));
    return Done{};
}

QCoro::Task<Result<supervisor::RunOutcome>> SessionService::task(SessionKey key, QString task, QJsonObject arguments,
                                                                 std::chrono::milliseconds timeout, CancelToken cancel,
                                                                 supervisor::CellCall tools)
{
    const Result<Done> prepared = co_await prepare(key);
    if (!prepared)
        co_return Unexpected<Error>{prepared.error()};
    auto opened = open(key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    std::shared_ptr<LiveSession> session = *opened;
    if (session->queue.isBusy() && session->queue.waiting() >= m_config.maxQueued)
        co_return fail(ErrorCode::Busy,
                       QStringLiteral("Session '%1' already has %2 calls waiting.").arg(key.id).arg(session->queue.waiting()),
                       QStringLiteral("Wait for them, or use another session_id: sessions run in parallel."));
    auto turn = co_await session->queue.enter(timeout, cancel);
    if (!turn && turn.error().code == ErrorCode::Cancelled)
        co_return Unexpected<Error>{turn.error()};
    if (!turn)
        co_return fail(ErrorCode::Busy, QStringLiteral("Session '%1' is busy with another call.").arg(key.id),
                       QStringLiteral("Try again when it has finished."));
    const Result<Done> may = mayStart(*session);
    if (!may)
        co_return Unexpected<Error>{may.error()};
    const Result<Done> ready = co_await ensureKernel(session, cancel);
    if (!ready)
        co_return Unexpected<Error>{ready.error()};
    supervisor::TaskRequest request{newUuid(), task, arguments, timeout, cancel};
    request.onCall = std::move(tools);
    supervisor::RunOutcome outcome = co_await session->kernel->task(std::move(request));
    session->lastUsed = QDateTime::currentDateTimeUtc();
    if (!outcome.variablesSurvived && session->lossReason.isEmpty())
        session->lossReason = session->kernel ? session->kernel->deathReason() : outcome.cause;
    co_return outcome;
}

QCoro::Task<Result<SessionInfo>> SessionService::create(SessionKey key, QString name, QString description,
                                                         QJsonObject metadata)
{
    auto opened = open(key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    std::shared_ptr<LiveSession> session = *opened;
    SessionInfo info;
    info.key = key;
    info.name = name.isEmpty() ? key.id : name;
    info.description = description;
    info.metadata = metadata;
    info.created = info.lastUsed = QDateTime::currentDateTimeUtc();
    const Result<Done> saved = co_await m_records.save(info);
    if (!saved)
        co_return Unexpected<Error>{saved.error()};
    noteFiles(session); // that it is there
    auto stored = co_await get(key);
    co_return stored ? *stored : info;
}

QCoro::Task<Result<QList<SessionInfo>>> SessionService::list(QString principal)
{
    auto rows = co_await m_records.list(principal);
    QList<SessionInfo> infos = rows ? *rows : QList<SessionInfo>{};
    QSet<QString> seen;
    for (SessionInfo &info : infos) {
        seen.insert(info.key.text());
        addLiveFacts(info, m_live.value(info.key.text()), m_config.timeToLive);
    }
    // Used a moment ago and not written yet, or the database is away.
    for (const auto &session : std::as_const(m_live)) {
        if (session->key.principal != principal || session->deleted || seen.contains(session->key.text()))
            continue;
        SessionInfo info;
        info.key = session->key;
        info.name = session->key.id;
        info.created = info.lastUsed = session->lastUsed;
        addLiveFacts(info, session, m_config.timeToLive);
        infos << info;
    }
    std::stable_sort(infos.begin(), infos.end(),
                     [](const SessionInfo &a, const SessionInfo &b) { return a.lastUsed > b.lastUsed; });
    co_return infos;
}

QCoro::Task<Result<SessionInfo>> SessionService::get(SessionKey key)
{
    auto row = co_await m_records.get(key);
    const auto live = m_live.value(key.text());
    if (!live && row && !*row)
        co_return fail(ErrorCode::NotFound, QStringLiteral("There is no session '%1'.").arg(key.id),
                       QStringLiteral("list_sessions shows the existing ones; execute_code makes one on first use."));
    if (!live && !row)
        co_return Unexpected<Error>{row.error()};
    SessionInfo info;
    if (row && *row) {
        info = **row;
    } else {
        info.key = key;
        info.name = key.id;
        info.created = info.lastUsed = live->lastUsed;
    }
    addLiveFacts(info, live, m_config.timeToLive);
    co_return info;
}

QCoro::Task<> SessionService::endLive(std::shared_ptr<LiveSession> live)
{
    live->deleted = true;
    if (live->kernel)
        co_await live->kernel->stop();
    // What runs or waits sees that the session is deleted and leaves.
    const std::chrono::milliseconds most = kUnwind;
    const CancelToken none;
    const auto turn = co_await live->queue.enter(most, none);
    Q_UNUSED(turn);
    live->kernel.reset();
}

QCoro::Task<Result<Done>> SessionService::remove(SessionKey key)
{
    auto live = m_live.value(key.text());
    if (live && live->deleted)
        co_return fail(ErrorCode::Busy, QStringLiteral("Session '%1' is just being deleted by another call.").arg(key.id),
                       QStringLiteral("It is gone in a few seconds."));
    if (!live && m_workspaces.exists(key.slug, key.id)) { // so that no call opens it meanwhile
        auto opened = open(key);
        if (!opened)
            co_return Unexpected<Error>{opened.error()};
        live = *opened;
    }
    if (live)
        live->deleted = true;
    Q_EMIT sessionDeleted(key);
    auto row = co_await m_records.get(key);
    if (!live && !(row && *row))
        co_return fail(ErrorCode::NotFound, QStringLiteral("There is no session '%1'.").arg(key.id),
                       QStringLiteral("list_sessions shows the existing ones."));
    if (live)
        co_await endLive(live);
    workspace::Workspaces *workspaces = &m_workspaces;
    files::SnapshotStore *snapshots = &m_snapshots.store();
    const files::SnapshotKey kept = Snapshots::keyOf(key);
    std::function<Result<Done>()> work = [workspaces, snapshots, key, kept] {
        snapshots->removeSession(kept.owner, kept.session);
        return workspaces->removeSession(key.slug, key.id);
    };
    const Result<Done> gone = co_await offload<Done>(std::move(work));
    // Until then it cannot be opened: what a new session of that name stores must not be forgotten with the old one.
    const auto letGo = [this, live, text = key.text()] {
        if (live && m_live.value(text) == live)
            m_live.remove(text);
    };
    if (!gone && m_workspaces.exists(key.slug, key.id)) {
        letGo();
        co_return Unexpected<Error>{gone.error()};
    }
    if (!gone) // out of reach already; what is left goes at the next start
        log::warning("session_files_left", {{QStringLiteral("session"), key.id}, {QStringLiteral("reason"), gone.error().message}});
    const QString everyFile;
    const Result<Done> forgotten = co_await m_files.forget(key.principal, key.id, everyFile);
    if (!forgotten)
        log::warning("links_not_forgotten", {{QStringLiteral("session"), key.id},
                                             {QStringLiteral("reason"), forgotten.error().message}});
    const Result<Done> removed = co_await m_records.remove(key);
    letGo();
    Q_EMIT sessionsChanged(key.principal);
    co_return removed;
}

QCoro::Task<> SessionService::stop()
{
    m_idleTimer.stop();
    m_keepTimer.stop();
    m_stopping = true;
    co_await saveAll();
    // All at once: the end of a kernel without a zygote to report it takes seconds.
    std::vector<QCoro::Task<>> ends;
    for (const auto &session : std::as_const(m_live)) {
        if (session->kernel)
            ends.push_back(session->kernel->stop());
    }
    for (QCoro::Task<> &end : ends)
        co_await end;
    co_await keepAllFiles(); // what the kernels wrote to the end
    co_await m_records.flush();
}

} // namespace power::sessions
