// upload_file and delete_file; the order of the file tools.
#include "base/Durable.h"
#include "operations/Arrival.h"
#include "operations/Content.h"
#include "operations/FilePlace.h"
#include "operations/FileTools.h"
#include "operations/RunText.h"
#include "operations/Services.h"

namespace power::operations {

namespace {
QCoro::Task<Result<Answer>> uploadFile(Services *services, Caller caller, QJsonObject arguments)
{
    const Result<QByteArray> content = contentOf(arguments, QStringLiteral("upload_file"));
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

QCoro::Task<Result<Answer>> deleteFile(Services *services, Caller caller, QJsonObject arguments)
{
    const QString session = arguments.value(QStringLiteral("session_id")).toString();
    const QString given = arguments.value(QStringLiteral("filename")).toString();
    const Result<FilePlace> place = co_await placeOf(services, std::move(caller), session, given);
    if (!place)
        co_return Unexpected<Error>{place.error()};
    const sessions::SessionKey key = place->key;
    const QString relative = place->path;
    const Result<Done> removed = place->space->remove(relative);
    // It is gone also when only the disk did not confirm that.
    if (!removed && removed.error().details.value(QStringLiteral("cause")) != QLatin1String(notDurable))
        co_return Unexpected<Error>{removed.error()};
    services->sessions.tellFilesChanged(key, {}, {relative});
    const Result<Done> forgotten = co_await services->files.forget(key.principal, key.id, relative);
    if (!removed)
        co_return Unexpected<Error>{removed.error()};
    Answer answer;
    answer.data = {{QStringLiteral("deleted"), relative}, {QStringLiteral("session_id"), key.id}};
    if (!forgotten)
        answer.notes << QStringLiteral("Its download link may work for a while: ") + forgotten.error().message;
    co_return answer;
}

} // namespace

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

Parameter textParameter(const char *name, const char *description, bool required)
{
    Parameter parameter;
    parameter.name = QLatin1String(name);
    parameter.description = QLatin1String(description);
    parameter.required = required;
    return parameter;
}

Parameter numberParameter(const char *name, const char *description, int fallback, int least, QJsonValue most)
{
    Parameter parameter = textParameter(name, description);
    parameter.type = Parameter::Type::Integer;
    parameter.defaultValue = fallback;
    parameter.minimum = least;
    parameter.maximum = most;
    parameter.clamp = true;
    return parameter;
}

void addFileOperations(Registry &registry, Services &services)
{
    Operation upload = fileOperation("upload_file", "Upload a file",
                                     "Put a small file into a session, from text or base64. For large files use fetch_from_url.");
    upload.parameters = {textParameter("filename", "Name in the session's directory.", true),
                         textParameter("content_base64", "The file's bytes in base64; or"), sessionParameter(),
                         textParameter("text", "its text.")};
    upload.choices = {{{QStringLiteral("text"), QStringLiteral("content_base64")}}};
    upload.hints = {false, false, true, false};
    upload.method = boundFile(services, uploadFile);
    registry.add(upload);

    registry.add(fetchFileOperation(services, registry));
    registry.add(listFilesOperation(services));

    Operation remove = fileOperation("delete_file", "Delete a file", "Delete one file of a session and its download link.");
    remove.parameters = {textParameter("filename", "Name or link as list_files shows it.", true), sessionParameter()};
    remove.hints = {false, true, true, false};
    remove.method = boundFile(services, deleteFile);
    registry.add(remove);
    registry.add(viewFileOperation(services));
}

} // namespace power::operations
