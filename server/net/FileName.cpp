#include "net/FileName.h"
#include <QHash>

namespace power::net
{

namespace
{
// Parameters of a header value ("attachment; a=b; c=\"d\\\"e\""), names in lower case.
QHash<QByteArray, QByteArray> parametersOf(const QByteArray &value)
{
    QHash<QByteArray, QByteArray> all;
    qsizetype at = value.indexOf(';');
    while (at >= 0 && at < value.size()) {
        const qsizetype equals = value.indexOf('=', at);
        if (equals < 0) break;
        const QByteArray name = value.mid(at + 1, equals - at - 1).trimmed().toLower();
        QByteArray content;
        qsizetype end = equals + 1;
        while (end < value.size() && value[end] == ' ')
            ++end;
        if (end < value.size() && value[end] == '"') {
            for (++end; end < value.size() && value[end] != '"'; ++end) {
                if (value[end] == '\\' && end + 1 < value.size()) ++end;
                content += value[end];
            }
            at = value.indexOf(';', end);
        } else {
            at = value.indexOf(';', end);
            content = value.mid(end, at < 0 ? -1 : at - end).trimmed();
        }
        all.insert(name, content);
    }
    return all;
}

QString lastPart(const QUrl &url)
{
    const QString path = url.path(QUrl::FullyDecoded);
    return path.mid(path.lastIndexOf(u'/') + 1);
}
} // namespace

QString dispositionFileName(const QByteArray &value)
{
    const QHash<QByteArray, QByteArray> all = parametersOf(value);
    const QByteArray extended = all.value("filename*");
    const qsizetype quote = extended.indexOf('\'');
    const qsizetype second = quote < 0 ? -1 : extended.indexOf('\'', quote + 1);
    if (second > 0) {
        const QByteArray bytes = QByteArray::fromPercentEncoding(extended.mid(second + 1));
        const bool latin = extended.left(quote).compare("ISO-8859-1", Qt::CaseInsensitive) == 0;
        return latin ? QString::fromLatin1(bytes) : QString::fromUtf8(bytes);
    }
    const QByteArray plain = all.value("filename");
    return QByteArrayView(plain).isValidUtf8() ? QString::fromUtf8(plain) : QString::fromLatin1(plain);
}

QString suggestedFileName(const QByteArray &disposition, const QUrl &asked, const QUrl &final)
{
    const QString named = dispositionFileName(disposition);
    if (!named.isEmpty()) return named;
    const QString first = lastPart(asked);
    const QString last = lastPart(final);
    if (first.contains(u'.') || last.isEmpty()) return first;
    return last.contains(u'.') || first.isEmpty() ? last : first;
}

} // namespace power::net
