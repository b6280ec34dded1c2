// What a run did to its session's files: found, stored, told.
#include "base/Log.h"
#include "base/Offload.h"
#include "sessions/LiveSession.h"
#include "sessions/SessionService.h"
#include <QFile>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
// Longer than this on the event loop, and the next look at the session's files happens beside it.
constexpr auto kLongLook = 5ms;
constexpr int kRemainingTold = 20;

// Copies the spilled output into the workspace; the spill file is gone afterwards in any case.
Result<Done> moveOutput(const QString &from, workspace::Workspace &to, const QString &name)
{
    QFile whole(from);
    auto writer = to.create(name);
    Result<Done> moved = Done{};
    if (!writer)
        moved = Unexpected<Error>{writer.error()};
    else if (!whole.open(QIODevice::ReadOnly))
        moved = fail(ErrorCode::Internal, QStringLiteral("The whole output could not be read again."));
    while (moved && !whole.atEnd())
        moved = (*writer)->write(whole.read(1 << 20));
    if (moved) {
        if (const auto committed = (*writer)->commit(); !committed)
            moved = Unexpected<Error>{committed.error()};
    }
    whole.close();
    QFile::remove(from);
    return moved;
}
} // namespace

QCoro::Task<> SessionService::keepWholeOutput(std::shared_ptr<LiveSession> session, std::shared_ptr<RunReport> report)
{
    const QString spilled = QString::fromUtf8(report->outcome.outputFile);
    if (spilled.isEmpty())
        co_return;
    report->outcome.outputFile.clear();
    const QString name = QStringLiteral("output_%1.txt").arg(report->runId.left(8));
    auto workspace = session->workspace;
    std::function<Result<Done>()> work = [workspace, spilled, name] { return moveOutput(spilled, *workspace, name); };
    const Result<Done> moved = co_await offload<Done>(std::move(work));
    if (!moved) {
        report->outcome.notes << QStringLiteral("The whole output could not be kept as a file: %1").arg(moved.error().message);
        co_return;
    }
    report->outcome.notes << QStringLiteral("The whole output is in the file %1.").arg(name);
    tellFilesChanged(session->key, {name}, {});
}

QCoro::Task<> SessionService::beginChanges(std::shared_ptr<LiveSession> session)
{
    auto workspace = session->workspace;
    if (session->manyFiles) {
        std::function<Result<Done>()> work = [workspace]() -> Result<Done> {
            workspace->beginChanges();
            return Done{};
        };
        const Result<Done> begun = co_await offload<Done>(std::move(work));
        Q_UNUSED(begun);
        co_return;
    }
    const auto started = std::chrono::steady_clock::now();
    workspace->beginChanges();
    session->manyFiles = std::chrono::steady_clock::now() - started > kLongLook;
}

QCoro::Task<workspace::Workspace::Changes> SessionService::takeChanges(std::shared_ptr<LiveSession> session)
{
    using Changes = workspace::Workspace::Changes;
    auto workspace = session->workspace;
    const auto started = std::chrono::steady_clock::now();
    if (!session->manyFiles) {
        Changes changes = workspace->takeChanges();
        session->manyFiles = std::chrono::steady_clock::now() - started > kLongLook;
        co_return changes;
    }
    std::function<Result<Changes>()> work = [workspace]() -> Result<Changes> { return workspace->takeChanges(); };
    Result<Changes> taken = co_await offload<Changes>(std::move(work));
    session->manyFiles = std::chrono::steady_clock::now() - started > kLongLook;
    co_return std::move(taken.value());
}

QCoro::Task<QStringList> SessionService::remainingFiles(std::shared_ptr<LiveSession> session)
{
    auto workspace = session->workspace;
    std::function<Result<QStringList>()> work = [workspace]() -> Result<QStringList> {
        QStringList names;
        const auto files = workspace->list(kRemainingTold);
        for (const auto &file : files)
            names << file.path;
        return names;
    };
    Result<QStringList> names = co_await offload<QStringList>(std::move(work));
    co_return std::move(names.value());
}

QCoro::Task<> SessionService::collectFiles(std::shared_ptr<LiveSession> session, std::shared_ptr<RunReport> report)
{
    workspace::Workspace::Changes changes = co_await takeChanges(session);
    co_await storeChanges(std::move(session), std::move(report), std::move(changes));
}

QCoro::Task<> SessionService::storeChanges(std::shared_ptr<LiveSession> session, std::shared_ptr<RunReport> report, workspace::Workspace::Changes changes)
{
    report->removed = changes.removed;
    for (const workspace::FileFacts &facts : changes.read)
        report->read << ReadFile{facts.path, facts.size, facts.modifiedNs, {}};
    if (changes.truncated)
        report->outcome.notes << QStringLiteral("More files were written than are listed; list_files shows them all.");
    for (const workspace::FileFacts &facts : changes.written) {
        const QString principal = session->key.principal;
        const QString id = session->key.id;
        const QString path = facts.path;
        auto workspace = session->workspace;
        auto stored = co_await m_files.store(principal, id, workspace, path);
        if (stored) {
            report->files << *stored;
            session->hashes.learn(facts.path, facts.size, facts.modifiedNs, QString::fromLatin1(stored->sha256));
        } else {
            report->unlinked << UnlinkedFile{facts.path, facts.size, stored.error()};
        }
    }
    // Told, and so true at every server; the rest is kept behind the answer.
    if (!changes.removed.isEmpty()) {
        const QString principal = session->key.principal;
        const QString id = session->key.id;
        const QStringList removed = changes.removed;
        const Result<Done> dropped = co_await m_files.dropFiles(principal, id, removed);
        if (!dropped)
            log::warning("removed_files_not_forgotten", {{QStringLiteral("session"), id}, {QStringLiteral("reason"), dropped.error().message}});
    }
    if (changes.truncated) {
        const Result<Done> kept = co_await keepFiles(session);
        if (!kept)
            report->outcome.notes << QStringLiteral("Not all files are stored durably yet: %1").arg(kept.error().message);
    }
    QStringList written;
    for (const workspace::FileFacts &facts : changes.written)
        written << facts.path;
    tellFilesChanged(session->key, written, changes.removed);
}

} // namespace power::sessions
