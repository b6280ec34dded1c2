// A file from outside becomes a file of a session: one way for every door and tool that brings files in.
#pragma once
#include "operations/Services.h"

namespace power::operations {

// Where a file goes: the session, its workspace and the name in it.
struct Destination {
    sessions::SessionKey key;
    std::shared_ptr<workspace::Workspace> space;
    QString name;
};

// The file as its session has it now. `stored` is without a value when it has no download link; `note` says why.
struct Arrival {
    workspace::FileFacts facts;
    std::optional<files::StoredFile> stored;
    QJsonObject info; // FileInfo (contract 9.4)
    QString note;
};

// Whether the caller may bring files in at all. Error: Forbidden (scope, read-only). For doors that take bytes before an
// operation is called.
Result<Done> mayBringFiles(const Caller &caller);
// Made on first use; the name becomes its last part, cleaned (contract 9.4). Errors: InvalidArgument (session id),
// Unavailable.
Result<Destination> destinationOf(Services *services, const Caller &caller, const QString &sessionId, const QString &name);

// A whole file that lies elsewhere on this machine and that nobody writes any more. A file of that name is replaced.
// Durable when it resolves; link made, session told. Errors: TooLarge (no room left in the session), Unavailable (disk),
// InvalidArgument (the name is a directory's).
QCoro::Task<Result<Arrival>> arriveFrom(Services *services, QString baseUrl, Destination destination,
                                        std::shared_ptr<workspace::Descriptor> file);
// The same for a writer that has all its bytes.
QCoro::Task<Result<Arrival>> arriveBy(Services *services, QString baseUrl, Destination destination,
                                      std::shared_ptr<workspace::Workspace::Writer> writer);
// The same for content in memory.
QCoro::Task<Result<Arrival>> arriveWith(Services *services, QString baseUrl, Destination destination, QByteArray content);

} // namespace power::operations
