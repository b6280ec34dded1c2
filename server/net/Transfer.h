// One request and its answer over a connection of its own: HTTP/1.1, plain or TLS, to one address.
//
// Own reading instead of QNetworkAccessManager, because a fetch has to know whether a body came whole: Qt (6.4.2)
// takes nearly every chunked body whose connection ends early for complete, without an error, wherever it was cut, and also
// chunks that are malformed; and it says nothing from which that could be told.
#pragma once
#include "base/ChunkDecoder.h"
#include "net/AnswerHead.h"
#include <QHostAddress>
#include <QObject>
#include <QTcpSocket>

namespace power::net
{

// Transfer: nothing is read ahead of read() but 512 KiB; that is the backpressure. No timeouts of its own. Destroying it
// closes the connection. Thread: the event loop's.
class Transfer : public QObject
{
    Q_OBJECT
public:
    struct Place {
        QHostAddress address;
        quint16 port = 0;
        bool tls = false;
        QString name; // of the certificate and for SNI
    };
    enum class State {
        Connecting, // with TLS: or shaking hands
        Asked,      // no head yet
        Body,       // the head is there
        Whole,      // over: all came
        Closed,     // over: the connection ended, and nothing else tells where the body does (Framing::Close)
        Broken,     // over: problem() says why
    };

    // request: the bytes to send.
    Transfer(const Place &place, QByteArray request);

    State state() const { return m_state; }
    bool isOver() const { return m_state >= State::Whole; }
    bool wasSent() const { return m_sent; } // the request, to the system
    const AnswerHead &head() const { return m_head; } // from State::Body on, unless it broke before
    const QString &problem() const { return m_problem; }
    bool isMistrusted() const { return m_socket->error() == QAbstractSocket::SslHandshakeFailedError; }

    // The next bytes of the body, at most so many, its framing removed. Empty: none are there now, or it is over; that is
    // found out here.
    QByteArray read(qint64 most);
    // Over without a word; nothing more is read or emitted.
    void abort();

Q_SIGNALS:
    // There may be a new state, or bytes to read. Not emitted within a call to this object.
    void progressed();

private:
    void onConnected();
    void onReadable();
    void onClosed();
    void readHead();
    void breakOff(const QString &why);
    QByteArray take(qint64 most);
    QByteArray readChunks(qint64 most);

    QTcpSocket *m_socket = nullptr; // child
    QByteArray m_request;
    QByteArray m_raw; // read and not used: of the head, or the body's first bytes
    qint64 m_headBytes = 0;
    AnswerHead m_head;
    ChunkDecoder m_chunks{ChunkDecoder::Sizes::Padded};
    qint64 m_left = 0; // of a body with a length
    State m_state = State::Connecting;
    bool m_sent = false;
    bool m_closed = false;
    QString m_problem;
};

} // namespace power::net
