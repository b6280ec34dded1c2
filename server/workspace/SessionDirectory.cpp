#include "workspace/SessionDirectory.h"
#include "workspace/Beneath.h"
#include "workspace/FileWriter.h"
#include "workspace/Names.h"
#include "workspace/Walk.h"
#include <QSet>
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace power::workspace
{

namespace
{
constexpr int mostListed = 200'000;
}

SessionDirectory::SessionDirectory(SessionPlace place, std::shared_ptr<const OpenPlaces> places,
                                   std::shared_ptr<ChangeHub> hub)
    : m_place(std::move(place)), m_places(std::move(places)),
      m_tracker(std::make_shared<ChangeTracker>(std::move(hub), m_places))
{
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
    ::fsync(directory);
    return Done{};
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
    qint64 blocks = 0;
    QSet<quint64> linked;
    WalkVisitor visitor;
    visitor.everything = true;
    visitor.file = [&](const QByteArray &, const struct stat &facts) {
        if (facts.st_nlink > 1) {
            if (linked.contains(quint64(facts.st_ino))) return true;
            linked.insert(quint64(facts.st_ino));
        }
        blocks += facts.st_blocks;
        return true;
    };
    walk(m_places->workspace.get(), {}, visitor);
    walk(m_places->scratch.get(), {}, visitor);
    return blocks * 512;
}

} // namespace power::workspace
