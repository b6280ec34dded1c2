#include "downloads/Downloads.h"
#include "downloads/FileBody.h"
#include "downloads/FileHeaders.h"

namespace power::downloads
{

namespace
{

http::Response problem(const Error &error)
{
    return http::Response::json(httpStatus(error.code), {{QStringLiteral("error"), error.message},
                                                         {QStringLiteral("hint"), error.nextStep},
                                                         {QStringLiteral("detail"), error.text()}});
}

// `counting`: a GET of /dl. The file is answered whole, in part (206), or not at all (304, 416).
void answer(http::Exchange &exchange, files::OpenedFile opened, http::Headers headers,
            files::FileStore *counting)
{
    const http::Request &request = exchange.request();
    const qint64 size = opened.file.size;
    const QByteArray tag = '"' + opened.file.sha256 + '"';
    http::Response response;
    response.headers = std::move(headers);
    response.headers.add("ETag", tag);
    response.headers.add("Accept-Ranges", "bytes");
    exchange.note(QStringLiteral("file_id"), opened.file.id);
    if (matchesTag(request.headers.value("If-None-Match"), tag)) {
        http::Response unchanged = http::Response::empty(304);
        for (const http::Headers::Field &field : response.headers.fields()) {
            if (field.name != "Content-Type" && field.name != "Content-Disposition")
                unchanged.headers.add(field.name, field.value);
        }
        exchange.reply(std::move(unchanged));
        return;
    }
    const QByteArray condition = request.headers.value("If-Range");
    const ByteRange range = condition.isEmpty() || condition == tag
                                ? rangeOf(request.headers.value("Range"), size)
                                : ByteRange{ByteRange::Whole, 0, size};
    if (range.kind == ByteRange::Unsatisfiable) {
        http::Response refused = problem(
            fail(ErrorCode::InvalidArgument,
                 QStringLiteral("The file has %1 bytes; the range asked for lies behind its end.").arg(size),
                 QStringLiteral("Ask for a range within it."))
                .error);
        refused.status = 416;
        refused.headers.add("Content-Range", "bytes */" + QByteArray::number(size));
        exchange.reply(std::move(refused));
        return;
    }
    if (range.kind == ByteRange::Part) {
        response.status = 206;
        response.headers.add("Content-Range", "bytes " + QByteArray::number(range.first) + '-' +
                                                  QByteArray::number(range.first + range.length - 1) + '/' +
                                                  QByteArray::number(size));
    }
    if (counting && request.method == "GET" && range.first == 0) counting->countDownload(opened.file.id);
    exchange.stream(std::move(response), makeBody(std::move(opened), range.first, range.length));
}

QCoro::Task<> serveDownload(http::ExchangePtr exchange, files::FileStore *store)
{
    const QString id = exchange->request().parameters.value(QStringLiteral("id"));
    Result<files::OpenedFile> opened = co_await store->open(id);
    if (exchange->isAnswered()) co_return;
    if (!opened) {
        exchange->reply(problem(opened.error()));
        co_return;
    }
    http::Headers headers = fileHeaders(opened->file, Disposition::Attachment);
    headers.add("Cache-Control", "private, max-age=3600");
    answer(*exchange, std::move(*opened), std::move(headers), store);
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
    http::Headers headers = fileHeaders(opened->file, Disposition::Inline);
    headers.add("Cache-Control", "public, max-age=3600");
    headers.add("X-Power-Interpreter", version);
    answer(*exchange, std::move(*opened), std::move(headers), nullptr);
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
