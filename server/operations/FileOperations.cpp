// upload_file, fetch_file, list_files, delete_file: the files of a session.
#include "base/Offload.h"
#include "operations/Arrival.h"
#include "operations/FileFacts.h"
#include "operations/RunText.h"
#include "operations/Services.h"
#include <QJsonArray>
#include <unistd.h>

namespace power::operations {

namespace {
constexpr qint64 kLargestImage = 3'500'000; // bytes sent as an image block
constexpr qint64 kLargestText = 20'000;     // bytes of a text file sent as text
constexpr int kMostListed = 200'000;         // files of a session that are counted
constexpr int kLargestBase64 = 30'000;      // bytes of a file sent as base64 (40,000 characters)

// The bytes of an upload: base64, or text as it is.
Result<QByteArray> contentOf(const QJsonObject &arguments)
{
    const QJsonValue encoded = arguments.value(QStringLiteral("content_base64"));
    const QJsonValue text = arguments.value(QStringLiteral("text"));
    if (encoded.isString() == text.isString())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("upload_file needs the content, once: content_base64 or text."),
                    QStringLiteral("Send bytes as standard base64 in content_base64, or a text file's content in text."));
    if (text.isString())
        return text.toString().toUtf8();
    const auto decoded = QByteArray::fromBase64Encoding(encoded.toString().toLatin1().simplified().replace(' ', ""),
                                                        QByteArray::Base64Encoding | QByteArray::AbortOnBase64DecodingErrors);
    if (!decoded)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("content_base64 is not valid base64."),
                    QStringLiteral("Encode the file's bytes with standard base64, or load it with fetch_from_url."));
    return decoded.decoded;
}

QCoro::Task<Result<Answer>> uploadFile(Services *services, Caller caller, QJsonObject arguments)
{
    const Result<QByteArray> content = contentOf(arguments);
    if (!content)
        co_return Unexpected<Error>{content.error()};
    if (content->size() > services->limits.maxUploadBytes)
        co_return fail(ErrorCode::TooLarge,
                       QStringLiteral("The file has %1; uploads are limited to %2 (MAX_UPLOAD_MB).")
                           .arg(humanSize(content->size()), humanSize(services->limits.maxUploadBytes)),
                       QStringLiteral("Split it, or load it with fetch_from_url."));
    const Result<Destination> to = destinationOf(services, caller, arguments.value(QStringLiteral("session_id")).toString(),
                                                 arguments.value(QStringLiteral("filename")).toString());
    if (!to)
        co_return Unexpected<Error>{to.error()};
    const QByteArray bytes = *content;
    const Destination destination = *to;
    const QString baseUrl = caller.baseUrl;
    const Result<Arrival> arrival = co_await arriveWith(services, baseUrl, destination, bytes);
    if (!arrival)
        co_return Unexpected<Error>{arrival.error()};
    Answer answer;
    answer.data = arrival->info;
    if (!arrival->note.isEmpty())
        answer.notes << arrival->note;
    co_return answer;
}

QCoro::Task<Result<Answer>> fetchFile(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    auto workspace = services->sessions.workspace(*key);
    if (!workspace)
        co_return Unexpected<Error>{workspace.error()};
    auto space = *workspace;
    const auto path = space->resolve(arguments.value(QStringLiteral("filename")).toString());
    if (!path)
        co_return Unexpected<Error>{path.error()};
    const QString relative = *path;
    workspace::FileFacts facts;
    auto opened = space->openRead(relative, &facts);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    facts.path = relative;
    auto stored = co_await services->files.store(key->principal, key->id, space, relative);
    const QJsonObject info = fileInfo(*space, key->id, facts, stored ? &*stored : nullptr, caller.baseUrl);
    const QString mime = info.value(QStringLiteral("mime_type")).toString();
    const QString headline = QStringLiteral("File: %1 (%2, %3)").arg(shownName(relative), humanSize(facts.size), mime);
    const QString link = stored ? QStringLiteral("\nDownload URL: ") + caller.baseUrl + stored->downloadPath()
                                : QStringLiteral("\nNo link: ") + stored.error().text();
    const bool base64 = arguments.value(QStringLiteral("encoding")).toString() == u"base64";
    const bool image = mime == u"image/png" || mime == u"image/jpeg" || mime == u"image/gif" || mime == u"image/webp";
    const bool text = mime.startsWith(u"text/") || mime.endsWith(u"json") || mime.endsWith(u"xml");
    const qint64 most = base64 ? kLargestBase64 : image ? kLargestImage : text ? kLargestText : 0;

    QByteArray content;
    if (most > 0 && (facts.size <= most || (text && !base64))) {
        content.resize(qMin(facts.size, most));
        const ssize_t got = ::pread(opened->get(), content.data(), size_t(content.size()), 0);
        content.truncate(got > 0 ? got : 0);
    }
    Answer answer = textAnswer(headline + link, info);
    if (base64) {
        if (facts.size > most)
            co_return fail(ErrorCode::TooLarge,
                           QStringLiteral("%1 has %2; base64 answers are limited to %3.").arg(relative, humanSize(facts.size), humanSize(most)),
                           stored ? QStringLiteral("Download it: ") + caller.baseUrl + stored->downloadPath() : QString());
        answer.blocks[0].text += QStringLiteral("\nbase64:\n") + QString::fromLatin1(content.toBase64());
        answer.data.insert(QStringLiteral("content_base64"), QString::fromLatin1(content.toBase64()));
    } else if (image && facts.size <= most) {
        Block picture;
        picture.kind = Block::Kind::Image;
        picture.data = content;
        picture.mime = mime.toLatin1();
        picture.text = relative;
        answer.blocks << picture;
    } else if (text) {
        answer.blocks[0].text += QStringLiteral("\n\n") + QString::fromUtf8(content);
        if (facts.size > most)
            answer.blocks[0].text += QStringLiteral("\n[first %1 of %2]").arg(humanSize(most), humanSize(facts.size));
    }
    co_return answer;
}

QCoro::Task<Result<Answer>> listFiles(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    auto workspace = services->sessions.workspace(*key);
    if (!workspace)
        co_return Unexpected<Error>{workspace.error()};
    auto space = *workspace;
    const int limit = arguments.value(QStringLiteral("limit")).toInt(100);
    const int offset = arguments.value(QStringLiteral("offset")).toInt(0);
    std::function<Result<QList<workspace::FileFacts>>()> walk = [space]() -> Result<QList<workspace::FileFacts>> {
        return space->list(kMostListed);
    };
    const Result<QList<workspace::FileFacts>> walked = co_await offload<QList<workspace::FileFacts>>(std::move(walk));
    const QList<workspace::FileFacts> &all = walked.value();
    const QString principal = key->principal;
    const QString id = key->id;
    auto known = co_await services->files.list(principal, id);
    QHash<QString, files::StoredFile> linked;
    if (known) {
        for (const auto &file : *known)
            linked.insert(file.name, file);
    }
    QJsonArray files;
    qint64 total = 0;
    for (const auto &facts : all)
        total += facts.size;
    for (const workspace::FileFacts &facts : all.mid(offset, limit)) {
        auto it = linked.constFind(facts.path);
        std::optional<files::StoredFile> stored;
        if (it != linked.cend() && it->size == facts.size) {
            stored = *it;
        } else {
            // Written outside of a run (a background thread) or changed since: hand it out now.
            const QString path = facts.path;
            auto fresh = co_await services->files.store(principal, id, space, path);
            if (fresh)
                stored = *fresh;
        }
        files.append(fileInfo(*space, id, facts, stored ? &*stored : nullptr, caller.baseUrl));
    }
    Answer answer;
    answer.data = {{QStringLiteral("files"), files},
                   {QStringLiteral("total_count"), all.size()},
                   {QStringLiteral("total_size_bytes"), total},
                   {QStringLiteral("total_size_human"), humanSize(total)}};
    QString text = QStringLiteral("%1 files, %2, in %3").arg(all.size()).arg(humanSize(total), space->insidePath());
    for (const auto value : std::as_const(files)) {
        const QJsonObject file = value.toObject();
        const QString url = file.value(QStringLiteral("download_url")).toString();
        text += QStringLiteral("\n%1 (%2) %3").arg(shownName(file.value(QStringLiteral("path")).toString().section(u'/', 1)),
                                                  file.value(QStringLiteral("size_human")).toString(),
                                                  url.isEmpty() ? QStringLiteral("no link: larger than the store takes") : url);
    }
    if (offset + files.size() < all.size())
        text += QStringLiteral("\nshowing %1-%2 of %3; call again with offset=%4")
                    .arg(offset + 1).arg(offset + files.size()).arg(all.size()).arg(offset + files.size());
    Block block;
    block.text = text;
    answer.blocks << block;
    co_return answer;
}

QCoro::Task<Result<Answer>> deleteFile(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    auto workspace = services->sessions.workspace(*key);
    if (!workspace)
        co_return Unexpected<Error>{workspace.error()};
    const auto path = (*workspace)->resolve(arguments.value(QStringLiteral("filename")).toString());
    if (!path)
        co_return Unexpected<Error>{path.error()};
    const QString relative = *path;
    const Result<Done> removed = (*workspace)->remove(relative);
    if (!removed)
        co_return Unexpected<Error>{removed.error()};
    services->sessions.tellFilesChanged(*key, {}, {relative});
    const Result<Done> forgotten = co_await services->files.forget(key->principal, key->id, relative);
    Answer answer;
    answer.data = {{QStringLiteral("deleted"), relative}, {QStringLiteral("session_id"), key->id}};
    if (!forgotten)
        answer.notes << QStringLiteral("Its download link may work for a while: ") + forgotten.error().message;
    co_return answer;
}

using FileMethod = QCoro::Task<Result<Answer>> (*)(Services *, Caller, QJsonObject);
Method boundFile(Services &services, FileMethod body)
{
    return [&services, body](Caller caller, QJsonObject arguments) {
        return body(&services, std::move(caller), std::move(arguments));
    };
}

Operation fileOperation(const char *name, const char *title, const char *description)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = QLatin1String(title);
    operation.description = QLatin1String(description);
    operation.scope = QStringLiteral("files");
    operation.toolset = QStringLiteral("files");
    return operation;
}

Parameter text(const char *name, const char *description, bool required)
{
    Parameter parameter;
    parameter.name = QLatin1String(name);
    parameter.description = QLatin1String(description);
    parameter.required = required;
    return parameter;
}

Parameter number(const char *name, const char *description, int fallback, int least, QJsonValue most)
{
    Parameter parameter = text(name, description, false);
    parameter.type = Parameter::Type::Integer;
    parameter.defaultValue = fallback;
    parameter.minimum = least;
    parameter.maximum = most;
    parameter.clamp = true;
    return parameter;
}
} // namespace

void addFileOperations(Registry &registry, Services &services)
{
    Operation upload = fileOperation("upload_file", "Upload a file",
                                     "Put a small file into a session, from text or base64. For large files use fetch_from_url.");
    upload.parameters = {text("filename", "Name in the session's directory.", true),
                         text("content_base64", "The file's bytes in base64; or", false), sessionParameter(),
                         text("text", "its text.", false)};
    upload.hints = {false, false, true, false};
    upload.method = boundFile(services, uploadFile);
    registry.add(upload);

    Operation fetch = fileOperation("fetch_file", "Get a file",
                                    "Get a file of a session: an image as a picture, small text as text, anything else as a "
                                    "download link. With url instead of filename it loads that URL into the session.");
    Parameter encoding = text("encoding", "base64 returns the bytes of a small file in the answer.", false);
    encoding.allowed = {QStringLiteral("auto"), QStringLiteral("base64")};
    encoding.defaultValue = QStringLiteral("auto");
    fetch.parameters = {text("filename", "Name as list_files or a result shows it.", false), sessionParameter(), encoding,
                        text("url", "Load this URL into the session instead (as fetch_from_url).", false)};
    fetch.hints = {false, false, true, true};
    fetch.method = [&services, &registry](Caller caller, QJsonObject arguments) -> QCoro::Task<Result<Answer>> {
        if (!arguments.value(QStringLiteral("url")).toString().isEmpty())
            return registry.find(QStringLiteral("fetch_from_url"))->method(std::move(caller), std::move(arguments));
        return fetchFile(&services, std::move(caller), std::move(arguments));
    };
    registry.add(fetch);

    Operation list = fileOperation("list_files", "List files", "Files of a session with size and download link, paged.");
    list.parameters = {sessionParameter(), number("limit", "Most files to show.", 100, 1, 1000),
                       number("offset", "Files to skip.", 0, 0, QJsonValue())};
    list.hints = {true, false, true, false};
    list.method = boundFile(services, listFiles);
    list.inside = {QStringLiteral("files"), QStringLiteral("files"),
                   QStringLiteral("a list of dicts: filename, path, sandbox_path, size_bytes, mime_type, download_url"),
                   QStringLiteral("The files of the session with their download links.")};
    registry.add(list);

    Operation remove = fileOperation("delete_file", "Delete a file", "Delete one file of a session and its download link.");
    remove.parameters = {text("filename", "Name as list_files shows it.", true), sessionParameter()};
    remove.hints = {false, true, true, false};
    remove.method = boundFile(services, deleteFile);
    registry.add(remove);
}

} // namespace power::operations
