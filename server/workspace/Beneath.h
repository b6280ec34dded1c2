// Opening below a directory descriptor without ever leaving it: no symlink, no "..", no magic link is
// followed.
#pragma once
#include "base/Error.h"
#include "workspace/Workspace.h"
#include <sys/stat.h>
#include <sys/types.h>

namespace power::workspace
{

// Opens `path` (relative, '/' separated, no ".." component) below `directory`. Returns a descriptor or
// -errno. openat2 where the kernel has it, else component by component with O_NOFOLLOW (the same guarantees;
// more calls). An empty path or "." opens the directory itself. Always O_CLOEXEC. Thread: any.
int openBeneath(int directory, const QByteArray &path, int flags, mode_t mode = 0);

// The same, component by component; what openBeneath uses without openat2.
int openByComponents(int directory, const QByteArray &path, int flags, mode_t mode = 0);

// Opens the directory `path` below `directory`, makes missing parts with mode 0700 and that owner
// (uid -1: leave as it is). Returns a descriptor or -errno.
int makeDirectoryBeneath(int directory, const QByteArray &path, uid_t uid, gid_t gid);

// The directory part ("" when there is none) and the last component.
QByteArray parentOf(const QByteArray &path);
QByteArray lastOf(const QByteArray &path);

// An errno as an Error with a text for the reader; `shown` is the name the caller used.
Error fileError(int number, const QString &shown);

// Deletes everything below the directory `fd` (not the directory itself). It flattens: subdirectories are
// moved up before they are emptied, so a chain of any depth needs three descriptors. Returns 0 or -errno of
// the first failure.
int emptyDirectory(int fd);

qint64 nanoseconds(const timespec &time);

// When the file was made, in ns since the epoch; 0 where the file system does not say.
qint64 bornNs(int fd);

} // namespace power::workspace
