#include "net/Hop.h"
#include <QNetworkProxy>

namespace power::net
{

namespace
{
constexpr qint64 pieceBytes = 64 * 1024;
constexpr qint64 waitingBytes = 256 * 1024; // what the network layer may hold unread
constexpr int errorBytes = 4 * 1024;

Unexpected<Error> tooLarge(qint64 limit)
{
    return fail(
        ErrorCode::TooLarge,
        QStringLiteral("The file is larger than the limit of %1 MB for fetching.").arg(limit >> 20),
        QStringLiteral("Fetch a smaller part of it, or ask the administrator to raise MAX_FETCH_SIZE_MB."),
        {{QStringLiteral("limit"), limit}});
}

QNetworkRequest requestFor(const QUrl &url, const QHostAddress &address)
{
    QUrl pinned = url;
    pinned.setHost(address.toString());
    pinned.setFragment({});
    QNetworkRequest request(pinned);
    request.setAttribute(QNetworkRequest::RedirectPolicyAttribute, QNetworkRequest::ManualRedirectPolicy);
    request.setAttribute(QNetworkRequest::Http2AllowedAttribute, false);
    request.setAttribute(QNetworkRequest::CookieLoadControlAttribute, QNetworkRequest::Manual);
    request.setAttribute(QNetworkRequest::CookieSaveControlAttribute, QNetworkRequest::Manual);
    request.setAttribute(QNetworkRequest::AuthenticationReuseAttribute, QNetworkRequest::Manual);
    QByteArray host = url.host(QUrl::FullyEncoded).toLatin1();
    if (host.contains(':')) host = '[' + host + ']';
    if (url.port() > 0) host += ':' + QByteArray::number(url.port());
    request.setRawHeader("Host", host);
    request.setRawHeader("User-Agent", "power-interpreter");
    request.setRawHeader("Accept", "*/*");
    request.setRawHeader("Accept-Encoding", "identity");
    request.setPeerVerifyName(url.host(QUrl::FullyEncoded));
    return request;
}
} // namespace

Hop::Hop(FetchRequest request, const QHostAddress &address) : m_request(std::move(request))
{
    m_manager.setProxy(QNetworkProxy::NoProxy);
    QNetworkRequest outgoing = requestFor(m_request.url, address);
    for (const auto &[name, value] : std::as_const(m_request.headers))
        outgoing.setRawHeader(name, value);
    m_reply = m_request.post ? m_manager.post(outgoing, *m_request.post) : m_manager.get(outgoing);
    m_reply->setReadBufferSize(waitingBytes);
    connect(m_reply, &QNetworkReply::requestSent, this, [this] {
        m_sent = true;
        m_timer.start(m_request.readTimeout);
    });
    connect(m_reply, &QNetworkReply::metaDataChanged, this, &Hop::onHeaders);
    connect(m_reply, &QNetworkReply::readyRead, this, &Hop::onReadable);
    connect(m_reply, &QNetworkReply::finished, this, &Hop::onFinished);
    m_timer.setSingleShot(true);
    connect(&m_timer, &QTimer::timeout, this, &Hop::onTimeout);
    m_timer.start(m_request.connectTimeout);
    m_cancel = m_request.cancel.onCancel(
        [this] { end(fail(ErrorCode::Cancelled, QStringLiteral("The fetch was cancelled."))); });
}

Hop::~Hop()
{
    stop();
}

// An error answer is over for Qt as soon as its status is known; aborting it then would be a second error.
void Hop::stop()
{
    m_reply->disconnect(this);
    if (m_reply->error() == QNetworkReply::NoError) m_reply->abort();
}

void Hop::end(Result<HopResult> result)
{
    if (m_ended) return;
    m_ended = true;
    m_timer.stop();
    stop();
    // Not below a signal of the reply: what the waiter does next is not ours to know.
    const OneShot<HopResult> done = m_done;
    QMetaObject::invokeMethod(
        this, [done, result = std::move(result)] { done.resolve(result); }, Qt::QueuedConnection);
}

void Hop::onTimeout()
{
    const QString what =
        m_sent ? QStringLiteral("sent nothing for %1 s").arg(m_request.readTimeout.count() / 1000)
               : QStringLiteral("did not accept a connection within %1 s")
                     .arg(m_request.connectTimeout.count() / 1000);
    end(fail(ErrorCode::Timeout, QStringLiteral("The server %1 %2.").arg(m_request.url.host(), what),
             QStringLiteral("Try again later or use another source.")));
}

void Hop::onHeaders()
{
    const int status = m_reply->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt();
    if (m_headers || status == 0) return;
    m_headers = true;
    m_timer.start(m_request.readTimeout);
    m_result.status = status;
    m_result.contentType = m_reply->rawHeader("Content-Type");
    m_result.disposition = m_reply->rawHeader("Content-Disposition");
    const QByteArray location = m_reply->rawHeader("Location");
    if (status >= 300 && status < 400 && status != 304 && !location.isEmpty()) {
        m_result.redirect = m_request.url.resolved(QUrl::fromEncoded(location, QUrl::TolerantMode));
        end(m_result);
        return;
    }
    const QByteArray coding = m_reply->rawHeader("Content-Encoding").trimmed().toLower();
    if (coding == "gzip" || coding == "x-gzip" || coding == "deflate") {
        m_inflater = std::make_unique<Inflater>();
    } else if (!coding.isEmpty() && coding != "identity" && status < 300) {
        end(fail(ErrorCode::Upstream,
                 QStringLiteral("The server %1 sends the coding \"%2\", which is not understood.")
                     .arg(m_request.url.host(), QString::fromLatin1(coding.left(40)))));
        return;
    }
    const qint64 announced = m_reply->header(QNetworkRequest::ContentLengthHeader).toLongLong();
    if (status < 300 && announced > m_request.maxBytes) end(tooLarge(m_request.maxBytes));
}

Result<Done> Hop::take(QByteArrayView bytes)
{
    if (m_result.status >= 300) {
        m_errorBody += bytes.first(qMin<qsizetype>(bytes.size(), errorBytes - m_errorBody.size()));
        return Done{};
    }
    m_result.bytes += bytes.size();
    if (m_result.bytes > m_request.maxBytes) return tooLarge(m_request.maxBytes);
    return m_request.onData ? m_request.onData(bytes) : Result<Done>(Done{});
}

void Hop::onReadable()
{
    onHeaders();
    char piece[pieceBytes];
    while (!m_ended && m_reply->isOpen()) {
        const qint64 got = m_reply->read(piece, pieceBytes);
        if (got <= 0) return;
        m_timer.start(m_request.readTimeout);
        const QByteArrayView bytes(piece, got);
        const Result<Done> taken =
            m_inflater ? m_inflater->feed(bytes, [this](QByteArrayView unpacked) { return take(unpacked); })
                       : take(bytes);
        if (!taken) {
            end(Unexpected<Error>{taken.error()});
            return;
        }
        if (m_errorBody.size() >= errorBytes) {
            onFinished();
            return;
        }
    }
}

void Hop::onFinished()
{
    if (m_errorBody.size() < errorBytes) onReadable();
    if (m_ended || !m_reply->isOpen()) return;
    const QString host = m_request.url.host();
    if (!m_headers) {
        m_result.unreachable = !m_sent;
        m_result.problem = m_reply->errorString();
        if (m_result.unreachable && m_reply->error() != QNetworkReply::SslHandshakeFailedError)
            return end(m_result);
        return end(fail(ErrorCode::Upstream,
                        QStringLiteral("%1 gave no answer: %2.").arg(host, m_reply->errorString()),
                        QStringLiteral("Check the URL.")));
    }
    if (m_result.status < 200 || m_result.status >= 300) {
        const QString body = QString::fromUtf8(m_errorBody).simplified().left(300);
        return end(fail(ErrorCode::Upstream,
                        QStringLiteral("%1 answered HTTP %2%3")
                            .arg(host)
                            .arg(m_result.status)
                            .arg(body.isEmpty() ? QStringLiteral(".") : QStringLiteral(": ") + body),
                        QStringLiteral("Check the URL, and whether it needs a login or has expired."),
                        {{QStringLiteral("http_status"), m_result.status}}));
    }
    const bool cut = m_inflater && m_result.bytes > 0 && !m_inflater->isComplete();
    if (m_reply->error() != QNetworkReply::NoError || cut)
        return end(
            fail(ErrorCode::Upstream,
                 QStringLiteral("The transfer from %1 broke off after %2 bytes: %3.")
                     .arg(host)
                     .arg(m_result.bytes)
                     .arg(cut ? QStringLiteral("the compressed data ends early") : m_reply->errorString()),
                 QStringLiteral("Try again.")));
    end(m_result);
}

} // namespace power::net
