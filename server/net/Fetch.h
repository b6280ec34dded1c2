// Outbound HTTP for fetch_from_url: streamed, size-capped, safe against server-side request forgery.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include <QCoroTask>
#include <QHostAddress>
#include <QStringList>
#include <QUrl>
#include <chrono>
#include <functional>
#include <optional>

namespace power::net
{

// Which addresses may be reached. Refused: loopback, private, link-local, unique-local, CGNAT, metadata,
// multicast, reserved, and their IPv4-in-IPv6 forms; also 0.0.0.0/8. `allowedOrigins`
// ("http://127.0.0.1:8099") opens exactly that host and port.
class AddressPolicy
{
public:
    explicit AddressPolicy(QStringList allowedOrigins = {});
    bool allows(const QHostAddress &address, const QUrl &url) const;

private:
    QStringList m_allowed;
};

struct FetchRequest {
    QUrl url;
    qint64 maxBytes = 0;
    std::chrono::milliseconds connectTimeout{30'000}, readTimeout{300'000};
    int maxRedirects = 10;
    std::optional<QByteArray> post;                   // sent by POST instead of a GET
    QList<std::pair<QByteArray, QByteArray>> headers; // besides the fetcher's own
    CancelToken cancel;
    // Each piece as it arrives (64 KiB or less); an error ends the transfer with it.
    std::function<Result<Done>(QByteArrayView)> onData;
};

struct FetchResult {
    QUrl finalUrl;
    int status = 0;
    QByteArray contentType;
    QString fileName; // from Content-Disposition or the path; unsanitised
    qint64 bytes = 0;
};

// Name resolved once, every address checked, connection pinned to it (SNI and Host keep the name); each
// redirect anew; only http and https, no user info. Errors: InvalidArgument (URL), Forbidden (address, says
// which), TooLarge, Upstream (status, with 300 characters of the body), Timeout, Cancelled. Thread: the event
// loop's; never blocks it.
class Fetcher
{
public:
    virtual ~Fetcher() = default;
    static std::unique_ptr<Fetcher> create(AddressPolicy policy);
    virtual QCoro::Task<Result<FetchResult>> fetch(FetchRequest request) = 0;
};

} // namespace power::net
