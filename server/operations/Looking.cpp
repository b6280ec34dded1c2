#include "operations/Looking.h"
#include "operations/RunText.h"
#include <unistd.h>

namespace power::operations {

namespace {
constexpr int kMostSpaces = 50;

QByteArray readFrom(int fd, qint64 size)
{
    QByteArray bytes(size, Qt::Uninitialized);
    qsizetype have = 0;
    while (have < bytes.size()) {
        const ssize_t got = ::pread(fd, bytes.data() + have, size_t(bytes.size() - have), have);
        if (got <= 0)
            break; // the end, or it became shorter meanwhile
        have += got;
    }
    bytes.truncate(have);
    return bytes;
}
} // namespace

QCoro::Task<Result<Spaces>> spacesOf(Services *services, Caller caller, QString sessionId)
{
    Spaces spaces;
    if (!sessionId.isEmpty()) {
        const auto space = services->sessions.existingWorkspace({caller.principal, caller.slug, sessionId});
        if (!space)
            co_return Unexpected<Error>{space.error()};
        spaces.append({sessionId, *space});
        co_return spaces;
    }
    const QString principal = caller.principal;
    auto sessions = co_await services->sessions.list(principal);
    if (!sessions)
        co_return Unexpected<Error>{sessions.error()};
    for (const sessions::SessionInfo &info : sessions->mid(0, kMostSpaces)) {
        const sessions::SessionKey key{caller.principal, caller.slug, info.key.id};
        const Result<Done> ready = co_await services->sessions.prepare(key);
        if (!ready)
            co_return Unexpected<Error>{ready.error()};
        if (const auto space = services->sessions.existingWorkspace({caller.principal, caller.slug, info.key.id}))
            spaces.append({info.key.id, *space});
    }
    co_return spaces;
}

QByteArray headOf(const workspace::Workspace &space, const QString &path, qint64 most)
{
    const auto opened = space.openRead(path);
    return opened ? readFrom(opened->get(), most) : QByteArray();
}

Result<QByteArray> wholeFile(const workspace::Workspace &space, const QString &path, qint64 most, workspace::FileFacts *facts)
{
    workspace::FileFacts found;
    const auto opened = space.openRead(path, &found);
    if (!opened)
        return Unexpected<Error>{opened.error()};
    if (facts)
        *facts = found;
    if (found.size > most)
        return fail(ErrorCode::TooLarge,
                    QStringLiteral("%1 has %2; at most %3 are read at once.").arg(shownName(path), humanSize(found.size), humanSize(most)),
                    QStringLiteral("Get a download link with list_files or fetch_file, or read parts in execute_code."));
    return readFrom(opened->get(), found.size);
}

bool isTextType(const QString &mime)
{
    return mime.startsWith(u"text/") || mime.endsWith(u"json") || mime.endsWith(u"xml") || mime.endsWith(u"yaml");
}

QString isoTime(qint64 nsSinceEpoch)
{
    return QDateTime::fromMSecsSinceEpoch(nsSinceEpoch / 1'000'000).toUTC().toString(Qt::ISODateWithMs);
}

} // namespace power::operations
