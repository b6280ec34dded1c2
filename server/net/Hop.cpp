#include "net/Hop.h"
#include <QDateTime>
#include <QLocale>
#include <QPointer>
#include <QTimeZone>
#include <algorithm>

namespace power::net
{

namespace
{
constexpr qint64 pieceBytes = 256 * 1024;
constexpr qint64 packedPieceBytes = 4 * 1024; // unpacked it is 4 MiB at most
constexpr int errorBytes = 4 * 1024;

Unexpected<Error> tooLarge(qint64 limit)
{
    return fail(
        ErrorCode::TooLarge,
        QStringLiteral("The file is larger than the limit of %1 MB for fetching.").arg(limit >> 20),
        QStringLiteral("Fetch a smaller part of it, or ask the administrator to raise MAX_FETCH_SIZE_MB."),
        {{QStringLiteral("limit"), limit}});
}

// What is sent. Fields with line ends in them are left out: they could be more than one.
QByteArray requestFor(const FetchRequest &asked, const HopStart &start)
{
    const QUrl &url = asked.url;
    QByteArray path = url.path(QUrl::FullyEncoded).toLatin1();
    if (!path.startsWith('/')) path.prepend('/');
    if (url.hasQuery()) path += '?' + url.query(QUrl::FullyEncoded).toLatin1();
    QByteArray host = url.host(QUrl::FullyEncoded).toLatin1();
    if (host.contains(':')) host = '[' + host + ']';
    if (url.port() > 0) host += ':' + QByteArray::number(url.port());
    QList<std::pair<QByteArray, QByteArray>> fields{{"Host", host}, {"User-Agent", "power-interpreter"}, {"Accept", "*/*"},
                                                    {"Accept-Encoding", "identity"}, {"Connection", "close"}};
    if (start.from > 0) {
        fields.append({"Range", "bytes=" + QByteArray::number(start.from) + '-'});
        fields.append({"If-Range", start.validator});
    }
    if (asked.post) fields.append({"Content-Length", QByteArray::number(asked.post->size())});
    fields += asked.headers;
    QByteArray bytes = (asked.post ? "POST " : "GET ") + path + " HTTP/1.1\r\n";
    for (const auto &[name, value] : std::as_const(fields)) {
        const QByteArray line = name + ": " + value;
        if (!line.contains('\r') && !line.contains('\n') && !line.contains('\0')) bytes += line + "\r\n";
    }
    return bytes + "\r\n" + asked.post.value_or(QByteArray());
}

QDateTime httpDate(const QByteArray &text)
{
    QDateTime date = QLocale::c().toDateTime(QString::fromLatin1(text.trimmed()), QStringLiteral("ddd, dd MMM yyyy hh:mm:ss 'GMT'"));
    date.setTimeZone(QTimeZone::utc());
    return date;
}

// What If-Range takes (RFC 9110, 13.1.5): a strong ETag, or a date that cannot stand for two contents because it was a
// second old at least when it was told (8.8.2.2).
QByteArray strongValidator(const AnswerHead &head)
{
    const QByteArray tag = head.field("etag").trimmed();
    if (tag.startsWith('"')) return tag;
    const QByteArray modified = head.field("last-modified").trimmed();
    const QDateTime told = httpDate(head.field("date"));
    const QDateTime now = told.isValid() ? told : QDateTime::currentDateTimeUtc();
    const QDateTime then = httpDate(modified);
    return tag.isEmpty() && then.isValid() && then.secsTo(now) >= 1 ? modified : QByteArray();
}

// "bytes 100-199/200" begins there.
bool beginsAt(const QByteArray &contentRange, qint64 from)
{
    return contentRange.trimmed().toLower().startsWith("bytes " + QByteArray::number(from) + '-');
}

// The 200 of it; -1 when it does not say. A server may give less than was asked for (RFC 9110, 14.2).
qint64 wholeOf(const QByteArray &contentRange)
{
    bool good = false;
    const qint64 size = contentRange.mid(contentRange.lastIndexOf('/') + 1).trimmed().toLongLong(&good);
    return good && size >= 0 ? size : -1;
}

// Servers that take the ending .gz for a coding: the file itself is what is packed (and what its sender meant).
bool isPackedFile(const QByteArray &contentType, const QUrl &url)
{
    const QByteArray type = contentType.left(contentType.indexOf(';') < 0 ? contentType.size() : contentType.indexOf(';')).trimmed().toLower();
    const QString path = url.path().toLower();
    return type == "application/gzip" || type == "application/x-gzip" || path.endsWith(u".gz") || path.endsWith(u".tgz");
}
} // namespace

Hop::Hop(FetchRequest request, const QHostAddress &address, HopStart start, std::chrono::steady_clock::time_point deadline)
    : m_request(std::move(request)), m_start(std::move(start)), m_deadline(deadline)
{
    const bool tls = m_request.url.scheme() == u"https";
    const Transfer::Place place{address, quint16(m_request.url.port(tls ? 443 : 80)), tls, m_request.url.host(QUrl::FullyEncoded)};
    m_transfer = std::make_unique<Transfer>(place, requestFor(m_request, m_start));
    connect(m_transfer.get(), &Transfer::progressed, this, &Hop::onProgress);
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

void Hop::stop()
{
    m_transfer->disconnect(this);
    m_transfer->abort();
}

void Hop::end(Result<HopResult> result)
{
    if (m_ended) return;
    m_ended = true;
    m_timer.stop();
    stop();
    // Not below a signal of the transfer: what the waiter does next is not ours to know.
    const OneShot<HopResult> done = m_done;
    QMetaObject::invokeMethod(
        this, [done, result = std::move(result)] { done.resolve(result); }, Qt::QueuedConnection);
}

// The next byte must come within the read timeout, and everything before the deadline.
void Hop::restartTimer()
{
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(m_deadline - std::chrono::steady_clock::now());
    m_timer.start(std::clamp(left, std::chrono::milliseconds(1), m_request.readTimeout));
}

void Hop::onTimeout()
{
    if (std::chrono::steady_clock::now() >= m_deadline)
        return end(fail(ErrorCode::Timeout,
                        QStringLiteral("The transfer from %1 was not complete after %2 s.")
                            .arg(m_request.url.host())
                            .arg(m_request.totalTimeout.count() / 1000),
                        QStringLiteral("Fetch a smaller file, or use a faster source.")));
    const QString what =
        m_sent ? QStringLiteral("sent nothing for %1 s").arg(m_request.readTimeout.count() / 1000)
               : QStringLiteral("did not accept a connection within %1 s")
                     .arg(m_request.connectTimeout.count() / 1000);
    const Error error = fail(ErrorCode::Timeout, QStringLiteral("The server %1 %2.").arg(m_request.url.host(), what),
                             QStringLiteral("Try again later or use another source.")).error;
    if (!m_sent) {
        m_result.unreachable = true;
        m_result.problem = error;
        return end(m_result);
    }
    if (m_headers && m_result.status >= 200 && m_result.status < 300) return breakOff(error);
    end(Unexpected<Error>{error});
}

void Hop::breakOff(Error problem)
{
    m_result.broken = true;
    m_result.problem = std::move(problem);
    if (!m_validator.isEmpty()) m_result.start = {m_result.bytes, m_validator, m_whole};
    end(m_result);
}

void Hop::onHeaders()
{
    const AnswerHead &head = m_transfer->head();
    const int status = head.status;
    if (m_headers || status == 0) return;
    m_headers = true;
    restartTimer();
    m_result.status = status;
    m_result.contentType = head.field("content-type");
    m_result.disposition = head.field("content-disposition");
    const QByteArray location = head.field("location");
    if (status >= 300 && status < 400 && status != 304 && !location.isEmpty()) {
        m_result.redirect = m_request.url.resolved(QUrl::fromEncoded(location, QUrl::TolerantMode));
        end(m_result);
        return;
    }
    const QByteArray coding = head.field("content-encoding").trimmed().toLower();
    const bool gzip = coding == "gzip" || coding == "x-gzip";
    if (coding == "deflate" || (gzip && !isPackedFile(m_result.contentType, m_request.url))) {
        m_inflater = std::make_unique<Inflater>();
    } else if (!gzip && !coding.isEmpty() && coding != "identity" && status < 300) {
        end(fail(ErrorCode::Upstream,
                 QStringLiteral("The server %1 sends the coding \"%2\", which is not understood.")
                     .arg(m_request.url.host(), QString::fromLatin1(coding.left(40)))));
        return;
    }
    if (status >= 200 && status < 300) begin();
}

// The body of a good answer: the rest of what is there, or all of it.
void Hop::begin()
{
    const AnswerHead &head = m_transfer->head();
    const qint64 announced = m_inflater ? -1 : head.length;
    const bool goesOn = m_start.from > 0 && m_result.status == 206;
    const bool another = m_start.from == 0 || m_inflater || !beginsAt(head.field("content-range"), m_start.from);
    if (m_result.status == 206 && another)
        return breakOff(fail(ErrorCode::Upstream, QStringLiteral("%1 answered with another part than was asked for.").arg(m_request.url.host())).error);
    // Asked whether there is more, it sends all again: as far as it can tell, there was no more.
    const QByteArray validator = m_inflater ? QByteArray() : strongValidator(head);
    if (m_start.probe && !goesOn && (announced < 0 || announced == m_start.from || validator != m_start.validator)) return nothingMore();
    m_result.bytes = goesOn ? m_start.from : 0;
    m_validator = validator;
    m_expected = announced < 0 ? -1 : m_result.bytes + announced;
    m_whole = m_expected;
    if (goesOn) { // "bytes 100-199/*" is no end either
        const qint64 told = wholeOf(head.field("content-range"));
        m_whole = told >= 0 ? told : m_start.whole;
        m_open = m_whole < 0;
        m_expected = qMax(m_expected, m_whole);
    }
    if (qMax(m_result.bytes, m_expected) > m_request.maxBytes) return end(tooLarge(m_request.maxBytes));
    if (goesOn || !m_request.onBegin) return;
    FetchedHead told;
    told.contentType = m_result.contentType;
    told.fileName = QString::fromLatin1(m_result.disposition); // its bytes; read by suggestedFileName()
    told.size = announced;
    const Result<Done> begun = m_request.onBegin(told);
    if (!begun) end(Unexpected<Error>{begun.error()});
}

// Counts; what passes goes into m_unpacked.
Result<Done> Hop::take(QByteArrayView bytes)
{
    m_result.bytes += bytes.size();
    if (m_result.bytes > m_request.maxBytes) return tooLarge(m_request.maxBytes);
    m_unpacked.append(bytes.data(), bytes.size());
    return Done{};
}

void Hop::onProgress()
{
    if (!m_sent && m_transfer->wasSent()) {
        m_sent = true;
        restartTimer();
    }
    onHeaders();
    while (!m_ended && !m_handing) {
        const QByteArray piece = m_transfer->read(m_inflater ? packedPieceBytes : pieceBytes);
        if (piece.isEmpty()) break;
        restartTimer();
        if (m_result.status >= 300) {
            m_errorBody += piece.first(qMin<qsizetype>(piece.size(), errorBytes - m_errorBody.size()));
            if (m_errorBody.size() >= errorBytes) return conclude();
            continue;
        }
        const Result<Done> taken =
            m_inflater ? m_inflater->feed(piece, [this](QByteArrayView unpacked) { return take(unpacked); })
                       : take(piece);
        if (!taken) return end(Unexpected<Error>{taken.error()});
        if (!m_unpacked.isEmpty() && m_request.onData) handOver(std::exchange(m_unpacked, QByteArray()));
        m_unpacked.clear();
    }
    if (!m_ended && !m_handing && m_transfer->isOver()) conclude();
}

// Nothing is read from the network while the sink has a piece: that is the backpressure.
QCoro::Task<> Hop::handOver(QByteArray piece)
{
    const QPointer<Hop> self(this);
    m_handing = true;
    m_timer.stop();
    const OneShot<Done> taken = m_request.onData(std::move(piece));
    const bool waited = !taken.isResolved();
    const std::chrono::milliseconds untilTaken{0};
    const Result<Done> done = co_await taken.wait(untilTaken);
    if (!self) co_return;
    m_handing = false;
    if (m_ended) co_return;
    if (!done) {
        end(Unexpected<Error>{done.error()});
        co_return;
    }
    restartTimer();
    if (!waited) co_return; // the caller's loop goes on
    onProgress();
}

// What is there already was all.
void Hop::nothingMore()
{
    m_result.nothingMore = true;
    m_result.bytes = m_start.from;
    end(m_result);
}

// Everything that came was taken.
void Hop::conclude()
{
    const QString host = m_request.url.host();
    if (!m_headers) {
        m_result.unreachable = !m_sent;
        m_result.problem = fail(ErrorCode::Upstream, m_transfer->problem()).error;
        if (m_result.unreachable && !m_transfer->isMistrusted())
            return end(m_result);
        return end(fail(ErrorCode::Upstream,
                        QStringLiteral("%1 gave no answer: %2.").arg(host, m_transfer->problem()),
                        QStringLiteral("Check the URL.")));
    }
    // Asked for what follows a part without a total: there is nothing, so that was all of it.
    if (m_result.status == 416 && m_start.from > 0) {
        const qint64 whole = wholeOf(m_transfer->head().field("content-range"));
        if (whole == m_start.from || (m_start.probe && whole < 0)) return nothingMore();
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
    const bool early = m_expected >= 0 && m_result.bytes != m_expected;
    if (m_transfer->state() == Transfer::State::Broken || cut || early)
        return breakOff(
            fail(ErrorCode::Upstream,
                 QStringLiteral("The transfer from %1 broke off after %2 bytes: %3.")
                     .arg(host)
                     .arg(m_result.bytes)
                     .arg(cut ? QStringLiteral("the compressed data ends early")
                          : early ? QStringLiteral("%1 were announced").arg(m_expected) : m_transfer->problem()),
                 QStringLiteral("Try again.")).error);
    if (m_open)
        return breakOff(fail(ErrorCode::Upstream, QStringLiteral("%1 does not say whether its %2 bytes are all.").arg(host).arg(m_result.bytes),
                             QStringLiteral("Try again.")).error);
    // Only the end of the connection says that this is all: who can be asked for the rest is asked.
    if (m_transfer->state() == Transfer::State::Closed && m_whole < 0 && m_result.bytes > 0 && !m_validator.isEmpty() && !m_request.post) {
        m_result.unsure = true;
        m_result.start = {m_result.bytes, m_validator, -1, true};
    }
    end(m_result);
}

} // namespace power::net
