// A client that sends exactly the bytes it is told and reads what comes back.
#pragma once
#include <QSslSocket>
#include <memory>

// RawClient: waits with an event loop (the server lives in the same thread) and never sleeps.
class RawClient
{
public:
    struct Answer {
        int status = 0; // 0: none came
        QByteArray head;
        QByteArray body;
        QByteArray field(const QByteArray &name) const;
    };

    // secure: TLS without verification, offering `alpn`.
    explicit RawClient(quint16 port, bool secure = false, const QByteArrayList &alpn = {});

    bool isReady() const { return m_ready; }
    void send(const QByteArray &bytes);
    // One answer with Content-Length, or without a body for 1xx/204/304 and HEAD.
    Answer answer(bool headOnly = false, int timeoutMs = 5000);
    // Until at least `count` bytes came.
    QByteArray bytes(qsizetype count, int timeoutMs = 5000);
    // Until `text` came; everything up to and including it.
    QByteArray until(const QByteArray &text, int timeoutMs = 5000);
    // Everything until the server closes; `closed` tells whether it did.
    QByteArray rest(bool *closed = nullptr, int timeoutMs = 5000);
    bool waitClosed(int timeoutMs = 5000);
    // RST, not FIN.
    void reset();
    QSslSocket &socket() { return *m_socket; }
    Answer ask(const QByteArray &bytes) { send(bytes); return answer(bytes.startsWith("HEAD")); }

private:
    bool pullUntil(const std::function<bool()> &done, int timeoutMs);
    std::unique_ptr<QSslSocket> m_socket;
    QByteArray m_in;
    bool m_ready = false;
};
