#include "supervisor/GroupPlace.h"
#include "supervisor/Fd.h"
#include <QDir>
#include <QFile>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <sys/xattr.h>

namespace power::supervisor {

namespace {
constexpr int kMovePasses = 10; // a process may fork while the others are moved
constexpr char kSystemd[] = "/run/systemd/system";

QString said(int error)
{
    return QString::fromLocal8Bit(std::strerror(error));
}

Unexpected<Error> refuse(const QString &why)
{
    return fail(ErrorCode::Unavailable, why);
}

bool isDelegated(const QByteArray &directory)
{
    for (const char *name : {"user.delegate", "trusted.delegate"}) {
        char value[8] = {};
        if (::getxattr(directory.constData(), name, value, sizeof value - 1) > 0 && value[0] == '1')
            return true;
    }
    return false;
}

// The root of the machine's tree may hold processes beside groups; it alone has no type.
bool isTop(const QByteArray &directory)
{
    return ::access((directory + "/cgroup.type").constData(), F_OK) != 0;
}

// The processes of `from` move to `to`. 0 or errno.
int moveAll(const QByteArray &from, const QByteArray &to)
{
    for (int pass = 0; pass < kMovePasses; ++pass) {
        const QByteArray pids = groups::read(from + "/cgroup.procs");
        if (pids.isEmpty())
            return 0;
        for (const QByteArray &pid : pids.split('\n')) {
            const int error = groups::write(to + "/cgroup.procs", pid);
            if (error != 0 && error != ESRCH)
                return error;
        }
    }
    return EBUSY;
}
} // namespace

int groups::write(const QByteArray &path, const QByteArray &text)
{
    const Fd file(::open(path.constData(), O_WRONLY | O_CLOEXEC));
    if (!file)
        return errno;
    return ::write(file.get(), text.constData(), std::size_t(text.size())) == text.size() ? 0 : errno;
}

QByteArray groups::read(const QByteArray &path)
{
    QFile file(QString::fromLocal8Bit(path));
    return file.open(QIODevice::ReadOnly) ? file.readAll().trimmed() : QByteArray();
}

qint64 groups::count(const QByteArray &path, const char *name)
{
    for (const QByteArray &line : read(path).split('\n')) {
        if (line.startsWith(QByteArray(name) + ' '))
            return std::strtoll(line.constData() + std::strlen(name) + 1, nullptr, 10);
    }
    return 0;
}

QByteArray groupDirectory(const QByteArray &mounts, const QByteArray &own)
{
    QByteArray path;
    for (const QByteArray &line : own.split('\n')) {
        if (line.startsWith("0::"))
            path = line.mid(3);
    }
    if (!path.startsWith('/') || path.startsWith("/..")) // outside of what its namespace shows
        return {};
    for (const QByteArray &line : mounts.split('\n')) {
        const QByteArrayList fields = line.split(' '); // id parent device root mount-point options ... - type source options
        const qsizetype dash = fields.indexOf("-");
        if (dash < 6 || fields.size() < dash + 2 || fields[dash + 1] != "cgroup2")
            continue;
        const QByteArray root = fields[3] == "/" ? QByteArray() : fields[3];
        if (!path.startsWith(root) || (path.size() > root.size() && path[root.size()] != '/'))
            continue;
        QByteArray directory = fields[4] + path.mid(root.size());
        while (directory.size() > 1 && directory.endsWith('/'))
            directory.chop(1);
        const QByteArray leaf = QByteArray("/") + kServerLeaf;
        return directory.endsWith(leaf) ? directory.chopped(leaf.size()) : directory;
    }
    return {};
}

Result<GroupPlace> prepareGroups(const QByteArray &directory)
{
    const QString name = QString::fromLocal8Bit(directory);
    if (directory.isEmpty())
        return refuse(QStringLiteral("this machine has no cgroup v2 tree that the server is in"));
    if (!groups::read(directory + "/cgroup.controllers").split(' ').contains("memory"))
        return refuse(QStringLiteral("%1 has no memory controller").arg(name));
    if (::access(kSystemd, F_OK) == 0 && !isDelegated(directory))
        return refuse(QStringLiteral("systemd has not delegated %1 (Delegate=yes in the service's unit)").arg(name));
    const QByteArray handedDown = directory + "/cgroup.subtree_control", leaf = directory + '/' + kServerLeaf;
    if (!groups::read(handedDown).split(' ').contains("memory")) {
        if (!isTop(directory)) {
            if (::mkdir(leaf.constData(), 0755) != 0 && errno != EEXIST)
                return refuse(QStringLiteral("%1 is not writable: %2").arg(name, said(errno)));
            if (const int error = moveAll(directory, leaf))
                return refuse(QStringLiteral("the processes in %1 cannot be moved: %2").arg(name, said(error)));
        }
        if (const int error = groups::write(handedDown, "+memory"))
            return refuse(QStringLiteral("%1 cannot hand down the memory controller: %2").arg(name, said(error)));
    }
    for (const char *controller : {"+pids", "+cpu"})
        groups::write(handedDown, controller); // what is there
    GroupPlace place{directory, {}};
    const QByteArrayList present = groups::read(handedDown).split(' ');
    for (const char *controller : {"memory", "pids", "cpu"}) {
        if (present.contains(controller))
            place.controllers << controller;
    }
    return place;
}

bool groups::remove(const QByteArray &directory)
{
    write(directory + "/cgroup.kill", "1");
    bool empty = true;
    const QStringList below = QDir(QFile::decodeName(directory)).entryList(QDir::Dirs | QDir::NoDotAndDotDot | QDir::Hidden);
    for (const QString &child : below)
        empty = remove(directory + '/' + QFile::encodeName(child)) && empty;
    return empty && (::rmdir(directory.constData()) == 0 || errno == ENOENT);
}

} // namespace power::supervisor
