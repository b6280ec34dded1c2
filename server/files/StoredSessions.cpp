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
#include <unistd.h>

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
        found.insert(name, {name, qint64(facts.st_size), {}, sourceFacts(facts), {}});
        parents.insert(workspace::parentOf(path));
        return found.size() < mostSessionFiles;
    };
    visitor.directory = [&](const QByteArray &path, int, const struct stat &facts) {
        if (path.endsWith("__pycache__") || !QByteArrayView(path).isValidUtf8()) return false;
        parents.insert(workspace::parentOf(path));
        SessionFile directory{QString::fromUtf8(path), 0, {}, sourceFacts(facts), {}};
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

// Nothing happened to it since. Not its time of change: giving it to the session's uid or a second name alters that.
bool isSame(const SessionFile &present, const SessionFile &known)
{
    return present.size == known.size && present.source.inode == known.source.inode && present.source.modifiedNs == known.source.modifiedNs;
}

// The file or empty directory, and the directories that are empty then and that nobody stored as such.
bool removeHere(int root, workspace::Workspace &workspace, const SessionFile &known, const QSet<QString> &stored)
{
    const auto removeDirectory = [root](const QByteArray &path) {
        const workspace::Descriptor parent(workspace::openBeneath(root, workspace::parentOf(path), O_PATH | O_DIRECTORY));
        return parent.get() >= 0 && ::unlinkat(parent.get(), workspace::lastOf(path).constData(), AT_REMOVEDIR) == 0;
    };
    QByteArray path = known.path.toUtf8();
    if (known.sha256.isEmpty()) {
        if (!removeDirectory(path)) return true; // no longer empty: it is another one
    } else {
        const Result<Done> removed = workspace.remove(known.path);
        if (!removed && removed.error().code != ErrorCode::NotFound) return false;
    }
    for (path = workspace::parentOf(path); !path.isEmpty() && !stored.contains(QString::fromUtf8(path)); path = workspace::parentOf(path)) {
        if (!removeDirectory(path)) break;
    }
    return true;
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
        const Result<bool> elsewhere = sessiontable::isElsewhere(connection, ref, here, &any);
        if (!elsewhere) return elsewhere;
        return hasDirectory ? *elsewhere : any;
    };
    const CancelToken never;
    Result<bool> elsewhere = co_await m_database.run<bool>(Lane::Short, shortDeadline, std::move(job), never);
    co_return elsewhere;
}

QCoro::Task<Result<int>> StoredFiles::bringBack(QString principal, QString sessionId, std::shared_ptr<workspace::Workspace> workspace)
{
    if (!keepsSessions()) co_return 0;
    const SessionRef ref{principal, sessionId};
    const OneShot<int> bringing = inWorker<int>(m_bringers, [this, ref, workspace] { return bringBackNow(ref, *workspace); });
    Result<int> brought = co_await bringing.wait(workDeadline);
    if (brought)
        log::info("session_files_brought_back", {{QStringLiteral("session"), sessionId}, {QStringLiteral("files"), *brought}});
    else
        log::warning("session_files_not_brought_back", {{QStringLiteral("session"), sessionId}, {QStringLiteral("reason"), brought.error().text()}});
    co_return brought;
}

// As it is in the database; `file` gets the facts it has on this disk then.
Result<Done> StoredFiles::bringFile(SessionFile &file, workspace::Workspace &workspace)
{
    auto writer = workspace.create(file.path);
    if (!writer) return Unexpected<Error>{writer.error()};
    workspace::Workspace::Writer &target = **writer;
    const Result<Done> copied = m_inDatabase.copyTo(file.sha256, file.size, [&target](QByteArrayView bytes) { return target.write(bytes); });
    if (!copied) return copied;
    const auto committed = target.commit();
    if (!committed) return Unexpected<Error>{committed.error()};
    const timespec times[2] = {{0, UTIME_OMIT}, {time_t(file.source.modifiedNs / 1'000'000'000), long(file.source.modifiedNs % 1'000'000'000)}};
    ::futimens(target.descriptor(), times);
    ::fchmod(target.descriptor(), mode_t(file.source.mode));
    struct stat facts;
    if (::fstat(target.descriptor(), &facts) == 0) file.source = sourceFacts(facts);
    return Done{};
}

Result<int> StoredFiles::bringBackNow(const SessionRef &session, workspace::Workspace &workspace)
{
    const storage::FromThread &door = m_inDatabase.door();
    const QString home = m_home;
    const auto state = door.run<SessionState>(Lane::Files, bulkDeadline, [session, home](QSqlDatabase &connection) {
        return sessiontable::state(connection, session, home);
    });
    if (!state) return Unexpected<Error>{state.error()};
    const workspace::Descriptor root = rootOf(workspace);
    const QHash<QString, SessionFile> there = filesIn(root.get());
    QSet<QString> stored;
    for (const SessionFile &row : state->files)
        stored.insert(row.path);
    QList<SessionFile> followed, moved;
    int count = 0;
    bool isNewHere = false;
    // What was deleted elsewhere.
    for (const SessionFile &copy : state->copies) {
        if (stored.contains(copy.path)) continue;
        const auto present = there.constFind(copy.path);
        if (present != there.cend() && isSame(*present, copy)) {
            if (!removeHere(root.get(), workspace, copy, stored)) continue; // tried again
            ++count;
        }
        followed << copy;
    }
    for (SessionFile file : state->files) {
        const auto present = there.constFind(file.path), copy = state->copies.constFind(file.path);
        const bool isHere = present != there.cend(), hadIt = copy != state->copies.cend();
        if (hadIt && file.home == home) followed << *copy; // made anew here
        if (file.sha256.isEmpty()) {
            const bool own = workspace.uid() == ::geteuid();
            const workspace::Descriptor made(workspace::makeDirectoryBeneath(root.get(), file.path.toUtf8(), own ? uid_t(-1) : workspace.uid(), workspace.gid()));
            struct stat facts;
            if (made.get() >= 0) ::fchmod(made.get(), mode_t(file.source.mode));
            if (made.get() < 0 || ::fstat(made.get(), &facts) != 0) continue;
            file.source = sourceFacts(facts);
            file.source.modifiedNs = file.source.changedNs = 0;
            moved << file;
            continue;
        }
        if (isHere && present->source.changedNs == 0) continue; // a directory now
        const bool isOld = isHere && hadIt && isSame(*present, *copy); // nothing happened to it here
        const bool isEqual = isHere && (isOld ? copy->sha256 == file.sha256 && copy->source.mode == file.source.mode
                                              : present->size == file.size && present->source.modifiedNs == file.source.modifiedNs);
        if (isEqual) {
            file.source = present->source;
            moved << file;
            continue;
        }
        const bool isNewer = isHere && !isOld &&
                             (file.home == home || (hadIt && copy->sha256 == file.sha256) || present->source.modifiedNs > file.source.modifiedNs);
        if (isNewer) {
            isNewHere = true;
            continue;
        }
        const Result<Done> brought = bringFile(file, workspace);
        if (!brought && brought.error().code != ErrorCode::Unavailable && brought.error().code != ErrorCode::NotFound) { // a name that cannot be here; the others can
            log::warning("session_file_not_brought_back", {{QStringLiteral("path"), file.path}, {QStringLiteral("reason"), brought.error().message}});
            continue;
        }
        if (!brought) return Unexpected<Error>{brought.error()};
        moved << file;
        ++count;
    }
    for (const SessionFile &file : there)
        isNewHere = isNewHere || (!stored.contains(file.path) && !state->copies.contains(file.path));
    const auto parts = inParts(moved), followedParts = inParts(followed);
    for (const QList<SessionFile> &part : parts) {
        const Result<Done> told = door.run<Done>(Lane::Files, bulkDeadline, [session, home, part](QSqlDatabase &connection) {
            return sessiontable::moved(connection, session, home, part);
        });
        if (!told) return Unexpected<Error>{told.error()};
    }
    for (const QList<SessionFile> &part : followedParts) {
        const Result<Done> told = door.run<Done>(Lane::Files, bulkDeadline, [session, home, part](QSqlDatabase &connection) {
            return sessiontable::followed(connection, session, home, part);
        });
        if (!told) return Unexpected<Error>{told.error()};
    }
    if (state->home.isEmpty() && stored.isEmpty() && !isNewHere) return count; // deleted, and not begun anew
    // Last: until then everything is brought back again.
    const Result<QString> arrived = door.run<QString>(Lane::Files, bulkDeadline, [session, home](QSqlDatabase &connection) {
        return sessiontable::claim(connection, session, home, true);
    });
    if (!arrived) return Unexpected<Error>{arrived.error()};
    if (!isNewHere) return count;
    const Result<Done> kept = keepSessionNow(session, workspace);
    if (!kept) // it is on this disk, and stored after the next run
        log::warning("session_files_not_kept", {{QStringLiteral("session"), session.sessionId}, {QStringLiteral("reason"), kept.error().message}});
    return count;
}

QCoro::Task<Result<Done>> StoredFiles::keepSession(QString principal, QString sessionId, std::shared_ptr<workspace::Workspace> workspace)
{
    if (!keepsSessions()) co_return Done{};
    if (!m_started) co_return fail(ErrorCode::Unavailable, QStringLiteral("The database is not ready yet."));
    const SessionRef ref{principal, sessionId};
    const OneShot<Done> keeping = inWorker<Done>(m_keepers, [this, ref, workspace] { return keepSessionNow(ref, *workspace); });
    Result<Done> kept = co_await keeping.wait(workDeadline);
    co_return kept;
}

Result<Done> StoredFiles::keepSessionNow(const SessionRef &session, workspace::Workspace &workspace)
{
    const storage::FromThread &door = m_inDatabase.door();
    const QString home = m_home;
    // The rows first: what is stored meanwhile is then on disk too, and no row of it goes.
    const auto state = door.run<SessionState>(Lane::Files, bulkDeadline, [session, home](QSqlDatabase &connection) -> Result<SessionState> {
        const Result<QString> owner = sessiontable::claim(connection, session, home, false);
        if (!owner) return Unexpected<Error>{owner.error()};
        Result<SessionState> known = sessiontable::state(connection, session, home);
        if (known) known->home = *owner;
        return known;
    });
    if (!state) return Unexpected<Error>{state.error()};
    const workspace::Descriptor root = rootOf(workspace);
    if (root.get() < 0) return Done{}; // deleted meanwhile
    QHash<QString, SessionFile> there = filesIn(root.get());
    QList<SessionFile> gone;
    QHash<QString, SessionFile> elsewhere = state->copies; // that differ only by what others did
    for (const SessionFile &row : state->files) {
        const auto present = there.constFind(row.path);
        const bool isOwn = row.home == home;
        if (isOwn) elsewhere.remove(row.path);
        const auto copy = elsewhere.constFind(row.path);
        const bool wasHere = isOwn || (copy != elsewhere.cend() && copy->sha256 == row.sha256);
        // What another server wrote was never here: that it is missing says nothing.
        if (present == there.cend()) {
            if (wasHere && isGone(root.get(), row)) gone << row;
        } else if (isOwn && row.source == present->source && row.size == present->size)
            there.erase(present);
    }
    for (const SessionFile &copy : std::as_const(elsewhere)) {
        const auto present = there.constFind(copy.path);
        if (present != there.cend() && isSame(*present, copy)) there.erase(present);
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
            changed << SessionFile{file.path, kept->size, kept->sha256, kept->source, home};
        else if (kept.error().code != ErrorCode::NotFound && outcome)
            outcome = Unexpected<Error>{kept.error()};
    }
    const auto parts = inParts(changed), goneParts = inParts(gone);
    for (const QList<SessionFile> &part : parts) {
        const Result<Done> stored = door.run<Done>(Lane::Files, bulkDeadline, [session, home, part](QSqlDatabase &connection) {
            return sessiontable::put(connection, session, home, part);
        });
        if (!stored) return stored;
    }
    for (const QList<SessionFile> &part : goneParts) {
        const Result<Done> removed = door.run<Done>(Lane::Files, bulkDeadline, [session, home, part](QSqlDatabase &connection) {
            return sessiontable::remove(connection, session, home, part);
        });
        if (!removed) return removed;
    }
    if (state->home == home || (changed.isEmpty() && gone.isEmpty())) return outcome;
    log::info("session_lives_elsewhere", {{QStringLiteral("session"), session.sessionId}});
    const Result<Done> told = door.run<Done>(Lane::Files, bulkDeadline, [session, home](QSqlDatabase &connection) {
        return sessiontable::tell(connection, session, home);
    });
    return told ? outcome : told;
}

QCoro::Task<Result<Done>> StoredFiles::dropFiles(QString principal, QString sessionId, QStringList paths)
{
    if (!keepsSessions() || paths.isEmpty()) co_return Done{};
    const SessionRef ref{principal, sessionId};
    const QString here = m_home;
    storage::Job<Done> job = [ref, here, paths](QSqlDatabase &connection) -> Result<Done> {
        const Result<Done> dropped = sessiontable::drop(connection, ref, here, paths);
        if (!dropped) return dropped;
        const Result<QString> owner = sessiontable::claim(connection, ref, here, false);
        if (!owner) return Unexpected<Error>{owner.error()};
        return *owner == here ? Result<Done>(Done{}) : sessiontable::tell(connection, ref, here);
    };
    const CancelToken never;
    Result<Done> dropped = co_await m_database.run<Done>(Lane::Short, shortDeadline, std::move(job), never);
    co_return dropped;
}

} // namespace power::files
