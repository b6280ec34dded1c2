#include "base/Ids.h"
#include "base/Log.h"
#include "workspace/Beneath.h"
#include "workspace/FileWriter.h"
#include "workspace/SessionDirectory.h"
#include "workspace/Uids.h"
#include "workspace/Walk.h"
#include <QDir>
#include <QHash>
#include <QRegularExpression>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <unistd.h>

namespace power::workspace
{

namespace
{

Unexpected<Error> diskFailure(const QString &what, int number)
{
    return fail(ErrorCode::Unavailable,
                QStringLiteral("%1: %2.").arg(what, QString::fromLocal8Bit(std::strerror(number))),
                QStringLiteral("The administrator should check the sandbox directory's disk and rights."));
}

QByteArray workspaceBelow(const QString &slug, const QString &sessionId)
{
    return (slug.isEmpty() ? sessionId : u'.' + slug + u'/' + sessionId).toUtf8();
}

QByteArray scratchBelow(const QString &slug, const QString &sessionId)
{
    return (QStringLiteral(".scratch/") + (slug.isEmpty() ? QStringLiteral("owner") : slug) + u'/' +
            sessionId)
        .toUtf8();
}

Result<Done> checkNames(const QString &slug, const QString &sessionId)
{
    static const QRegularExpression rule(
        QRegularExpression::anchoredPattern(QStringLiteral("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")));
    const Result<QString> id = validSessionId(sessionId);
    if (!id) return Unexpected<Error>{id.error()};
    if (slug.isEmpty()) return Done{};
    if (!rule.match(slug).hasMatch() || slug == u"scratch" || slug == u"trash" || slug == u"uids" ||
        slug == u"owner")
        return fail(ErrorCode::InvalidArgument,
                    QStringLiteral("\"%1\" cannot be used in a directory name.").arg(slug.left(80)));
    return Done{};
}

// WorkspaceRoot: Workspaces on a local directory. Thread: any, under its lock.
class WorkspaceRoot : public Workspaces
{
public:
    Result<Done> start(const QString &root, quint32 uidBase);

    quint32 firstWorkerUid() const override { return m_uids ? m_uids->firstWorker() : 0; }
    quint32 firstJobUid() const override { return m_uids ? m_uids->firstJob() : 0; }
    quint32 firstUid() const override { return m_uids ? m_uids->first() : 0; }
    QList<quint32> uids() const override
    {
        const std::lock_guard lock(m_lock);
        return m_used.values();
    }
    Result<std::shared_ptr<Workspace>> openSession(const QString &slug, const QString &sessionId) override;
    bool exists(const QString &slug, const QString &sessionId) const override;
    Result<Done> removeSession(const QString &slug, const QString &sessionId) override;
    QString root() const override { return m_path; }

private:
    Result<Descriptor> directory(const QByteArray &below, std::optional<quint32> &uid);
    void collectUids();
    void removeHalfWritten();
    bool mayChown() const;

    mutable std::mutex m_lock;
    QString m_path;
    Descriptor m_root;
    std::optional<UidRange> m_uids;
    QSet<quint32> m_used;
    std::shared_ptr<ChangeHub> m_hub = std::make_shared<ChangeHub>();
    QHash<QByteArray, std::weak_ptr<Workspace>> m_open;
};

// By doing: root in a container may lack CAP_CHOWN or have a small id mapping.
bool WorkspaceRoot::mayChown() const
{
    if (::geteuid() != 0) return false;
    const QByteArray name = ".probe-" + newUuid().toLatin1();
    if (::mkdirat(m_root.get(), name.constData(), 0700) != 0) return false;
    const quint32 uid = m_uids->first();
    const bool may = ::fchownat(m_root.get(), name.constData(), uid, uid, AT_SYMLINK_NOFOLLOW) == 0;
    ::unlinkat(m_root.get(), name.constData(), AT_REMOVEDIR);
    return may;
}

Result<Done> WorkspaceRoot::start(const QString &root, quint32 uidBase)
{
    if (!QDir().mkpath(root))
        return diskFailure(QStringLiteral("The sandbox directory \"%1\" cannot be made").arg(root), errno);
    m_path = QDir(root).canonicalPath();
    m_root = Descriptor(::open(m_path.toUtf8().constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (m_root.get() < 0 || ::fchmod(m_root.get(), 0711) != 0)
        return diskFailure(QStringLiteral("The sandbox directory \"%1\" cannot be used").arg(root), errno);
    Result<UidRange> range = UidRange::open(m_root.get(), uidBase, uidsPerRoot);
    if (!range) return Unexpected<Error>{range.error()};
    m_uids = *range;
    if (!mayChown()) m_uids.reset();
    collectUids();
    removeHalfWritten();
    const int trash = makeDirectoryBeneath(m_root.get(), ".trash", uid_t(-1), 0);
    if (trash < 0)
        return diskFailure(QStringLiteral("The sandbox directory \"%1\" cannot be written").arg(root),
                           -trash);
    const Descriptor held(trash);
    const int left = emptyDirectory(trash);
    if (left != 0)
        log::warning("workspace_trash_left",
                     {{QStringLiteral("error"), QString::fromLocal8Bit(std::strerror(-left))}});
    return Done{};
}

void WorkspaceRoot::collectUids()
{
    if (!m_uids) return;
    WalkVisitor visitor;
    visitor.everything = true;
    visitor.directory = [this](const QByteArray &path, int, const struct stat &facts) {
        if (facts.st_uid >= m_uids->first() && facts.st_uid < m_uids->first() + uidsPerRoot)
            m_used.insert(facts.st_uid);
        const bool group =
            path.isEmpty() || path == ".scratch" || path.startsWith(".scratch/") || path.startsWith('.');
        return group && facts.st_uid == ::geteuid();
    };
    walk(m_root.get(), {}, visitor);
}

// What writers of a server that was killed have left: nobody lists it, but it counts as the session's. They write at the top
// of its directory.
void WorkspaceRoot::removeHalfWritten()
{
    const auto clear = [](int directory) {
        DIR *stream = ::fdopendir(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        while (const dirent *entry = stream ? ::readdir(stream) : nullptr) {
            if (isTemporaryName(entry->d_name)) ::unlinkat(directory, entry->d_name, 0);
        }
        if (stream) ::closedir(stream);
    };
    WalkVisitor visitor;
    visitor.everything = true;
    visitor.directory = [&clear](const QByteArray &path, int directory, const struct stat &) {
        // Above the sessions: the root, ".<slug>", ".scratch" and its slugs.
        const bool scratch = path == ".scratch" || path.startsWith(".scratch/");
        const bool above = path.isEmpty() || (path.startsWith('.') && path.count('/') < (scratch ? 2 : 1) && path != ".trash");
        if (!above && !path.startsWith(".trash")) clear(directory);
        return above;
    };
    walk(m_root.get(), {}, visitor);
}

// Opens or makes one directory of a session. Without `uid`: the owner of an existing one, else a new uid. A
// directory with another owner (made by hand, restored from a copy) is given to it with everything inside.
Result<Descriptor> WorkspaceRoot::directory(const QByteArray &below, std::optional<quint32> &uid)
{
    const int group = makeDirectoryBeneath(m_root.get(), parentOf(below), uid_t(-1), 0);
    if (group < 0) return diskFailure(QStringLiteral("The session's directory cannot be made"), -group);
    const Descriptor held(group);
    if (below.contains('/')) {
        ::fchmod(group, 0711);
        const Descriptor above(openBeneath(m_root.get(), parentOf(parentOf(below)), O_RDONLY | O_DIRECTORY));
        ::fchmod(above.get(), 0711);
    }
    const int fd = makeDirectoryBeneath(group, lastOf(below), uid_t(-1), 0);
    if (fd < 0) return diskFailure(QStringLiteral("The session's directory cannot be made"), -fd);
    Descriptor made(fd);
    struct stat facts;
    if (::fstat(fd, &facts) != 0 || ((facts.st_mode & 07777) != 0700 && ::fchmod(fd, 0700) != 0))
        return diskFailure(QStringLiteral("The session's directory cannot be used"), errno);
    if (!m_uids) {
        uid = facts.st_uid;
        return made;
    }
    if (!uid && m_used.contains(facts.st_uid)) uid = facts.st_uid;
    if (!uid) {
        const Result<quint32> taken = m_uids->take(m_used);
        if (!taken) return Unexpected<Error>{taken.error()};
        uid = *taken;
        m_used.insert(*uid);
    }
    if (facts.st_uid == *uid) return made;
    WalkVisitor visitor;
    visitor.everything = true;
    visitor.directory = [&uid](const QByteArray &, int directory, const struct stat &) {
        return ::fchown(directory, *uid, *uid) == 0;
    };
    visitor.file = [&](const QByteArray &path, const struct stat &) {
        const Descriptor parent(openBeneath(fd, parentOf(path), O_RDONLY | O_DIRECTORY));
        ::fchownat(parent.get(), lastOf(path).constData(), *uid, *uid, AT_SYMLINK_NOFOLLOW);
        return true;
    };
    walk(fd, {}, visitor);
    if (::fstat(fd, &facts) != 0 || facts.st_uid != *uid)
        return diskFailure(QStringLiteral("The session's directory cannot be given to its user id"), errno);
    return made;
}

Result<std::shared_ptr<Workspace>> WorkspaceRoot::openSession(const QString &slug, const QString &sessionId)
{
    const Result<Done> named = checkNames(slug, sessionId);
    if (!named) return Unexpected<Error>{named.error()};
    const QByteArray below = workspaceBelow(slug, sessionId);
    const QByteArray scratchDirectory = scratchBelow(slug, sessionId);
    const std::lock_guard lock(m_lock);
    if (auto open = m_open.value(below).lock()) return open;
    std::optional<quint32> uid;
    Result<Descriptor> workspace = directory(below, uid);
    if (!workspace) return Unexpected<Error>{workspace.error()};
    Result<Descriptor> scratch = directory(scratchDirectory, uid);
    if (!scratch) return Unexpected<Error>{scratch.error()};
    SessionPlace place;
    place.sessionId = sessionId;
    place.hostPath = m_path + u'/' + QString::fromUtf8(below);
    place.scratchPath = m_path + u'/' + QString::fromUtf8(scratchDirectory);
    place.uid = *uid;
    place.gid = m_uids ? *uid : ::getegid();
    place.chown = m_uids.has_value();
    auto places = std::make_shared<const OpenPlaces>(OpenPlaces{std::move(*workspace), std::move(*scratch)});
    std::shared_ptr<Workspace> made =
        std::make_shared<SessionDirectory>(std::move(place), std::move(places), m_hub);
    m_open.removeIf([](const auto &entry) { return entry.value().expired(); });
    m_open.insert(below, made);
    return made;
}

bool WorkspaceRoot::exists(const QString &slug, const QString &sessionId) const
{
    if (!checkNames(slug, sessionId)) return false;
    const Descriptor found(
        openBeneath(m_root.get(), workspaceBelow(slug, sessionId), O_PATH | O_DIRECTORY | O_NOFOLLOW));
    return found.get() >= 0;
}

Result<Done> WorkspaceRoot::removeSession(const QString &slug, const QString &sessionId)
{
    const Result<Done> named = checkNames(slug, sessionId);
    if (!named) return named;
    const QByteArray below = workspaceBelow(slug, sessionId);
    QList<QByteArray> condemned;
    {
        const std::lock_guard lock(m_lock);
        m_open.remove(below);
        for (const QByteArray &path : {below, scratchBelow(slug, sessionId)}) {
            const QByteArray name = ".trash/" + newUuid().toLatin1();
            struct stat facts;
            if (::fstatat(m_root.get(), path.constData(), &facts, AT_SYMLINK_NOFOLLOW) == 0)
                m_used.remove(facts.st_uid);
            if (::renameat(m_root.get(), path.constData(), m_root.get(), name.constData()) == 0)
                condemned << name;
            else if (errno != ENOENT)
                return diskFailure(QStringLiteral("The session's files cannot be removed"), errno);
        }
    }
    // Outside the lock: a big tree takes seconds.
    for (const QByteArray &name : std::as_const(condemned)) {
        const Descriptor tree(openBeneath(m_root.get(), name, O_RDONLY | O_DIRECTORY));
        const int failure = emptyDirectory(tree.get());
        if (failure != 0 || ::unlinkat(m_root.get(), name.constData(), AT_REMOVEDIR) != 0)
            return diskFailure(QStringLiteral("Some of the session's files could not be removed"),
                               failure ? -failure : errno);
    }
    return Done{};
}

} // namespace

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept
{
    if (this != &other) {
        if (m_fd >= 0) ::close(m_fd);
        m_fd = other.release();
    }
    return *this;
}

Descriptor::~Descriptor()
{
    if (m_fd >= 0) ::close(m_fd);
}

Result<std::unique_ptr<Workspaces>> Workspaces::open(const QString &root, quint32 uidBase)
{
    auto made = std::make_unique<WorkspaceRoot>();
    const Result<Done> started = made->start(root, uidBase);
    if (!started) return Unexpected<Error>{started.error()};
    return std::unique_ptr<Workspaces>(std::move(made));
}

} // namespace power::workspace
