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
constexpr std::chrono::milliseconds probeTimeout{30'000}; // for an answer whether there is more

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

using Clock = std::chrono::steady_clock;

// What one fetch needs besides the request.
struct Plan {
    AddressPolicy policy;
    Resolver resolve;
    Clock::time_point deadline;
};

// One URL: every address checked before the first is connected to.
QCoro::Task<Result<HopResult>> fetchHop(Plan plan, FetchRequest request, HopStart start, bool redirected)
{
    const Result<Done> valid = checkUrl(request.url);
    if (!valid) co_return Unexpected<Error>{valid.error()};
    const QString host = request.url.host(QUrl::FullyEncoded);
    QList<QHostAddress> addresses;
    if (const QHostAddress literal = literalAddress(host); !literal.isNull()) {
        addresses << literal;
    } else {
        const std::chrono::milliseconds timeout = request.connectTimeout;
        const CancelToken cancel = request.cancel;
        const Result<QList<QHostAddress>> found = co_await plan.resolve(host, timeout, cancel);
        if (!found) co_return Unexpected<Error>{found.error()};
        addresses = *found;
    }
    for (const QHostAddress &address : std::as_const(addresses)) {
        if (!plan.policy.allows(address, request.url)) co_return refusedAddress(request.url, address, redirected);
    }
    Error problem;
    const qsizetype count = qMin<qsizetype>(addresses.size(), mostAddresses);
    for (qsizetype i = 0; i < count; ++i) {
        const QScopedPointer<Hop, QScopedPointerDeleteLater> hop(new Hop(request, addresses.at(i), start, plan.deadline));
        const OneShot<HopResult> done = hop->done();
        const std::chrono::milliseconds ownTimeouts{0};
        Result<HopResult> got = co_await done.wait(ownTimeouts);
        if (!got || !got->unreachable) co_return got;
        problem = got->problem;
    }
    if (problem.code == ErrorCode::Timeout) co_return Unexpected<Error>{problem};
    co_return fail(ErrorCode::Upstream, QStringLiteral("No connection to %1: %2.").arg(host, problem.message),
                   QStringLiteral("Check the URL."), {{QStringLiteral("cause"), QStringLiteral("unreachable")}});
}

// From the URL that was asked for through its redirects to an answer; `start`: what is there of its body already.
QCoro::Task<Result<HopResult>> fetchOnce(Plan plan, FetchRequest request, HopStart start, QUrl *final)
{
    const QUrl asked = request.url;
    for (int redirects = 0; redirects <= request.maxRedirects; ++redirects) {
        const bool redirected = redirects > 0;
        FetchRequest here = request;
        const QUrl url = request.url;
        if (request.onBegin)
            here.onBegin = [begin = request.onBegin, asked, url](FetchedHead head) {
                head.fileName = suggestedFileName(head.fileName.toLatin1(), asked, url);
                return begin(head);
            };
        Result<HopResult> hop = co_await fetchHop(plan, std::move(here), start, redirected);
        *final = url;
        if (!hop || hop->redirect.isEmpty()) co_return hop;
        request.url = hop->redirect;
    }
    co_return fail(
        ErrorCode::Upstream,
        QStringLiteral("%1 redirects more than %2 times.").arg(asked.host()).arg(request.maxRedirects),
        QStringLiteral("Use the URL the redirects end at."));
}

// A failure that may be gone when the rest is asked for.
bool mayPass(const Error &error)
{
    const int status = error.details.value(QStringLiteral("http_status")).toInt();
    return error.code == ErrorCode::Timeout || (error.code == ErrorCode::Upstream && (status == 0 || status >= 500 || status == 416));
}

// No answer to "is there more?" (an error, silence, another part): what came was complete by the rules (RFC 9112, 8).
bool leavesItAtThat(const HopStart &asked, const Result<HopResult> &got)
{
    if (!asked.probe) return false;
    if (got) return got->broken && got->status == 206 && got->bytes < asked.from;
    const int status = got.error().details.value(QStringLiteral("http_status")).toInt();
    return status != 416 && (got.error().code == ErrorCode::Upstream || got.error().code == ErrorCode::Timeout);
}

QCoro::Task<Result<FetchResult>> fetchAll(Plan plan, FetchRequest request)
{
    FetchResult result;
    HopStart start;
    Error broken;       // of the last attempt
    bool begun = false; // something of the body came
    qint64 most = 0;
    int vain = 0;   // attempts in a row that brought nothing new
    HopResult last; // that gave something of the body
    const std::chrono::milliseconds patience = request.readTimeout;
    while (true) {
        request.readTimeout = start.probe ? qMin(patience, probeTimeout) : patience;
        Result<HopResult> hop = co_await fetchOnce(plan, request, start, &result.finalUrl);
        const bool stays = leavesItAtThat(start, hop);
        if (!hop && !stays && (!begun || !mayPass(hop.error()))) co_return Unexpected<Error>{hop.error()};
        if (stays || (hop && !hop->broken && !hop->unsure)) {
            const bool nothingMore = stays || hop->nothingMore;
            const HopResult &told = nothingMore ? last : *hop;
            result.status = told.status;
            result.contentType = told.contentType;
            result.fileName = suggestedFileName(told.disposition, request.url, result.finalUrl);
            result.bytes = told.bytes;
            result.resumes += start.probe && !nothingMore;
            co_return result;
        }
        if (hop) {
            begun = true;
            vain = hop->bytes > most ? 0 : vain + 1;
            most = qMax(most, hop->bytes);
            start = hop->start;
            last = *hop;
            if (hop->unsure) continue;
            broken = hop->problem;
        } else {
            ++vain;
            const bool changed = hop.error().details.value(QStringLiteral("http_status")).toInt() == 416;
            if (changed && start.probe) broken = hop.error();
            if (changed) start = {};
        }
        if (request.post) co_return Unexpected<Error>{broken}; // it may have had its effect
        if (vain >= 3 || result.resumes >= request.maxResumes || Clock::now() >= plan.deadline) co_return Unexpected<Error>{broken};
        ++result.resumes;
        const OneShot<Done> pause;
        const std::chrono::milliseconds rest{100 << vain};
        const CancelToken cancel = request.cancel;
        const Result<Done> paused = co_await pause.wait(rest, cancel);
        if (!paused && paused.error().code == ErrorCode::Cancelled) co_return Unexpected<Error>{paused.error()};
    }
}

class PinnedFetcher : public Fetcher
{
public:
    PinnedFetcher(AddressPolicy policy, Resolver resolver) : m_policy(std::move(policy)), m_resolver(std::move(resolver)) {}
    QCoro::Task<Result<FetchResult>> fetch(FetchRequest request) override
    {
        const Clock::time_point deadline = Clock::now() + request.totalTimeout;
        return fetchAll({m_policy, m_resolver, deadline}, std::move(request));
    }

private:
    AddressPolicy m_policy;
    Resolver m_resolver;
};
} // namespace

std::unique_ptr<Fetcher> Fetcher::create(AddressPolicy policy, Resolver resolver)
{
    return std::make_unique<PinnedFetcher>(std::move(policy), resolver ? std::move(resolver) : Resolver(resolveHost));
}

} // namespace power::net
