#include "downloads/SessionRoutes.h"
#include "downloads/Answer.h"
#include "downloads/ZipBody.h"
#include "operations/SessionContent.h"

namespace power::downloads
{

namespace
{
using operations::Caller;
using operations::Services;

bool isOn(const QString &value)
{
    return !value.isEmpty() && value != u"0" && value != u"false";
}

QCoro::Task<> serveContent(Services *services, http::ExchangePtr exchange, Caller caller)
{
    const QString session = exchange->request().parameters.value(QStringLiteral("session_id"));
    const QString path = exchange->request().parameters.value(QStringLiteral("path"));
    const bool download = isOn(exchange->request().query.queryItemValue(QStringLiteral("download")));
    QCoro::Task<Result<operations::SessionContent>> opening = operations::openSessionFile(services, std::move(caller), session, path);
    auto opened = co_await opening;
    if (exchange->isAnswered()) co_return;
    if (!opened) {
        exchange->reply(http::errorResponse(opened.error(), exchange->request()));
        co_return;
    }
    Served served;
    served.headers = contentHeaders(opened->mime, opened->facts.path, opened->sessionId,
                                    download ? Disposition::Attachment : Disposition::Inline);
    served.headers.add("Cache-Control", "private, no-cache");
    served.size = opened->facts.size;
    served.tag = '"' + opened->version + '"';
    served.content.file = opened->file;
    answerContent(*exchange, std::move(served));
}

QCoro::Task<> serveArchive(Services *services, http::ExchangePtr exchange, Caller caller)
{
    const QString session = exchange->request().parameters.value(QStringLiteral("session_id"));
    const QString glob = exchange->request().query.queryItemValue(QStringLiteral("glob"), QUrl::FullyDecoded);
    QCoro::Task<Result<operations::SessionListing>> listing = operations::matchingFiles(services, std::move(caller), session, glob);
    const auto found = co_await listing;
    if (exchange->isAnswered()) co_return;
    if (!found) {
        exchange->reply(http::errorResponse(found.error(), exchange->request()));
        co_return;
    }
    http::Response response;
    response.headers.add("Content-Type", "application/zip");
    response.headers.add("Content-Disposition", contentDisposition(Disposition::Attachment, found->sessionId + QStringLiteral(".zip")));
    response.headers.add("Cache-Control", "private, no-store");
    exchange->note(QStringLiteral("files"), qint64(found->files.size()));
    exchange->stream(std::move(response), zipBody(found->workspace, found->files, found->sessionId));
}

using Serve = QCoro::Task<> (*)(Services *, http::ExchangePtr, Caller);
http::Handler keyed(Services &services, doors::Authenticator authenticate, Serve serve)
{
    return [&services, authenticate = std::move(authenticate), serve](http::ExchangePtr exchange) {
        Result<Caller> caller = authenticate(exchange->request());
        if (!caller) return exchange->reply(http::errorResponse(caller.error(), exchange->request()));
        caller->door = QStringLiteral("rest");
        serve(&services, std::move(exchange), std::move(*caller));
    };
}
} // namespace

void addSessionRoutes(http::Dispatcher &dispatcher, Services &services, doors::Authenticator authenticate)
{
    http::RouteOptions options;
    options.cors = true;
    options.corsExpose = "Content-Disposition, Content-Length, Content-Type, Content-Range, ETag, Accept-Ranges, X-Session-Id";
    options.about = {
        .group = "files",
        .summary = "Any file of a session as it is, of any size, with ranges.",
        .text = "What list_files shows can be read here, whatever its size; slashes of the path stay slashes. HEAD, If-None-Match, If-Range and "
                "several ranges are answered.",
        .fields = {{"session_id", "path", "The session."},
                   {"path", "path", "The file's path in the session, with its slashes."},
                   {"download", "query", "1: named as an attachment, so that browsers save it."},
                   {"Range", "header", "Parts of it, for example bytes=0-1023."}},
        .replies = {{200, "The file.", "application/octet-stream"},
                    {206, "The parts asked for; several as multipart/byteranges.", "application/octet-stream"},
                    {304, "Unchanged since the given ETag."},
                    {403, "The API key is missing or wrong."},
                    {404, "There is no such session or file."},
                    {412, "It is not the version of If-Match."},
                    {416, "The range lies outside of the file."}},
    };
    dispatcher.add("GET", QStringLiteral("/api/files/{session_id}/{path*}/content"), keyed(services, authenticate, serveContent), options);
    options.about = {
        .group = "files",
        .summary = "The session's files as a ZIP, made while it is sent.",
        .text = "Its length is not known before; an archive that was cut off does not open.",
        .fields = {{"session_id", "path", "The session."},
                   {"glob", "query", "Only what matches, for example **/*.csv. Default: every file that is not hidden."}},
        .replies = {{200, "The archive.", "application/zip"},
                    {400, "The pattern cannot be read."},
                    {403, "The API key is missing or wrong."},
                    {404, "There is no such session, or nothing matches."}},
    };
    dispatcher.add("GET", QStringLiteral("/api/sessions/{session_id}/archive"), keyed(services, authenticate, serveArchive), options);
}

} // namespace power::downloads
