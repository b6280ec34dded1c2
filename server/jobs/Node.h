// Which server this is among those on one database.
#pragma once
#include "base/Error.h"
#include <QString>

namespace power::jobs {

// The id in this file, made on first use; it stays with the data directory. Errors: Unavailable (disk).
Result<QString> nodeIdentity(const QString &file);

} // namespace power::jobs
