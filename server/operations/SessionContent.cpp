#include "operations/SessionContent.h"
#include "base/Offload.h"
#include "operations/Looking.h"
#include "workspace/Glob.h"
#include <sys/stat.h>

namespace power::operations {

namespace {
constexpr int kMostZipped = 100'000;
constexpr int kMostWalked = 200'000; // what a workspace lists at most

Result<Done> mayReadFiles(const Caller &caller)
{
    const QString scope = QStringLiteral("files");
    if (caller.scopes.isEmpty() || caller.scopes.contains(scope))
        return Done{};
    return fail(ErrorCode::Forbidden, QStringLiteral("This key may not read files: it lacks the scope \"files\"."),
                QStringLiteral("Use a key with that scope."));
}

QCoro::Task<Result<std::shared_ptr<workspace::Workspace>>> readyWorkspace(Services *services, Caller caller, QString sessionId)
{
    const Result<Done> may = mayReadFiles(caller);
    if (!may)
        co_return Unexpected<Error>{may.error()};
    const auto key = sessionKey(caller, {{QStringLiteral("session_id"), sessionId}});
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    const Result<Done> ready = co_await services->sessions.prepare(named);
    if (!ready)
        co_return Unexpected<Error>{ready.error()};
    co_return services->sessions.existingWorkspace(named);
}
} // namespace

QCoro::Task<Result<SessionContent>> openSessionFile(Services *services, Caller caller, QString sessionId, QString path)
{
    QCoro::Task<Result<std::shared_ptr<workspace::Workspace>>> opening = readyWorkspace(services, std::move(caller), sessionId);
    const auto space = co_await opening;
    if (!space)
        co_return Unexpected<Error>{space.error()};
    const auto workspace = *space;
    std::function<Result<SessionContent>()> work = [workspace, path, sessionId]() -> Result<SessionContent> {
        const Result<QString> resolved = workspace->resolve(path);
        if (!resolved)
            return Unexpected<Error>{resolved.error()};
        SessionContent content;
        Result<workspace::Descriptor> file = workspace->openRead(*resolved, &content.facts);
        if (!file)
            return Unexpected<Error>{file.error()};
        struct stat facts = {};
        if (::fstat(file->get(), &facts) != 0)
            return fail(ErrorCode::Unavailable, QStringLiteral("The file cannot be read."));
        content.version = QByteArray::number(quint64(facts.st_ino), 36) + '-' + QByteArray::number(qint64(facts.st_size), 36) + '-' +
                          QByteArray::number(content.facts.modifiedNs, 36) + '-' +
                          QByteArray::number(qint64(facts.st_ctim.tv_sec) * 1'000'000'000 + facts.st_ctim.tv_nsec, 36);
        content.mime = files::mimeOf(*resolved, headOf(*workspace, *resolved));
        content.file = std::make_shared<workspace::Descriptor>(std::move(*file));
        content.sessionId = sessionId;
        return content;
    };
    Result<SessionContent> content = co_await offload<SessionContent>(std::move(work));
    co_return content;
}

QCoro::Task<Result<SessionListing>> matchingFiles(Services *services, Caller caller, QString sessionId, QString glob)
{
    const Result<workspace::Glob> pattern = workspace::Glob::parse(glob);
    if (!pattern)
        co_return Unexpected<Error>{pattern.error()};
    QCoro::Task<Result<std::shared_ptr<workspace::Workspace>>> opening = readyWorkspace(services, std::move(caller), sessionId);
    const auto space = co_await opening;
    if (!space)
        co_return Unexpected<Error>{space.error()};
    const auto workspace = *space;
    const workspace::Glob wanted = *pattern;
    std::function<Result<SessionListing>()> work = [workspace, wanted, glob, sessionId]() -> Result<SessionListing> {
        SessionListing listing{workspace, {}, sessionId};
        const auto all = workspace->list(kMostWalked);
        for (const workspace::FileFacts &file : all) {
            if (wanted.matches(file.path))
                listing.files << file;
        }
        if (all.size() >= kMostWalked)
            return fail(ErrorCode::TooLarge, QStringLiteral("Session '%1' has %2 files or more; that many are not looked through.").arg(sessionId).arg(kMostWalked),
                        QStringLiteral("Pack what is wanted in execute_code (zipfile, tarfile) and download that file."));
        if (listing.files.isEmpty())
            return fail(ErrorCode::NotFound, QStringLiteral("No file of session '%1' matches \"%2\".").arg(sessionId, glob.left(100)),
                        QStringLiteral("list_files shows what there is."));
        if (listing.files.size() > kMostZipped)
            return fail(ErrorCode::TooLarge, QStringLiteral("More than %1 files match.").arg(kMostZipped), QStringLiteral("Narrow the pattern (glob)."));
        return listing;
    };
    Result<SessionListing> listing = co_await offload<SessionListing>(std::move(work));
    co_return listing;
}

} // namespace power::operations
