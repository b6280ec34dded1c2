#include "workspace/CopyContent.h"
#include <QByteArray>
#include <cerrno>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace power::workspace
{

namespace
{
bool copyByHand(int from, int to, qint64 at, qint64 done, qint64 size)
{
    QByteArray piece(1 << 20, Qt::Uninitialized);
    while (done < size) {
        const ssize_t got = ::pread(from, piece.data(), size_t(qMin<qint64>(piece.size(), size - done)), done);
        if (got <= 0) return got == 0;
        for (ssize_t put = 0; put < got;) {
            const ssize_t wrote = ::pwrite(to, piece.constData() + put, size_t(got - put), at + done + put);
            if (wrote < 0) return false;
            put += wrote;
        }
        done += got;
    }
    return true;
}
} // namespace

bool copyContent(int from, int to, qint64 size)
{
    return ::ioctl(to, FICLONE, from) == 0 || copyContentTo(from, to, 0, size);
}

bool copyContentTo(int from, int to, qint64 at, qint64 size)
{
    loff_t in = 0, out = at;
    while (in < size) {
        const ssize_t got = ::copy_file_range(from, &in, to, &out, size_t(size - in), 0);
        if (got == 0) return true; // shorter than said
        if (got < 0 && (errno == EINVAL || errno == EXDEV || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
            return copyByHand(from, to, at, in, size);
        if (got < 0 && errno != EINTR) return false;
    }
    return true;
}

} // namespace power::workspace
