// find_files and read_file: looking at session files without handing them out, for resources and completion. No tools.
#include "base/Offload.h"
#include "operations/Looking.h"
#include "operations/RunText.h"
#include <QJsonArray>

namespace power::operations {

// One file that was found; the sessions' principal is the caller.
struct FoundFile {
    QString sessionId;
    workspace::FileFacts facts;
    QString mime;
};

namespace {
constexpr int kMostFilesLooked = 20'000;    // of one session
constexpr qint64 kLargestRead = 8ll << 20;  // bytes of a file read whole

QList<FoundFile> lookThrough(const Spaces &spaces, const QString &prefix, int limit)
{
    QList<FoundFile> found;
    for (const auto &[id, space] : spaces) {
        for (const workspace::FileFacts &facts : space->list(kMostFilesLooked)) {
            if (found.size() >= limit)
                return found;
            if (!facts.fromTmp && facts.path.startsWith(prefix, Qt::CaseInsensitive))
                found.append({id, facts, files::mimeOf(facts.path, headOf(*space, facts.path))});
        }
    }
    return found;
}

QCoro::Task<Result<Answer>> findFiles(Services *services, Caller caller, QJsonObject arguments)
{
    const QString id = arguments.value(QStringLiteral("session_id")).toString();
    QCoro::Task<Result<Spaces>> opening = spacesOf(services, std::move(caller), id);
    const Result<Spaces> opened = co_await opening;
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const Spaces spaces = *opened;
    const QString prefix = arguments.value(QStringLiteral("prefix")).toString();
    const int limit = arguments.value(QStringLiteral("limit")).toInt();
    std::function<Result<QList<FoundFile>>()> work = [spaces, prefix, limit]() -> Result<QList<FoundFile>> {
        return lookThrough(spaces, prefix, limit);
    };
    const Result<QList<FoundFile>> found = co_await offload<QList<FoundFile>>(std::move(work));
    QJsonArray list;
    for (const FoundFile &file : *found)
        list.append(QJsonObject{{QStringLiteral("session_id"), file.sessionId},
                                {QStringLiteral("path"), file.facts.path},
                                {QStringLiteral("size_bytes"), file.facts.size},
                                {QStringLiteral("modified"), isoTime(file.facts.modifiedNs)},
                                {QStringLiteral("mime_type"), file.mime}});
    Answer answer;
    answer.data = {{QStringLiteral("files"), list}, {QStringLiteral("count"), list.size()}};
    co_return answer;
}

QCoro::Task<Result<Answer>> readFile(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const auto existing = services->sessions.existingWorkspace(*key);
    if (!existing)
        co_return Unexpected<Error>{existing.error()};
    const std::shared_ptr<workspace::Workspace> space = *existing;
    const auto path = space->resolve(arguments.value(QStringLiteral("filename")).toString());
    if (!path)
        co_return Unexpected<Error>{path.error()};
    const QString relative = *path;
    auto facts = std::make_shared<workspace::FileFacts>();
    std::function<Result<QByteArray>()> work = [space, relative, facts] {
        return wholeFile(*space, relative, kLargestRead, facts.get());
    };
    const Result<QByteArray> content = co_await offload<QByteArray>(std::move(work));
    if (!content)
        co_return Unexpected<Error>{content.error()};
    const QString mime = files::mimeOf(relative, content->left(4096));
    Answer answer;
    Block block;
    block.kind = Block::Kind::Resource;
    block.data = *content;
    block.mime = mime.toLatin1();
    answer.blocks << block;
    answer.data = {{QStringLiteral("session_id"), key->id},
                   {QStringLiteral("path"), relative},
                   {QStringLiteral("size_bytes"), content->size()},
                   {QStringLiteral("modified"), isoTime(facts->modifiedNs)},
                   {QStringLiteral("mime_type"), mime}};
    co_return answer;
}

Parameter lookText(const char *name, const char *description, bool required)
{
    Parameter parameter;
    parameter.name = QLatin1String(name);
    parameter.description = QLatin1String(description);
    parameter.required = required;
    return parameter;
}
} // namespace

void addLookOperations(Registry &registry, Services &services)
{
    Operation find;
    find.name = QStringLiteral("find_files");
    find.title = QStringLiteral("Find files");
    find.description = QStringLiteral("Files of one session, or of all, the last used session first; without links.");
    Parameter session = sessionParameter();
    session.defaultValue = QJsonValue();
    Parameter limit = lookText("limit", "Most files to return.", false);
    limit.type = Parameter::Type::Integer;
    limit.defaultValue = 1000;
    limit.minimum = 1;
    limit.maximum = 5000;
    limit.clamp = true;
    find.parameters = {session, lookText("prefix", "Beginning of the path.", false), limit};
    find.hints = {true, false, true, false};
    find.scope = QStringLiteral("files");
    find.isTool = false;
    find.method = [&services](Caller caller, QJsonObject arguments) {
        return findFiles(&services, std::move(caller), std::move(arguments));
    };
    registry.add(find);

    Operation read;
    read.name = QStringLiteral("read_file");
    read.title = QStringLiteral("Read a file");
    read.description = QStringLiteral("The content of one file of a session, at most %1.").arg(humanSize(kLargestRead));
    read.parameters = {sessionParameter(), lookText("filename", "Name as list_files shows it.", true)};
    read.hints = {true, false, true, false};
    read.scope = QStringLiteral("files");
    read.isTool = false;
    read.method = [&services](Caller caller, QJsonObject arguments) {
        return readFile(&services, std::move(caller), std::move(arguments));
    };
    registry.add(read);
}

} // namespace power::operations
