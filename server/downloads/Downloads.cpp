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
    open.corsExpose = "Content-Disposition, Content-Length, Content-Type, Content-Range, X-Session-Id";
    files::FileStore *store = &files;
    const http::Handler download = [store](http::ExchangePtr exchange) {
        serveDownload(std::move(exchange), store);
    };
    dispatcher.add("GET", QStringLiteral("/dl/{id}"), download, open);
    dispatcher.add("GET", QStringLiteral("/dl/{id}/{name*}"), download, open);
    if (!config.charts) return;
    const QByteArray version = config.version;
    dispatcher.add(
        "GET", QStringLiteral("/charts/{session}/{name*}"),
        [store, version](http::ExchangePtr exchange) { serveChart(std::move(exchange), store, version); },
        open);
}

} // namespace power::downloads
