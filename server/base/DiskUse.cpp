#include "base/DiskUse.h"
#include <QByteArray>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace power {

QString DiskUse::limitInWords() const
{
    return tooDeep   ? QStringLiteral("%1 levels of directories").arg(kMostLevels)
           : tooMany ? QStringLiteral("%1 files and directories").arg(kMostEntries)
                     : QStringLiteral("directories that their user may read");
}

QString DiskUse::excessInWords() const
{
    return closed && !tooDeep && !tooMany ? QStringLiteral("one that cannot be opened") : QStringLiteral("more");
}

void DiskUse::add(int parent, const char *name)
{
    enter(parent, name, 1);
}

void DiskUse::enter(int parent, const char *name, int level)
{
    const int directory = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory >= 0)
        walk(directory, level);
    else if (errno == EACCES || errno == EPERM)
        closed = true;
    else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) // gone, or something else by now
        failed = true;
}

// Takes over the descriptor. One is open for each level, so a level is read to its end before the next is entered.
void DiskUse::walk(int directory, int level)
{
    const std::unique_ptr<DIR, int (*)(DIR *)> stream(::fdopendir(directory), &::closedir);
    if (!stream) {
        failed = true;
        ::close(directory);
        return;
    }
    std::vector<QByteArray> below;
    for (;;) {
        errno = 0;
        const dirent *entry = ::readdir(stream.get());
        if (!entry) {
            failed = failed || (errno != 0 && errno != ENOENT);
            break;
        }
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0)
            continue;
        if (++entries > kMostEntries) {
            tooMany = true;
            return;
        }
        struct stat facts{};
        if (::fstatat(directory, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(facts.st_mode)) {
            below.emplace_back(entry->d_name);
        } else if (facts.st_nlink > 1) {
            if (m_linked.contains(facts.st_ino))
                continue;
            m_linked.insert(facts.st_ino);
        }
        bytes += qint64(facts.st_blocks) * 512;
    }
    if (!below.empty() && level >= kMostLevels) {
        tooDeep = true;
        return;
    }
    for (const QByteArray &name : below) {
        if (tooMany)
            return;
        enter(directory, name.constData(), level + 1);
    }
}

} // namespace power
