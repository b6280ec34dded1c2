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
    options.corsExpose = "Content-Disposition, Content-Length, Content-Type, Content-Range, ETag, X-Session-Id";
    dispatcher.add("GET", QStringLiteral("/api/files/{session_id}/{path*}/content"), keyed(services, authenticate, serveContent), options);
    dispatcher.add("GET", QStringLiteral("/api/sessions/{session_id}/archive"), keyed(services, authenticate, serveArchive), options);
}

} // namespace power::downloads
