// Named checkpoints of a session, going back to one, and sessions that begin as a copy of another: on snapshots.
#include "base/Log.h"
#include "base/Offload.h"
#include "sessions/LiveSession.h"
#include "sessions/SessionRecords.h"
#include "sessions/SessionService.h"
#include <QJsonArray>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace power::sessions {

using namespace std::chrono_literals;
using files::SnapshotFacts;
using files::SnapshotKey;
using files::SnapshotStore;

namespace {
constexpr std::chrono::milliseconds kTurnWait = 60s;
constexpr int kMostNamed = 20;
constexpr int kMostLeftOut = 50, kNamesInText = 5;

QStringList namesOf(SnapshotStore &store, const SnapshotKey &key)
{
    QStringList names;
    const auto all = store.named(key.owner, key.session);
    for (const auto &[name, facts] : all)
        names << name;
    return names;
}

// leftOut: files that are not carried.
QJsonObject branchFacts(const SnapshotFacts &facts, int files, const QStringList &leftOut)
{
    QJsonObject data{{QStringLiteral("cell"), facts.cell},
            {QStringLiteral("variables"), facts.about.value(QStringLiteral("saved")).toInt()},
            {QStringLiteral("not_carried"), facts.about.value(QStringLiteral("skipped")).toArray()},
            {QStringLiteral("not_carried_count"), facts.about.value(QStringLiteral("skipped_count")).toInt()},
            {QStringLiteral("files"), files},
            {QStringLiteral("size_mb"), double(facts.size) / (1 << 20)}};
    if (!leftOut.isEmpty())
        data.insert(QStringLiteral("files_not_carried"), QJsonArray::fromStringList(leftOut));
    return data;
}

// For the message of an answer: "" or a sentence.
QString leftOutText(const QStringList &names)
{
    if (names.isEmpty())
        return {};
    QString shown = names.mid(0, kNamesInText).join(QStringLiteral(", "));
    if (names.size() > kNamesInText)
        shown += QStringLiteral(" ...");
    return QStringLiteral(" Hidden files and links are not carried: %1.").arg(shown);
}

// For the message of an answer: the variables are in the kernel alone. `why` may be empty.
QString notKeptText(const QString &why)
{
    const QString reason = why.isEmpty() ? QString() : QStringLiteral(" (%1)").arg(why);
    return QStringLiteral(" These variables are not stored as the session's latest state yet%1: a restart of the server now would not bring them back.").arg(reason);
}

Unexpected<Error> noVariables(const QString &id)
{
    return fail(ErrorCode::NotFound, QStringLiteral("Session '%1' has no variables yet.").arg(id),
                QStringLiteral("Run something in it first (execute_code)."));
}

Result<Done> copyContent(int source, workspace::Workspace::Writer &target, const QString &path)
{
    QByteArray bytes(1 << 20, Qt::Uninitialized);
    for (;;) {
        const ssize_t got = ::read(source, bytes.data(), size_t(bytes.size()));
        if (got == 0)
            return Done{};
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(ErrorCode::Unavailable, QStringLiteral("The file %1 could not be read: %2.").arg(path, QString::fromLocal8Bit(std::strerror(errno))),
                        QStringLiteral("Try again; if it stays, tell the administrator."));
        const Result<Done> wrote = target.write(QByteArrayView(bytes.constData(), got));
        if (!wrote)
            return wrote;
    }
}

// Files of one session into another. Gives their number.
Result<int> copyFiles(const workspace::Workspace &from, workspace::Workspace &to)
{
    int count = 0;
    const auto files = from.list(SnapshotStore::mostFiles + 1);
    if (files.size() > SnapshotStore::mostFiles)
        return files::tooManyFiles();
    for (const workspace::FileFacts &file : files) {
        auto source = from.openRead(file.path);
        auto target = to.create(file.path);
        if (!source || !target)
            continue; // gone meanwhile, or a name that cannot be
        const Result<Done> copied = copyContent(source->get(), **target, file.path);
        if (!copied)
            return Unexpected<Error>{copied.error()};
        const auto committed = (*target)->commit();
        if (!committed)
            return Unexpected<Error>{committed.error()};
        ++count;
    }
    return count;
}
} // namespace

QCoro::Task<Result<SnapshotFacts>> SessionService::saved(std::shared_ptr<LiveSession> session)
{
    const QString off = m_snapshots.isOn() ? QString() : m_snapshots.problemOf(*session);
    if (!off.isEmpty())
        co_return fail(ErrorCode::Unavailable, QStringLiteral("This needs snapshots, but %1.").arg(off));
    if (session->kernelAlive() && session->snapshot.isDirty()) {
        const bool good = co_await m_snapshots.save(session);
        if (!good)
            co_return fail(ErrorCode::Unavailable, QStringLiteral("The session's state could not be stored: %1.").arg(m_snapshots.problemOf(*session)),
                           QStringLiteral("Delete large variables, or save results to files."));
    }
    const SessionKey key = session->key;
    const QString latest;
    Result<SnapshotFacts> facts = co_await m_snapshots.facts(key, latest);
    if (!facts && facts.error().code == ErrorCode::NotFound)
        co_return noVariables(key.id);
    co_return facts;
}

QCoro::Task<Result<std::shared_ptr<RunQueue::Turn>>> SessionService::turnOf(std::shared_ptr<LiveSession> session, CancelToken cancel)
{
    const std::chrono::milliseconds patience = kTurnWait;
    auto turn = co_await session->queue.enter(patience, cancel);
    if (!turn && turn.error().code != ErrorCode::Cancelled)
        co_return fail(ErrorCode::Busy, QStringLiteral("Session '%1' is busy with another call.").arg(session->key.id),
                       QStringLiteral("Try again when it has finished."));
    const Result<Done> may = mayStart(*session);
    if (!may)
        co_return Unexpected<Error>{may.error()};
    co_return turn;
}

QCoro::Task<Result<QJsonObject>> SessionService::checkpoint(SessionKey key, QString name, CancelToken cancel)
{
    const auto opened = existing(key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const std::shared_ptr<LiveSession> session = *opened;
    const auto turn = co_await turnOf(session, cancel);
    if (!turn)
        co_return Unexpected<Error>{turn.error()};
    const Result<SnapshotFacts> facts = co_await saved(session);
    if (!facts)
        co_return Unexpected<Error>{facts.error()};
    SnapshotStore *store = &m_snapshots.store();
    const SnapshotKey latest = Snapshots::keyOf(key), named = Snapshots::keyOf(key, name);
    const qint64 limit = m_config.kernel.diskBytes;
    auto workspace = session->workspace;
    auto names = std::make_shared<QStringList>(), leftOut = std::make_shared<QStringList>();
    std::function<Result<int>()> work = [store, latest, named, workspace, limit, names, leftOut]() -> Result<int> {
        const QStringList before = namesOf(*store, named);
        if (before.size() >= kMostNamed && !before.contains(named.name))
            return fail(ErrorCode::Conflict, QStringLiteral("The session has %1 checkpoints already: %2.").arg(kMostNamed).arg(before.join(QStringLiteral(", "))),
                        QStringLiteral("Use one of these names: it is replaced."));
        const Result<int> files = store->keep(latest, named, *workspace, limit);
        if (!files)
            return files;
        *leftOut = workspace->leftOut(kMostLeftOut);
        *names = namesOf(*store, named);
        return files;
    };
    const Result<int> files = co_await offload<int>(std::move(work));
    if (!files)
        co_return Unexpected<Error>{files.error()};
    QJsonObject data = branchFacts(*facts, *files, *leftOut);
    if (!leftOut->isEmpty())
        data.insert(QStringLiteral("message"), leftOutText(*leftOut).trimmed());
    data.insert(QStringLiteral("session_id"), key.id);
    data.insert(QStringLiteral("name"), name);
    data.insert(QStringLiteral("checkpoints"), QJsonArray::fromStringList(*names));
    co_return data;
}

QCoro::Task<Result<QJsonObject>> SessionService::restore(SessionKey key, QString name, CancelToken cancel)
{
    const auto opened = existing(key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const std::shared_ptr<LiveSession> session = *opened;
    const auto turn = co_await turnOf(session, cancel);
    if (!turn)
        co_return Unexpected<Error>{turn.error()};
    SnapshotStore *store = &m_snapshots.store();
    const SnapshotKey named = Snapshots::keyOf(key, name);
    std::function<Result<SnapshotFacts>()> look = [store, named]() -> Result<SnapshotFacts> {
        Result<SnapshotFacts> facts = store->facts(named);
        if (facts || facts.error().code != ErrorCode::NotFound)
            return facts;
        const QStringList names = namesOf(*store, named);
        return fail(ErrorCode::NotFound, QStringLiteral("Session '%1' has no checkpoint '%2'.").arg(named.session, named.name),
                    names.isEmpty() ? QStringLiteral("It has none; checkpoint_session makes one.")
                                    : QStringLiteral("It has: %1.").arg(names.join(QStringLiteral(", "))));
    };
    const Result<SnapshotFacts> facts = co_await offload<SnapshotFacts>(std::move(look));
    if (!facts)
        co_return Unexpected<Error>{facts.error()};
    if (session->kernel) {
        const auto kernel = std::move(session->kernel);
        co_await kernel->stop();
    }
    const int lastCell = session->lastCell;
    const Result<Done> started = co_await startKernel(session, cancel);
    if (!started)
        co_return Unexpected<Error>{started.error()};
    const Restored restored = co_await m_snapshots.restore(session, named, lastCell, cancel);
    session->lastCell = std::max(lastCell, restored.cell);
    session->untold.clear();
    session->restored = {};
    if (!restored.ok) {
        session->kernel.reset(); // the next call begins with the latest snapshot
        co_return fail(cancel.isCancelled() ? ErrorCode::Cancelled : ErrorCode::Conflict,
                       QStringLiteral("Checkpoint '%1' was not restored: %2").arg(name, restored.facts.value(QStringLiteral("reason")).toString(restored.text)));
    }
    session->executionCount = session->lastCell;
    session->variables = restored.variables;
    m_snapshots.noteRun(session);
    auto workspace = session->workspace;
    std::function<Result<QStringList>()> files = [store, named, workspace] { return store->putFilesBack(named, *workspace); };
    const Result<QStringList> written = co_await offload<QStringList>(std::move(files));
    if (!written)
        co_return Unexpected<Error>{written.error()};
    const Result<Done> durable = co_await keepFiles(session);
    if (!durable)
        co_return Unexpected<Error>{durable.error()};
    tellFilesChanged(key, *written, {});
    // On the disk before the answer: a crash right after it must not bring back what was given up.
    const bool kept = co_await m_snapshots.save(session);
    QJsonObject data = restored.facts;
    data.remove(QStringLiteral("lost_cells"));
    data.remove(QStringLiteral("last_cell"));
    data.insert(QStringLiteral("session_id"), key.id);
    data.insert(QStringLiteral("name"), name);
    data.insert(QStringLiteral("files_put_back"), QJsonArray::fromStringList(written->mid(0, 200)));
    data.insert(QStringLiteral("message"), QStringLiteral("Variables and files are those of checkpoint '%1'; files made since then are still there.").arg(name)
                                              + (kept ? QString() : notKeptText(m_snapshots.problemOf(*session))));
    data.insert(QStringLiteral("durable"), kept);
    co_return data;
}

QCoro::Task<Result<QJsonObject>> SessionService::fork(SessionKey key, SessionKey to, CancelToken cancel)
{
    const auto existing = existingWorkspace(key);
    if (!existing)
        co_return Unexpected<Error>{existing.error()};
    const Result<Done> known = co_await prepare(to);
    if (!known)
        co_return Unexpected<Error>{known.error()};
    if (m_live.contains(to.text()) || m_workspaces.exists(to.slug, to.id))
        co_return fail(ErrorCode::Conflict, QStringLiteral("There is a session '%1' already.").arg(to.id),
                       QStringLiteral("Choose another new_session_id, or delete that session first."));
    auto opened = open(key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const std::shared_ptr<LiveSession> session = *opened;
    const auto turn = co_await turnOf(session, cancel);
    if (!turn)
        co_return Unexpected<Error>{turn.error()};
    const Result<SnapshotFacts> facts = co_await saved(session);
    if (!facts)
        co_return Unexpected<Error>{facts.error()};
    if (m_live.contains(to.text())) // made while this call waited
        co_return fail(ErrorCode::Conflict, QStringLiteral("There is a session '%1' already.").arg(to.id), QStringLiteral("Choose another new_session_id."));
    auto made = open(to);
    if (!made)
        co_return Unexpected<Error>{made.error()};
    const std::shared_ptr<LiveSession> branch = *made;
    const auto branchTurn = co_await turnOf(branch, cancel); // its first call finds all of it
    if (!branchTurn)
        co_return Unexpected<Error>{branchTurn.error()};
    SnapshotStore *store = &m_snapshots.store();
    const SnapshotKey from = Snapshots::keyOf(key), target = Snapshots::keyOf(to);
    auto source = session->workspace;
    auto workspace = branch->workspace;
    const auto leftOut = std::make_shared<QStringList>();
    std::function<Result<int>()> work = [store, from, target, source, workspace, leftOut]() -> Result<int> {
        const Result<Done> copied = store->copy(from, target, {{QStringLiteral("branch"), true}});
        if (!copied)
            return Unexpected<Error>{copied.error()};
        *leftOut = source->leftOut(kMostLeftOut);
        return copyFiles(*source, *workspace);
    };
    const Result<int> files = co_await offload<int>(std::move(work));
    Result<Done> durable = Done{};
    if (files)
        durable = co_await keepFiles(branch);
    if (!files || !durable) { // half a branch is none: the name is free again
        QCoro::Task<Result<Done>> undoing = remove(to);
        (*branchTurn)->give();
        const Result<Done> undone = co_await undoing;
        if (!undone)
            log::warning("branch_left", {{QStringLiteral("session"), to.id}, {QStringLiteral("reason"), undone.error().message}});
        co_return Unexpected<Error>{files ? durable.error() : files.error()};
    }
    branch->isNew = false;
    branch->lossReason = QStringLiteral("it was forked from session '%1'.").arg(key.id);
    m_records.noteUse(to);
    QJsonObject data = branchFacts(*facts, *files, *leftOut);
    data.insert(QStringLiteral("session_id"), to.id);
    data.insert(QStringLiteral("forked_from"), key.id);
    data.insert(QStringLiteral("message"), QStringLiteral("Session '%1' begins with the variables and files of '%2'; both go on independently. "
                                                          "Random generators of the modules are seeded anew.").arg(to.id, key.id) + leftOutText(*leftOut));
    co_return data;
}

} // namespace power::sessions
