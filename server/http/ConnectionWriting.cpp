// The writing half of the guard: answers, backpressure, timeouts and the end of a connection.
#include "http/ConnectionGuard.h"
#include "http/ExchangeImpl.h"
#include "http/Front.h"
#include <QSslSocket>
#include <sys/socket.h>

namespace power::http {

namespace {
constexpr std::chrono::seconds lingerTime{2};
}

const Limits &ConnectionGuard::limits() const
{
    return m_front.config.limits;
}

bool ConnectionGuard::keepsAlive() const
{
    return m_head.keepAlive && !m_front.closing && m_framer.isComplete();
}

qint64 ConnectionGuard::unsent() const
{
    if (m_gone)
        return 0;
    const auto *tls = m_secure ? static_cast<const QSslSocket *>(m_socket) : nullptr;
    return m_socket->bytesToWrite() + (tls ? tls->encryptedBytesToWrite() : 0);
}

void ConnectionGuard::write(const QByteArray &head, const QByteArray &body)
{
    if (m_gone || m_state == State::Dead)
        return;
    if (unsent() == 0)
        noteProgress();
    if (body.isEmpty() || body.size() > 16 * 1024) {
        m_socket->write(head);
        if (!body.isEmpty())
            m_socket->write(body);
    } else {
        m_socket->write(head + body);
    }
    m_socket->flush(); // now, not when the event loop turns: one wake-up less per answer
}

void ConnectionGuard::onBytesWritten()
{
    noteProgress();
    if (m_state == State::Dead) {
        if (unsent() == 0)
            finishClose();
        return;
    }
    if (m_roomWaiter && unsent() < window / 2) {
        const OneShot<Done> waiter = *std::exchange(m_roomWaiter, std::nullopt);
        waiter.resolve(Done{});
        return;
    }
    if (m_state == State::Header && !m_inProcess && (m_at < m_in.size() || m_socket->bytesAvailable() > 0))
        process();
}

void ConnectionGuard::answerComplete(bool keep)
{
    m_exchange.reset();
    if (m_state == State::Dead || m_gone)
        return;
    if (!keep || !keepsAlive()) {
        closeAfterWrite();
        // Who still reads the body of an answered request learns that it is over.
        if (m_bodyWaiter)
            std::exchange(m_bodyWaiter, std::nullopt)->resolve(Done{});
        return;
    }
    m_state = State::Header;
    m_deadline = Clock::now() + m_front.config.limits.idleTimeout;
    // Called inside process(): its loop goes on. Else later, so that a handler's stack never holds the next request.
    if (!m_inProcess && (m_at < m_in.size() || m_socket->bytesAvailable() > 0))
        QMetaObject::invokeMethod(this, &ConnectionGuard::process, Qt::QueuedConnection);
}

QCoro::Task<Result<Done>> ConnectionGuard::room()
{
    if (m_gone || m_state == State::Dead)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The client has gone."));
    if (unsent() < window / 2)
        co_return Done{};
    const OneShot<Done> waiter;
    m_roomWaiter = waiter;
    const std::chrono::milliseconds limit = m_front.config.limits.idleTimeout;
    Result<Done> result = co_await waiter.wait(limit);
    co_return result;
}

void ConnectionGuard::setFileLeaving(bool leaving)
{
    m_fileLeaving = leaving;
    noteProgress();
}

void ConnectionGuard::sendContinue()
{
    if (!m_head.expectsContinue || m_continueSent)
        return;
    m_continueSent = true;
    write(QByteArrayLiteral("HTTP/1.1 100 Continue\r\n\r\n"));
}

BodyFramer::Status ConnectionGuard::takeBody(QByteArray &piece)
{
    pull();
    qsizetype used = 0;
    const BodyFramer::Status status = m_framer.take(QByteArrayView(m_in).sliced(m_at), used, piece, window);
    consume(used);
    return status;
}

OneShot<Done> ConnectionGuard::bodyArrival()
{
    const OneShot<Done> waiter;
    m_bodyWaiter = waiter;
    return waiter;
}

void ConnectionGuard::tick(Clock::time_point now)
{
    if (m_gone)
        return;
    const bool stalled = (unsent() > 0 || m_fileLeaving) && now - m_lastProgress > m_front.config.limits.idleTimeout;
    if (stalled)
        return abort();
    if (now < m_deadline)
        return;
    switch (m_state) {
    case State::Header:
        if (m_headStarted)
            return refuse({408, "The request's head did not arrive in time."});
        return closeAfterWrite();
    case State::Body:
    case State::Chunked:
        return refuse({408, "The request's body did not arrive in time."});
    case State::Handshake:
    case State::Dead:
        return abort();
    case State::Stream:
    case State::Answer:
        return;
    }
}

void ConnectionGuard::closeIfIdle()
{
    if (m_state == State::Handshake)
        abort();
    else if (m_state == State::Header && !m_headStarted)
        closeAfterWrite();
}

void ConnectionGuard::abort()
{
    if (!m_gone)
        m_socket->abort();
    if (!m_gone) // a socket that was not connected says nothing
        onGone();
}

void ConnectionGuard::leaveFront()
{
    if (m_counted)
        m_front.uncount();
    m_counted = false;
}

void ConnectionGuard::closeAfterWrite()
{
    if (m_state == State::Dead || m_gone)
        return;
    m_state = State::Dead;
    m_linger = m_linger || !m_framer.isComplete();
    m_in.clear();
    m_at = 0;
    leaveFront();
    // While an answer is leaving, stalls are watched by progress; the deadline starts when all is sent.
    m_deadline = Clock::time_point::max();
    if (unsent() == 0)
        finishClose();
}

// All is sent. A plain close with unread bytes would reset the connection and could destroy the answer on its way, so
// the sending side is shut first and the client is given a moment to close.
void ConnectionGuard::finishClose()
{
    if (m_gone || m_deadline != Clock::time_point::max())
        return;
    m_deadline = Clock::now() + lingerTime;
    if (m_socket->bytesAvailable() > 0)
        m_socket->skip(m_socket->bytesAvailable());
    if (m_secure && !m_linger)
        m_socket->disconnectFromHost(); // with close_notify; QSslSocket cannot shut one side only
    else
        ::shutdown(int(m_socket->socketDescriptor()), SHUT_WR);
}

void ConnectionGuard::onGone()
{
    if (m_gone)
        return;
    m_gone = true;
    m_state = State::Dead;
    leaveFront();
    m_front.forget(m_socket);
    if (m_feed)
        m_feed->endOfFeed();
    if (m_bodyWaiter)
        std::exchange(m_bodyWaiter, std::nullopt)->resolve(Done{});
    if (m_roomWaiter)
        std::exchange(m_roomWaiter, std::nullopt)
            ->resolve(fail(ErrorCode::Cancelled, QStringLiteral("The client has gone.")));
    if (const auto exchange = m_exchange.lock())
        exchange->clientGone();
    deleteLater();
}

} // namespace power::http
