#include "http/FeedSocket.h"
#include "http/ConnectionGuard.h"
#include <fcntl.h>
#include <unistd.h>

namespace power::http {

FeedSocket::FeedSocket(ConnectionGuard *guard, const QHostAddress &peer, quint16 peerPort) : m_guard(guard)
{
    setPeerAddress(peer);
    setPeerPort(peerPort);
    setSocketState(QAbstractSocket::ConnectedState);
    setOpenMode(QIODevice::ReadWrite);
}

void FeedSocket::feed(const QByteArray &request)
{
    m_bytes = request;
    m_at = 0;
    Q_EMIT readyRead();
}

void FeedSocket::endOfFeed()
{
    m_guard.clear();
    setSocketState(QAbstractSocket::UnconnectedState);
    Q_EMIT disconnected();
}

qint64 FeedSocket::bytesAvailable() const
{
    return QTcpSocket::bytesAvailable() + m_bytes.size() - m_at;
}

void FeedSocket::disconnectFromHost()
{
    if (m_guard)
        m_guard->qtGaveUp();
}

void FeedSocket::close()
{
    disconnectFromHost();
}

qint64 FeedSocket::readData(char *data, qint64 maxSize)
{
    const qint64 count = qMin(maxSize, m_bytes.size() - m_at);
    memcpy(data, m_bytes.constData() + m_at, size_t(count));
    m_at += count;
    if (m_at == m_bytes.size()) {
        m_bytes.clear();
        m_at = 0;
    }
    return count;
}

qint64 FeedSocket::writeData(const char *, qint64 size)
{
    return size;
}

QTcpSocket *FeedServer::nextPendingConnection()
{
    QTcpSocket *socket = QTcpServer::nextPendingConnection();
    pauseAccepting();
    return socket;
}

void FeedServer::incomingConnection(qintptr descriptor)
{
    ::close(int(descriptor));
}

void FeedServer::offer(FeedSocket *socket)
{
    socket->setParent(this);
    addPendingConnection(socket);
}

bool FeedServer::shareDescriptor(qintptr listening)
{
    const int copy = fcntl(int(listening), F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return false;
    if (!setSocketDescriptor(copy)) {
        ::close(copy);
        return false;
    }
    pauseAccepting();
    return true;
}

} // namespace power::http
