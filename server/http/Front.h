// What every connection of one server shares. Only for this folder.
#pragma once
#include "http/FeedSocket.h"
#include "http/HttpServer.h"
#include "http/OriginCheck.h"
#include <QHttpServer>
#include <QTimer>

namespace power::http {

// Front: the connections of one HttpServer, the one QHttpServer behind them, and the clock that ends slow ones.
// Thread: the event loop's.
class Front : public QObject
{
    Q_OBJECT
public:
    explicit Front(const Dispatcher &routes) : dispatcher(routes) {}
    ~Front() override;

    // `listening` is the descriptor new connections come from.
    Result<Done> open(const ListenConfig &listenConfig, qintptr listening);

    // A guard for a new socket; null when even a refusal would be too much (the socket is then closed).
    // Above the connection cap the guard only answers 503.
    ConnectionGuard *attach(QTcpSocket *socket);
    ConnectionGuard *guardOf(QTcpSocket *socket) const { return m_guards.value(socket); }
    void forget(QTcpSocket *socket);
    // A guard's exchange phase is over: it no longer counts as a connection.
    void uncount();

    // Hands one whole request to QHttpServer, which calls guard->fromQt() before this returns.
    void passThroughQt(ConnectionGuard *guard, FeedSocket *feed, const QByteArray &request);
    void offer(FeedSocket *feed) { m_feeds->offer(feed); }

    int active() const { return m_active; }
    // Stops sharing the listening socket and closes idle connections; running ones get `Connection: close`.
    void beginClosing();
    void abortAll();

    const Dispatcher &dispatcher;
    ListenConfig config;
    OriginCheck origins;
    bool closing = false;

Q_SIGNALS:
    void drained(); // active() fell to 0

private:
    void sweep();

    QHash<QTcpSocket *, ConnectionGuard *> m_guards;
    std::unique_ptr<QHttpServer> m_qt;
    FeedServer *m_feeds = nullptr; // owned by m_qt
    ConnectionGuard *m_current = nullptr;
    QTimer m_sweeper;
    int m_active = 0;
};

} // namespace power::http
