// Outbound HTTP for fetch_from_url: streamed, size-capped, safe against server-side request forgery.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include "base/OneShot.h"
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

// What a server says before the first byte of a body.
struct FetchedHead {
    QByteArray contentType;
    QString fileName; // from Content-Disposition or the path; unsanitised
    qint64 size = -1; // announced; -1: unknown
};

struct FetchRequest {
    QUrl url;
    qint64 maxBytes = 0;
    std::chrono::milliseconds connectTimeout{30'000}, readTimeout{300'000}, totalTimeout{3'600'000};
    int maxRedirects = 10;
    std::optional<QByteArray> post;                   // sent by POST instead of a GET
    QList<std::pair<QByteArray, QByteArray>> headers; // besides the fetcher's own
    int maxResumes = 20; // transfers that broke off and are gone on with; three in a row without a byte more are the end.
                         // Asking whether there is more is none of them.
    CancelToken cancel;
    // Before the first byte, and once more when the body begins anew because the server could not go on where it broke
    // off: what came before is void then. May be empty.
    std::function<Result<Done>(const FetchedHead &)> onBegin;
    // Each piece as it arrives (256 KiB or less, unpacked ones up to 4 MiB); the next one comes when this has resolved. An
    // error ends the transfer with it.
    std::function<OneShot<Done>(QByteArray)> onData;
};

struct FetchResult {
    QUrl finalUrl;
    int status = 0;
    QByteArray contentType;
    QString fileName;
    qint64 bytes = 0;
    int resumes = 0;
};

// How names become addresses; null: the system's resolver. Errors: Upstream (unknown), Timeout, Cancelled.
using Resolver = std::function<QCoro::Task<Result<QList<QHostAddress>>>(QString host, std::chrono::milliseconds timeout, CancelToken cancel)>;

// Name resolved once, every address checked, connection pinned to it (SNI and Host keep the name); each redirect and each
// further attempt anew; only http and https (HTTP/1.1), no user info.
//
// A body is whole when all of its length came, or its last chunk. One that broke off goes on where it stopped when the server
// can tell that the content is the same (Range, If-Range), else it begins anew. Where there is neither length nor chunks the
// end of the connection is the end of the body, and a cut looks the same (RFC 9112, 8): a GET whose content can be told by a
// strong ETag or an old enough date then asks once for what follows. 416 with no other length: it is whole; a part: it goes
// on; all of it again with another announced length: that is taken instead. Everything else (a server without ranges or with
// other content by now, an error, 30 s of silence) is no reason to doubt what by the rules was complete: it is taken as it is.
//
// Errors: InvalidArgument (URL), Forbidden (address, says which), TooLarge, Upstream (status, with 300 characters of the
// body), Timeout, Cancelled. Thread: the event loop's; never blocks it.
class Fetcher
{
public:
    virtual ~Fetcher() = default;
    static std::unique_ptr<Fetcher> create(AddressPolicy policy, Resolver resolver = {});
    virtual QCoro::Task<Result<FetchResult>> fetch(FetchRequest request) = 0;
};

} // namespace power::net
