#include "downloads/FileHeaders.h"
#include <QUrl>
#include <algorithm>

namespace power::downloads
{

namespace
{
// Latin letters lose their accents; what is left outside ASCII, quotes, backslashes and controls become '_'.
QByteArray asciiName(const QString &name)
{
    QByteArray ascii;
    for (const QChar c : name.normalized(QString::NormalizationForm_KD)) {
        const char16_t code = c.unicode();
        if (c.category() == QChar::Mark_NonSpacing || c.isLowSurrogate()) continue;
        const bool plain = code >= 0x20 && code < 0x7f && code != u'"' && code != u'\\' && code != u'%';
        ascii += plain ? char(code) : '_';
    }
    return ascii;
}
} // namespace

QByteArray contentDisposition(Disposition kind, const QString &name)
{
    const QString last = name.section(u'/', -1);
    return (kind == Disposition::Attachment ? QByteArray("attachment") : QByteArray("inline")) +
           "; filename=\"" + asciiName(last) + "\"; filename*=UTF-8''" +
           QUrl::toPercentEncoding(last, "!#$&+^`|", "'()*");
}

http::Headers contentHeaders(const QString &mime, const QString &name, const QString &sessionId, Disposition kind)
{
    http::Headers headers;
    QByteArray type = mime.toLatin1();
    if (type.isEmpty() || type.contains('\n') || type.contains('\r')) type = "application/octet-stream";
    if (type.startsWith("text/") && !type.contains("charset")) type += "; charset=utf-8";
    headers.add("Content-Type", type);
    headers.add("Content-Disposition", contentDisposition(kind, name));
    headers.add("X-Session-Id", QUrl::toPercentEncoding(sessionId));
    if (type.contains("html") || type.contains("svg") || type.contains("xml"))
        headers.add("Content-Security-Policy", "sandbox");
    return headers;
}

namespace
{
constexpr int mostRanges = 32;

enum class Spec { Good, Behind, Nonsense };
// "0-9", "90-", "-10"
Spec parseSpec(const QByteArray &spec, qint64 size, ByteRange *range)
{
    const qsizetype dash = spec.indexOf('-');
    if (dash < 0) return Spec::Nonsense;
    const QByteArray from = spec.left(dash).trimmed(), to = spec.mid(dash + 1).trimmed();
    bool fromGood = true, toGood = true;
    const qint64 first = from.isEmpty() ? 0 : from.toLongLong(&fromGood);
    const qint64 last = to.isEmpty() ? size - 1 : to.toLongLong(&toGood);
    if (!fromGood || !toGood || first < 0 || to.startsWith('-') || (from.isEmpty() && to.isEmpty())) return Spec::Nonsense;
    if (from.isEmpty()) { // the last so many bytes
        const qint64 length = qMin(last, size);
        *range = {size - length, length};
        return length > 0 ? Spec::Good : Spec::Behind;
    }
    if (!to.isEmpty() && last < first) return Spec::Nonsense;
    if (first >= size) return Spec::Behind;
    *range = {first, qMin(last, size - 1) - first + 1};
    return Spec::Good;
}
} // namespace

ByteRanges rangesOf(const QByteArray &header, qint64 size)
{
    const QByteArray text = header.trimmed();
    if (!text.left(6).toLower().startsWith("bytes=")) return {};
    const QByteArrayList specs = text.mid(6).split(',');
    if (specs.size() > mostRanges) return {};
    ByteRanges ranges{ByteRanges::Parts, {}};
    qint64 total = 0;
    for (const QByteArray &spec : specs) {
        ByteRange range;
        const Spec parsed = parseSpec(spec.trimmed(), size, &range);
        if (parsed == Spec::Nonsense) return {};
        if (parsed == Spec::Behind) continue;
        total += range.length;
        ranges.parts << range;
    }
    if (ranges.parts.isEmpty()) return {ByteRanges::Unsatisfiable, {}};
    if (ranges.parts.size() > 1 && total > size) return {};
    return ranges;
}

bool mayServe(const QByteArray &header, const QByteArray &tag)
{
    if (header.trimmed().isEmpty() || header.trimmed() == "*") return true;
    const QByteArrayList tags = header.split(',');
    return std::any_of(tags.begin(), tags.end(), [&tag](const QByteArray &each) { return each.trimmed() == tag; });
}

bool matchesTag(const QByteArray &header, const QByteArray &tag)
{
    if (header.trimmed() == "*") return true;
    for (QByteArray each : header.split(',')) {
        each = each.trimmed();
        if (each.startsWith("W/")) each = each.mid(2);
        if (each == tag) return true;
    }
    return false;
}

} // namespace power::downloads
