// The HTTP front: Qt HttpServer behind a guard that sees every byte first (reference: Qt facts 0 and 1.4).
#pragma once
#include "http/Dispatcher.h"

namespace power::http {

struct Limits {
    int maxConnections = 512;              // more: 503 and close
    int maxHeaderBytes = 32 * 1024;        // more: 431 (request line longer: 414)
    int maxHeaderFields = 100;
    std::chrono::milliseconds headerTimeout{10'000}; // first byte to end of headers: 408
    std::chrono::milliseconds idleTimeout{75'000};   // keep-alive
    std::chrono::milliseconds bodyTimeout{30'000};   // between two pieces of a body: 408
};

struct ListenConfig {
    QHostAddress address = QHostAddress::LocalHost;
    quint16 port = 0;               // 0: any free one
    QString certificateFile;        // PEM chain; both or none
    QString keyFile;
    QStringList allowedHosts;       // besides loopback names; empty = any Host accepted (public bind)
    QStringList allowedOrigins;     // besides loopback and the own origin
    Limits limits;
};

// HttpServer: owns the listening socket, every connection and the access log.
// TLS offers ALPN http/1.1 only. Security headers (nosniff, no-referrer) on every answer.
// Thread: the thread it was made in.
class HttpServer : public QObject
{
    Q_OBJECT
public:
    explicit HttpServer(const Dispatcher &dispatcher, QObject *parent = nullptr);
    ~HttpServer() override;

    Result<Done> listen(const ListenConfig &config);
    quint16 port() const;
    bool isSecure() const;
    int connectionCount() const;

    // Stops accepting, lets running exchanges end within `grace`, then closes what is left.
    QCoro::Task<> shutdown(std::chrono::milliseconds grace);

private:
    class Private;
    std::unique_ptr<Private> d;
};

} // namespace power::http
