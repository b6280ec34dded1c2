// The declarations of the file tools and what they share. Only for this folder.
#pragma once
#include "operations/Services.h"

namespace power::operations {

using FileMethod = QCoro::Task<Result<Answer>> (*)(Services *, Caller, QJsonObject);
Method boundFile(Services &services, FileMethod body);
Operation fileOperation(const char *name, const char *title, const char *description);
Parameter textParameter(const char *name, const char *description, bool required = false);
// Clamped to [least, most].
Parameter numberParameter(const char *name, const char *description, int fallback, int least, QJsonValue most);

Operation listFilesOperation(Services &services);
Operation fetchFileOperation(Services &services, Registry &registry);
Operation viewFileOperation(Services &services); // toolset extended

} // namespace power::operations
