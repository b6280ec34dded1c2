#include "files/DiskContents.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include <QDir>
#include <QDirIterator>
#include <QScopeGuard>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::files
{

using workspace::Descriptor;

namespace
{
// made: set when it was not there; its name is durable only after its parent was synced.
bool ensureDirectory(const QByteArray &path, bool *made)
{
    if (::mkdir(path.constData(), 0700) == 0) {
        *made = true;
        return true;
    }
    return errno == EEXIST;
}

bool copyByReading(int from, int to, qint64 at, qint64 most)
{
    QByteArray piece(1 << 20, Qt::Uninitialized);
    while (at < most) {
        const ssize_t got = ::pread(from, piece.data(), size_t(qMin<qint64>(piece.size(), most - at)), at);
        if (got <= 0) return got == 0;
        for (ssize_t done = 0; done < got;) {
            const ssize_t wrote = ::pwrite(to, piece.constData() + done, size_t(got - done), at + done);
            if (wrote < 0) return false;
            done += wrote;
        }
        at += got;
    }
    return true;
}

// The first `size` bytes. false: errno says why.
bool copyContent(int from, int to, qint64 size)
{
    if (::ioctl(to, FICLONE, from) == 0) return true;
    loff_t in = 0, out = 0;
    while (in < size) {
        const ssize_t got = ::copy_file_range(from, &in, to, &out, size_t(size - in), 0);
        if (got == 0) return true; // shorter now; the comparison of states tells
        if (got < 0 &&
            (errno == EINVAL || errno == EXDEV || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
            return copyByReading(from, to, in, size);
        if (got < 0 && errno != EINTR) return false;
    }
    return true;
}

} // namespace

Result<Done> DiskContents::start()
{
    const QString temporary = m_directory + QStringLiteral("/tmp");
    if (!QDir().mkpath(temporary))
        return diskError(
            QStringLiteral("The directory for stored files \"%1\" cannot be made").arg(m_directory));
    m_directory = QDir(m_directory).canonicalPath();
    ::chmod(m_directory.toUtf8().constData(), 0700);
    for (const QString &left : QDir(temporary).entryList(QDir::Files | QDir::Hidden))
        QFile::remove(temporary + u'/' + left);
    const QByteArray path = m_directory.toUtf8();
    if (::access(path.constData(), W_OK) != 0 || !syncDirectory(m_directory))
        return diskError(
            QStringLiteral("The directory for stored files \"%1\" cannot be written").arg(m_directory));
    m_bytes = 0;
    QDirIterator each(m_directory, QDir::Files, QDirIterator::Subdirectories);
    while (each.hasNext()) {
        each.next();
        if (each.fileName().size() == 64) m_bytes += each.fileInfo().size();
    }
    return Done{};
}

QString DiskContents::locationOf(const QByteArray &sha256) const
{
    return QStringLiteral("sha256:") + QString::fromLatin1(sha256);
}

QByteArray DiskContents::pathOf(const QByteArray &sha256) const
{
    return m_directory.toUtf8() + '/' + sha256.left(2) + '/' + sha256.mid(2, 2) + '/' + sha256;
}

Result<KeptContent> DiskContents::keep(const Reopen &reopen, const QString &shown, qint64 limit)
{
    const QByteArray temporary = m_directory.toUtf8() + "/tmp/" + newUuid().toLatin1();
    const auto cleanUp = qScopeGuard([&temporary] { ::unlink(temporary.constData()); });
    for (int copy = 0; copy < mostCopies; ++copy) {
        Result<Descriptor> source = reopen();
        if (!source) return Unexpected<Error>{source.error()};
        struct stat before, after;
        if (::fstat(source->get(), &before) != 0)
            return diskError(QStringLiteral("\"%1\" cannot be read").arg(shown));
        if (before.st_size > limit) return aboveLimit(shown, before.st_size, limit);
        const Descriptor target(::open(temporary.constData(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        KeptContent content;
        if (target.get() < 0 || !copyContent(source->get(), target.get(), before.st_size) ||
            !digest(target.get(), &content))
            return diskError(QStringLiteral("\"%1\" cannot be stored for download").arg(shown));
        content.source = sourceFacts(before);
        if (::fstat(source->get(), &after) != 0 || !(content.source == sourceFacts(after)) ||
            after.st_size != before.st_size || content.size != before.st_size)
            continue;
        const Result<Done> placed = place(temporary, target.get(), &content);
        if (!placed) return Unexpected<Error>{placed.error()};
        return content;
    }
    return wentOnChanging(shown);
}

Result<Done> DiskContents::place(const QByteArray &temporary, int fd, KeptContent *content)
{
    const QString what = QStringLiteral("The content cannot be stored");
    const QByteArray path = pathOf(content->sha256);
    const QByteArray root = m_directory.toUtf8();
    const QByteArray first = root + '/' + content->sha256.left(2);
    const QByteArray second = first + '/' + content->sha256.mid(2, 2);
    const auto isPresent = [&path, content] {
        struct stat present;
        return ::stat(path.constData(), &present) == 0 && present.st_size == content->size;
    };
    // Directories first: on a journalling file system the file's own fsync then covers them, and the syncs of
    // the directories below find nothing left to do. Outside the lock, because this is what takes the time.
    bool made = false;
    if (!isPresent()) {
        const Result<Done> room = mayAdd(content->size);
        if (!room) return room;
    }
    if (!isPresent() &&
        (!ensureDirectory(first, &made) || !ensureDirectory(second, &made) || ::fsync(fd) != 0))
        return diskError(what);
    const std::lock_guard lock(m_placing);
    if (isPresent()) {
        ::utimensat(AT_FDCWD, path.constData(), nullptr, 0);
        return syncDirectory(QFile::decodeName(second)) ? Result<Done>(Done{}) : diskError(what);
    }
    // Deleted by drop() between the two looks: the temporary file has not been synced yet.
    const bool directories = ensureDirectory(first, &made) && ensureDirectory(second, &made);
    if (!directories || ::fsync(fd) != 0 || ::rename(temporary.constData(), path.constData()) != 0) return diskError(what);
    const auto syncAll = [&](const QByteArray &each) { return syncDirectory(QFile::decodeName(each)); };
    if (!syncAll(second) || (made && (!syncAll(first) || !syncAll(root)))) {
        const Unexpected<Error> failure = diskError(what);
        ::unlink(path.constData()); // else the next one takes it for stored: its sync would succeed
        return failure;
    }
    content->isNew = true;
    m_bytes += content->size;
    return Done{};
}

Result<Descriptor> DiskContents::open(const QByteArray &sha256) const
{
    Descriptor file(::open(pathOf(sha256).constData(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() >= 0) return file;
    if (errno == ENOENT)
        return fail(ErrorCode::NotFound, QStringLiteral("The content of this file is no longer stored."),
                    QStringLiteral("Make the file again, or list_files for a fresh link."));
    return diskError(QStringLiteral("The stored file cannot be opened"));
}

QList<QByteArray> DiskContents::olderThan(std::chrono::seconds age) const
{
    QList<QByteArray> old;
    const time_t limit = ::time(nullptr) - time_t(age.count());
    QDirIterator each(m_directory, QDir::Files, QDirIterator::Subdirectories);
    while (each.hasNext()) {
        const QByteArray path = each.next().toUtf8();
        const QByteArray name = each.fileName().toLatin1();
        struct stat facts;
        if (name.size() == 64 && pathOf(name) == path && ::stat(path.constData(), &facts) == 0 &&
            facts.st_mtim.tv_sec <= limit)
            old << name;
    }
    return old;
}

void DiskContents::drop(const QList<QByteArray> &contents, std::chrono::seconds age)
{
    const time_t limit = ::time(nullptr) - time_t(age.count());
    for (const QByteArray &sha256 : contents) {
        const std::lock_guard lock(m_placing);
        struct stat facts;
        const QByteArray path = pathOf(sha256);
        if (::stat(path.constData(), &facts) == 0 && facts.st_mtim.tv_sec <= limit &&
            ::unlink(path.constData()) == 0)
            m_bytes -= facts.st_size;
    }
}

} // namespace power::files
