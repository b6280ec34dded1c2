// power-interpreter: reads the settings, runs the application until SIGTERM or SIGINT (with --supervise: in a child).
#include "app/Application.h"
#include "app/Banner.h"
#include "app/FirstCell.h"
#include "app/Supervise.h"
#include "base/Log.h"
#include "supervisor/CpuPlace.h"
#include <QCoreApplication>
#include <QSocketNotifier>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

using namespace power;
using namespace std::chrono_literals;

namespace {
int signalPipe[2] = {-1, -1};

void onSignal(int number)
{
    const char byte = char(number);
    [[maybe_unused]] const ssize_t written = ::write(signalPipe[1], &byte, 1);
}

// SIGTERM and SIGINT arrive as readable bytes of the event loop, never in the middle of other code. Handlers, not a
// blocked mask: a mask would be inherited by every program we start.
void catchSignals()
{
    if (::pipe2(signalPipe, O_CLOEXEC | O_NONBLOCK) != 0)
        qFatal("pipe2 failed");
    struct sigaction action = {};
    action.sa_handler = onSignal;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGINT, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
}

// The two ends of a client on standard input and output, kept away from everything else: what this process or a program
// it starts writes to its standard output goes to stderr, and nobody else reads the client's messages.
struct ClientLines {
    int in = -1, out = -1;
};

ClientLines takeStandardLines()
{
    const ClientLines lines{::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)};
    if (const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC); nothing >= 0) {
        ::dup2(nothing, STDIN_FILENO);
        ::close(nothing);
    }
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    return lines;
}

// By a signal or because the client closed its end, whichever comes first.
QCoro::Task<> shutDown(app::Application *application)
{
    static bool begun = false;
    if (std::exchange(begun, true))
        co_return;
    const std::chrono::milliseconds grace = 10s;
    co_await application->stop(grace);
    QCoreApplication::exit(0);
}

QCoro::Task<> serve(app::Application *application, ClientLines lines)
{
    const Result<Done> started = co_await application->start();
    if (!started) {
        std::fprintf(stderr, "power-interpreter: %s\n", qPrintable(started.error().text()));
        QCoreApplication::exit(1);
        co_return;
    }
    if (lines.in >= 0)
        application->serveLines(lines.in, lines.out, [application] { shutDown(application); });
    const Result<Done> warm = co_await application->warmUp();
    if (!warm) {
        // The server stays up and says so on /health; only a machine that cannot run code at all ends here.
        std::fprintf(stderr, "power-interpreter: %s\n", qPrintable(warm.error().text()));
        log::error("warm_up_failed", {{QStringLiteral("reason"), warm.error().text()}});
    }
    const QUrl url = application->url();
    const QByteArray key = application->settings().mcpAuth == u"api-key" ? application->settings().apiKey.toUtf8() : QByteArray();
    const std::chrono::milliseconds patience = 120s;
    const Result<app::FirstCell> cell = co_await app::runFirstCell(url, key, patience);
    if (cell)
        app::tellServing();
    const QByteArray banner = app::bannerText(*application, cell).toUtf8();
    std::fwrite(banner.constData(), 1, size_t(banner.size()), stdout);
    std::fflush(stdout);
}
} // namespace

int main(int argc, char **argv)
{
    qputenv("QT_NO_GLIB", "1"); // the plain dispatcher is faster and nothing here needs GLib
    QStringList args;
    for (int i = 1; i < argc; ++i)
        args += QString::fromLocal8Bit(argv[i]);
    if (!args.isEmpty() && args.first() == u"serve")
        args.removeFirst();
    auto settings = config::Settings::load(args, QProcessEnvironment::systemEnvironment());
    if (!settings) {
        std::fprintf(stderr, "%s\n", qPrintable(settings.error().text()));
        return 2;
    }
    if (settings->helpAsked || settings->versionAsked) {
        const QString text = settings->helpAsked ? config::Settings::helpText() : QStringLiteral(POWER_VERSION "\n");
        std::fputs(qPrintable(text), stdout);
        return 0;
    }
    if (settings->supervise) {
        if (const std::optional<int> code = app::supervise())
            return *code;
    }
    catchSignals();
    QCoreApplication qt(argc, argv);
    QCoreApplication::setApplicationName(QStringLiteral("power-interpreter"));
    QCoreApplication::setApplicationVersion(QStringLiteral(POWER_VERSION));
    const ClientLines lines = settings->stdio ? takeStandardLines() : ClientLines();
    // Secrets of this process must not be readable through /proc by anything that escapes.
    ::prctl(PR_SET_DUMPABLE, 0);
    log::start(log::levelFromText(settings->logLevel),
               settings->logFormat == u"json" ? log::Format::Json : log::Format::Text);

    supervisor::takeShortTurns();

    app::Application application(std::move(*settings));
    QSocketNotifier notifier(signalPipe[0], QSocketNotifier::Read);
    bool stopping = false;
    QObject::connect(&notifier, &QSocketNotifier::activated, &application, [&] {
        char number = 0;
        if (::read(signalPipe[0], &number, 1) != 1)
            return;
        if (std::exchange(stopping, true))
            ::_exit(130); // a second signal: the person does not want to wait
        log::info("stopping", {{QStringLiteral("signal"), int(number)}});
        shutDown(&application);
    });
    QMetaObject::invokeMethod(&application, [&application, lines] { serve(&application, lines); }, Qt::QueuedConnection);
    return QCoreApplication::exec();
}
