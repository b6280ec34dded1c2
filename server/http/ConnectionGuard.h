// The guard of one connection: sees every byte first, decides what Qt HttpServer may read, and writes every answer.
#pragma once
#include "base/OneShot.h"
#include "http/BodyFramer.h"
#include "http/Dispatcher.h"
#include "http/FeedSocket.h"
#include "http/RequestHead.h"
#include <QHttpServerRequest>
#include <QPointer>

namespace power::http {

class ExchangeImpl;
class Front;
struct Limits;

// ConnectionGuard: one per socket, from accept to close; deletes itself after the socket is gone.
//   Handshake  TLS not finished          Header  waits for or reads a head (also: idle between requests)
//   Body       counts a body             Chunked decodes one
//   Stream     the handler reads the body itself; nothing goes through Qt
//   Answer     a request is with its handler; pipelined bytes wait in the socket, so answers keep their order
//   Dead       over; a last answer may still be leaving
// Thread: the event loop's.
class ConnectionGuard : public QObject
{
    Q_OBJECT
public:
    using Clock = std::chrono::steady_clock;
    static constexpr qint64 window = 512 * 1024;      // bytes waiting in either direction
    static constexpr qint64 bodyThroughQt = 1 << 20;  // larger bodies skip Qt, which would hold them three times

    ConnectionGuard(Front &front, QTcpSocket *socket, bool overCap);
    ~ConnectionGuard() override;

    // --- for the listeners and the front
    void admit();                                // the socket is ready for HTTP
    void fromQt(const QHttpServerRequest &request);
    void qtGaveUp();                             // QHttpServer wants the connection closed
    void tick(Clock::time_point now);            // ends what took too long
    void closeIfIdle();
    void abort();

    // --- for the exchange
    bool isOpen() const { return m_state != State::Dead; }
    bool keepsAlive() const;                     // whether the connection outlives the present answer
    // Queues and flushes. body may be empty.
    void write(const QByteArray &head, const QByteArray &body = {});
    qint64 unsent() const;                       // bytes accepted by write() and not yet with the kernel
    // The answer is whole (keep = true) or ends with the connection.
    void answerComplete(bool keep);
    // Waits until less than half the window is unsent. Errors: Cancelled (gone), Timeout (reader stalled).
    QCoro::Task<Result<Done>> room();
    QTcpSocket *socket() const { return m_socket; }
    bool isSecure() const { return m_secure; }
    const Limits &limits() const;
    void noteProgress() { m_lastProgress = Clock::now(); }
    // A file is leaving by sendfile(2): stalls are watched although nothing is unsent here.
    void setFileLeaving(bool leaving);

    // --- for the body reader (state Stream)
    void sendContinue();
    BodyFramer::Status takeBody(QByteArray &piece);
    OneShot<Done> bodyArrival();                 // resolves with the next bytes or the end of the connection

private:
    enum class State { Handshake, Header, Body, Chunked, Stream, Answer, Dead };

    void onReadable();
    void onBytesWritten();
    void onGone();
    void process();
    bool readHead();
    bool startRequest(qsizetype headSize);
    bool collectBody();
    void deliver(QByteArray raw);
    void dispatch(QByteArray body);
    void callHandler(const std::shared_ptr<ExchangeImpl> &exchange);
    void refuse(const Refusal &refusal);
    void closeAfterWrite();
    void finishClose();
    void leaveFront();
    void pull();
    void consume(qsizetype count);
    QByteArray rewrittenHead() const;

    Front &m_front;
    QTcpSocket *m_socket;
    QPointer<FeedSocket> m_feed;
    State m_state = State::Handshake;
    const bool m_secure;
    const bool m_overCap;
    bool m_counted = true;
    bool m_gone = false;
    bool m_inProcess = false;
    bool m_dispatched = false;
    bool m_continueSent = false;
    bool m_fileLeaving = false;
    bool m_served = false; // at least one request was read
    bool m_linger = false; // the client may still be sending: wait for it before closing

    QByteArray m_in;     // read from the socket, not yet part of a request
    qsizetype m_at = 0;  // start of what is unused in m_in
    qsizetype m_scan = 0;
    bool m_headStarted = false;

    RequestHead m_head;
    Dispatcher::Match m_match;
    const char *m_forbidden = nullptr;
    QByteArray m_rawHead;
    QByteArray m_body;
    BodyFramer m_framer;
    Clock::time_point m_arrived;
    Clock::time_point m_deadline = Clock::time_point::max();
    Clock::time_point m_lastProgress;

    QHostAddress m_peer;
    quint16 m_peerPort = 0;
    std::weak_ptr<ExchangeImpl> m_exchange;
    std::optional<OneShot<Done>> m_bodyWaiter;
    std::optional<OneShot<Done>> m_roomWaiter;
};

} // namespace power::http
