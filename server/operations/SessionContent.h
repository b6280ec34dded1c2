// Files of a session as bytes, for doors that stream them: what an operation's JSON cannot carry.
#pragma once
#include "operations/Services.h"

namespace power::operations {

struct SessionContent {
    std::shared_ptr<workspace::Descriptor> file;
    workspace::FileFacts facts;
    QString sessionId, mime;
    QByteArray version; // differs whenever the content may
};

// A file of a session, of any size; `path` as a person or tool may write it. Errors: those of the workspace; Forbidden
// (scope "files").
QCoro::Task<Result<SessionContent>> openSessionFile(Services *services, Caller caller, QString sessionId, QString path);

struct SessionListing {
    std::shared_ptr<workspace::Workspace> workspace;
    QList<workspace::FileFacts> files; // by path
    QString sessionId;
};

// The files that match (workspace/Glob.h). Errors: as above; NotFound when none does; TooLarge above 100,000 files.
QCoro::Task<Result<SessionListing>> matchingFiles(Services *services, Caller caller, QString sessionId, QString glob);

} // namespace power::operations
