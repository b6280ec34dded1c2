// The MCP doors of the product with the fixture of the conformance suite behind them. Prints its URL, ends when its
// standard input closes.
#include "Fixture.h"
#include "base/Log.h"
#include "http/HttpServer.h"
#include "mcp/Endpoint.h"
#include <QCoreApplication>
#include <QSocketNotifier>
#include <cstdio>
#include <unistd.h>

using namespace power;

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    log::start(log::Level::Warning, log::Format::Text);
    operations::Registry registry;
    mcp::EndpointConfig config;
    config.facts = {QStringLiteral("Power Interpreter fixture"), QStringLiteral("1.0.0"), QStringLiteral("For the conformance suite.")};
    config.delays.withProgress = std::chrono::milliseconds(0); // the suite's calls are over before a person would wait
    conformance::addPlainTools(registry, config.features->changes);
    conformance::addAskingTools(registry);
    conformance::addTaskTools(registry);
    config.features->tasks = conformance::tasksInMemory();
    conformance::addOffers(*config.features);
    mcp::Endpoint endpoint(registry, doors::openAuthenticator({}), config);
    http::Dispatcher routes;
    endpoint.addRoutes(routes);
    http::HttpServer server(routes);
    if (const Result<Done> listening = server.listen({}); !listening) {
        std::fprintf(stderr, "%s\n", qPrintable(listening.error().text()));
        return 1;
    }
    std::printf("http://127.0.0.1:%u/mcp\n", unsigned(server.port()));
    std::fflush(stdout);
    QSocketNotifier input(STDIN_FILENO, QSocketNotifier::Read);
    QObject::connect(&input, &QSocketNotifier::activated, &application, [&] {
        char buffer[256];
        if (::read(STDIN_FILENO, buffer, sizeof buffer) <= 0)
            QCoreApplication::quit();
    });
    const int code = QCoreApplication::exec();
    endpoint.close();
    return code;
}
