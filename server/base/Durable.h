// What is still there after the machine's sudden end.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QString>

namespace power {

// A failed sync may succeed when it is repeated although the bytes are lost: the system tells of an error once and takes
// the pages for written. So nobody repeats one: what could not be synced is dropped, or written anew as another file.
// Error details of what is lost that way: cause = notDurable.
inline constexpr char notDurable[] = "not_durable";

// The directory's entries are on disk. False: errno says why. Thread: any; blocks on the disk, as the one below does.
bool syncDirectory(const QString &path);

// A small file, for its owner alone, in place of the one before; on disk when it returns. Error: Unavailable; then the file
// is the one before, or, when only the directory was not synced, the new one in its place or, where there was none, none.
Result<Done> writeDurably(const QString &path, QByteArrayView content);

} // namespace power
