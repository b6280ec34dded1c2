// The reading half: from bytes to a request.
#include "http/ConnectionGuard.h"
#include "base/Ids.h"
#include "base/Log.h"
#include "http/ExchangeImpl.h"
#include "http/Front.h"
#include "http/ResponseHead.h"
#include <QScopedValueRollback>
#include <QSslSocket>

namespace power::http {

namespace {
constexpr qint64 bodyOfRefused = 64 * 1024; // read and dropped to keep the connection after a 404, 405 or 403

// The client's own id when it is short and plain, so that its logs and ours can be joined.
QByteArray requestIdOf(const Headers &headers)
{
    QByteArray id = headers.value("X-Request-Id");
    const bool sane = !id.isEmpty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
    return sane ? id : newUuid().toLatin1();
}
} // namespace

ConnectionGuard::ConnectionGuard(Front &front, QTcpSocket *socket, bool overCap)
    : QObject(&front), m_front(front), m_socket(socket), m_secure(qobject_cast<QSslSocket *>(socket) != nullptr), m_overCap(overCap)
{
    m_deadline = Clock::now() + front.config.limits.headerTimeout;
    m_lastProgress = Clock::now();
    connect(socket, &QTcpSocket::disconnected, this, &ConnectionGuard::onGone);
    connect(socket, &QObject::destroyed, this, &ConnectionGuard::onGone);
}

ConnectionGuard::~ConnectionGuard() = default;

void ConnectionGuard::admit()
{
    m_socket->setParent(this);
    m_socket->setReadBufferSize(window / 2);
    m_socket->setSocketOption(QAbstractSocket::LowDelayOption, 1);
    m_socket->setSocketOption(QAbstractSocket::KeepAliveOption, 1);
    m_peer = m_socket->peerAddress();
    bool isFour = false; // an IPv4 client of an IPv6 socket
    if (const quint32 four = m_peer.toIPv4Address(&isFour); isFour)
        m_peer = QHostAddress(four);
    m_peerPort = m_socket->peerPort();
    connect(m_socket, &QIODevice::readyRead, this, &ConnectionGuard::onReadable);
    connect(m_socket, &QIODevice::bytesWritten, this, &ConnectionGuard::onBytesWritten);
    if (auto *tls = qobject_cast<QSslSocket *>(m_socket))
        connect(tls, &QSslSocket::encryptedBytesWritten, this, &ConnectionGuard::onBytesWritten);
    m_state = State::Header;
    m_deadline = Clock::now() + m_front.config.limits.headerTimeout;
    if (m_overCap)
        return refuse({503, "The server has as many connections as it accepts; try again shortly."});
    if (m_socket->bytesAvailable() > 0)
        process();
}

void ConnectionGuard::onReadable()
{
    if (m_state == State::Dead) {
        m_socket->skip(m_socket->bytesAvailable()); // lingering: the client has not noticed the end yet
        return;
    }
    if (m_bodyWaiter) {
        const OneShot<Done> waiter = *std::exchange(m_bodyWaiter, std::nullopt);
        waiter.resolve(Done{});
        return;
    }
    process();
}

void ConnectionGuard::pull()
{
    if (m_socket->bytesAvailable() == 0)
        return;
    if (m_at == m_in.size()) {
        m_in = m_socket->readAll();
        m_at = 0;
    } else {
        m_in.remove(0, m_at);
        m_at = 0;
        m_in += m_socket->readAll();
    }
}

void ConnectionGuard::consume(qsizetype count)
{
    m_at += count;
    if (m_at == m_in.size()) {
        m_in.clear();
        m_at = 0;
    }
}

// Runs as far as the bytes go. Answers given inside a handler come back here through m_state.
void ConnectionGuard::process()
{
    if (m_inProcess || m_gone)
        return;
    const QScopedValueRollback<bool> inProcess(m_inProcess, true);
    for (bool more = true; more && !m_gone;) {
        switch (m_state) {
        case State::Header:
            more = unsent() < window; // a client that does not read its answers gets no further ones
            if (more) {
                pull();
                more = readHead();
            }
            break;
        case State::Body:
        case State::Chunked:
            pull();
            more = collectBody();
            break;
        default:
            return;
        }
    }
}

bool ConnectionGuard::readHead()
{
    const Limits &limits = m_front.config.limits;
    if (m_scan == 0) {
        while (QByteArrayView(m_in).sliced(m_at).startsWith("\r\n")) // RFC 9112, 2.2: stray empty lines
            consume(2);
    }
    const QByteArrayView bytes = QByteArrayView(m_in).sliced(m_at);
    if (bytes.isEmpty())
        return false;
    if (!m_headStarted) {
        m_headStarted = true;
        m_head = RequestHead();
        m_arrived = Clock::now();
        m_deadline = m_arrived + limits.headerTimeout;
    }
    const qsizetype end = findHeadEnd(bytes, m_scan);
    if (end < 0) {
        refuse({400, "A header line ends in a bare LF."});
        return false;
    }
    if (qMax(end, bytes.size() * (end == 0)) > limits.maxHeaderBytes) {
        const bool lineTooLong = !bytes.first(limits.maxHeaderBytes).contains('\n');
        refuse(lineTooLong ? Refusal{414, "The request line is too long."}
                           : Refusal{431, "The request's header fields are too large."});
        return false;
    }
    m_scan = bytes.size();
    return end != 0 && startRequest(end);
}

// A head is complete: decides what becomes of its request.
bool ConnectionGuard::startRequest(qsizetype headSize)
{
    const QByteArrayView block = QByteArrayView(m_in).sliced(m_at, headSize);
    Expected<RequestHead, Refusal> parsed = parseHead(block, m_front.config.limits);
    m_scan = 0;
    m_headStarted = false;
    m_served = true;
    if (!parsed) {
        refuse(parsed.error());
        return false;
    }
    m_head = std::move(*parsed);
    m_dispatched = m_continueSent = false;
    m_match = m_front.dispatcher.find(m_head.method, m_head.path);
    const bool open = m_match.options && m_match.options->anyOrigin;
    m_forbidden = open ? nullptr : m_front.origins.refusal(m_head, m_secure);
    const bool handled = m_match.handler && !m_forbidden;
    const qint64 limit = handled ? m_match.options->maxBody : bodyOfRefused;
    m_framer = BodyFramer(m_head.chunked, m_head.contentLength, limit);

    if (m_head.contentLength > limit || (!handled && m_head.expectsContinue)) {
        // Answered without reading the body, so the connection cannot go on.
        consume(headSize);
        m_linger = true;
        m_head.keepAlive = false;
        if (handled)
            refuse({413, "The request body is larger than this route takes."});
        else
            dispatch({});
        return false;
    }
    const QByteArray type = handled ? m_match.options->streamType : QByteArray();
    const bool streamed = handled && (m_match.options->streamBody
                                      || (!type.isEmpty() && m_head.headers.value("Content-Type").toLower().startsWith(type)));
    if (streamed) {
        consume(headSize);
        m_state = State::Stream;
        m_deadline = Clock::time_point::max();
        dispatch({});
        return true;
    }
    const bool plain = !m_head.chunked && !m_head.expectsContinue && !m_head.upgrade;
    if (plain && m_at == 0 && m_in.size() == headSize + m_head.contentLength && m_head.contentLength <= bodyThroughQt) {
        m_framer = BodyFramer();
        deliver(std::exchange(m_in, QByteArray()));
        return true;
    }
    m_rawHead = plain ? block.toByteArray() : QByteArray();
    m_body.clear();
    consume(headSize);
    if (m_head.expectsContinue && m_at == m_in.size())
        sendContinue();
    m_state = m_head.chunked ? State::Chunked : State::Body;
    m_deadline = Clock::now() + m_front.config.limits.bodyTimeout;
    return true;
}

bool ConnectionGuard::collectBody()
{
    qsizetype used = 0;
    const BodyFramer::Status status = m_framer.take(QByteArrayView(m_in).sliced(m_at), used, m_body, m_in.size());
    consume(used);
    switch (status) {
    case BodyFramer::Status::Complete: {
        if (m_body.size() > bodyThroughQt) {
            m_state = State::Answer;
            m_deadline = Clock::time_point::max();
            dispatch(std::exchange(m_body, QByteArray()));
            return true;
        }
        QByteArray raw = m_rawHead.isEmpty() ? rewrittenHead() : std::exchange(m_rawHead, QByteArray());
        raw += std::exchange(m_body, QByteArray());
        deliver(std::move(raw));
        return true;
    }
    case BodyFramer::Status::More:
        if (used > 0)
            m_deadline = Clock::now() + m_front.config.limits.bodyTimeout;
        return false;
    case BodyFramer::Status::Bad:
        refuse({400, "The chunked body is malformed."});
        return false;
    case BodyFramer::Status::TooLarge:
        break;
    }
    refuse({413, "The request body is larger than this route takes."});
    return false;
}

// The same request with a plain length, and without what Qt's parser misreads or would act on by itself.
QByteArray ConnectionGuard::rewrittenHead() const
{
    QByteArray head = m_head.method + ' ' + m_head.target + " HTTP/1.1\r\n";
    for (const Headers::Field &field : m_head.headers.fields()) {
        const QByteArray name = field.name.toLower();
        if (name != "transfer-encoding" && name != "content-length" && name != "expect" && name != "upgrade"
            && name != "connection")
            head += field.name + ": " + field.value + "\r\n";
    }
    return head + "Content-Length: " + QByteArray::number(m_body.size()) + "\r\n\r\n";
}

void ConnectionGuard::deliver(QByteArray raw)
{
    m_state = State::Answer;
    m_deadline = Clock::time_point::max();
    if (!m_feed) {
        m_feed = new FeedSocket(this, m_peer, m_peerPort);
        m_front.offer(m_feed);
    }
    m_front.passThroughQt(this, m_feed, raw);
    if (!m_dispatched && m_state == State::Answer)
        refuse({400, "The request could not be read."});
}

void ConnectionGuard::fromQt(const QHttpServerRequest &request)
{
    if (m_state != State::Answer || m_dispatched)
        return;
    m_dispatched = true;
    dispatch(request.body());
}

void ConnectionGuard::qtGaveUp()
{
    if (m_state == State::Header && !m_headStarted)
        closeAfterWrite();
}

void ConnectionGuard::dispatch(QByteArray body)
{
    m_dispatched = true;
    if (m_state == State::Header)
        m_state = State::Answer;
    Request request;
    request.method = m_head.method;
    request.target = m_head.target;
    request.path = m_head.path;
    request.query = m_head.query;
    request.parameters = std::move(m_match.parameters);
    request.id = requestIdOf(m_head.headers);
    request.headers = std::move(m_head.headers);
    request.body = std::move(body);
    request.peer = m_peer;
    request.peerPort = m_peerPort;
    request.secure = m_secure;
    request.arrived = m_arrived;
    const qint64 announced = m_head.chunked ? -1 : m_head.contentLength;
    auto exchange = std::make_shared<ExchangeImpl>(this, std::move(request), m_match.options, m_head.oldVersion, announced);
    m_exchange = exchange;
    const Request &kept = exchange->request();
    if (m_forbidden)
        return exchange->reply(refusalResponse({403, m_forbidden}, kept.id));
    if (m_match.handler)
        return callHandler(exchange);
    const bool wholeServer = kept.path == u"*";
    if (kept.method == "OPTIONS" && (wholeServer || !m_match.allow.isEmpty()))
        return exchange->reply(optionsResponse(
            wholeServer ? QByteArrayLiteral("GET, HEAD, POST, PUT, DELETE, OPTIONS") : m_match.allow, m_match.options,
            kept.headers));
    if (m_match.allow.isEmpty())
        return exchange->reply(plainError(404, QLatin1String("not_found"),
                                          QStringLiteral("There is nothing at %1.").arg(kept.path.left(200)), kept.id));
    Response response = plainError(405, QLatin1String("method_not_allowed"),
                                   QStringLiteral("%1 takes %2.").arg(kept.path.left(200), QString::fromLatin1(m_match.allow)),
                                   kept.id);
    response.headers.add(QByteArrayLiteral("Allow"), m_match.allow);
    exchange->reply(std::move(response));
}

// Exceptions end here: beyond are Qt's frames and the event loop.
void ConnectionGuard::callHandler(const std::shared_ptr<ExchangeImpl> &exchange)
{
    QString what;
    try {
        (*m_match.handler)(exchange);
        return;
    } catch (const std::exception &failure) {
        what = QString::fromUtf8(failure.what());
    } catch (...) {
        what = QStringLiteral("not a std::exception");
    }
    const Request &request = exchange->request();
    log::error("handler_threw", {{QStringLiteral("path"), request.path}, {QStringLiteral("what"), what}});
    if (!exchange->isAnswered())
        exchange->reply(refusalResponse({500, "The server failed to handle this request."}, request.id));
}

// A request that no handler will see: answers and ends the connection.
void ConnectionGuard::refuse(const Refusal &refusal)
{
    if (m_state == State::Dead || m_gone)
        return;
    const QByteArray id = newUuid().toLatin1();
    const Response response = refusalResponse(refusal, id);
    WireFacts facts;
    facts.requestId = id;
    facts.keepAlive = false;
    facts.bodySize = response.body.size();
    m_linger = true;
    write(responseHead(response, facts), response.body);
    log::info("http_request", {{QStringLiteral("method"), QString::fromLatin1(m_head.method)},
                               {QStringLiteral("path"), m_head.path},
                               {QStringLiteral("status"), refusal.status},
                               {QStringLiteral("refused"), QString::fromUtf8(refusal.why)},
                               {QStringLiteral("bytes"), response.body.size()},
                               {QStringLiteral("peer"), m_peer.toString()},
                               {QStringLiteral("request_id"), QString::fromLatin1(id)}});
    closeAfterWrite();
}

} // namespace power::http
