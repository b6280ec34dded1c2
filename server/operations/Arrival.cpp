#include "operations/Arrival.h"
#include "base/DiskUse.h"
#include "base/Offload.h"
#include "operations/FileFacts.h"
#include "operations/RunText.h"
#include "workspace/Names.h"
#include <fcntl.h>
#include <sys/stat.h>

namespace power::operations {

namespace {
using Facts = workspace::FileFacts;
using Writer = std::shared_ptr<workspace::Workspace::Writer>;

// What was written, and the very file: somebody else may write the same name the next moment.
struct Written {
    Facts facts;
    std::shared_ptr<workspace::Descriptor> content;
};

Result<Written> committed(workspace::Workspace::Writer &writer)
{
    const Result<Facts> facts = writer.commit();
    if (!facts)
        return Unexpected<Error>{facts.error()};
    return Written{*facts, std::make_shared<workspace::Descriptor>(::fcntl(writer.descriptor(), F_DUPFD_CLOEXEC, 3))};
}

// Where the database keeps the files of sessions, what is not there is not acknowledged. Having no link is no failure.
bool isLost(const Services &services, const Error &error)
{
    const QString cause = error.details.value(QStringLiteral("cause")).toString();
    return services.files.keepsSessions() && (error.code != ErrorCode::TooLarge || cause == u"store_full");
}

// Beside the event loop. What the session has on disk and what comes must fit: above its limit no cell could run.
Result<Done> roomFor(const workspace::Workspace &space, qint64 size, qint64 most)
{
    const qint64 used = most > 0 ? space.bytesOnDisk() : 0;
    if (used < 0)
        return fail(ErrorCode::TooLarge,
                    QStringLiteral("The session's directories cannot be counted: they have more than %1 levels, more than %2 entries, or one that cannot be read.")
                        .arg(DiskUse::kMostLevels).arg(DiskUse::kMostEntries),
                    QStringLiteral("Remove directories the session no longer needs, or use another session_id."),
                    {{QStringLiteral("cause"), QStringLiteral("disk_limit")}, {QStringLiteral("limit"), most}});
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

QCoro::Task<Result<Arrival>> arrive(Services *services, QString baseUrl, Destination destination, std::function<Result<Written>()> work)
{
    const sessions::SessionKey key = destination.key;
    const Result<Done> ready = co_await services->sessions.prepare(key);
    if (!ready)
        co_return Unexpected<Error>{ready.error()};
    const Result<Written> written = co_await offload<Written>(std::move(work));
    if (!written)
        co_return Unexpected<Error>{written.error()};
    services->sessions.tellFilesChanged(destination.key, {destination.name}, {});
    const QString principal = destination.key.principal;
    const QString id = destination.key.id;
    const QString name = destination.name;
    const auto space = destination.space;
    const auto content = written->content;
    const Result<files::StoredFile> stored = co_await services->files.storeFrom(principal, id, space, name, content);
    if (!stored && isLost(*services, stored.error()))
        co_return fail(stored.error().code, QStringLiteral("%1 is in the session's directory, but not stored durably: %2").arg(name, stored.error().message),
                       QStringLiteral("Send it again when that is mended. ") + stored.error().nextStep, stored.error().details);
    Arrival arrival;
    arrival.facts = written->facts;
    if (stored)
        arrival.stored = *stored;
    else
        arrival.note = stored.error().text();
    arrival.info = fileInfo(*space, id, written->facts, stored ? &*stored : nullptr, baseUrl);
    co_return arrival;
}

// `size`: of what comes beside what is there. `fill` puts the content into the new file.
Result<Written> writeNew(const Destination &destination, qint64 size, qint64 most,
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
    return committed(**writer);
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
    std::function<Result<Written>()> work = [destination, file, most = diskLimit(*services)] {
        struct stat facts = {};
        ::fstat(file->get(), &facts);
        return writeNew(destination, facts.st_size, most, [&file](auto &writer) { return writer.adopt(file->get()); });
    };
    return arrive(services, std::move(baseUrl), std::move(destination), std::move(work));
}

QCoro::Task<Result<Arrival>> arriveWith(Services *services, QString baseUrl, Destination destination, QByteArray content)
{
    std::function<Result<Written>()> work = [destination, content, most = diskLimit(*services)] {
        return writeNew(destination, content.size(), most, [&content](auto &writer) { return writer.write(content); });
    };
    return arrive(services, std::move(baseUrl), std::move(destination), std::move(work));
}

QCoro::Task<Result<Arrival>> arriveBy(Services *services, QString baseUrl, Destination destination, Writer writer)
{
    std::function<Result<Written>()> work = [destination, writer, most = diskLimit(*services)]() -> Result<Written> {
        // Its bytes count already: they are in a file that is not seen yet.
        const Result<Done> room = roomFor(*destination.space, 0, most);
        if (!room)
            return Unexpected<Error>{room.error()};
        return committed(*writer);
    };
    return arrive(services, std::move(baseUrl), std::move(destination), std::move(work));
}

} // namespace power::operations
