#include "net/Transfer.h"
#include <QNetworkProxy>
#include <QSslSocket>

namespace power::net
{

namespace
{
constexpr qint64 socketBytes = 512 * 1024;
constexpr qint64 mostHeadBytes = 64 * 1024; // with the interim ones before it
constexpr qint64 rawBytes = 64 * 1024;
} // namespace

Transfer::Transfer(const Place &place, QByteArray request) : m_request(std::move(request))
{
    auto *secure = place.tls ? new QSslSocket(this) : nullptr;
    m_socket = secure ? secure : new QTcpSocket(this);
    m_socket->setProxy(QNetworkProxy::NoProxy);
    m_socket->setReadBufferSize(socketBytes);
    // Queued: a receiver may abort, which the socket's own reading does not expect below it.
    connect(m_socket, &QTcpSocket::readyRead, this, &Transfer::onReadable, Qt::QueuedConnection);
    const auto closed = [this] {
        if (m_socket->state() == QAbstractSocket::UnconnectedState) onClosed();
    };
    connect(m_socket, &QTcpSocket::stateChanged, this, closed, Qt::QueuedConnection);
    connect(m_socket, &QTcpSocket::errorOccurred, this, closed, Qt::QueuedConnection);
    if (secure) {
        connect(secure, &QSslSocket::encrypted, this, &Transfer::onConnected, Qt::QueuedConnection);
        secure->connectToHostEncrypted(place.address.toString(), place.port, place.name);
    } else {
        connect(m_socket, &QTcpSocket::connected, this, &Transfer::onConnected, Qt::QueuedConnection);
        m_socket->connectToHost(place.address, place.port);
    }
}

void Transfer::onConnected()
{
    if (m_state != State::Connecting) return;
    m_state = State::Asked;
    m_sent = true;
    m_socket->write(m_request);
    m_request.clear();
    Q_EMIT progressed();
}

void Transfer::onReadable()
{
    if (m_state == State::Asked) readHead();
    Q_EMIT progressed();
}

void Transfer::onClosed()
{
    if (m_closed) return;
    m_closed = true;
    if (m_state == State::Asked) readHead();
    if (m_state == State::Connecting || m_state == State::Asked) breakOff(m_socket->errorString());
    Q_EMIT progressed();
}

void Transfer::breakOff(const QString &why)
{
    m_state = State::Broken;
    m_problem = why;
}

void Transfer::abort()
{
    m_closed = true;
    if (!isOver()) m_state = State::Broken;
    m_socket->disconnect(this);
    m_socket->abort();
}

// Interim answers (1xx) are passed over.
void Transfer::readHead()
{
    while (m_state == State::Asked) {
        const qsizetype end = endOfHead(m_raw);
        if (end < 0) {
            if (m_headBytes + m_raw.size() >= mostHeadBytes) return breakOff(QStringLiteral("the head of its answer has no end"));
            const QByteArray more = m_socket->read(mostHeadBytes - m_headBytes - m_raw.size());
            if (more.isEmpty()) return;
            m_raw += more;
            if (!m_raw.first(qMin<qsizetype>(m_raw.size(), 7)).startsWith(QByteArrayView("HTTP/1.").first(qMin<qsizetype>(m_raw.size(), 7))))
                return breakOff(QStringLiteral("it does not speak HTTP/1.1"));
            continue;
        }
        const Result<AnswerHead> head = parseAnswerHead(m_raw.first(end));
        m_raw.remove(0, end);
        m_headBytes += end;
        if (!head) return breakOff(head.error().message);
        if (head->status == 101) return breakOff(QStringLiteral("it changes to another protocol"));
        if (head->status < 200) continue;
        m_head = *head;
        m_left = m_head.length;
        m_state = m_head.framing == Framing::None || m_left == 0 ? State::Whole : State::Body;
    }
}

QByteArray Transfer::take(qint64 most)
{
    if (m_raw.isEmpty()) return m_socket->read(most);
    QByteArray piece = m_raw.first(qMin<qsizetype>(m_raw.size(), most));
    m_raw.remove(0, piece.size());
    return piece;
}

QByteArray Transfer::readChunks(qint64 most)
{
    QByteArray out;
    while (out.size() < most && m_state == State::Body) {
        QByteArray raw = take(rawBytes);
        if (raw.isEmpty()) break;
        qsizetype used = 0;
        const ChunkDecoder::Status status = m_chunks.decode(raw, used, out, most - out.size());
        if (status == ChunkDecoder::Status::Done) m_state = State::Whole;
        if (status == ChunkDecoder::Status::Bad) breakOff(QStringLiteral("its chunks are not well-formed"));
        if (used < raw.size()) m_raw = raw.sliced(used) + m_raw;
    }
    return out;
}

QByteArray Transfer::read(qint64 most)
{
    if (m_state != State::Body) return {};
    QByteArray piece;
    if (m_head.framing == Framing::Chunked) {
        piece = readChunks(most);
    } else {
        piece = take(m_head.framing == Framing::Length ? qMin(most, m_left) : most);
        if (m_head.framing == Framing::Length && (m_left -= piece.size()) == 0) m_state = State::Whole;
    }
    if (!piece.isEmpty() || m_state != State::Body || !m_closed) return piece;
    // An error other than the usual end (in TLS, say) leaves no doubt.
    const bool ended = m_socket->error() == QAbstractSocket::RemoteHostClosedError;
    if (m_head.framing == Framing::Close && ended)
        m_state = State::Closed;
    else
        breakOff(ended ? QStringLiteral("the connection ended before all had come") : m_socket->errorString());
    return piece;
}

} // namespace power::net
