#include "files/ContentStore.h"
#include "base/Ids.h"
#include <QDir>
#include <QDirIterator>
#include <QScopeGuard>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/fs.h>
#include <memory>
#include <openssl/evp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::files
{

using workspace::Descriptor;

namespace
{
constexpr int mostCopies = 5;
constexpr qsizetype headBytes = 4096;

Unexpected<Error> diskError(const QString &what)
{
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT;
    return fail(
        ErrorCode::Unavailable,
        QStringLiteral("%1: %2.").arg(what, QString::fromLocal8Bit(std::strerror(number))),
        full ? QStringLiteral(
                   "The server's disk is full; the file is still in the session. Tell the administrator.")
             : QStringLiteral("The file is still in the session; try again, or tell the administrator."));
}

bool syncDirectory(const QByteArray &path)
{
    const Descriptor directory(::open(path.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory.get() >= 0 && ::fsync(directory.get()) == 0;
}

// made: set when it was not there; its name is durable only after its parent was synced.
bool ensureDirectory(const QByteArray &path, bool *made)
{
    if (::mkdir(path.constData(), 0700) == 0) {
        *made = true;
        return true;
    }
    return errno == EEXIST;
}

bool sameState(const struct stat &a, const struct stat &b)
{
    return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
           a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
           a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
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

// Of the copy itself, so that name and content always agree.
bool digest(int fd, KeptContent *content)
{
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
    QByteArray piece(256 * 1024, Qt::Uninitialized);
    content->size = 0;
    for (;;) {
        const ssize_t got = ::pread(fd, piece.data(), size_t(piece.size()), content->size);
        if (got < 0) return false;
        if (got == 0) break;
        if (content->size == 0) content->head = piece.left(qMin<qsizetype>(got, headBytes));
        EVP_DigestUpdate(context.get(), piece.constData(), size_t(got));
        content->size += got;
    }
    QByteArray sum(32, '\0');
    EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char *>(sum.data()), nullptr);
    content->sha256 = sum.toHex();
    return true;
}

Unexpected<Error> tooLarge(const QString &shown, qint64 size, qint64 limit)
{
    return fail(
        ErrorCode::TooLarge,
        QStringLiteral("\"%1\" has %2 MB; files above %3 MB get no download link. It stays in the session.")
            .arg(shown)
            .arg(double(size) / (1 << 20), 0, 'f', 1)
            .arg(double(limit) / (1 << 20), 0, 'f', limit < (10 << 20) ? 1 : 0),
        QStringLiteral("Write a smaller file (fewer rows or columns, Parquet or a zip, several parts), or "
                       "ask the administrator "
                       "to raise SANDBOX_FILE_MAX_MB."),
        {{QStringLiteral("limit"), limit}, {QStringLiteral("size"), size}});
}
} // namespace

Result<Done> ContentStore::start()
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
    if (::access(path.constData(), W_OK) != 0 || !syncDirectory(path))
        return diskError(
            QStringLiteral("The directory for stored files \"%1\" cannot be written").arg(m_directory));
    return Done{};
}

QByteArray ContentStore::pathOf(const QByteArray &sha256) const
{
    return m_directory.toUtf8() + '/' + sha256.left(2) + '/' + sha256.mid(2, 2) + '/' + sha256;
}

Result<KeptContent> ContentStore::keep(const Reopen &reopen, const QString &shown, qint64 limit)
{
    const QByteArray temporary = m_directory.toUtf8() + "/tmp/" + newUuid().toLatin1();
    const auto cleanUp = qScopeGuard([&temporary] { ::unlink(temporary.constData()); });
    for (int copy = 0; copy < mostCopies; ++copy) {
        Result<Descriptor> source = reopen();
        if (!source) return Unexpected<Error>{source.error()};
        struct stat before, after;
        if (::fstat(source->get(), &before) != 0)
            return diskError(QStringLiteral("\"%1\" cannot be read").arg(shown));
        if (before.st_size > limit) return tooLarge(shown, before.st_size, limit);
        const Descriptor target(::open(temporary.constData(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        KeptContent content;
        if (target.get() < 0 || !copyContent(source->get(), target.get(), before.st_size) ||
            !digest(target.get(), &content))
            return diskError(QStringLiteral("\"%1\" cannot be stored for download").arg(shown));
        if (::fstat(source->get(), &after) != 0 || !sameState(before, after) ||
            content.size != before.st_size)
            continue;
        const Result<Done> placed = place(temporary, target.get(), content);
        if (!placed) return Unexpected<Error>{placed.error()};
        return content;
    }
    return fail(ErrorCode::Conflict,
                QStringLiteral("\"%1\" went on changing while it was copied.").arg(shown),
                QStringLiteral("Finish writing (close the file, stop the thread) and ask again."));
}

Result<Done> ContentStore::place(const QByteArray &temporary, int fd, const KeptContent &content)
{
    const QString what = QStringLiteral("The content cannot be stored");
    const QByteArray path = pathOf(content.sha256);
    const QByteArray root = m_directory.toUtf8();
    const QByteArray first = root + '/' + content.sha256.left(2);
    const QByteArray second = first + '/' + content.sha256.mid(2, 2);
    const auto isPresent = [&path, &content] {
        struct stat present;
        return ::stat(path.constData(), &present) == 0 && present.st_size == content.size;
    };
    // Directories first: on a journalling file system the file's own fsync then covers them, and the syncs of
    // the directories below find nothing left to do. Outside the lock, because this is what takes the time.
    bool made = false;
    if (!isPresent() &&
        (!ensureDirectory(first, &made) || !ensureDirectory(second, &made) || ::fsync(fd) != 0))
        return diskError(what);
    const std::lock_guard lock(m_placing);
    if (isPresent()) {
        ::utimensat(AT_FDCWD, path.constData(), nullptr, 0);
        return syncDirectory(second) ? Result<Done>(Done{}) : diskError(what);
    }
    // Deleted by drop() between the two looks: the temporary file has not been synced yet.
    const bool directories = ensureDirectory(first, &made) && ensureDirectory(second, &made);
    if (!directories || ::fsync(fd) != 0 || ::rename(temporary.constData(), path.constData()) != 0 ||
        !syncDirectory(second) || (made && (!syncDirectory(first) || !syncDirectory(root))))
        return diskError(what);
    return Done{};
}

Result<Descriptor> ContentStore::open(const QByteArray &sha256) const
{
    Descriptor file(::open(pathOf(sha256).constData(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() >= 0) return file;
    if (errno == ENOENT)
        return fail(ErrorCode::NotFound, QStringLiteral("The content of this file is no longer stored."),
                    QStringLiteral("Make the file again, or list_files for a fresh link."));
    return diskError(QStringLiteral("The stored file cannot be opened"));
}

QList<QByteArray> ContentStore::olderThan(std::chrono::seconds age) const
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

void ContentStore::drop(const QList<QByteArray> &contents, std::chrono::seconds age)
{
    const time_t limit = ::time(nullptr) - time_t(age.count());
    for (const QByteArray &sha256 : contents) {
        const std::lock_guard lock(m_placing);
        struct stat facts;
        const QByteArray path = pathOf(sha256);
        if (::stat(path.constData(), &facts) == 0 && facts.st_mtim.tv_sec <= limit)
            ::unlink(path.constData());
    }
}

} // namespace power::files
