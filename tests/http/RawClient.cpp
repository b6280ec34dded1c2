#include "RawClient.h"
#include <QEventLoop>
#include <QSslConfiguration>
#include <QTest>
#include <QTimer>
#include <sys/socket.h>

RawClient::RawClient(quint16 port, bool secure, const QByteArrayList &alpn) : m_socket(std::make_unique<QSslSocket>())
{
    if (secure) {
        QSslConfiguration configuration = QSslConfiguration::defaultConfiguration();
        configuration.setPeerVerifyMode(QSslSocket::VerifyNone);
        configuration.setAllowedNextProtocols(alpn);
        m_socket->setSslConfiguration(configuration);
        m_socket->connectToHostEncrypted(QStringLiteral("127.0.0.1"), port);
        m_ready = QTest::qWaitFor([this] { return m_socket->isEncrypted(); }, 5000);
        return;
    }
    m_socket->connectToHost(QStringLiteral("127.0.0.1"), port);
    m_ready = QTest::qWaitFor([this] { return m_socket->state() == QAbstractSocket::ConnectedState; }, 5000);
}

QByteArray RawClient::Answer::field(const QByteArray &name) const
{
    for (const QByteArray &line : head.split('\n')) {
        const qsizetype colon = line.indexOf(':');
        if (colon > 0 && line.left(colon).compare(name, Qt::CaseInsensitive) == 0)
            return line.mid(colon + 1).trimmed();
    }
    return {};
}

void RawClient::send(const QByteArray &bytes)
{
    m_socket->write(bytes);
    m_socket->flush();
}

bool RawClient::pullUntil(const std::function<bool()> &done, int timeoutMs)
{
    QEventLoop loop;
    QTimer timeout;
    timeout.setSingleShot(true);
    const auto check = [&] {
        m_in += m_socket->readAll();
        if (done())
            loop.quit();
    };
    QObject::connect(&timeout, &QTimer::timeout, &loop, &QEventLoop::quit);
    QObject::connect(m_socket.get(), &QIODevice::readyRead, &loop, check);
    QObject::connect(m_socket.get(), &QAbstractSocket::stateChanged, &loop, check);
    m_in += m_socket->readAll();
    if (!done()) {
        timeout.start(timeoutMs);
        loop.exec();
        m_in += m_socket->readAll();
    }
    return done();
}

RawClient::Answer RawClient::answer(bool headOnly, int timeoutMs)
{
    Answer answer;
    if (!pullUntil([this] { return m_in.contains("\r\n\r\n"); }, timeoutMs))
        return answer;
    const qsizetype end = m_in.indexOf("\r\n\r\n") + 4;
    answer.head = m_in.left(end);
    m_in.remove(0, end);
    answer.status = answer.head.mid(9, 3).toInt();
    const qsizetype length = answer.field("Content-Length").toLongLong();
    if (headOnly || answer.status < 200 || answer.status == 204 || answer.status == 304)
        return answer;
    pullUntil([&] { return m_in.size() >= length; }, timeoutMs);
    answer.body = m_in.left(length);
    m_in.remove(0, length);
    return answer;
}

QByteArray RawClient::bytes(qsizetype count, int timeoutMs)
{
    pullUntil([&] { return m_in.size() >= count; }, timeoutMs);
    return std::exchange(m_in, QByteArray());
}

QByteArray RawClient::until(const QByteArray &text, int timeoutMs)
{
    if (!pullUntil([&] { return m_in.contains(text); }, timeoutMs))
        return {};
    const qsizetype end = m_in.indexOf(text) + text.size();
    const QByteArray found = m_in.left(end);
    m_in.remove(0, end);
    return found;
}

QByteArray RawClient::rest(bool *closed, int timeoutMs)
{
    const bool ended = waitClosed(timeoutMs);
    if (closed)
        *closed = ended;
    return std::exchange(m_in, QByteArray());
}

bool RawClient::waitClosed(int timeoutMs)
{
    return pullUntil([this] { return m_socket->state() == QAbstractSocket::UnconnectedState; }, timeoutMs);
}

void RawClient::reset()
{
    const linger hard{1, 0};
    ::setsockopt(int(m_socket->socketDescriptor()), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    m_socket->abort();
}
