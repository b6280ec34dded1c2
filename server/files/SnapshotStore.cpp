#include "files/SnapshotStore.h"
#include "workspace/Beneath.h"
#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QUuid>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace power::files
{

namespace
{
// A head of one page with JSON, then the bytes: so they can be mapped.
constexpr qint64 kHead = 4096;
constexpr qint64 kReadAtOnce = 1 << 20;
const char *const kMagic = "power-snapshot 1\n";

Unexpected<Error> diskTrouble(const QString &what)
{
    return fail(ErrorCode::Unavailable, QStringLiteral("%1 (%2)").arg(what, QString::fromLocal8Bit(std::strerror(errno))));
}

bool writeAll(int fd, const char *data, qint64 size, qint64 at)
{
    while (size > 0) {
        const ssize_t wrote = ::pwrite(fd, data, size_t(size), at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        data += wrote;
        at += wrote;
        size -= wrote;
    }
    return true;
}

void syncDirectory(const QString &path)
{
    const workspace::Descriptor directory(::open(QFile::encodeName(path).constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() >= 0) ::fsync(directory.get());
}

QByteArray headOf(const SnapshotFacts &facts, quint32 checksum)
{
    QJsonObject about = facts.about;
    for (;;) {
        const QJsonObject json{{QStringLiteral("cell"), facts.cell},
                               {QStringLiteral("python"), facts.python},
                               {QStringLiteral("size"), facts.size},
                               {QStringLiteral("crc32"), qint64(checksum)},
                               {QStringLiteral("created"), facts.created.toUTC().toString(Qt::ISODateWithMs)},
                               {QStringLiteral("about"), about}};
        QByteArray head = kMagic + QJsonDocument(json).toJson(QJsonDocument::Compact) + '\n';
        if (head.size() <= kHead) return head.leftJustified(kHead, ' ');
        about = {};
    }
}

struct Head {
    SnapshotFacts facts;
    quint32 checksum = 0;
};

Result<Head> readHead(int fd)
{
    QByteArray bytes(kHead, '\0');
    struct stat facts {};
    const ssize_t got = ::pread(fd, bytes.data(), size_t(kHead), 0);
    const qsizetype magic = qsizetype(std::strlen(kMagic));
    const QJsonObject json = QJsonDocument::fromJson(bytes.mid(magic).trimmed()).object();
    Head head;
    head.facts.cell = json.value(QStringLiteral("cell")).toInt();
    head.facts.python = json.value(QStringLiteral("python")).toString();
    head.facts.size = json.value(QStringLiteral("size")).toInteger();
    head.facts.created = QDateTime::fromString(json.value(QStringLiteral("created")).toString(), Qt::ISODateWithMs);
    head.facts.about = json.value(QStringLiteral("about")).toObject();
    head.checksum = quint32(json.value(QStringLiteral("crc32")).toInteger());
    if (got != kHead || !bytes.startsWith(kMagic) || json.isEmpty() || ::fstat(fd, &facts) != 0 ||
        facts.st_size != kHead + head.facts.size)
        return fail(ErrorCode::Conflict, QStringLiteral("the snapshot is damaged: it is not as long as it was"));
    return head;
}

class DiskWriter final : public SnapshotStore::Writer
{
public:
    DiskWriter(workspace::Descriptor file, QString temporary, QString target)
        : m_file(std::move(file)), m_temporary(std::move(temporary)), m_target(std::move(target))
    {
    }
    ~DiskWriter() override
    {
        if (!m_committed) QFile::remove(m_temporary);
    }
    Result<Done> write(QByteArrayView bytes) override
    {
        if (!writeAll(m_file.get(), bytes.data(), bytes.size(), kHead + m_size))
            return diskTrouble(QStringLiteral("the snapshot could not be written"));
        m_checksum = crc32_z(m_checksum, reinterpret_cast<const Bytef *>(bytes.data()), z_size_t(bytes.size()));
        m_size += bytes.size();
        return Done{};
    }
    Result<Done> commit(SnapshotFacts facts) override
    {
        facts.size = m_size;
        const QByteArray head = headOf(facts, quint32(m_checksum));
        if (!writeAll(m_file.get(), head.constData(), head.size(), 0) || ::fdatasync(m_file.get()) != 0 ||
            ::rename(QFile::encodeName(m_temporary).constData(), QFile::encodeName(m_target).constData()) != 0)
            return diskTrouble(QStringLiteral("the snapshot could not be written"));
        m_committed = true;
        syncDirectory(m_target.left(m_target.lastIndexOf(u'/')));
        return Done{};
    }

private:
    workspace::Descriptor m_file;
    QString m_temporary, m_target;
    qint64 m_size = 0;
    uLong m_checksum = 0;
    bool m_committed = false;
};

class DiskSnapshots final : public SnapshotStore
{
public:
    explicit DiskSnapshots(QString directory) : m_directory(std::move(directory)) {}

    Result<std::unique_ptr<Writer>> create(const SnapshotKey &key) override
    {
        const QString place = placeOf(key.owner, key.session);
        if (!QDir().mkpath(place)) return diskTrouble(QStringLiteral("no directory for snapshots can be made"));
        ::chmod(QFile::encodeName(m_directory).constData(), 0700);
        const QString temporary = place + u'/' + QUuid::createUuid().toString(QUuid::WithoutBraces) + QStringLiteral(".part");
        workspace::Descriptor file(::open(QFile::encodeName(temporary).constData(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (file.get() < 0) return diskTrouble(QStringLiteral("no file for a snapshot can be made"));
        std::unique_ptr<Writer> writer = std::make_unique<DiskWriter>(std::move(file), temporary, pathOf(key));
        return writer;
    }

    Result<Opened> open(const SnapshotKey &key) override
    {
        Opened opened;
        opened.descriptor = workspace::Descriptor(::open(QFile::encodeName(pathOf(key)).constData(), O_RDONLY | O_CLOEXEC));
        if (opened.descriptor.get() < 0) return missing(key);
        const Result<Head> head = readHead(opened.descriptor.get());
        if (!head) return Unexpected<Error>{head.error()};
        QByteArray bytes(kReadAtOnce, Qt::Uninitialized);
        uLong sum = 0;
        for (qint64 at = 0; at < head->facts.size;) {
            const qint64 want = qMin(kReadAtOnce, head->facts.size - at);
            const ssize_t got = ::pread(opened.descriptor.get(), bytes.data(), size_t(want), kHead + at);
            if (got <= 0) return fail(ErrorCode::Conflict, QStringLiteral("the snapshot is damaged: it cannot be read"));
            sum = crc32_z(sum, reinterpret_cast<const Bytef *>(bytes.constData()), z_size_t(got));
            at += got;
        }
        if (quint32(sum) != head->checksum)
            return fail(ErrorCode::Conflict, QStringLiteral("the snapshot is damaged: its bytes are not those that were written"));
        opened.offset = kHead;
        opened.facts = head->facts;
        return opened;
    }

    Result<SnapshotFacts> facts(const SnapshotKey &key) override
    {
        const workspace::Descriptor file(::open(QFile::encodeName(pathOf(key)).constData(), O_RDONLY | O_CLOEXEC));
        if (file.get() < 0) return missing(key);
        const Result<Head> head = readHead(file.get());
        if (!head) return Unexpected<Error>{head.error()};
        return head->facts;
    }

    QList<QPair<QString, SnapshotFacts>> named(const QString &owner, const QString &session) override
    {
        QList<QPair<QString, SnapshotFacts>> all;
        const QStringList names = QDir(placeOf(owner, session)).entryList({QStringLiteral("named-*.snapshot")}, QDir::Files, QDir::Name);
        for (const QString &file : names) {
            const QString name = file.mid(6, file.size() - 15);
            if (const auto found = facts({owner, session, name})) all << qMakePair(name, *found);
        }
        return all;
    }

    void setAside(const SnapshotKey &key) override
    {
        const QByteArray path = QFile::encodeName(pathOf(key));
        ::rename(path.constData(), (path + ".damaged").constData());
    }

    Result<Done> copy(const SnapshotKey &from, const SnapshotKey &to, const QJsonObject &about) override
    {
        auto source = open(from);
        if (!source) return Unexpected<Error>{source.error()};
        auto writer = create(to);
        if (!writer) return Unexpected<Error>{writer.error()};
        QByteArray bytes(kReadAtOnce, Qt::Uninitialized);
        for (qint64 at = 0; at < source->facts.size;) {
            const ssize_t got = ::pread(source->descriptor.get(), bytes.data(), size_t(qMin(kReadAtOnce, source->facts.size - at)), kHead + at);
            if (got <= 0) return diskTrouble(QStringLiteral("the snapshot could not be read"));
            const Result<Done> wrote = (*writer)->write(QByteArrayView(bytes.constData(), got));
            if (!wrote) return wrote;
            at += got;
        }
        SnapshotFacts facts = source->facts;
        for (auto it = about.begin(); it != about.end(); ++it)
            facts.about.insert(it.key(), it.value());
        return (*writer)->commit(facts);
    }

    void remove(const SnapshotKey &key) override
    {
        QFile::remove(pathOf(key));
        QDir(filesOf(key)).removeRecursively();
    }

    void removeSession(const QString &owner, const QString &session) override { QDir(placeOf(owner, session)).removeRecursively(); }

    Result<int> keepFiles(const SnapshotKey &key, const workspace::Workspace &from, qint64 limit) override;
    Result<QStringList> putFilesBack(const SnapshotKey &key, workspace::Workspace &to) override;

private:
    QString placeOf(const QString &owner, const QString &session) const { return m_directory + u'/' + owner + u'/' + session; }
    QString pathOf(const SnapshotKey &key) const
    {
        const QString file = key.name.isEmpty() ? QStringLiteral("latest") : QStringLiteral("named-") + key.name;
        return placeOf(key.owner, key.session) + u'/' + file + QStringLiteral(".snapshot");
    }
    QString filesOf(const SnapshotKey &key) const { return placeOf(key.owner, key.session) + QStringLiteral("/files-") + key.name; }
    static Unexpected<Error> missing(const SnapshotKey &key)
    {
        if (errno == ENOENT)
            return fail(ErrorCode::NotFound, key.name.isEmpty() ? QStringLiteral("session '%1' has no snapshot").arg(key.session)
                                                               : QStringLiteral("session '%1' has no checkpoint '%2'").arg(key.session, key.name));
        return diskTrouble(QStringLiteral("the snapshot cannot be opened"));
    }

    QString m_directory;
};

// Copies all of an open file; by reflink where the file system can.
bool copyAll(int from, int to)
{
    for (;;) {
        const ssize_t moved = ::copy_file_range(from, nullptr, to, nullptr, size_t(1) << 30, 0);
        if (moved == 0) return true;
        if (moved > 0) continue;
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return false;
        QByteArray bytes(kReadAtOnce, Qt::Uninitialized);
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

Result<int> DiskSnapshots::keepFiles(const SnapshotKey &key, const workspace::Workspace &from, qint64 limit)
{
    const QString target = filesOf(key);
    const QString fresh = target + QStringLiteral(".part");
    QDir(fresh).removeRecursively();
    if (!QDir().mkpath(fresh)) return diskTrouble(QStringLiteral("no directory for the files can be made"));
    qint64 total = 0;
    int count = 0;
    const auto files = from.list();
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
        if (copy.get() < 0 || !copyAll(opened->get(), copy.get()))
            return diskTrouble(QStringLiteral("The file %1 could not be kept").arg(file.path));
        ++count;
    }
    QDir(target).removeRecursively();
    if (!QDir().rename(fresh, target)) return diskTrouble(QStringLiteral("The files could not be kept"));
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
                return diskTrouble(QStringLiteral("The file %1 could not be put back").arg(path));
            const auto committed = (*writer)->commit();
            if (!committed) return Unexpected<Error>{committed.error()};
            written << path;
        }
    }
    return written;
}
} // namespace

std::unique_ptr<SnapshotStore> SnapshotStore::onDisk(QString directory)
{
    // What a crash left half-written.
    const QString root = directory;
    const QStringList owners = QDir(root).entryList(QDir::Dirs | QDir::NoDotAndDotDot | QDir::Hidden);
    for (const QString &owner : owners) {
        const QStringList sessions = QDir(root + u'/' + owner).entryList(QDir::Dirs | QDir::NoDotAndDotDot | QDir::Hidden);
        for (const QString &session : sessions) {
            QDir place(root + u'/' + owner + u'/' + session);
            const QStringList parts = place.entryList({QStringLiteral("*.part")}, QDir::Files);
            for (const QString &part : parts)
                place.remove(part);
        }
    }
    return std::make_unique<DiskSnapshots>(std::move(directory));
}

} // namespace power::files
