// Copying a file's content inside the kernel where it can.
#pragma once
#include <QtGlobal>

namespace power::workspace
{

// The first `size` bytes of `from` (or what there is) over the beginning of `to`: shared blocks where the file system
// has them, else copied by the kernel, else by hand; never more than 1 MiB in memory. Neither file's position matters.
// false: errno says why. Thread: any; blocks on the disk.
bool copyContent(int from, int to, qint64 size);

// The same to the offset `at` of `to`.
bool copyContentTo(int from, int to, qint64 at, qint64 size);

} // namespace power::workspace
