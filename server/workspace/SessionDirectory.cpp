#include "workspace/SessionDirectory.h"
#include "base/DiskUse.h"
#include "base/Durable.h"
#include "workspace/Beneath.h"
#include "workspace/FileWriter.h"
#include "workspace/Names.h"
#include "workspace/Walk.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace power::workspace
{

namespace
{
constexpr int mostListed = 200'000;
}

SessionDirectory::SessionDirectory(SessionPlace place, std::shared_ptr<const OpenPlaces> places,
                                   std::shared_ptr<ChangeHub> hub, quint32 kernelUid)
    : m_place(std::move(place)), m_places(std::move(places)), m_kernelUid(kernelUid ? kernelUid : m_place.uid),
      m_tracker(std::make_shared<ChangeTracker>(std::move(hub), m_places,
                                                m_place.chown ? TrackedUids{m_kernelUid, m_place.uid} : TrackedUids{}))
{
}

SessionDirectory::~SessionDirectory()
{
    if (m_kernelUid != m_place.uid) m_places->settled->forgetMaker(m_kernelUid);
}

QString SessionDirectory::insidePath() const
{
    return QStringLiteral("/app/sandbox_data/") + m_place.sessionId;
}

Result<SessionDirectory::Spot> SessionDirectory::spotOf(const QString &path) const
{
    Spot spot;
    spot.scratch = path.startsWith(u"/tmp/");
    spot.root = (spot.scratch ? m_places->scratch : m_places->workspace).get();
    spot.relative = spot.scratch ? path.mid(5).toUtf8() : path.toUtf8();
    for (const QByteArray &part : spot.relative.split('/')) {
        if (part.isEmpty() || part == "." || part == "..") return Unexpected<Error>{fileError(EXDEV, path)};
    }
    if (!path.isValidUtf16() || path.contains(QChar(0))) return Unexpected<Error>{fileError(ENOENT, path)};
    return spot;
}

Result<QString> SessionDirectory::resolve(const QString &name) const
{
    PathRule rule{m_place.sessionId, m_place.hostPath, [this](const QString &path) {
                      const Result<Spot> spot = spotOf(path);
                      const Descriptor found(
                          spot ? openBeneath(spot->root, spot->relative, O_PATH | O_NOFOLLOW) : -1);
                      return found.get() >= 0;
                  }};
    return resolvePath(name, rule);
}

Result<Descriptor> SessionDirectory::openRead(const QString &path, FileFacts *facts) const
{
    const auto failed = [&path](int number) { return Unexpected<Error>{fileError(number, path)}; };
    const Result<Spot> spot = spotOf(path);
    if (!spot) return Unexpected<Error>{spot.error()};
    const int fd = openBeneath(spot->root, spot->relative, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return failed(-fd);
    Descriptor file(fd);
    struct stat found;
    if (::fstat(fd, &found) != 0) return failed(errno);
    if (!S_ISREG(found.st_mode)) return failed(S_ISDIR(found.st_mode) ? EISDIR : ENXIO);
    if (facts) *facts = {path, qint64(found.st_size), nanoseconds(found.st_mtim), spot->scratch};
    return file;
}

Result<std::unique_ptr<Workspace::Writer>> SessionDirectory::create(const QString &path)
{
    const Result<Spot> spot = spotOf(path);
    if (!spot) return Unexpected<Error>{spot.error()};
    return FileWriter::create(spot->root, spot->relative, path, m_place, m_tracker);
}

Result<Done> SessionDirectory::remove(const QString &path)
{
    const auto failed = [&path](int number) { return Unexpected<Error>{fileError(number, path)}; };
    const Result<Spot> spot = spotOf(path);
    if (!spot) return Unexpected<Error>{spot.error()};
    const int directory = openBeneath(spot->root, parentOf(spot->relative), O_RDONLY | O_DIRECTORY);
    if (directory < 0) return failed(-directory);
    const Descriptor parent(directory);
    // Registered first: the event may be read before the call returns.
    m_tracker->ownRemoval(path.toUtf8());
    if (::unlinkat(directory, lastOf(spot->relative).constData(), 0) != 0) return failed(errno);
    if (::fsync(directory) == 0) return Done{};
    return fail(ErrorCode::Unavailable,
                QStringLiteral("\"%1\" was removed, but the disk did not confirm it: %2.").arg(path, QString::fromLocal8Bit(std::strerror(errno))),
                QStringLiteral("It may be there again after a failure of the server's power; tell the administrator."),
                {{QStringLiteral("cause"), QLatin1String(notDurable)}});
}

// One inotify instance watches a directory once, so it takes another one.
std::shared_ptr<Workspace> SessionDirectory::apart(quint32 uid) const
{
    return std::make_shared<SessionDirectory>(m_place, m_places, std::make_shared<ChangeHub>(), uid);
}

void SessionDirectory::openToGroup()
{
    if (!m_place.chown) return;
    const auto groupMode = [](mode_t mode) { return (mode & 07777) | (mode & 0700) >> 3; };
    for (const int root : {m_places->workspace.get(), m_places->scratch.get()}) {
        WalkVisitor visitor;
        visitor.everything = true;
        visitor.directory = [&](const QByteArray &, int fd, const struct stat &facts) {
            if (facts.st_uid != m_place.uid && ::fchown(fd, m_place.uid, m_place.gid) != 0) return false;
            if (groupMode(facts.st_mode) != (facts.st_mode & 07777)) ::fchmod(fd, groupMode(facts.st_mode));
            return true;
        };
        visitor.file = [&](const QByteArray &path, const struct stat &facts) {
            const bool isMine = facts.st_uid == m_place.uid;
            if (!S_ISREG(facts.st_mode) || (isMine && groupMode(facts.st_mode) == (facts.st_mode & 07777)))
                return true;
            // Never through a name twice: what the descriptor is, is changed.
            const Descriptor file(openBeneath(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
            struct stat now;
            if (file.get() < 0 || ::fstat(file.get(), &now) != 0 || !S_ISREG(now.st_mode)) return true;
            if (now.st_nlink > 1 && now.st_uid != m_place.uid) return true;
            const quint32 maker = now.st_uid;
            if (now.st_uid != m_place.uid && ::fchown(file.get(), m_place.uid, m_place.gid) != 0) return true;
            ::fchmod(file.get(), groupMode(now.st_mode) & 01777); // a change of owner or mode drops set-id bits
            if (::fstat(file.get(), &now) == 0)
                m_places->settled->note(now, bornNs(file.get()), maker == m_place.uid ? 0 : maker);
            return true;
        };
        walk(root, {}, visitor);
    }
}

QList<FileFacts> SessionDirectory::list(int most) const
{
    QList<FileFacts> files;
    WalkVisitor visitor;
    visitor.file = [&files](const QByteArray &path, const struct stat &facts) {
        files << FileFacts{QString::fromUtf8(path), qint64(facts.st_size), nanoseconds(facts.st_mtim), false};
        return files.size() < mostListed;
    };
    walk(m_places->workspace.get(), {}, visitor);
    std::sort(files.begin(), files.end(),
              [](const FileFacts &a, const FileFacts &b) { return a.path < b.path; });
    if (files.size() > most) files.resize(most);
    return files;
}

qint64 SessionDirectory::bytesOnDisk() const
{
    DiskUse use;
    use.add(m_places->workspace.get(), ".");
    use.add(m_places->scratch.get(), ".");
    return use.isWhole() ? use.bytes : -1;
}

QStringList SessionDirectory::leftOut(int most) const
{
    QStringList names;
    const auto isHidden = [](const QByteArray &path) { return isHiddenName(path.constData() + path.lastIndexOf('/') + 1); };
    const auto tell = [&names, most](const QByteArray &path, const char *ending) {
        if (!path.endsWith("__pycache__") && names.size() < most) names << QString::fromUtf8(path) + QLatin1String(ending);
    };
    WalkVisitor visitor;
    visitor.everything = true;
    visitor.directory = [&](const QByteArray &path, int, const struct stat &) {
        if (path.isEmpty() || !isHidden(path)) return true;
        tell(path, "/");
        return false;
    };
    visitor.file = [&](const QByteArray &path, const struct stat &facts) {
        if (!S_ISREG(facts.st_mode) || isHidden(path)) tell(path, "");
        return names.size() < most;
    };
    walk(m_places->workspace.get(), {}, visitor);
    names.sort();
    return names;
}

} // namespace power::workspace
