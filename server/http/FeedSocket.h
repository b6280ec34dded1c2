// The socket Qt HttpServer is given. It has no descriptor: a guard hands it one whole, checked request at a time.
#pragma once
#include <QPointer>
#include <QTcpServer>
#include <QTcpSocket>

namespace power::http {

class ConnectionGuard;

// FeedSocket: what QHttpServer reads from, on every Qt version. The real socket stays with the guard, so QHttpServer
// can neither see unchecked bytes nor answer out of order, and answers never pass through it.
// QHttpServer owns it and deletes it after endOfFeed(). Thread: the event loop's.
class FeedSocket : public QTcpSocket
{
    Q_OBJECT
public:
    FeedSocket(ConnectionGuard *guard, const QHostAddress &peer, quint16 peerPort);

    // One whole request. QHttpServer parses it and calls its handler before this returns.
    void feed(const QByteArray &request);
    // The connection is over.
    void endOfFeed();

    qint64 bytesAvailable() const override;
    void disconnectFromHost() override; // QHttpServer's way of giving up
    void close() override;

protected:
    qint64 readData(char *data, qint64 maxSize) override;
    qint64 writeData(const char *data, qint64 size) override; // drops: answers do not go this way

private:
    QPointer<ConnectionGuard> m_guard;
    QByteArray m_bytes;
    qsizetype m_at = 0;
};

// FeedServer: the server QHttpServer is bound to. It listens on a duplicate of the real listening descriptor (Qt 6.8
// refuses others) but never accepts; connections come from offer().
class FeedServer : public QTcpServer
{
    Q_OBJECT
public:
    // False when the descriptor cannot be shared.
    bool shareDescriptor(qintptr listening);
    void offer(FeedSocket *socket);
    // QTcpServer starts to accept again whenever a connection is taken from it; this one must not, or a client would
    // reach QHttpServer past the guard.
    QTcpSocket *nextPendingConnection() override;

protected:
    void incomingConnection(qintptr descriptor) override; // closes: nothing enters here
};

} // namespace power::http
