// Looking at the files of existing sessions without handing them out; shared by the operations that only look.
#pragma once
#include "operations/Services.h"

namespace power::operations {

// Session id and workspace, in the order they are looked through.
using Spaces = QList<std::pair<QString, std::shared_ptr<workspace::Workspace>>>;

// The named session, or with an empty id all of the caller's (at most 50, the last used first). Errors: NotFound,
// Unavailable.
QCoro::Task<Result<Spaces>> spacesOf(Services *services, Caller caller, QString sessionId);

// Both block on the disk: beside the event loop. Errors: NotFound, TooLarge (`most` bytes).
QByteArray headOf(const workspace::Workspace &space, const QString &path, qint64 most = 512);
Result<QByteArray> wholeFile(const workspace::Workspace &space, const QString &path, qint64 most,
                             workspace::FileFacts *facts = nullptr);

// Whether content of that type can be read as text.
bool isTextType(const QString &mime);
QString isoTime(qint64 nsSinceEpoch);

} // namespace power::operations
