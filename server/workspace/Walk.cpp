#include "workspace/Walk.h"
#include "workspace/Beneath.h"
#include <QList>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace power::workspace
{

bool isHiddenName(const char *name)
{
    if (name[0] == '.' || std::strcmp(name, "__pycache__") == 0) return true;
    return !QByteArrayView(name).isValidUtf8();
}

void walk(int root, const QByteArray &start, const WalkVisitor &visitor)
{
    QList<QByteArray> waiting{start};
    while (!waiting.isEmpty()) {
        const QByteArray path = waiting.takeLast();
        const int fd = openBeneath(root, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
        if (fd < 0) continue;
        DIR *stream = ::fdopendir(fd);
        if (!stream) {
            ::close(fd);
            continue;
        }
        struct stat facts;
        bool into = ::fstat(fd, &facts) == 0;
        if (into && visitor.directory) into = visitor.directory(path, fd, facts);
        const bool deeper = path.count('/') + 1 < walkDepth;
        while (const dirent *entry = into ? ::readdir(stream) : nullptr) {
            const char *name = entry->d_name;
            if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
            if (!visitor.everything && isHiddenName(name)) continue;
            const QByteArray below = path.isEmpty() ? QByteArray(name) : path + '/' + name;
            if (entry->d_type == DT_DIR) {
                if (deeper) waiting << below;
                continue;
            }
            if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN && !visitor.everything) continue;
            if (::fstatat(fd, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
            if (S_ISDIR(facts.st_mode)) {
                if (deeper) waiting << below;
            } else if ((S_ISREG(facts.st_mode) || visitor.everything) && visitor.file &&
                       !visitor.file(below, facts)) {
                ::closedir(stream);
                return;
            }
        }
        ::closedir(stream);
    }
}

} // namespace power::workspace
