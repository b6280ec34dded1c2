#include "TestServer.h"
#include <QProcess>
#include <QTimer>
#include <stdexcept>

using namespace power;
using namespace power::http;

namespace {
QCoro::Task<> takeUpload(ExchangePtr exchange, TestServer *test)
{
    qint64 total = 0;
    for (;;) {
        BodyReader &reader = exchange->bodyReader();
        const Result<QByteArray> piece = co_await reader.read();
        if (!piece) {
            test->uploadError = QLatin1String(errorWord(piece.error().code));
            exchange->reply(errorResponse(piece.error(), exchange->request()));
            co_return;
        }
        if (piece->isEmpty())
            break;
        total += piece->size();
        test->uploaded = total;
    }
    exchange->reply(Response::json(200, {{QStringLiteral("bytes"), total}}));
}
} // namespace

QByteArray get(const QByteArray &path, const QByteArray &fields)
{
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

QByteArray post(const QByteArray &path, const QByteArray &body, const QByteArray &fields)
{
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + QByteArray::number(body.size()) + "\r\n"
        + fields + "\r\n" + body;
}

TestServer::TestServer()
{
    routes.add("GET", QStringLiteral("/json"), [](ExchangePtr exchange) {
        exchange->reply(Response::json(200, {{QStringLiteral("ok"), true}}));
    });
    routes.add("POST", QStringLiteral("/echo"), [](ExchangePtr exchange) {
        exchange->reply(Response::bytes(200, "application/octet-stream", exchange->request().body));
    });
    RouteOptions small;
    small.maxBody = 100;
    routes.add("POST", QStringLiteral("/small"), [](ExchangePtr exchange) {
        exchange->reply(Response::bytes(200, "text/plain", exchange->request().body));
    }, small);
    routes.add("GET", QStringLiteral("/slow"), [](ExchangePtr exchange) {
        auto *timer = new QTimer;
        timer->setSingleShot(true);
        QObject::connect(timer, &QTimer::timeout, timer, [timer, exchange] {
            exchange->reply(Response::bytes(200, "text/plain", exchange->request().query.queryItemValue(QStringLiteral("tag")).toUtf8()));
            timer->deleteLater();
        });
        timer->start(50);
    });
    routes.add("GET", QStringLiteral("/hold"), [this](ExchangePtr exchange) {
        held.append(exchange);
        m_registrations.append(exchange->disconnected().onCancel([this] { ++cancelled; }));
    });
    routes.add("GET", QStringLiteral("/throw"), [](ExchangePtr) { throw std::runtime_error("on purpose"); });
    routes.add("GET", QStringLiteral("/forget"), [](ExchangePtr) {});
    routes.add("GET", QStringLiteral("/items/{id}"), [](ExchangePtr exchange) {
        exchange->reply(Response::bytes(200, "text/plain", exchange->request().parameters.value(QStringLiteral("id")).toUtf8()));
    });
    routes.add("GET", QStringLiteral("/files/{path*}"), [](ExchangePtr exchange) {
        exchange->reply(Response::bytes(200, "text/plain", exchange->request().parameters.value(QStringLiteral("path")).toUtf8()));
    });
    RouteOptions open;
    open.cors = true;
    open.anyOrigin = true;
    open.corsExpose = "Content-Disposition";
    routes.add("GET", QStringLiteral("/cors"), [](ExchangePtr exchange) {
        exchange->reply(Response::json(200, {}));
    }, open);
    RouteOptions upload;
    upload.streamBody = true;
    upload.maxBody = 64 * 1024 * 1024;
    routes.add("POST", QStringLiteral("/upload"), [this](ExchangePtr exchange) { takeUpload(exchange, this); }, upload);
}

Result<Done> TestServer::start()
{
    server = std::make_unique<HttpServer>(routes);
    return server->listen(config);
}

bool TestServer::makeCertificate()
{
    config.certificateFile = m_dir.filePath(QStringLiteral("cert.pem"));
    config.keyFile = m_dir.filePath(QStringLiteral("key.pem"));
    QProcess openssl;
    openssl.start(QStringLiteral("openssl"),
                  {QStringLiteral("req"), QStringLiteral("-x509"), QStringLiteral("-newkey"), QStringLiteral("ec"),
                   QStringLiteral("-pkeyopt"), QStringLiteral("ec_paramgen_curve:P-256"), QStringLiteral("-nodes"),
                   QStringLiteral("-days"), QStringLiteral("2"), QStringLiteral("-subj"), QStringLiteral("/CN=localhost"),
                   QStringLiteral("-keyout"), config.keyFile, QStringLiteral("-out"), config.certificateFile});
    return openssl.waitForFinished(20000) && openssl.exitCode() == 0;
}
