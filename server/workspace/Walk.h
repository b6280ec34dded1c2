// Walking a directory tree below a descriptor, bounded in depth and number, without following links.
#pragma once
#include <QByteArray>
#include <functional>
#include <sys/stat.h>

namespace power::workspace
{

constexpr int walkDepth = 64;

// Hidden from lists and changes: a leading dot, __pycache__, a name that is no UTF-8.
bool isHiddenName(const char *name);

struct WalkVisitor {
    // A directory, before its entries; `fd` is open for the call only. false: do not go into it.
    std::function<bool(const QByteArray &path, int fd, const struct stat &facts)> directory;
    // A regular file (or, with everything set, anything that is not a directory). false: stop the walk.
    std::function<bool(const QByteArray &path, const struct stat &facts)> file;
    bool everything = false; // hidden names and special files too
};

// Visits the directory `start` (relative path, "" = root itself) below `root` and everything in it.
// Entries that vanish meanwhile are skipped. Thread: any.
void walk(int root, const QByteArray &start, const WalkVisitor &visitor);

} // namespace power::workspace
