// The files that belong to a named snapshot, as files.
#include "files/DiskSnapshots.h"
#include "base/Durable.h"
#include <QDir>
#include <QFile>
#include <QSet>
#include <QUuid>
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

QString DiskSnapshots::filesOf(const SnapshotKey &key)
{
    const Result<SnapshotFacts> known = facts(key);
    const QString directory = known ? known->about.value(filesIn).toString() : QString();
    // Those of servers before this rule have the snapshot's name alone.
    return placeOf(key.owner, key.session) + u'/' + (directory.isEmpty() ? QStringLiteral("files-") + key.name : directory);
}

void DiskSnapshots::forgetFiles(const QString &directory)
{
    QDir(directory).removeRecursively();
    const std::lock_guard lock(m_lock);
    m_used.remove(directory);
}

// Into a directory that is made for it, durable.
Result<DiskSnapshots::KeptFiles> DiskSnapshots::copyFiles(const workspace::Workspace &from, const QString &directory, qint64 limit) const
{
    const auto files = from.list(mostFiles + 1);
    if (files.size() > mostFiles) return tooManyFiles();
    if (!QDir().mkpath(directory)) return snapshotTrouble(QStringLiteral("no directory for the files can be made"));
    KeptFiles kept;
    QSet<QString> directories{directory};
    for (const workspace::FileFacts &file : files) {
        kept.bytes += file.size;
        if (kept.bytes > limit)
            return fail(ErrorCode::TooLarge, QStringLiteral("The session's files are above %1 MB.").arg(limit >> 20),
                        QStringLiteral("Delete files that can be made again (delete_file), then try again."));
        auto opened = from.openRead(file.path);
        if (!opened) continue; // gone meanwhile
        const QString path = directory + u'/' + file.path;
        const QString above = path.left(path.lastIndexOf(u'/'));
        QDir().mkpath(above);
        for (QString each = above; !directories.contains(each); each = each.left(each.lastIndexOf(u'/')))
            directories.insert(each);
        const workspace::Descriptor copy(::open(QFile::encodeName(path).constData(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (copy.get() < 0 || !copyAll(opened->get(), copy.get()) || ::fdatasync(copy.get()) != 0)
            return snapshotTrouble(QStringLiteral("The file %1 could not be kept").arg(file.path));
        ++kept.count;
    }
    for (const QString &each : std::as_const(directories)) {
        if (!syncDirectory(each)) return snapshotTrouble(QStringLiteral("The files could not be kept"));
    }
    return kept;
}

Result<int> DiskSnapshots::keep(const SnapshotKey &from, const SnapshotKey &to, const workspace::Workspace &files, qint64 limit)
{
    const QString place = placeOf(to.owner, to.session);
    const Result<Done> made = ensurePlace(place);
    if (!made) return Unexpected<Error>{made.error()};
    const QString name = QStringLiteral("files-%1~%2").arg(to.name, QUuid::createUuid().toString(QUuid::WithoutBraces).left(8));
    const QString fresh = place + u'/' + name, before = filesOf(to);
    const auto refuse = [&](const Error &error) {
        forgetFiles(fresh);
        return Unexpected<Error>{error};
    };
    const Result<KeptFiles> kept = copyFiles(files, fresh, limit);
    if (!kept) return refuse(kept.error());
    const Result<Done> room = makeRoom(before, kept->bytes);
    if (!room) return refuse(room.error());
    note(fresh, {kept->bytes, 0, false});
    if (!syncDirectory(place)) return refuse(snapshotTrouble(QStringLiteral("The files could not be kept")).error);
    const Result<Done> copied = copy(from, to, {{QStringLiteral("files"), kept->count}, {filesIn, name}});
    if (!copied && filesOf(to) != fresh) return refuse(copied.error());
    forgetFiles(before); // also where the disk did not confirm the name: the new variables are there, and these files belong to them
    if (!copied) return Unexpected<Error>{copied.error()};
    return kept->count;
}

Result<QStringList> DiskSnapshots::putFilesBack(const SnapshotKey &key, workspace::Workspace &to)
{
    QStringList written;
    QStringList directories{QString()};
    const QString kept = filesOf(key);
    while (!directories.isEmpty()) {
        const QString directory = directories.takeFirst();
        const QFileInfoList entries = QDir(kept + u'/' + directory).entryInfoList(QDir::Files | QDir::Dirs | QDir::NoDotAndDotDot);
        for (const QFileInfo &entry : entries) {
            const QString path = directory.isEmpty() ? entry.fileName() : directory + u'/' + entry.fileName();
            if (entry.isDir()) {
                directories << path;
                continue;
            }
            const workspace::Descriptor source(::open(QFile::encodeName(entry.filePath()).constData(), O_RDONLY | O_CLOEXEC));
            auto writer = to.create(path);
            if (!writer) return Unexpected<Error>{writer.error()};
            if (source.get() < 0 || !copyAll(source.get(), (*writer)->descriptor()))
                return snapshotTrouble(QStringLiteral("The file %1 could not be put back").arg(path));
            const auto committed = (*writer)->commit();
            if (!committed) return Unexpected<Error>{committed.error()};
            written << path;
        }
    }
    return written;
}
} // namespace power::files
