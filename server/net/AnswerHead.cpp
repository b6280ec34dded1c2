#include "net/AnswerHead.h"

namespace power::net
{

namespace
{
Unexpected<Error> badHead(const QString &why)
{
    return fail(ErrorCode::Upstream, why, QStringLiteral("Check the URL."));
}

// "HTTP/1.1 200 OK"; 0: that is none.
int statusOf(const QByteArray &line)
{
    const qsizetype gap = line.indexOf(' ');
    if (!line.startsWith("HTTP/1.") || gap < 0) return 0;
    bool good = false;
    const int status = line.mid(gap + 1, 3).toInt(&good);
    const bool ends = line.size() == gap + 4 || line.mid(gap + 4, 1) == " ";
    return good && ends && status >= 100 && status <= 999 ? status : 0;
}

// All lengths that are told, also in one field ("5, 5"), must be the same. -1: none.
Result<qint64> lengthOf(const QByteArray &values)
{
    qint64 length = -1;
    if (values.isEmpty()) return length;
    for (const QByteArray &each : values.split(',')) {
        const QByteArray text = each.trimmed();
        bool good = false;
        const qint64 value = text.toLongLong(&good);
        const bool digits = !text.isEmpty() && text.at(0) >= '0' && text.at(0) <= '9';
        if (!good || !digits || (length >= 0 && length != value))
            return badHead(QStringLiteral("The server announced the length \"%1\".").arg(QString::fromLatin1(values.left(40))));
        length = value;
    }
    return length;
}
} // namespace

QByteArray AnswerHead::field(QByteArrayView name) const
{
    QByteArray all;
    for (const auto &[each, value] : fields) {
        if (each != name) continue;
        if (!all.isEmpty()) all += ", ";
        all += value;
    }
    return all;
}

qsizetype endOfHead(QByteArrayView bytes)
{
    for (qsizetype at = bytes.indexOf('\n'); at >= 0; at = bytes.indexOf('\n', at + 1)) {
        const QByteArrayView rest = bytes.sliced(at + 1);
        if (rest.startsWith('\n')) return at + 2;
        if (rest.startsWith("\r\n")) return at + 3;
    }
    return -1;
}

Result<AnswerHead> parseAnswerHead(const QByteArray &head)
{
    AnswerHead made;
    QList<QByteArray> lines = head.split('\n');
    for (QByteArray &line : lines) {
        if (line.endsWith('\r')) line.chop(1);
        line.replace('\r', ' ').replace('\0', ' ');
    }
    made.status = statusOf(lines.takeFirst());
    if (made.status == 0) return badHead(QStringLiteral("The server does not answer in HTTP/1."));
    for (const QByteArray &line : std::as_const(lines)) {
        const qsizetype colon = line.indexOf(':');
        if (line.startsWith(' ') || line.startsWith('\t')) { // the field before goes on (obs-fold)
            if (!made.fields.isEmpty()) made.fields.last().second += ' ' + line.trimmed();
        } else if (colon > 0) {
            made.fields.append({line.first(colon).trimmed().toLower(), line.mid(colon + 1).trimmed()});
        }
    }
    const QByteArray coding = made.field("transfer-encoding").toLower();
    if (made.status < 200 || made.status == 204 || made.status == 304) return made;
    if (coding == "chunked") { // a length beside it is void
        made.framing = Framing::Chunked;
        return made;
    }
    if (!coding.isEmpty() && coding != "identity")
        return badHead(QStringLiteral("The server sends the transfer coding \"%1\", which is not understood.").arg(QString::fromLatin1(coding.left(40))));
    const Result<qint64> length = lengthOf(made.field("content-length"));
    if (!length) return Unexpected<Error>{length.error()};
    made.length = *length;
    made.framing = made.length < 0 ? Framing::Close : Framing::Length;
    return made;
}

} // namespace power::net
