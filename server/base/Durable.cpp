#include "base/Durable.h"
#include "base/Ids.h"
#include <QFile>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace power {

bool syncDirectory(const QString &path)
{
    const int directory = ::open(QFile::encodeName(path).constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return false;
    const int failed = ::fsync(directory) == 0 ? 0 : errno;
    ::close(directory);
    errno = failed;
    return failed == 0;
}

Result<Done> writeDurably(const QString &path, QByteArrayView content)
{
    // A name of its own: what a failed sync left is never written on.
    const QByteArray target = QFile::encodeName(path), fresh = target + '.' + newUuid().left(8).toLatin1();
    const int file = ::open(fresh.constData(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = file >= 0;
    while (done && !content.isEmpty()) {
        const ssize_t wrote = ::write(file, content.data(), size_t(content.size()));
        if (wrote >= 0)
            content = content.sliced(wrote);
        else
            done = errno == EINTR;
    }
    const bool replaces = ::access(target.constData(), F_OK) == 0;
    const bool renamed = done && ::fsync(file) == 0 && ::rename(fresh.constData(), target.constData()) == 0;
    done = renamed && syncDirectory(path.contains(u'/') ? path.section(u'/', 0, -2) : QStringLiteral("."));
    const int number = errno;
    if (renamed && !done && !replaces)
        ::unlink(target.constData()); // nobody shall find it and take its name for confirmed
    if (file >= 0)
        ::close(file);
    if (done)
        return Done{};
    ::unlink(fresh.constData());
    return fail(ErrorCode::Unavailable,
                QStringLiteral("%1 cannot be written: %2.").arg(path.section(u'/', -1), QString::fromLocal8Bit(std::strerror(number))),
                QStringLiteral("Try again; if it stays, tell the administrator."));
}

} // namespace power
