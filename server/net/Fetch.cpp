#include "net/Fetch.h"
#include "net/FileName.h"
#include "net/Hop.h"
#include <QHostInfo>
#include <QScopedPointer>
#include <algorithm>
#include <arpa/inet.h>

namespace power::net
{

namespace
{
constexpr int mostAddresses = 4; // tried one after the other

Unexpected<Error> badUrl(const QString &why)
{
    return fail(ErrorCode::InvalidArgument, why,
                QStringLiteral("Pass a complete address such as https://example.org/data.csv."));
}

Result<Done> checkUrl(const QUrl &url)
{
    if (!url.isValid() || url.isRelative() || url.host().isEmpty())
        return badUrl(QStringLiteral("\"%1\" is not a valid URL.").arg(url.toDisplayString().left(200)));
    if (url.scheme() != u"http" && url.scheme() != u"https")
        return badUrl(QStringLiteral("Only http and https URLs can be fetched, not \"%1:\".")
                          .arg(url.scheme().left(20)));
    if (!url.userInfo(QUrl::FullyEncoded).isEmpty() || url.authority(QUrl::FullyEncoded).contains(u'@'))
        return badUrl(QStringLiteral("The URL contains a user name or password; such URLs are not fetched."));
    return Done{};
}

// A literal address, in every form the resolver takes ("2130706433", "0x7f.1", "0177.0.0.1", "[::1]").
QHostAddress literalAddress(const QString &host)
{
    const QHostAddress plain(host);
    if (!plain.isNull()) return plain;
    in_addr loose;
    if (::inet_aton(host.toLatin1().constData(), &loose) != 0) return QHostAddress(ntohl(loose.s_addr));
    return {};
}

// Resolved once; IPv4 first, because many hosts have IPv6 addresses but no route.
QCoro::Task<Result<QList<QHostAddress>>> resolveHost(QString host, std::chrono::milliseconds timeout,
                                                     CancelToken cancel)
{
    const QHostAddress literal = literalAddress(host);
    if (!literal.isNull()) co_return QList<QHostAddress>{literal};
    OneShot<QHostInfo> found;
    QObject context;
    const int id =
        QHostInfo::lookupHost(host, &context, [found](const QHostInfo &info) { found.resolve(info); });
    Result<QHostInfo> info = co_await found.wait(timeout, cancel);
    if (!info) {
        QHostInfo::abortHostLookup(id);
        if (info.error().code == ErrorCode::Timeout)
            co_return fail(ErrorCode::Timeout,
                           QStringLiteral("The name %1 was not resolved in time.").arg(host),
                           QStringLiteral("Try again later."));
        co_return Unexpected<Error>{info.error()};
    }
    QList<QHostAddress> addresses = info->addresses();
    if (addresses.isEmpty())
        co_return fail(ErrorCode::Upstream,
                       QStringLiteral("The host %1 was not found: %2.").arg(host, info->errorString()),
                       QStringLiteral("Check the URL."));
    std::stable_sort(addresses.begin(), addresses.end(), [](const QHostAddress &a, const QHostAddress &b) {
        return a.protocol() == QAbstractSocket::IPv4Protocol && b.protocol() != QAbstractSocket::IPv4Protocol;
    });
    co_return addresses;
}

Unexpected<Error> refusedAddress(const QUrl &url, const QHostAddress &address, bool redirected)
{
    return fail(
        ErrorCode::Forbidden,
        QStringLiteral("%1%2 leads to %3, an address that is private, local or reserved; fetching from those "
                       "is not allowed.")
            .arg(redirected ? QStringLiteral("A redirect to ") : QString(), url.host(), address.toString()),
        QStringLiteral("Use a public URL, or bring the file in with upload_file."),
        {{QStringLiteral("cause"), QStringLiteral("address_refused")},
         {QStringLiteral("address"), address.toString()}});
}

// One URL: every address checked before the first is connected to.
QCoro::Task<Result<HopResult>> fetchHop(AddressPolicy policy, FetchRequest request, bool redirected)
{
    const Result<Done> valid = checkUrl(request.url);
    if (!valid) co_return Unexpected<Error>{valid.error()};
    const QString host = request.url.host(QUrl::FullyEncoded);
    const std::chrono::milliseconds timeout = request.connectTimeout;
    const CancelToken cancel = request.cancel;
    Result<QList<QHostAddress>> addresses = co_await resolveHost(host, timeout, cancel);
    if (!addresses) co_return Unexpected<Error>{addresses.error()};
    for (const QHostAddress &address : std::as_const(*addresses)) {
        if (!policy.allows(address, request.url)) co_return refusedAddress(request.url, address, redirected);
    }
    QString problem;
    const qsizetype count = qMin<qsizetype>(addresses->size(), mostAddresses);
    for (qsizetype i = 0; i < count; ++i) {
        const QScopedPointer<Hop, QScopedPointerDeleteLater> hop(new Hop(request, addresses->at(i)));
        const OneShot<HopResult> done = hop->done();
        const std::chrono::milliseconds ownTimeouts{0};
        Result<HopResult> got = co_await done.wait(ownTimeouts);
        if (!got || !got->unreachable) co_return got;
        problem = got->problem;
    }
    co_return fail(ErrorCode::Upstream, QStringLiteral("No connection to %1: %2.").arg(host, problem),
                   QStringLiteral("Check the URL."));
}

QCoro::Task<Result<FetchResult>> fetchAll(AddressPolicy policy, FetchRequest request)
{
    const QUrl asked = request.url;
    for (int redirects = 0; redirects <= request.maxRedirects; ++redirects) {
        const bool redirected = redirects > 0;
        Result<HopResult> hop = co_await fetchHop(policy, request, redirected);
        if (!hop) co_return Unexpected<Error>{hop.error()};
        if (hop->redirect.isEmpty()) {
            FetchResult result;
            result.finalUrl = request.url;
            result.status = hop->status;
            result.contentType = hop->contentType;
            result.fileName = suggestedFileName(hop->disposition, asked, request.url);
            result.bytes = hop->bytes;
            co_return result;
        }
        request.url = hop->redirect;
    }
    co_return fail(
        ErrorCode::Upstream,
        QStringLiteral("%1 redirects more than %2 times.").arg(asked.host()).arg(request.maxRedirects),
        QStringLiteral("Use the URL the redirects end at."));
}

class PinnedFetcher : public Fetcher
{
public:
    explicit PinnedFetcher(AddressPolicy policy) : m_policy(std::move(policy)) {}
    QCoro::Task<Result<FetchResult>> fetch(FetchRequest request) override
    {
        return fetchAll(m_policy, std::move(request));
    }

private:
    AddressPolicy m_policy;
};
} // namespace

std::unique_ptr<Fetcher> Fetcher::create(AddressPolicy policy)
{
    return std::make_unique<PinnedFetcher>(std::move(policy));
}

} // namespace power::net
