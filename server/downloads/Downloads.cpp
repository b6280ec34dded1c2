#include "downloads/Downloads.h"
#include "downloads/Answer.h"

namespace power::downloads
{

namespace
{

Served servedFrom(files::OpenedFile opened, Disposition kind)
{
    Served served;
    served.headers = contentHeaders(opened.file.mime, opened.file.name, opened.file.sessionId, kind);
    served.size = opened.file.size;
    served.tag = '"' + opened.file.sha256 + '"';
    served.content.reader = opened.reader;
    if (opened.onDisk()) served.content.file = std::make_shared<workspace::Descriptor>(std::move(opened.descriptor));
    return served;
}

QCoro::Task<> serveDownload(http::ExchangePtr exchange, files::FileStore *store)
{
    const QString id = exchange->request().parameters.value(QStringLiteral("id"));
    const Result<Done> may = store->mayOpen(id, exchange->request().query);
    if (!may) {
        exchange->reply(problem(may.error()));
        co_return;
    }
    Result<files::OpenedFile> opened = co_await store->open(id);
    if (exchange->isAnswered()) co_return;
    if (!opened) {
        exchange->reply(problem(opened.error()));
        co_return;
    }
    exchange->note(QStringLiteral("file_id"), opened->file.id);
    Served served = servedFrom(std::move(*opened), Disposition::Attachment);
    served.headers.add("Cache-Control", "private, max-age=3600");
    answerContent(*exchange, std::move(served), [store, id] { store->countDownload(id); });
}

QCoro::Task<> serveChart(http::ExchangePtr exchange, files::FileStore *store, QByteArray version)
{
    const QString session = exchange->request().parameters.value(QStringLiteral("session"));
    const QString name = exchange->request().parameters.value(QStringLiteral("name"));
    Result<files::OpenedFile> opened = co_await store->openChart(session, name);
    if (exchange->isAnswered()) co_return;
    if (!opened) {
        Error error = opened.error();
        if (error.code == ErrorCode::NotFound)
            error = fail(ErrorCode::NotFound,
                         QStringLiteral("No file \"%1\" was handed out by session \"%2\".")
                             .arg(name.left(200), session.left(80)),
                         QStringLiteral("Only files named in a result are served here; run the cell again, "
                                        "or use the /dl link of the result."))
                        .error;
        exchange->reply(problem(error));
        co_return;
    }
    exchange->note(QStringLiteral("file_id"), opened->file.id);
    Served served = servedFrom(std::move(*opened), Disposition::Inline);
    served.headers.add("Cache-Control", "public, max-age=3600");
    served.headers.add("X-Power-Interpreter", version);
    answerContent(*exchange, std::move(served));
}

} // namespace

void addRoutes(http::Dispatcher &dispatcher, files::FileStore &files, const Config &config)
{
    http::RouteOptions open;
    open.cors = true;
    open.anyOrigin = true;
    open.corsExpose = "Content-Disposition, Content-Length, Content-Type, Content-Range, ETag, Accept-Ranges, X-Session-Id";
    open.about = {
        .group = "files",
        .summary = "A file that was handed out, by its unguessable id.",
        .text = "The links in answers. Open to everybody who has one; HEAD, If-None-Match, If-Range and several ranges are answered.",
        .fields = {{"id", "path", "The file's id, a uuid."},
                   {"e", "query", "Of signed links (LINK_TTL_HOURS): their end, in seconds since 1970."},
                   {"s", "query", "Of signed links: the signature."},
                   {"Range", "header", "Parts of it, for example bytes=0-1023."}},
        .replies = {{200, "The file, as an attachment.", "application/octet-stream"},
                    {206, "The parts asked for; several as multipart/byteranges.", "application/octet-stream"},
                    {304, "Unchanged since the given ETag."},
                    {400, "That is no id."},
                    {403, "The link's signature is missing or wrong."},
                    {404, "There is no such file."},
                    {410, "The file expired (SANDBOX_FILE_TTL_HOURS), or the link (LINK_TTL_HOURS)."},
                    {412, "It is not the version of If-Match."},
                    {416, "The range lies outside of the file."},
                    {503, "The database, which knows or keeps it, is away."}},
        .open = true,
    };
    files::FileStore *store = &files;
    const http::Handler download = [store](http::ExchangePtr exchange) {
        serveDownload(std::move(exchange), store);
    };
    dispatcher.add("GET", QStringLiteral("/dl/{id}"), download, open);
    dispatcher.add("GET", QStringLiteral("/dl/{id}/{name*}"), download, open);
    if (!config.charts) return;
    open.about.summary = "A file that a session handed out, by its name; for showing.";
    open.about.text = "The newest of that name. HTML and SVG arrive in a sandbox of the browser (Content-Security-Policy).";
    open.about.fields = {{"session", "path", "The session, as in the links of its answers."}, {"name", "path", "The file's name, with its slashes."}};
    open.about.replies = {{200, "The file, shown in place.", "application/octet-stream"},
                          {304, "Unchanged since the given ETag."},
                          {404, "The session handed out no file of that name."},
                          {410, "It expired."}};
    const QByteArray version = config.version;
    dispatcher.add(
        "GET", QStringLiteral("/charts/{session}/{name*}"),
        [store, version](http::ExchangePtr exchange) { serveChart(std::move(exchange), store, version); },
        open);
}

} // namespace power::downloads
