#include "files/DiskSnapshots.h"
#include "base/Durable.h"
#include "base/Log.h"
#include "workspace/Beneath.h"
#include <QDir>
#include <QDirIterator>
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

Unexpected<Error> snapshotTrouble(const QString &what)
{
    return fail(ErrorCode::Unavailable, QStringLiteral("%1 (%2)").arg(what, QString::fromLocal8Bit(std::strerror(errno))));
}

namespace
{
// A head of one page with JSON, then the bytes: so they can be mapped.
constexpr qint64 kHead = 4096;
constexpr qint64 kReadAtOnce = 1 << 20;
constexpr qint64 kInUse = 60'000; // ms: somebody may be about to open it
const char *const kMagic = "power-snapshot 1\n";

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

QByteArray headOf(const SnapshotFacts &facts, quint32 checksum)
{
    SnapshotFacts shown = facts;
    for (;;) {
        QJsonObject json = snapshotJson(shown);
        json.insert(QStringLiteral("crc32"), qint64(checksum));
        QByteArray head = kMagic + QJsonDocument(json).toJson(QJsonDocument::Compact) + '\n';
        if (head.size() <= kHead) return head.leftJustified(kHead, ' ');
        const QJsonValue files = shown.about.value(filesIn); // what it cannot be without
        shown.about = files.isString() ? QJsonObject{{filesIn, files}} : QJsonObject();
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
    head.facts = snapshotFacts(json);
    head.checksum = quint32(json.value(QStringLiteral("crc32")).toInteger());
    if (got != kHead || !bytes.startsWith(kMagic) || json.isEmpty() || ::fstat(fd, &facts) != 0 ||
        facts.st_size != kHead + head.facts.size)
        return fail(ErrorCode::Conflict, QStringLiteral("the snapshot is damaged: it is not as long as it was"));
    return head;
}

Unexpected<Error> missing(const SnapshotKey &key, int number)
{
    if (number == ENOENT)
        return fail(ErrorCode::NotFound, key.name.isEmpty() ? QStringLiteral("session '%1' has no snapshot").arg(key.session)
                                                           : QStringLiteral("session '%1' has no checkpoint '%2'").arg(key.session, key.name));
    errno = number;
    return snapshotTrouble(QStringLiteral("the snapshot cannot be opened"));
}

} // namespace

class DiskSnapshotWriter final : public SnapshotStore::Writer
{
public:
    DiskSnapshotWriter(DiskSnapshots &store, bool isLatest, workspace::Descriptor file, QString temporary, QString target)
        : m_store(store), m_isLatest(isLatest), m_file(std::move(file)), m_temporary(std::move(temporary)), m_target(std::move(target))
    {
    }
    ~DiskSnapshotWriter() override
    {
        if (!m_committed) QFile::remove(m_temporary);
    }
    Result<Done> write(QByteArrayView bytes) override
    {
        if (!writeAll(m_file.get(), bytes.data(), bytes.size(), kHead + m_size))
            return snapshotTrouble(QStringLiteral("the snapshot could not be written"));
        m_checksum = crc32_z(m_checksum, reinterpret_cast<const Bytef *>(bytes.data()), z_size_t(bytes.size()));
        m_size += bytes.size();
        return Done{};
    }
    Result<Done> commit(SnapshotFacts facts) override
    {
        facts.size = m_size;
        const Result<Done> room = m_store.makeRoom(m_target, kHead + m_size);
        if (!room) return room;
        const QByteArray head = headOf(facts, quint32(m_checksum));
        if (!writeAll(m_file.get(), head.constData(), head.size(), 0) || ::fdatasync(m_file.get()) != 0 ||
            ::rename(QFile::encodeName(m_temporary).constData(), QFile::encodeName(m_target).constData()) != 0)
            return snapshotTrouble(QStringLiteral("the snapshot could not be written"));
        m_committed = true;
        m_store.note(m_target, {kHead + m_size, facts.created.toMSecsSinceEpoch(), m_isLatest});
        if (!syncDirectory(m_target.left(m_target.lastIndexOf(u'/'))))
            return snapshotTrouble(QStringLiteral("the snapshot was written, but the disk did not confirm its name"));
        return Done{};
    }

private:
    DiskSnapshots &m_store;
    const bool m_isLatest;
    workspace::Descriptor m_file;
    QString m_temporary, m_target;
    qint64 m_size = 0;
    uLong m_checksum = 0;
    bool m_committed = false;
};

DiskSnapshots::DiskSnapshots(QString directory, qint64 maxTotalBytes) : m_directory(std::move(directory)), m_maxTotalBytes(maxTotalBytes)
{
    lookAround();
}

QString DiskSnapshots::pathOf(const SnapshotKey &key) const
{
    const QString file = key.name.isEmpty() ? QStringLiteral("latest") : QStringLiteral("named-") + key.name;
    return placeOf(key.owner, key.session) + u'/' + file + QStringLiteral(".snapshot");
}

// Removes what a crash left half-written, and counts the rest.
void DiskSnapshots::lookAround()
{
    const QDir::Filters all = QDir::Dirs | QDir::NoDotAndDotDot | QDir::Hidden;
    const QStringList owners = QDir(m_directory).entryList(all);
    for (const QString &owner : owners) {
        const QStringList sessions = QDir(m_directory + u'/' + owner).entryList(all);
        for (const QString &session : sessions) {
            QDir place(placeOf(owner, session));
            const QFileInfoList entries = place.entryInfoList(QDir::Files | QDir::Dirs | QDir::NoDotAndDotDot);
            for (const QFileInfo &entry : entries) {
                const QString name = entry.fileName();
                if (name.endsWith(QStringLiteral(".part"))) {
                    entry.isDir() ? QDir(entry.filePath()).removeRecursively() : place.remove(name);
                } else if (entry.isDir() && name.contains(u'~') && filesOf({owner, session, name.section(u'~', 0, 0).mid(6)}) != entry.filePath()) {
                    QDir(entry.filePath()).removeRecursively(); // of one that was not finished, or that was replaced
                } else if (entry.isDir()) {
                    Used files;
                    for (QDirIterator each(entry.filePath(), QDir::Files | QDir::Hidden, QDirIterator::Subdirectories); each.hasNext();) {
                        each.next();
                        files.bytes += each.fileInfo().size();
                    }
                    note(entry.filePath(), files);
                } else if (name.endsWith(QStringLiteral(".snapshot"))) {
                    note(entry.filePath(), {entry.size(), entry.lastModified().toMSecsSinceEpoch(), name == u"latest.snapshot" && !owner.startsWith(u'.')});
                }
            }
        }
    }
}

void DiskSnapshots::note(const QString &path, Used used)
{
    const std::lock_guard lock(m_lock);
    m_used.insert(path, used);
}

void DiskSnapshots::noteGone(const QString &prefix)
{
    const std::lock_guard lock(m_lock);
    m_used.removeIf([&prefix](const auto &entry) { return entry.key().startsWith(prefix); });
}

// The oldest latest ones of other sessions go, as many as it takes; a head stays that says so.
Result<Done> DiskSnapshots::makeRoom(const QString &path, qint64 bytes)
{
    if (m_maxTotalBytes <= 0) return Done{};
    const std::lock_guard lock(m_lock);
    const QString own = path.left(path.lastIndexOf(u'/') + 1);
    qint64 total = bytes - m_used.value(path).bytes;
    std::vector<std::pair<qint64, QString>> others;
    for (auto it = m_used.cbegin(); it != m_used.cend(); ++it) {
        total += it->bytes;
        if (it->mayGo && it->bytes > kHead && !it.key().startsWith(own)) others.emplace_back(it->created, it.key());
    }
    // Nobody loses anything for one that does not fit all the same.
    qint64 least = total;
    for (const auto &other : others)
        least -= m_used.value(other.second).bytes - kHead;
    if (least > m_maxTotalBytes) return snapshotsFull(bytes, m_maxTotalBytes);
    std::sort(others.begin(), others.end());
    for (std::size_t i = 0; i < others.size() && total > m_maxTotalBytes; ++i) {
        const QString &oldest = others.at(i).second;
        QFile file(oldest);
        if (!file.open(QIODevice::ReadWrite)) continue;
        const Result<Head> before = readHead(file.handle());
        SnapshotFacts facts = before ? before->facts : SnapshotFacts();
        facts.size = 0;
        facts.about.insert(QStringLiteral("dropped"), QDateTime::currentDateTimeUtc().toString(Qt::ISODate));
        // The head first: cut off in between it is a damaged one, never a wrong one.
        const QByteArray head = headOf(facts, 0);
        if (!writeAll(file.handle(), head.constData(), head.size(), 0) || ::ftruncate(file.handle(), kHead) != 0) continue;
        ::fdatasync(file.handle());
        total -= m_used.value(oldest).bytes - kHead;
        m_used[oldest].bytes = kHead;
        log::info("snapshot_dropped", {{QStringLiteral("file"), oldest.mid(m_directory.size() + 1)}, {QStringLiteral("reason"), QStringLiteral("SNAPSHOTS_TOTAL_MB")}});
    }
    return total <= m_maxTotalBytes ? Result<Done>(Done{}) : snapshotsFull(bytes, m_maxTotalBytes);
}

Result<workspace::Descriptor> DiskSnapshots::whole(const SnapshotKey &key) const
{
    workspace::Descriptor file(::open(QFile::encodeName(pathOf(key)).constData(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return missing(key, errno);
    return file;
}

// With the names of the directories on disk too, else a crash may take what was stored in a new one with them.
Result<Done> DiskSnapshots::ensurePlace(const QString &place) const
{
    if (QFileInfo(place).isDir()) return Done{};
    if (!QDir().mkpath(place)) return snapshotTrouble(QStringLiteral("no directory for snapshots can be made"));
    ::chmod(QFile::encodeName(m_directory).constData(), 0700);
    bool synced = syncDirectory(m_directory.left(m_directory.lastIndexOf(u'/')));
    for (QString above = place.left(place.lastIndexOf(u'/')); above.size() >= m_directory.size(); above = above.left(above.lastIndexOf(u'/')))
        synced = syncDirectory(above) && synced;
    if (synced) return Done{};
    const Unexpected<Error> failure = snapshotTrouble(QStringLiteral("the directory for snapshots is not taken by the disk"));
    QDir().rmpath(place); // made and synced anew by the next one
    return failure;
}

Result<Done> DiskSnapshots::take(const SnapshotKey &key, const std::function<Result<Done>(int)> &fill)
{
    const QString place = placeOf(key.owner, key.session);
    const QString temporary = place + u'/' + QUuid::createUuid().toString(QUuid::WithoutBraces) + QStringLiteral(".part");
    if (const Result<Done> made = ensurePlace(place); !made) return Unexpected<Error>{made.error()};
    const QByteArray path = QFile::encodeName(temporary);
    const workspace::Descriptor file(::open(path.constData(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return snapshotTrouble(QStringLiteral("no file for a snapshot can be made"));
    Result<Done> filled = fill(file.get());
    if (filled && ::rename(path.constData(), QFile::encodeName(pathOf(key)).constData()) != 0)
        filled = snapshotTrouble(QStringLiteral("the snapshot could not be written"));
    if (!filled) ::unlink(path.constData());
    struct stat facts {};
    if (filled && ::fstat(file.get(), &facts) == 0) note(pathOf(key), {facts.st_size, QDateTime::currentMSecsSinceEpoch(), false});
    return filled;
}

void DiskSnapshots::dropCopies(qint64 most, const std::function<bool(const SnapshotKey &, const SnapshotFacts &)> &isElsewhere)
{
    std::vector<std::pair<qint64, QString>> all;
    qint64 total = 0;
    {
        const std::lock_guard lock(m_lock);
        for (auto it = m_used.cbegin(); it != m_used.cend(); ++it) {
            total += it->bytes;
            all.emplace_back(it->created, it.key());
        }
    }
    std::sort(all.begin(), all.end());
    const qint64 settled = QDateTime::currentMSecsSinceEpoch() - kInUse;
    for (const auto &[touched, path] : all) {
        if (total <= most || touched > settled) return;
        const QStringList parts = path.mid(m_directory.size() + 1).split(u'/');
        const QString file = parts.size() == 3 ? parts.last().chopped(9) : QString(); // .snapshot
        if (file != u"latest" && !file.startsWith(u"named-")) continue;
        const SnapshotKey key{parts.at(0), parts.at(1), file == u"latest" ? QString() : file.mid(6)};
        const Result<SnapshotFacts> here = facts(key);
        if (here && !isElsewhere(key, *here)) continue;
        QFile::remove(path);
        noteGone(path);
        total -= here ? here->size + kHead : 0;
    }
}

Result<std::unique_ptr<SnapshotStore::Writer>> DiskSnapshots::create(const SnapshotKey &key)
{
    const QString place = placeOf(key.owner, key.session);
    if (const Result<Done> made = ensurePlace(place); !made) return Unexpected<Error>{made.error()};
    const QString temporary = place + u'/' + QUuid::createUuid().toString(QUuid::WithoutBraces) + QStringLiteral(".part");
    workspace::Descriptor file(::open(QFile::encodeName(temporary).constData(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return snapshotTrouble(QStringLiteral("no file for a snapshot can be made"));
    std::unique_ptr<Writer> writer = std::make_unique<DiskSnapshotWriter>(*this, key.name.isEmpty() && !key.owner.startsWith(u'.'), std::move(file), temporary, pathOf(key));
    return writer;
}

Result<SnapshotStore::Opened> DiskSnapshots::open(const SnapshotKey &key)
{
    Opened opened;
    opened.descriptor = workspace::Descriptor(::open(QFile::encodeName(pathOf(key)).constData(), O_RDONLY | O_CLOEXEC));
    if (opened.descriptor.get() < 0) return missing(key, errno);
    const Result<Head> head = readHead(opened.descriptor.get());
    if (!head) return Unexpected<Error>{head.error()};
    const QString dropped = head->facts.about.value(QStringLiteral("dropped")).toString();
    if (!dropped.isEmpty()) return madeRoom(dropped);
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

Result<SnapshotFacts> DiskSnapshots::facts(const SnapshotKey &key)
{
    const workspace::Descriptor file(::open(QFile::encodeName(pathOf(key)).constData(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return missing(key, errno);
    const Result<Head> head = readHead(file.get());
    if (!head) return Unexpected<Error>{head.error()};
    return head->facts;
}

QList<QPair<QString, SnapshotFacts>> DiskSnapshots::named(const QString &owner, const QString &session)
{
    QList<QPair<QString, SnapshotFacts>> all;
    const QStringList names = QDir(placeOf(owner, session)).entryList({QStringLiteral("named-*.snapshot")}, QDir::Files, QDir::Name);
    for (const QString &file : names) {
        const QString name = file.mid(6, file.size() - 15);
        if (const auto found = facts({owner, session, name})) all << qMakePair(name, *found);
    }
    return all;
}

void DiskSnapshots::setAside(const SnapshotKey &key)
{
    const QByteArray path = QFile::encodeName(pathOf(key));
    ::rename(path.constData(), (path + ".damaged").constData());
    noteGone(pathOf(key));
}

Result<Done> DiskSnapshots::copy(const SnapshotKey &from, const SnapshotKey &to, const QJsonObject &about)
{
    auto source = open(from);
    if (!source) return Unexpected<Error>{source.error()};
    auto writer = create(to);
    if (!writer) return Unexpected<Error>{writer.error()};
    QByteArray bytes(kReadAtOnce, Qt::Uninitialized);
    for (qint64 at = 0; at < source->facts.size;) {
        const ssize_t got = ::pread(source->descriptor.get(), bytes.data(), size_t(qMin(kReadAtOnce, source->facts.size - at)), kHead + at);
        if (got <= 0) return snapshotTrouble(QStringLiteral("the snapshot could not be read"));
        const Result<Done> wrote = (*writer)->write(QByteArrayView(bytes.constData(), got));
        if (!wrote) return wrote;
        at += got;
    }
    SnapshotFacts facts = source->facts;
    for (auto it = about.begin(); it != about.end(); ++it)
        facts.about.insert(it.key(), it.value());
    return (*writer)->commit(facts);
}

void DiskSnapshots::remove(const SnapshotKey &key)
{
    const QString files = filesOf(key);
    QFile::remove(pathOf(key));
    noteGone(pathOf(key));
    forgetFiles(files);
}

void DiskSnapshots::removeSession(const QString &owner, const QString &session)
{
    QDir(placeOf(owner, session)).removeRecursively();
    noteGone(placeOf(owner, session) + u'/');
}

} // namespace power::files
