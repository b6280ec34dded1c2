// The files that belong to a named snapshot, as files.
#include "files/DiskSnapshots.h"
#include <QDir>
#include <QFile>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace power::files
{

namespace
{
// Copies all of an open file; by reflink where the file system can.
bool copyAll(int from, int to)
{
    for (;;) {
        const ssize_t moved = ::copy_file_range(from, nullptr, to, nullptr, size_t(1) << 30, 0);
        if (moved == 0) return true;
        if (moved > 0) continue;
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return false;
        QByteArray bytes(qsizetype(1 << 20), Qt::Uninitialized);
        for (;;) {
            const ssize_t got = ::read(from, bytes.data(), size_t(bytes.size()));
            if (got <= 0) return got == 0;
            for (ssize_t done = 0; done < got;) {
                const ssize_t wrote = ::write(to, bytes.constData() + done, size_t(got - done));
                if (wrote <= 0) return false;
                done += wrote;
            }
        }
    }
}

} // namespace

Result<int> DiskSnapshots::keepFiles(const SnapshotKey &key, const workspace::Workspace &from, qint64 limit)
{
    const auto files = from.list(mostFiles + 1);
    if (files.size() > mostFiles) return tooManyFiles();
    const QString target = filesOf(key);
    const QString fresh = target + QStringLiteral(".part");
    QDir(fresh).removeRecursively();
    if (!QDir().mkpath(fresh)) return snapshotTrouble(QStringLiteral("no directory for the files can be made"));
    qint64 total = 0;
    int count = 0;
    for (const workspace::FileFacts &file : files) {
        total += file.size;
        if (total > limit) {
            QDir(fresh).removeRecursively();
            return fail(ErrorCode::TooLarge, QStringLiteral("The session's files are above %1 MB.").arg(limit >> 20),
                        QStringLiteral("Delete files that can be made again (delete_file), then try again."));
        }
        auto opened = from.openRead(file.path);
        if (!opened) continue; // gone meanwhile
        const QString path = fresh + u'/' + file.path;
        QDir().mkpath(path.left(path.lastIndexOf(u'/')));
        const workspace::Descriptor copy(::open(QFile::encodeName(path).constData(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (copy.get() < 0 || !copyAll(opened->get(), copy.get()) || ::fdatasync(copy.get()) != 0)
            return snapshotTrouble(QStringLiteral("The file %1 could not be kept").arg(file.path));
        ++count;
    }
    const Result<Done> room = makeRoom(target, total);
    if (!room) {
        QDir(fresh).removeRecursively();
        return Unexpected<Error>{room.error()};
    }
    QDir(target).removeRecursively();
    note(target, {total, 0, false});
    if (!QDir().rename(fresh, target)) return snapshotTrouble(QStringLiteral("The files could not be kept"));
    return count;
}

Result<QStringList> DiskSnapshots::putFilesBack(const SnapshotKey &key, workspace::Workspace &to)
{
    QStringList written;
    QStringList directories{QString()};
    while (!directories.isEmpty()) {
        const QString directory = directories.takeFirst();
        const QFileInfoList entries = QDir(filesOf(key) + u'/' + directory).entryInfoList(QDir::Files | QDir::Dirs | QDir::NoDotAndDotDot);
        for (const QFileInfo &entry : entries) {
            const QString path = directory.isEmpty() ? entry.fileName() : directory + u'/' + entry.fileName();
            if (entry.isDir()) {
                directories << path;
                continue;
            }
            const workspace::Descriptor kept(::open(QFile::encodeName(entry.filePath()).constData(), O_RDONLY | O_CLOEXEC));
            auto writer = to.create(path);
            if (!writer) return Unexpected<Error>{writer.error()};
            if (kept.get() < 0 || !copyAll(kept.get(), (*writer)->descriptor()))
                return snapshotTrouble(QStringLiteral("The file %1 could not be put back").arg(path));
            const auto committed = (*writer)->commit();
            if (!committed) return Unexpected<Error>{committed.error()};
            written << path;
        }
    }
    return written;
}
} // namespace power::files
