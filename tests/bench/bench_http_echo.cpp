// A bare route on the real HTTP front, to measure with a load generator:
//   bench_http_echo [port] [certificate key]
//   wrk -t1 -c64 -d10s http://127.0.0.1:<port>/json
// GET /json: a small JSON object. POST /echo: the body back. BENCH_LOG=1 writes the access log, as the server does.
#include "base/Log.h"
#include "http/HttpServer.h"
#include <QCoreApplication>
#include <cstdio>

using namespace power;
using namespace power::http;

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    log::start(qEnvironmentVariableIsSet("BENCH_LOG") ? log::Level::Info : log::Level::Warning, log::Format::Json);
    Dispatcher routes;
    routes.add("GET", QStringLiteral("/json"), [](ExchangePtr exchange) {
        exchange->reply(Response::json(200, {{QStringLiteral("ok"), true}}));
    });
    routes.add("POST", QStringLiteral("/echo"), [](ExchangePtr exchange) {
        exchange->reply(Response::bytes(200, "application/json", exchange->request().body));
    });
    ListenConfig config;
    const QStringList arguments = QCoreApplication::arguments();
    config.port = arguments.value(1).toUShort();
    config.certificateFile = arguments.value(2);
    config.keyFile = arguments.value(3);
    HttpServer server(routes);
    const Result<Done> listening = server.listen(config);
    if (!listening) {
        std::fprintf(stderr, "%s\n", qPrintable(listening.error().text()));
        return 1;
    }
    std::printf("http%s://127.0.0.1:%d\n", server.isSecure() ? "s" : "", server.port());
    std::fflush(stdout);
    return QCoreApplication::exec();
}
