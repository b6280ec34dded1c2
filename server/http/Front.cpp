#include "http/Front.h"
#include "http/ConnectionGuard.h"
#include "http/QtHttpCompat.h"
#include <QScopedValueRollback>
#include <algorithm>

namespace power::http {

Front::~Front()
{
    closing = true;
    abortAll();
}

Result<Done> Front::open(const ListenConfig &listenConfig, qintptr listening)
{
    config = listenConfig;
    origins = OriginCheck(config);
    m_qt = std::make_unique<QHttpServer>();
    compat::handleAll(*m_qt, this, [this](const QHttpServerRequest &request) {
        if (m_current)
            m_current->fromQt(request);
    });
    compat::liftOwnLimits(*m_qt);
    auto feeds = std::make_unique<FeedServer>();
    if (!feeds->shareDescriptor(listening) || !compat::bindTo(*m_qt, feeds.get()))
        return fail(ErrorCode::Internal, QStringLiteral("Qt HttpServer could not be bound to the listening socket."));
    m_feeds = feeds.release();
    // Timeouts are kept by one timer for all connections; a quarter of the shortest one is exact enough.
    const Limits &limits = config.limits;
    const auto shortest = std::min({limits.headerTimeout, limits.idleTimeout, limits.bodyTimeout});
    connect(&m_sweeper, &QTimer::timeout, this, &Front::sweep);
    m_sweeper.setInterval(int(std::clamp<qint64>(shortest.count() / 4, 10, 250)));
    return Done{};
}

ConnectionGuard *Front::attach(QTcpSocket *socket)
{
    const int cap = config.limits.maxConnections;
    if (closing || m_guards.size() >= cap * 2 + 64) {
        socket->abort();
        socket->deleteLater();
        return nullptr;
    }
    const bool overCap = m_active >= cap;
    ++m_active;
    auto *guard = new ConnectionGuard(*this, socket, overCap);
    m_guards.insert(socket, guard);
    if (!m_sweeper.isActive())
        m_sweeper.start();
    return guard;
}

void Front::forget(QTcpSocket *socket)
{
    m_guards.remove(socket);
    if (m_guards.isEmpty())
        m_sweeper.stop();
}

void Front::uncount()
{
    if (--m_active == 0)
        Q_EMIT drained();
}

void Front::passThroughQt(ConnectionGuard *guard, FeedSocket *feed, const QByteArray &request)
{
    const QScopedValueRollback<ConnectionGuard *> current(m_current, guard);
    feed->feed(request);
}

void Front::beginClosing()
{
    closing = true;
    if (m_feeds)
        m_feeds->close(); // its duplicate would keep the port open
    const QList<ConnectionGuard *> guards = m_guards.values();
    for (ConnectionGuard *guard : guards)
        guard->closeIfIdle();
}

void Front::abortAll()
{
    const QList<ConnectionGuard *> guards = m_guards.values();
    for (ConnectionGuard *guard : guards)
        guard->abort();
}

void Front::sweep()
{
    const auto now = std::chrono::steady_clock::now();
    const QList<ConnectionGuard *> guards = m_guards.values();
    for (ConnectionGuard *guard : guards) {
        // A guard deletes itself only when the event loop turns, so the pointers stay good here.
        guard->tick(now);
    }
}

} // namespace power::http
