#include "workspace/FileWriter.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include "workspace/Beneath.h"
#include "workspace/CopyContent.h"
#include <QUuid>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace power::workspace
{

namespace
{
const char temporaryPrefix[] = ".power-";

QByteArray temporaryName()
{
    return temporaryPrefix + newUuid().toLatin1();
}
} // namespace

bool isTemporaryName(const QByteArray &name)
{
    return name.startsWith(temporaryPrefix) && name.size() == 43 && !QUuid::fromString(name.mid(7)).isNull();
}

Result<std::unique_ptr<Workspace::Writer>> FileWriter::create(int root, const QByteArray &relative,
                                                              const QString &shown, const SessionPlace &place,
                                                              std::weak_ptr<ChangeTracker> tracker)
{
    const auto failed = [&shown](int number) { return Unexpected<Error>{fileError(number, shown)}; };
    std::unique_ptr<FileWriter> writer(new FileWriter);
    const int directory =
        makeDirectoryBeneath(root, parentOf(relative), place.chown ? place.uid : uid_t(-1), place.gid);
    if (directory < 0) return failed(-directory);
    writer->m_directory = Descriptor(directory);
    writer->m_root = Descriptor(::fcntl(root, F_DUPFD_CLOEXEC, 3));
    if (writer->m_root.get() < 0) return failed(errno);
    writer->m_name = lastOf(relative);
    struct stat present;
    if (::fstatat(directory, writer->m_name.constData(), &present, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(present.st_mode))
        return failed(EISDIR);
    const QByteArray temporary = temporaryName();
    const int file = openBeneath(root, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (file < 0) return failed(-file);
    writer->m_file = Descriptor(file);
    writer->m_temporary = temporary;
    writer->m_shown = shown;
    writer->m_place = place;
    writer->m_tracker = std::move(tracker);
    return std::unique_ptr<Workspace::Writer>(std::move(writer));
}

FileWriter::~FileWriter()
{
    if (!m_done && !m_temporary.isEmpty()) ::unlinkat(m_root.get(), m_temporary.constData(), 0);
}

Result<Done> FileWriter::write(QByteArrayView bytes)
{
    while (!bytes.isEmpty()) {
        const ssize_t wrote = ::write(m_file.get(), bytes.data(), size_t(bytes.size()));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return Unexpected<Error>{fileError(errno, m_shown)};
        bytes = bytes.sliced(wrote);
    }
    return Done{};
}

Result<Done> FileWriter::adopt(int file)
{
    const QByteArray source = "/proc/self/fd/" + QByteArray::number(file);
    const QByteArray second = temporaryName();
    const int held = ::fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (held < 0) return Unexpected<Error>{fileError(errno, m_shown)};
    Descriptor again(held);
    if (::linkat(AT_FDCWD, source.constData(), m_root.get(), second.constData(), AT_SYMLINK_FOLLOW) == 0) {
        ::unlinkat(m_root.get(), m_temporary.constData(), 0);
        m_temporary = second;
        m_file = std::move(again);
        m_shared = true;
        return Done{};
    }
    struct stat facts;
    if (::fstat(file, &facts) != 0 || !copyContent(file, m_file.get(), facts.st_size))
        return Unexpected<Error>{fileError(errno, m_shown)};
    return Done{};
}

Result<FileFacts> FileWriter::commit()
{
    const auto failed = [this] { return Unexpected<Error>{fileError(errno, m_shown)}; };
    struct stat facts;
    const auto unsynced = [this] {
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("The server's disk did not take \"%1\": %2.").arg(m_shown, QString::fromLocal8Bit(std::strerror(errno))),
                    QStringLiteral("Send it again; if it fails too, tell the administrator."), {{QStringLiteral("cause"), QLatin1String(notDurable)}});
    };
    if (::fchmod(m_file.get(), 0644) != 0) return failed();
    if (::fsync(m_file.get()) != 0) return unsynced();
    if (m_place.chown && ::fchown(m_file.get(), m_place.uid, m_place.gid) != 0) return failed();
    if (::renameat(m_root.get(), m_temporary.constData(), m_directory.get(), m_name.constData()) != 0) return failed();
    // rename(2) does nothing when both names are one file already.
    if (m_shared) ::unlinkat(m_root.get(), m_temporary.constData(), 0);
    m_done = true;
    if (::fsync(m_directory.get()) != 0) return unsynced();
    if (::fstat(m_file.get(), &facts) != 0) return failed();
    if (const auto tracker = m_tracker.lock())
        tracker->ownWrite(m_shown.toUtf8(), quint64(facts.st_ino), nanoseconds(facts.st_ctim));
    return FileFacts{m_shown, qint64(facts.st_size), nanoseconds(facts.st_mtim), m_shown.startsWith(u'/')};
}

} // namespace power::workspace
