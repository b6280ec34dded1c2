// Which file a caller means: by every name that answers give it.
#pragma once
#include "operations/Services.h"

namespace power::operations {

struct FilePlace {
    sessions::SessionKey key;
    std::shared_ptr<workspace::Workspace> space;
    QString path; // in the form of Workspace
};

// `given`: a name as Workspace::resolve() takes it, a resource URI (power://sessions/{id}/files/{path}), a link that an
// answer gave (/dl/..., /charts/..., with or without the host), or one of these behind "sandbox:" or "file://". URIs and
// links name their session themselves, which must be one of the caller's. The file need not be there. Errors: those of
// resolve(), NotFound (a link that leads nowhere, or to somebody else's file), Gone.
QCoro::Task<Result<FilePlace>> placeOf(Services *services, Caller caller, QString sessionId, QString given);

} // namespace power::operations
