// Names that come from outside: what a path given by a client means, and safe names for uploads.
#pragma once
#include "base/Error.h"
#include <QString>
#include <functional>

namespace power::workspace
{

// The name an uploaded or fetched file gets: the last path part ('/' and '\'), control characters and lone
// surrogates taken out, at most 255 bytes of UTF-8 with its extension kept; a leading dot or nothing left
// gives "file_<seconds since the epoch>", a number that no other name of this process got.
QString uploadName(const QString &given);

struct PathRule {
    QString sessionId;
    QString hostPath;                            // the workspace's real place, also understood as a prefix
    std::function<bool(const QString &)> exists; // of a path in the form of Workspace (see there)
};

// Workspace::resolve without the workspace.
Result<QString> resolvePath(const QString &given, const PathRule &rule);

} // namespace power::workspace
