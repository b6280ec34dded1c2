#include "uploads/SpoolFile.h"
#include "base/Durable.h"
#include "workspace/CopyContent.h"
#include <QFile>
#include <QThreadPool>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

namespace power::uploads {

using workspace::Descriptor;

namespace {
constexpr qint64 kLeaveEvery = 8 << 20; // the last sync has little left to do, and few pages wait in memory
constexpr qint64 kFreedAside = 8 << 20; // bytes whose deletion the event loop would notice

Unexpected<Error> diskFailure(const char *what)
{
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return fail(ErrorCode::Unavailable,
                QStringLiteral("The upload cannot be %1: %2.").arg(QLatin1String(what), QString::fromLocal8Bit(std::strerror(number))),
                full ? QStringLiteral("The server's disk is full: tell the administrator. What was acknowledged is kept.")
                     : QStringLiteral("Try again; if it stays, tell the administrator."));
}

Unexpected<Error> lost(int number)
{
    return fail(ErrorCode::Unavailable,
                QStringLiteral("The server's disk did not take what was uploaded (%1): nothing of this upload is sure to be kept.")
                    .arg(QString::fromLocal8Bit(std::strerror(number))),
                QStringLiteral("Begin a new upload; if it fails too, tell the administrator."),
                {{QStringLiteral("cause"), QLatin1String(notDurable)}});
}
} // namespace

Result<std::shared_ptr<SpoolFile>> SpoolFile::create(const QString &path)
{
    const int fd = ::open(QFile::encodeName(path).constData(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return diskFailure("kept");
    return std::shared_ptr<SpoolFile>(new SpoolFile(path, fd));
}

Result<std::shared_ptr<SpoolFile>> SpoolFile::open(const QString &path)
{
    const int fd = ::open(QFile::encodeName(path).constData(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return diskFailure("continued");
    std::shared_ptr<SpoolFile> file(new SpoolFile(path, fd));
    file->m_keep = true;
    const off_t end = ::lseek(fd, 0, SEEK_END);
    if (end < 0)
        return diskFailure("continued");
    file->m_size = file->m_leaving = end;
    file->m_dirty = true; // who wrote it may have died before its sync
    return file;
}

SpoolFile::~SpoolFile()
{
    if (m_keep)
        return;
    // The last name and the last descriptor free the blocks: half a second for a gigabyte.
    std::function<void()> remove = [path = QFile::encodeName(m_path), file = std::make_shared<Descriptor>(std::move(m_file))] {
        ::unlink(path.constData());
    };
    if (m_size > kFreedAside)
        QThreadPool::globalInstance()->start(std::move(remove));
    else
        remove();
}

Result<Done> SpoolFile::append(QByteArrayView bytes)
{
    if (m_lost != 0)
        return lost(m_lost);
    m_dirty = m_dirty || !bytes.isEmpty();
    while (!bytes.isEmpty()) {
        const ssize_t wrote = ::pwrite(m_file.get(), bytes.data(), size_t(bytes.size()), m_size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return diskFailure("written");
        m_size += wrote;
        bytes = bytes.sliced(wrote);
    }
    if (m_size - m_leaving >= kLeaveEvery) {
        ::sync_file_range(m_file.get(), m_leaving, m_size - m_leaving, SYNC_FILE_RANGE_WRITE);
        m_leaving = m_size;
    }
    return Done{};
}

Result<Done> SpoolFile::appendFile(const SpoolFile &other)
{
    if (m_lost != 0)
        return lost(m_lost);
    m_dirty = true;
    if (!workspace::copyContentTo(other.m_file.get(), m_file.get(), m_size, other.m_size)) {
        const Unexpected<Error> failure = diskFailure("written");
        if (::ftruncate(m_file.get(), m_size) != 0)
            m_file = Descriptor(); // nothing can be appended any more
        return failure;
    }
    m_size += other.m_size;
    return Done{};
}

Result<Done> SpoolFile::sync()
{
    if (m_lost == 0 && !m_dirty)
        return Done{};
    if (m_lost == 0 && ::fdatasync(m_file.get()) != 0)
        m_lost = errno;
    if (m_lost != 0)
        return lost(m_lost);
    m_dirty = false;
    return Done{};
}

Result<std::shared_ptr<Descriptor>> SpoolFile::again() const
{
    const int fd = m_file.get() >= 0 ? ::fcntl(m_file.get(), F_DUPFD_CLOEXEC, 0)
                                     : ::open(QFile::encodeName(m_path).constData(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return diskFailure("read");
    return std::make_shared<Descriptor>(fd);
}

} // namespace power::uploads
