#include "operations/Arrival.h"
#include "base/Offload.h"
#include "operations/FileFacts.h"
#include "operations/RunText.h"
#include "workspace/Names.h"
#include <sys/stat.h>

namespace power::operations {

namespace {
using Facts = workspace::FileFacts;
using Writer = std::shared_ptr<workspace::Workspace::Writer>;

// Beside the event loop. What the session has on disk and what comes must fit: above its limit no cell could run.
Result<Done> roomFor(const workspace::Workspace &space, qint64 size, qint64 most)
{
    const qint64 used = most > 0 ? space.bytesOnDisk() : 0;
    if (most <= 0 || used + size <= most)
        return Done{};
    return fail(ErrorCode::TooLarge,
                QStringLiteral("The session's files would have %1 with this one; a session may have %2 in all.")
                    .arg(humanSize(used + size), humanSize(most)),
                QStringLiteral("Delete files the session no longer needs (delete_file), use another session_id, or ask the "
                               "administrator to raise MAX_SESSION_DISK_MB."),
                {{QStringLiteral("cause"), QStringLiteral("disk_limit")}, {QStringLiteral("limit"), most}});
}

qint64 diskLimit(const Services &services)
{
    return services.sessions.config().kernel.diskBytes;
}

QCoro::Task<Result<Arrival>> arrive(Services *services, QString baseUrl, Destination destination, std::function<Result<Facts>()> work)
{
    const Result<Facts> written = co_await offload<Facts>(std::move(work));
    if (!written)
        co_return Unexpected<Error>{written.error()};
    services->sessions.tellFilesChanged(destination.key, {destination.name}, {});
    const QString principal = destination.key.principal;
    const QString id = destination.key.id;
    const QString name = destination.name;
    const auto space = destination.space;
    const Result<files::StoredFile> stored = co_await services->files.store(principal, id, space, name);
    Arrival arrival;
    arrival.facts = *written;
    if (stored)
        arrival.stored = *stored;
    else
        arrival.note = stored.error().text();
    arrival.info = fileInfo(*space, id, *written, stored ? &*stored : nullptr, baseUrl);
    co_return arrival;
}

// `size`: of what comes beside what is there. `fill` puts the content into the new file.
Result<Facts> writeNew(const Destination &destination, qint64 size, qint64 most,
                       const std::function<Result<Done>(workspace::Workspace::Writer &)> &fill)
{
    const Result<Done> room = roomFor(*destination.space, size, most);
    if (!room)
        return Unexpected<Error>{room.error()};
    auto writer = destination.space->create(destination.name);
    if (!writer)
        return Unexpected<Error>{writer.error()};
    const Result<Done> filled = fill(**writer);
    if (!filled)
        return Unexpected<Error>{filled.error()};
    return (*writer)->commit();
}
} // namespace

Result<Done> mayBringFiles(const Caller &caller)
{
    if (!caller.scopes.isEmpty() && !caller.scopes.contains(QStringLiteral("files")))
        return fail(ErrorCode::Forbidden, QStringLiteral("This key may not upload files: it lacks the scope \"files\"."),
                    QStringLiteral("Use a key with that scope."));
    if (caller.readOnly)
        return fail(ErrorCode::Forbidden, QStringLiteral("Files cannot be uploaded: this connection is read-only."));
    return Done{};
}

Result<Destination> destinationOf(Services *services, const Caller &caller, const QString &sessionId, const QString &name)
{
    const auto key = sessionKey(caller, {{QStringLiteral("session_id"), sessionId}});
    if (!key)
        return Unexpected<Error>{key.error()};
    auto space = services->sessions.workspace(*key);
    if (!space)
        return Unexpected<Error>{space.error()};
    return Destination{*key, *space, workspace::uploadName(name)};
}

QCoro::Task<Result<Arrival>> arriveFrom(Services *services, QString baseUrl, Destination destination,
                                        std::shared_ptr<workspace::Descriptor> file)
{
    std::function<Result<Facts>()> work = [destination, file, most = diskLimit(*services)] {
        struct stat facts = {};
        ::fstat(file->get(), &facts);
        return writeNew(destination, facts.st_size, most, [&file](auto &writer) { return writer.adopt(file->get()); });
    };
    return arrive(services, std::move(baseUrl), std::move(destination), std::move(work));
}

QCoro::Task<Result<Arrival>> arriveWith(Services *services, QString baseUrl, Destination destination, QByteArray content)
{
    std::function<Result<Facts>()> work = [destination, content, most = diskLimit(*services)] {
        return writeNew(destination, content.size(), most, [&content](auto &writer) { return writer.write(content); });
    };
    return arrive(services, std::move(baseUrl), std::move(destination), std::move(work));
}

QCoro::Task<Result<Arrival>> arriveBy(Services *services, QString baseUrl, Destination destination, Writer writer)
{
    std::function<Result<Facts>()> work = [destination, writer, most = diskLimit(*services)]() -> Result<Facts> {
        // Its bytes count already: they are in a file that is not seen yet.
        const Result<Done> room = roomFor(*destination.space, 0, most);
        if (!room)
            return Unexpected<Error>{room.error()};
        return writer->commit();
    };
    return arrive(services, std::move(baseUrl), std::move(destination), std::move(work));
}

} // namespace power::operations
