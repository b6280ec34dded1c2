#include "rest/Pages.h"
#include <QFile>
#include <QJsonDocument>

// Outside every namespace: the generated function is global.
static void initDocsResource()
{
    Q_INIT_RESOURCE(docs);
}

namespace power::rest {

namespace {
QByteArray pageText()
{
    initDocsResource();
    QFile file(QStringLiteral(":/docs/api.html"));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

http::RouteOptions openRoute(const char *summary, const char *type)
{
    http::RouteOptions options;
    options.maxBody = 0;
    options.cors = true;
    options.about = {.group = "server", .summary = summary, .replies = {{200, "It.", type}}, .open = true};
    return options;
}
} // namespace

void addPages(http::Dispatcher &dispatcher, const QString &version, HealthProvider health, std::function<QJsonObject()> openApi)
{
    const QJsonObject card{
        {QStringLiteral("service"), QStringLiteral("Power Interpreter MCP")},
        {QStringLiteral("version"), version},
        {QStringLiteral("description"), QStringLiteral("A stateful, sandboxed Python workplace for AI agents")},
        {QStringLiteral("docs"), QStringLiteral("/docs")},
        {QStringLiteral("health"), QStringLiteral("/health")},
        {QStringLiteral("mcp"), QStringLiteral("/mcp")},
    };
    dispatcher.add("GET", QStringLiteral("/"), [card](http::ExchangePtr exchange) {
        exchange->reply(http::Response::json(200, card));
    }, openRoute("What this server is, and where its doors are.", "application/json"));
    dispatcher.add("GET", QStringLiteral("/health"), [health = std::move(health)](http::ExchangePtr exchange) {
        http::Response response = http::Response::json(200, health());
        response.headers.set("Cache-Control", "no-store");
        exchange->reply(std::move(response));
    }, openRoute("State of server, database, sandbox, kernels, jobs and storage.", "application/json"));
    const auto text = std::make_shared<QByteArray>();
    dispatcher.add("GET", QStringLiteral("/openapi.json"), [openApi = std::move(openApi), text](http::ExchangePtr exchange) {
        if (text->isEmpty())
            *text = QJsonDocument(openApi()).toJson(QJsonDocument::Compact);
        exchange->reply(http::Response::bytes(200, "application/json", *text));
    }, openRoute("This description.", "application/json"));
    for (const char *path : {"/docs", "/redoc"}) {
        dispatcher.add("GET", QLatin1String(path), [page = pageText()](http::ExchangePtr exchange) {
            http::Response response = http::Response::bytes(200, "text/html; charset=utf-8", page);
            response.headers.set("Content-Security-Policy",
                                 "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'");
            exchange->reply(std::move(response));
        }, openRoute("The description as a page for people.", "text/html"));
    }
}

} // namespace power::rest
