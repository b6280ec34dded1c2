// The files of sessions in the database: kept from their directories, and brought back to an empty one.
#include "base/Log.h"
#include "files/StoredFilesParts.h"
#include "workspace/Beneath.h"
#include "workspace/Walk.h"
#include <QPointer>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>

namespace power::files
{

using storage::Lane;

namespace
{
constexpr qsizetype rowsAtOnce = 200;
constexpr qsizetype mostSessionFiles = 200'000;

// What the server itself is just writing, and what Python makes again.
bool isPassing(const QByteArray &path)
{
    const QByteArray name = workspace::lastOf(path);
    return name.startsWith(".power-") || path.contains("__pycache__/") || !QByteArrayView(path).isValidUtf8();
}

// Everything in a session's directory that is kept, with facts and without contents.
QHash<QString, SessionFile> filesIn(int root)
{
    QHash<QString, SessionFile> found;
    QSet<QByteArray> parents;
    QList<std::pair<QByteArray, SessionFile>> directories;
    workspace::WalkVisitor visitor;
    visitor.everything = true;
    visitor.file = [&](const QByteArray &path, const struct stat &facts) {
        if (!S_ISREG(facts.st_mode) || isPassing(path)) return true;
        const QString name = QString::fromUtf8(path);
        found.insert(name, {name, qint64(facts.st_size), {}, sourceFacts(facts)});
        parents.insert(workspace::parentOf(path));
        return found.size() < mostSessionFiles;
    };
    visitor.directory = [&](const QByteArray &path, int, const struct stat &facts) {
        if (path.endsWith("__pycache__") || !QByteArrayView(path).isValidUtf8()) return false;
        parents.insert(workspace::parentOf(path));
        SessionFile directory{QString::fromUtf8(path), 0, {}, sourceFacts(facts)};
        directory.source.modifiedNs = directory.source.changedNs = 0; // they say nothing that is kept
        if (!path.isEmpty()) directories << std::pair(path, directory);
        return true;
    };
    workspace::walk(root, {}, visitor);
    for (const auto &[path, directory] : std::as_const(directories)) {
        if (!parents.contains(path)) found.insert(directory.path, directory);
    }
    return found;
}

// Only what is surely not there any more: a directory may be closed to this user, or the walk has met its bound.
bool isGone(int root, const SessionFile &row)
{
    const workspace::Descriptor file(workspace::openBeneath(root, row.path.toUtf8(), O_PATH | O_NOFOLLOW));
    if (file.get() < 0) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    struct stat facts;
    if (::fstat(file.get(), &facts) != 0) return false;
    return row.sha256.isEmpty() ? true : !S_ISREG(facts.st_mode); // a row of a directory says that it is empty
}

workspace::Descriptor rootOf(const workspace::Workspace &workspace)
{
    return workspace::Descriptor(::open(workspace.hostPath().toUtf8().constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

template <typename T>
QList<QList<T>> inParts(const QList<T> &all)
{
    QList<QList<T>> parts;
    for (qsizetype i = 0; i < all.size(); i += rowsAtOnce)
        parts << all.mid(i, rowsAtOnce);
    return parts;
}
} // namespace

QCoro::Task<Result<bool>> StoredFiles::isElsewhere(QString principal, QString sessionId, bool hasDirectory)
{
    if (!keepsSessions()) co_return false;
    const SessionRef ref{principal, sessionId};
    const QString here = m_home;
    storage::Job<bool> job = [ref, here, hasDirectory](QSqlDatabase &connection) -> Result<bool> {
        bool any = false;
        const Result<QString> home = sessiontable::home(connection, ref, &any);
        if (!home) return Unexpected<Error>{home.error()};
        return any && (!hasDirectory || *home != here);
    };
    const CancelToken never;
    Result<bool> elsewhere = co_await m_database.run<bool>(Lane::Short, shortDeadline, std::move(job), never);
    co_return elsewhere;
}

QCoro::Task<Result<int>> StoredFiles::bringBack(QString principal, QString sessionId, std::shared_ptr<workspace::Workspace> workspace)
{
    if (!keepsSessions()) co_return 0;
    const SessionRef ref{principal, sessionId};
    const OneShot<int> bringing = inWorker<int>([this, ref, workspace] { return bringBackNow(ref, *workspace); });
    Result<int> brought = co_await bringing.wait(workDeadline);
    if (brought)
        log::info("session_files_brought_back", {{QStringLiteral("session"), sessionId}, {QStringLiteral("files"), *brought}});
    else
        log::warning("session_files_not_brought_back", {{QStringLiteral("session"), sessionId}, {QStringLiteral("reason"), brought.error().text()}});
    co_return brought;
}

Result<int> StoredFiles::bringBackNow(const SessionRef &session, workspace::Workspace &workspace)
{
    const storage::FromThread &door = m_inDatabase.door();
    const auto rows = door.run<QList<SessionFile>>(Lane::Files, bulkDeadline,
                                                   [session](QSqlDatabase &connection) { return sessiontable::all(connection, session); });
    if (!rows) return Unexpected<Error>{rows.error()};
    const workspace::Descriptor root = rootOf(workspace);
    const QHash<QString, SessionFile> there = filesIn(root.get());
    QList<SessionFile> moved;
    int count = 0;
    for (SessionFile file : *rows) {
        if (file.sha256.isEmpty()) {
            const bool own = workspace.uid() == ::geteuid();
            const workspace::Descriptor made(workspace::makeDirectoryBeneath(root.get(), file.path.toUtf8(), own ? uid_t(-1) : workspace.uid(), workspace.gid()));
            if (made.get() >= 0) ::fchmod(made.get(), mode_t(file.source.mode));
            continue;
        }
        const auto present = there.constFind(file.path);
        if (present != there.cend() && present->source.changedNs == 0) continue; // a directory now
        // A newer one stays: it is the directory's; an equal one need not be written again.
        const bool same = present != there.cend() && present->size == file.size && present->source.modifiedNs == file.source.modifiedNs;
        if (present != there.cend() && !same && present->source.modifiedNs > file.source.modifiedNs) continue;
        if (same) {
            file.source = present->source;
            moved << file;
            continue;
        }
        auto writer = workspace.create(file.path);
        if (!writer && writer.error().code != ErrorCode::Unavailable) { // a name that cannot be here; the others can
            log::warning("session_file_not_brought_back", {{QStringLiteral("path"), file.path}, {QStringLiteral("reason"), writer.error().message}});
            continue;
        }
        if (!writer) return Unexpected<Error>{writer.error()};
        workspace::Workspace::Writer &target = **writer;
        const Result<Done> copied =
            m_inDatabase.copyTo(file.sha256, file.size, [&target](QByteArrayView bytes) { return target.write(bytes); });
        if (!copied) return Unexpected<Error>{copied.error()};
        const auto committed = target.commit();
        if (!committed) return Unexpected<Error>{committed.error()};
        const timespec times[2] = {{0, UTIME_OMIT}, {time_t(file.source.modifiedNs / 1'000'000'000), long(file.source.modifiedNs % 1'000'000'000)}};
        ::futimens(target.descriptor(), times);
        ::fchmod(target.descriptor(), mode_t(file.source.mode));
        struct stat facts;
        if (::fstat(target.descriptor(), &facts) == 0) file.source = sourceFacts(facts);
        moved << file;
        ++count;
    }
    const auto parts = inParts(moved);
    for (const QList<SessionFile> &part : parts) {
        const Result<Done> told = door.run<Done>(Lane::Files, bulkDeadline, [session, part](QSqlDatabase &connection) {
            return sessiontable::moved(connection, session, part);
        });
        if (!told) return Unexpected<Error>{told.error()};
    }
    // Last: until then everything is brought back again.
    const QString home = m_home;
    const Result<Done> arrived = door.run<Done>(Lane::Files, bulkDeadline, [session, home](QSqlDatabase &connection) {
        return sessiontable::setHome(connection, session, home, true);
    });
    if (!arrived) return Unexpected<Error>{arrived.error()};
    return count;
}

QCoro::Task<Result<Done>> StoredFiles::keepSession(QString principal, QString sessionId, std::shared_ptr<workspace::Workspace> workspace)
{
    if (!keepsSessions()) co_return Done{};
    if (!m_journal) co_return fail(ErrorCode::Unavailable, QStringLiteral("The database is not ready yet."));
    const SessionRef ref{principal, sessionId};
    const OneShot<Done> keeping = inWorker<Done>([this, ref, workspace] { return keepSessionNow(ref, *workspace); });
    Result<Done> kept = co_await keeping.wait(workDeadline);
    co_return kept;
}

Result<Done> StoredFiles::keepSessionNow(const SessionRef &session, workspace::Workspace &workspace)
{
    const storage::FromThread &door = m_inDatabase.door();
    const QString home = m_home;
    // The rows first: what is stored meanwhile is then on disk too, and no row of it goes.
    using Known = std::pair<QString, QList<SessionFile>>;
    const auto known = door.run<Known>(Lane::Files, bulkDeadline, [session, home](QSqlDatabase &connection) -> Result<Known> {
        const Result<Done> claimed = sessiontable::setHome(connection, session, home, false);
        if (!claimed) return Unexpected<Error>{claimed.error()};
        bool any = false;
        const Result<QString> owner = sessiontable::home(connection, session, &any);
        if (!owner) return Unexpected<Error>{owner.error()};
        const auto rows = sessiontable::all(connection, session);
        if (!rows) return Unexpected<Error>{rows.error()};
        return Known{*owner, *rows};
    });
    if (!known) return Unexpected<Error>{known.error()};
    // Another server has brought the session to its own disk since: what is not in this directory may be in that one.
    const bool isOurs = known->first == home;
    if (!isOurs) log::warning("session_lives_elsewhere", {{QStringLiteral("session"), session.sessionId}});
    const QList<SessionFile> *rows = &known->second;
    const workspace::Descriptor root = rootOf(workspace);
    if (root.get() < 0) return Done{}; // deleted meanwhile
    QHash<QString, SessionFile> there = filesIn(root.get());
    QList<SessionFile> gone;
    for (const SessionFile &row : *rows) {
        const auto present = there.constFind(row.path);
        if (present == there.cend()) {
            if (isOurs && isGone(root.get(), row)) gone << row;
        } else if (row.source == present->source && row.size == present->size)
            there.erase(present);
    }
    Result<Done> outcome = Done{};
    QList<SessionFile> changed;
    for (const SessionFile &file : std::as_const(there)) {
        const workspace::Descriptor opened(workspace::openBeneath(root.get(), file.path.toUtf8(), O_PATH | O_NOFOLLOW));
        struct stat facts;
        if (opened.get() < 0 || ::fstat(opened.get(), &facts) != 0) continue; // gone meanwhile
        if (S_ISDIR(facts.st_mode)) {
            changed << file;
            continue;
        }
        const auto kept = m_inDatabase.keep([&] { return workspace.openRead(file.path); }, file.path, std::numeric_limits<qint64>::max());
        if (kept)
            changed << SessionFile{file.path, kept->size, kept->sha256, kept->source};
        else if (kept.error().code != ErrorCode::NotFound && outcome)
            outcome = Unexpected<Error>{kept.error()};
    }
    const auto parts = inParts(changed), goneParts = inParts(gone);
    for (const QList<SessionFile> &part : parts) {
        const Result<Done> stored = door.run<Done>(Lane::Files, bulkDeadline, [session, part](QSqlDatabase &connection) {
            return sessiontable::put(connection, session, part);
        });
        if (!stored) return stored;
    }
    for (const QList<SessionFile> &part : goneParts) {
        const Result<Done> removed = door.run<Done>(Lane::Files, bulkDeadline, [session, part](QSqlDatabase &connection) {
            return sessiontable::remove(connection, session, part);
        });
        if (!removed) return removed;
    }
    return outcome;
}

} // namespace power::files
