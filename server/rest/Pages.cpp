#include "rest/Pages.h"
#include <QFile>

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
} // namespace

void addPages(http::Dispatcher &dispatcher, const QString &version, HealthProvider health, QByteArray openApi)
{
    const QJsonObject card{
        {QStringLiteral("service"), QStringLiteral("Power Interpreter MCP")},
        {QStringLiteral("version"), version},
        {QStringLiteral("description"), QStringLiteral("A stateful, sandboxed Python workplace for AI agents")},
        {QStringLiteral("docs"), QStringLiteral("/docs")},
        {QStringLiteral("health"), QStringLiteral("/health")},
        {QStringLiteral("mcp"), QStringLiteral("/mcp")},
    };
    http::RouteOptions open;
    open.maxBody = 0;
    open.cors = true;
    dispatcher.add("GET", QStringLiteral("/"), [card](http::ExchangePtr exchange) {
        exchange->reply(http::Response::json(200, card));
    }, open);
    dispatcher.add("GET", QStringLiteral("/health"), [health = std::move(health)](http::ExchangePtr exchange) {
        http::Response response = http::Response::json(200, health());
        response.headers.set("Cache-Control", "no-store");
        exchange->reply(std::move(response));
    }, open);
    dispatcher.add("GET", QStringLiteral("/openapi.json"), [openApi](http::ExchangePtr exchange) {
        exchange->reply(http::Response::bytes(200, "application/json", openApi));
    }, open);
    for (const char *path : {"/docs", "/redoc"}) {
        dispatcher.add("GET", QLatin1String(path), [page = pageText()](http::ExchangePtr exchange) {
            http::Response response = http::Response::bytes(200, "text/html; charset=utf-8", page);
            response.headers.set("Content-Security-Policy",
                                 "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'");
            exchange->reply(std::move(response));
        }, open);
    }
}

} // namespace power::rest
