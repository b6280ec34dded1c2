#include "workspace/Beneath.h"
#include "base/Ids.h"
#include <QByteArrayList>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::workspace
{

namespace
{
int callOpenat2(int directory, const char *path, int flags, mode_t mode)
{
    open_how how{};
    how.flags = __u64(flags);
    how.mode = (flags & (O_CREAT | __O_TMPFILE)) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, directory, path, &how, sizeof how);
    return fd < 0 ? -errno : int(fd);
}

// Old kernels and gVisor say ENOSYS; container profiles that do not know the call say EPERM.
bool haveOpenat2()
{
    static const bool have = [] {
        const int root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        const int fd = callOpenat2(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (fd >= 0) ::close(fd);
        ::close(root);
        return fd >= 0;
    }();
    return have;
}
} // namespace

int openBeneath(int directory, const QByteArray &path, int flags, mode_t mode)
{
    if (!haveOpenat2()) return openByComponents(directory, path, flags, mode);
    const char *name = path.isEmpty() ? "." : path.constData();
    for (int attempt = 0;; ++attempt) {
        const int fd = callOpenat2(directory, name, flags | O_CLOEXEC, mode);
        // EAGAIN: a rename raced with the resolution; EINTR cannot be told from a real signal.
        if ((fd != -EAGAIN && fd != -EINTR) || attempt == 32) return fd;
    }
}

int openByComponents(int directory, const QByteArray &path, int flags, mode_t mode)
{
    if (path.startsWith('/')) return -EXDEV;
    QByteArrayList parts;
    for (const QByteArray &part : path.split('/')) {
        if (part == "..") return -EXDEV;
        if (!part.isEmpty() && part != ".") parts << part;
    }
    if (parts.isEmpty()) {
        const int fd = ::openat(directory, ".", flags | O_CLOEXEC, mode);
        return fd < 0 ? -errno : fd;
    }
    Descriptor held;
    int at = directory;
    for (qsizetype i = 0; i + 1 < parts.size(); ++i) {
        const int next = ::openat(at, parts[i].constData(), O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
        if (next < 0) return -errno;
        held = Descriptor(next);
        at = next;
    }
    const int fd = ::openat(at, parts.last().constData(), flags | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

int makeDirectoryBeneath(int directory, const QByteArray &path, uid_t uid, gid_t gid)
{
    const int first = openBeneath(directory, {}, O_RDONLY | O_DIRECTORY);
    if (first < 0) return first;
    Descriptor at(first);
    for (const QByteArray &part : path.split('/')) {
        if (part.isEmpty() || part == ".") continue;
        const bool made = ::mkdirat(at.get(), part.constData(), 0700) == 0;
        if (!made && errno != EEXIST) return -errno;
        const int next = openBeneath(at.get(), part, O_RDONLY | O_DIRECTORY);
        if (next < 0) return next;
        at = Descriptor(next);
        if (made && uid != uid_t(-1) && ::fchown(next, uid, gid) != 0) return -errno;
    }
    return at.release();
}

QByteArray parentOf(const QByteArray &path)
{
    const qsizetype slash = path.lastIndexOf('/');
    return slash < 0 ? QByteArray() : path.left(slash);
}

QByteArray lastOf(const QByteArray &path)
{
    return path.mid(path.lastIndexOf('/') + 1);
}

Error fileError(int number, const QString &shown)
{
    const auto error = [&](ErrorCode code, const char *why, const char *next) {
        return fail(code, QStringLiteral("\"%1\" %2.").arg(shown, QLatin1String(why)), QLatin1String(next))
            .error;
    };
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return error(ErrorCode::NotFound, "does not exist in this session",
                     "list_files shows what there is; names are case-sensitive.");
    case ELOOP:
        return error(ErrorCode::InvalidArgument,
                     "is or passes through a symbolic link, which is not followed",
                     "Copy the file to a plain name first.");
    case EXDEV:
        return error(ErrorCode::InvalidArgument, "leads out of the session's directory",
                     "Use a name relative to the session's directory.");
    case EISDIR:
        return error(ErrorCode::InvalidArgument, "is a directory, not a file", "Name a file in it.");
    case ENXIO:
    case ENODEV:
        return error(ErrorCode::InvalidArgument, "is not a regular file", "Only regular files can be read.");
    case EACCES:
    case EPERM:
        return error(ErrorCode::Forbidden, "may not be opened",
                     "Check its permissions with os.stat in a cell.");
    case ENAMETOOLONG:
        return error(ErrorCode::InvalidArgument, "is too long for a file name (255 bytes per part)",
                     "Use a shorter name.");
    case ENOSPC:
    case EDQUOT:
        return error(ErrorCode::Unavailable, "cannot be written: the disk is full",
                     "Delete files that are no longer needed and try again.");
    case EFBIG:
        return error(ErrorCode::TooLarge, "is larger than this file system takes", "Split the file.");
    default:
        break;
    }
    return fail(ErrorCode::Internal,
                QStringLiteral("\"%1\": %2.").arg(shown, QString::fromLocal8Bit(std::strerror(number))))
        .error;
}

qint64 nanoseconds(const timespec &time)
{
    return qint64(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

qint64 bornNs(int fd)
{
    struct statx facts;
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &facts) != 0 || !(facts.stx_mask & STATX_BTIME)) return 0;
    return qint64(facts.stx_btime.tv_sec) * 1'000'000'000 + facts.stx_btime.tv_nsec;
}

namespace
{
// Calls `each(name, isDirectory)` for every entry; errors of single entries are the callee's.
template <typename Each>
int forEntries(int fd, Each each)
{
    const int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? nullptr : ::fdopendir(copy);
    if (!stream) {
        const int number = errno;
        if (copy >= 0) ::close(copy);
        return -number;
    }
    while (const dirent *entry = ::readdir(stream)) {
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
        bool directory = entry->d_type == DT_DIR;
        if (entry->d_type == DT_UNKNOWN) {
            struct stat facts;
            directory =
                ::fstatat(fd, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(facts.st_mode);
        }
        each(entry->d_name, directory);
    }
    ::closedir(stream);
    return 0;
}
} // namespace

int emptyDirectory(int fd)
{
    int failure = 0;
    quint64 moved = 0;
    const QByteArray prefix = ".moved-" + newUuid().toLatin1() + '-'; // none that user code could have made
    const auto failed = [&failure] {
        if (!failure && errno != ENOENT) failure = -errno;
    };
    const auto giveUp = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
        // A process that goes on creating files would keep us here for ever.
        if (std::chrono::steady_clock::now() > giveUp) return -ETIMEDOUT;
        QByteArrayList directories;
        forEntries(fd, [&](const char *name, bool directory) {
            if (directory)
                directories << QByteArray(name);
            else if (::unlinkat(fd, name, 0) != 0)
                failed();
        });
        if (directories.isEmpty() || failure) return failure;
        for (const QByteArray &name : directories) {
            const int sub = ::openat(fd, name.constData(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (sub < 0 && errno == EACCES) // a directory of our own uid that user code closed to itself
                ::fchmodat(fd, name.constData(), 0700, 0);
            Descriptor inner(
                sub >= 0 ? sub
                         : ::openat(fd, name.constData(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (inner.get() < 0) {
                failed();
                continue;
            }
            ::fchmod(inner.get(), 0700);
            forEntries(inner.get(), [&](const char *entry, bool directory) {
                if (!directory) {
                    if (::unlinkat(inner.get(), entry, 0) != 0) failed();
                    return;
                }
                const QByteArray up = prefix + QByteArray::number(++moved);
                bool gone = ::renameat(inner.get(), entry, fd, up.constData()) == 0;
                if (!gone && errno == EACCES && ::fchmodat(inner.get(), entry, 0700, 0) == 0) // a move writes its ".."
                    gone = ::renameat(inner.get(), entry, fd, up.constData()) == 0;
                if (!gone) failed();
            });
            if (::unlinkat(fd, name.constData(), AT_REMOVEDIR) != 0 && errno != ENOTEMPTY) failed();
            if (failure) return failure;
        }
    }
}

} // namespace power::workspace
