#include "http/HttpServer.h"
#include "base/OneShot.h"
#include "http/ConnectionGuard.h"
#include "http/Front.h"
#include "http/Listeners.h"

namespace power::http {

class HttpServer::Private
{
public:
    explicit Private(const Dispatcher &dispatcher) : front(dispatcher) {}
    Front front;
    std::unique_ptr<QTcpServer> listener; // after front: its sockets report their end to it
    bool secure = false;
    quint16 port = 0;
};

HttpServer::HttpServer(const Dispatcher &dispatcher, QObject *parent)
    : QObject(parent), d(std::make_unique<Private>(dispatcher))
{
}

HttpServer::~HttpServer() = default;

Result<Done> HttpServer::listen(const ListenConfig &config)
{
    d->secure = !config.certificateFile.isEmpty();
    if (d->secure != !config.keyFile.isEmpty())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("TLS needs a certificate file and a key file; one is missing."),
                    QStringLiteral("Set both or neither."));
    if (d->secure) {
        auto tls = std::make_unique<TlsListener>(d->front);
        Result<Done> loaded = tls->loadCertificate(config.certificateFile, config.keyFile);
        if (!loaded)
            return loaded;
        d->listener = std::move(tls);
    } else {
        d->listener = std::make_unique<PlainListener>(d->front);
    }
    d->listener->setListenBacklogSize(1024);
    // QSslServer counts unfinished handshakes as pending: with the default of 30, silent clients would block it.
    d->listener->setMaxPendingConnections(4096);
    if (!d->listener->listen(config.address, config.port))
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("Cannot listen on %1 port %2: %3.")
                        .arg(config.address.toString()).arg(config.port).arg(d->listener->errorString()),
                    QStringLiteral("Stop what uses that port, or choose another one."));
    d->port = d->listener->serverPort();
    return d->front.open(config, d->listener->socketDescriptor());
}

quint16 HttpServer::port() const
{
    return d->port;
}

bool HttpServer::isSecure() const
{
    return d->secure;
}

int HttpServer::connectionCount() const
{
    return d->front.active();
}

QCoro::Task<> HttpServer::shutdown(std::chrono::milliseconds grace)
{
    const QPointer<HttpServer> self(this);
    if (d->listener)
        d->listener->close();
    d->front.beginClosing();
    if (d->front.active() > 0 && grace.count() > 0) {
        const OneShot<Done> drained;
        const QMetaObject::Connection signal =
            connect(&d->front, &Front::drained, &d->front, [drained] { drained.resolve(Done{}); }, Qt::QueuedConnection);
        const Result<Done> ended = co_await drained.wait(grace);
        disconnect(signal);
        Q_UNUSED(ended)
    }
    if (self)
        d->front.abortAll();
}

} // namespace power::http
