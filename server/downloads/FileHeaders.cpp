#include "downloads/FileHeaders.h"
#include <QUrl>

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

http::Headers fileHeaders(const files::StoredFile &file, Disposition kind)
{
    http::Headers headers;
    QByteArray type = file.mime.toLatin1();
    if (type.isEmpty() || type.contains('\n') || type.contains('\r')) type = "application/octet-stream";
    if (type.startsWith("text/") && !type.contains("charset")) type += "; charset=utf-8";
    headers.add("Content-Type", type);
    headers.add("Content-Disposition", contentDisposition(kind, file.name));
    headers.add("X-Session-Id", QUrl::toPercentEncoding(file.sessionId));
    if (type.contains("html") || type.contains("svg") || type.contains("xml"))
        headers.add("Content-Security-Policy", "sandbox");
    return headers;
}

ByteRange rangeOf(const QByteArray &header, qint64 size)
{
    const ByteRange whole{ByteRange::Whole, 0, size};
    const QByteArray text = header.trimmed();
    const qsizetype dash = text.indexOf('-');
    if (!text.startsWith("bytes=") || dash < 0 || text.contains(',')) return whole;
    const QByteArray from = text.mid(6, dash - 6).trimmed(), to = text.mid(dash + 1).trimmed();
    bool fromGood = true, toGood = true;
    const qint64 first = from.isEmpty() ? 0 : from.toLongLong(&fromGood);
    const qint64 last = to.isEmpty() ? size - 1 : to.toLongLong(&toGood);
    if (!fromGood || !toGood || first < 0 || (to.startsWith('-')) || (from.isEmpty() && to.isEmpty()))
        return whole;
    if (from.isEmpty()) { // the last so many bytes
        const qint64 length = qMin(last, size);
        return length > 0 ? ByteRange{ByteRange::Part, size - length, length}
                          : ByteRange{ByteRange::Unsatisfiable, 0, 0};
    }
    if (!to.isEmpty() && last < first) return whole;
    if (first >= size) return {ByteRange::Unsatisfiable, 0, 0};
    return {ByteRange::Part, first, qMin(last, size - 1) - first + 1};
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
