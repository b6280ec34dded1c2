// The sockets that listen: plain and TLS. Each gives every new connection to the front before a byte is read.
#pragma once
#include "base/Error.h"
#include <QSslServer>
#include <QTcpServer>

namespace power::http {

class Front;

// PlainListener: guards are attached in incomingConnection().
class PlainListener : public QTcpServer
{
    Q_OBJECT
public:
    explicit PlainListener(Front &front) : m_front(front) {}

protected:
    void incomingConnection(qintptr descriptor) override;

private:
    Front &m_front;
};

// TlsListener: guards are attached when the handshake starts (the client's hello is there), count as connections from
// then on, and are admitted when it is done. Silent connections before that are QSslServer's: at most 4096, 5 s each.
class TlsListener : public QSslServer
{
    Q_OBJECT
public:
    explicit TlsListener(Front &front);
    // Loads PEM files; error InvalidArgument that names the file.
    Result<Done> loadCertificate(const QString &certificateFile, const QString &keyFile);

private:
    void admitEncrypted();

    Front &m_front;
};

} // namespace power::http
