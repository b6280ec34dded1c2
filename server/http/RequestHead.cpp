#include "http/RequestHead.h"
#include "http/HttpServer.h"
#include <QStringDecoder>
#include <cstring>

namespace power::http {

namespace {
Unexpected<Refusal> refuse(int status, const char *why)
{
    return {Refusal{status, why}};
}

bool isTokenChar(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
        || (c != '\0' && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}

bool isToken(QByteArrayView text)
{
    return !text.isEmpty() && std::all_of(text.begin(), text.end(), isTokenChar);
}

// Visible characters, spaces, tabs and bytes above 127; no other control characters.
bool isFieldValue(QByteArrayView text)
{
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u == '\t' || (u >= 0x20 && u != 0x7f);
    });
}

bool is(QByteArrayView text, const char *lower)
{
    return text.compare(QByteArrayView(lower), Qt::CaseInsensitive) == 0;
}

int hexDigit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Percent-decodes strictly: valid escapes, valid UTF-8, no control characters. False: malformed.
bool decodePath(QByteArrayView raw, QString &path)
{
    QByteArray bytes;
    bytes.reserve(raw.size());
    bool plain = true;
    for (qsizetype i = 0; i < raw.size(); ++i) {
        char c = raw[i];
        if (c == '%') {
            const int high = i + 2 < raw.size() ? hexDigit(raw[i + 1]) : -1;
            const int low = i + 2 < raw.size() ? hexDigit(raw[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        const auto u = static_cast<unsigned char>(c);
        if (u < 0x20 || u == 0x7f)
            return false;
        plain = plain && u < 0x80;
        bytes.append(c);
    }
    if (plain) {
        path = QString::fromLatin1(bytes);
        return true;
    }
    QStringDecoder decoder(QStringDecoder::Utf8);
    path = decoder.decode(bytes);
    return !decoder.hasError();
}

// Removes "." and ".." segments; ".." never climbs above the root.
QString withoutDotSegments(const QString &path)
{
    if (!path.contains(QLatin1String("/.")))
        return path;
    QStringList kept;
    const QStringList segments = path.mid(1).split(u'/');
    for (qsizetype i = 0; i < segments.size(); ++i) {
        const bool last = i + 1 == segments.size();
        if (segments[i] == u"..") {
            if (!kept.isEmpty())
                kept.removeLast();
        } else if (segments[i] != u".") {
            kept.append(segments[i]);
            continue;
        }
        if (last)
            kept.append(QString());
    }
    return u'/' + kept.join(u'/');
}

bool parseTarget(RequestHead &head)
{
    QByteArrayView raw = head.target;
    if (raw == QByteArrayView("*")) {
        head.path = QStringLiteral("*");
        return head.method == "OPTIONS";
    }
    for (const char *scheme : {"http://", "https://"}) {
        const QByteArrayView prefix(scheme);
        if (raw.size() <= prefix.size() || raw.first(prefix.size()).compare(prefix, Qt::CaseInsensitive) != 0)
            continue;
        const qsizetype slash = raw.indexOf('/', prefix.size());
        raw = slash < 0 ? QByteArrayView("/") : raw.sliced(slash);
        break;
    }
    if (!raw.startsWith('/'))
        return false;
    const qsizetype question = raw.indexOf('?');
    if (question >= 0) {
        head.query = QUrlQuery(QString::fromUtf8(raw.sliced(question + 1)));
        raw = raw.first(question);
    }
    if (raw.contains('#') || !decodePath(raw, head.path))
        return false;
    head.path = withoutDotSegments(head.path);
    return true;
}

// The request line without its CRLF. Status 0: fine.
Refusal parseRequestLine(QByteArrayView line, RequestHead &head)
{
    const qsizetype first = line.indexOf(' ');
    const qsizetype last = line.lastIndexOf(' ');
    if (first <= 0 || last <= first)
        return {400, "The request line is not \"METHOD target HTTP/1.1\"."};
    const QByteArrayView version = line.sliced(last + 1);
    if (version != QByteArrayView("HTTP/1.1")) {
        if (version.size() != 8 || !version.startsWith("HTTP/") || version[6] != '.')
            return {400, "The request line does not end in an HTTP version."};
        if (version != QByteArrayView("HTTP/1.0"))
            return {505, "This server speaks HTTP/1.1 and HTTP/1.0."};
        head.oldVersion = true;
    }
    const QByteArrayView method = line.first(first);
    const QByteArrayView target = line.sliced(first + 1, last - first - 1);
    if (!isToken(method) || target.isEmpty() || target.contains(' ') || !isFieldValue(target) || target.contains('\t'))
        return {400, "The request line is not \"METHOD target HTTP/1.1\"."};
    head.method = method.toByteArray();
    head.target = target.toByteArray();
    if (!parseTarget(head))
        return {400, "The request target is malformed."};
    return {0, ""};
}

// What the fields say together; counts guard against a field given twice.
struct FieldFacts {
    int hosts = 0;
    int lengths = 0;
    int codings = 0;
    bool close = false;
    bool keep = false;
};

Refusal readField(QByteArrayView name, QByteArrayView value, RequestHead &head, FieldFacts &facts)
{
    switch (name.size()) {
    case 4:
        if (is(name, "host")) {
            ++facts.hosts;
            if (value.contains(' ') || value.contains('\t') || value.contains(',') || value.contains('/') || value.contains('@'))
                return {400, "The Host field is malformed."};
        }
        break;
    case 6:
        if (is(name, "expect")) {
            if (!is(value, "100-continue"))
                return {417, "Only \"Expect: 100-continue\" is supported."};
            head.expectsContinue = true;
        }
        break;
    case 7:
        head.upgrade = head.upgrade || is(name, "upgrade");
        break;
    case 10:
        if (is(name, "connection")) {
            const QList<QByteArray> options = value.toByteArray().split(',');
            for (const QByteArray &option : options) {
                facts.close = facts.close || is(option.trimmed(), "close");
                facts.keep = facts.keep || is(option.trimmed(), "keep-alive");
            }
        }
        break;
    case 14:
        if (is(name, "content-length")) {
            ++facts.lengths;
            if (value.isEmpty() || !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; }))
                return {400, "Content-Length is not a plain number."};
            bool fits = false;
            head.contentLength = value.toByteArray().toLongLong(&fits);
            if (!fits)
                return {413, "The announced body is larger than anything this server takes."};
        }
        break;
    case 17:
        if (is(name, "transfer-encoding")) {
            ++facts.codings;
            if (!is(value, "chunked"))
                return {400, "The only Transfer-Encoding this server reads is \"chunked\"."};
            head.chunked = true;
        }
        break;
    default:
        break;
    }
    return {0, ""};
}

Refusal checkFraming(const FieldFacts &facts, RequestHead &head)
{
    if (facts.lengths > 1)
        return {400, "Content-Length is given more than once."};
    if (facts.codings > 1 || (facts.codings == 1 && facts.lengths == 1))
        return {400, "Transfer-Encoding is given twice or together with Content-Length."};
    if (facts.codings == 1 && head.oldVersion)
        return {400, "HTTP/1.0 has no Transfer-Encoding."};
    if (facts.hosts > 1 || (facts.hosts == 0 && !head.oldVersion))
        return {400, "Exactly one Host field is needed."};
    head.keepAlive = !facts.close && (!head.oldVersion || facts.keep);
    head.expectsContinue = head.expectsContinue && !head.oldVersion;
    return {0, ""};
}
} // namespace

qsizetype findHeadEnd(QByteArrayView bytes, qsizetype from)
{
    for (qsizetype at = bytes.indexOf('\n', from); at >= 0; at = bytes.indexOf('\n', at + 1)) {
        if (at == 0 || bytes[at - 1] != '\r')
            return -1;
        if (at >= 3 && bytes[at - 2] == '\n')
            return at + 1;
    }
    return 0;
}

Expected<RequestHead, Refusal> parseHead(QByteArrayView block, const Limits &limits)
{
    RequestHead head;
    qsizetype end = block.indexOf('\n');
    if (const Refusal refusal = parseRequestLine(block.first(end - 1), head); refusal.status != 0)
        return refuse(refusal.status, refusal.why);
    FieldFacts facts;
    int count = 0;
    for (qsizetype start = end + 1; start < block.size() - 2; start = end + 1) {
        end = block.indexOf('\n', start);
        const QByteArrayView line = block.sliced(start, end - 1 - start);
        if (++count > limits.maxHeaderFields)
            return refuse(431, "The request has too many header fields.");
        if (line.startsWith(' ') || line.startsWith('\t'))
            return refuse(400, "Folded header lines are not accepted.");
        const qsizetype colon = line.indexOf(':');
        const QByteArrayView name = line.first(qMax(colon, qsizetype(0)));
        if (!isToken(name))
            return refuse(400, "A header field's name is malformed.");
        const QByteArrayView value = line.sliced(colon + 1).trimmed();
        if (!isFieldValue(value))
            return refuse(400, "A header field's value has control characters.");
        if (const Refusal refusal = readField(name, value, head, facts); refusal.status != 0)
            return refuse(refusal.status, refusal.why);
        head.headers.add(name.toByteArray(), value.toByteArray());
    }
    if (const Refusal refusal = checkFraming(facts, head); refusal.status != 0)
        return refuse(refusal.status, refusal.why);
    return head;
}

} // namespace power::http
