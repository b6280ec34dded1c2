// Files as people see them: pages, small pictures, tables by their columns. Made behind the sandbox by one-shot workers.
#pragma once
#include "operations/FilePlace.h"

namespace power::operations {

// What can be told about a file without reading it as text: tables and pictures too large to send. For fetch_file.
bool hasView(const QString &path, const QString &mime);
// One text block, for a picture an image block after it; data: the facts. Errors: InvalidArgument (damaged, not what its
// name says), Unavailable (no sandbox, too much memory), TooLarge, Timeout.
QCoro::Task<Result<Answer>> viewOf(Services *services, Caller caller, FilePlace place, QString mime);

} // namespace power::operations
