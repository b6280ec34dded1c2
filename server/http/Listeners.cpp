#include "http/Listeners.h"
#include "http/ConnectionGuard.h"
#include "http/Front.h"
#include <QFile>
#include <QSslCertificate>
#include <QSslConfiguration>
#include <QSslKey>
#include <QSslSocket>
#include <unistd.h>

namespace power::http {

void PlainListener::incomingConnection(qintptr descriptor)
{
    auto *socket = new QTcpSocket(this);
    if (!socket->setSocketDescriptor(descriptor)) {
        ::close(int(descriptor));
        delete socket;
        return;
    }
    if (ConnectionGuard *guard = m_front.attach(socket))
        guard->admit();
}

TlsListener::TlsListener(Front &front) : m_front(front)
{
    connect(this, &QSslServer::startedEncryptionHandshake, this, [this](QSslSocket *socket) { m_front.attach(socket); });
    connect(this, &QTcpServer::pendingConnectionAvailable, this, &TlsListener::admitEncrypted);
}

void TlsListener::admitEncrypted()
{
    while (QTcpSocket *socket = nextPendingConnection()) {
        if (ConnectionGuard *guard = m_front.guardOf(socket))
            guard->admit();
        else
            socket->deleteLater();
    }
}

Result<Done> TlsListener::loadCertificate(const QString &certificateFile, const QString &keyFile)
{
    QFile chain(certificateFile);
    if (!chain.open(QIODevice::ReadOnly))
        return fail(ErrorCode::InvalidArgument,
                    QStringLiteral("The TLS certificate file \"%1\" cannot be read: %2.").arg(certificateFile, chain.errorString()),
                    QStringLiteral("Give a PEM file that the server's user may read."));
    const QList<QSslCertificate> certificates = QSslCertificate::fromDevice(&chain, QSsl::Pem);
    if (certificates.isEmpty())
        return fail(ErrorCode::InvalidArgument,
                    QStringLiteral("\"%1\" contains no PEM certificate.").arg(certificateFile),
                    QStringLiteral("Give the server's certificate followed by its intermediate ones, in PEM form."));
    QFile keyDevice(keyFile);
    if (!keyDevice.open(QIODevice::ReadOnly))
        return fail(ErrorCode::InvalidArgument,
                    QStringLiteral("The TLS key file \"%1\" cannot be read: %2.").arg(keyFile, keyDevice.errorString()),
                    QStringLiteral("Give a PEM file that the server's user may read."));
    const QByteArray pem = keyDevice.readAll();
    QSslKey key(pem, QSsl::Rsa);
    if (key.isNull())
        key = QSslKey(pem, QSsl::Ec);
    if (key.isNull())
        return fail(ErrorCode::InvalidArgument,
                    QStringLiteral("\"%1\" contains no RSA or EC private key in unencrypted PEM form.").arg(keyFile),
                    QStringLiteral("Remove the key's passphrase or name another file."));
    QSslConfiguration configuration = QSslConfiguration::defaultConfiguration();
    configuration.setLocalCertificateChain(certificates);
    configuration.setPrivateKey(key);
    configuration.setProtocol(QSsl::TlsV1_2OrLater);
    configuration.setPeerVerifyMode(QSslSocket::VerifyNone);
    configuration.setAllowedNextProtocols({QByteArrayLiteral("http/1.1")});
    setSslConfiguration(configuration);
    return Done{};
}

} // namespace power::http
