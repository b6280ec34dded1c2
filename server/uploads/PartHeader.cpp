// The header of one part of a form: which field, and which file name.
#include "uploads/MultipartParser.h"

namespace power::uploads {

namespace {
Unexpected<Error> badHeader(const QString &what)
{
    return fail(ErrorCode::InvalidArgument, QStringLiteral("The multipart body is malformed: %1.").arg(what),
                QStringLiteral("Each part needs Content-Disposition: form-data; name=\"...\" (RFC 7578)."));
}

// A parameter's value; `at` stands behind its "=". Quotes as browsers and curl write them: \" and \\ or %22, and a
// backslash before anything else is itself (old browsers sent whole Windows paths).
QByteArray readValue(QByteArrayView text, qsizetype &at)
{
    QByteArray value;
    if (at < text.size() && text[at] == '"') {
        for (++at; at < text.size() && text[at] != '"'; ++at) {
            const bool escaped = text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\');
            if (escaped)
                ++at;
            value += text[at];
        }
        ++at;
    } else {
        while (at < text.size() && text[at] != ';')
            value += text[at++];
        value = value.trimmed();
    }
    return value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
}

QString decoded(const QByteArray &bytes)
{
    return QByteArrayView(bytes).isValidUtf8() ? QString::fromUtf8(bytes) : QString::fromLatin1(bytes);
}

Result<Done> readDisposition(QByteArrayView value, FormPart &part)
{
    const qsizetype semicolon = value.indexOf(';');
    if (value.first(semicolon < 0 ? value.size() : semicolon).trimmed().compare("form-data", Qt::CaseInsensitive) != 0)
        return badHeader(QStringLiteral("a part's Content-Disposition is not form-data"));
    bool named = false;
    for (qsizetype at = semicolon; at >= 0 && at < value.size();) {
        const qsizetype equals = value.indexOf('=', at);
        if (equals < 0)
            break;
        const QByteArray key = value.sliced(at + 1, equals - at - 1).trimmed().toByteArray().toLower();
        qsizetype behind = equals + 1;
        while (behind < value.size() && value[behind] == ' ')
            ++behind;
        const QByteArray content = readValue(value, behind);
        if (key == "name") {
            part.name = content;
            named = true;
        } else if (key == "filename") {
            part.fileName = decoded(content);
            part.isFile = true;
        } else if (key == "filename*" && !part.isFile && content.toLower().startsWith("utf-8''")) {
            part.fileName = QString::fromUtf8(QByteArray::fromPercentEncoding(content.mid(7)));
            part.isFile = true;
        }
        at = behind < value.size() ? value.indexOf(';', behind) : -1;
    }
    return named ? Result<Done>(Done{}) : badHeader(QStringLiteral("a part has no field name"));
}
} // namespace

Result<FormPart> readPartHeader(QByteArrayView block)
{
    FormPart part;
    bool disposed = false;
    while (!block.isEmpty()) {
        const qsizetype end = block.indexOf("\r\n");
        const QByteArrayView line = block.first(end < 0 ? block.size() : end);
        block = end < 0 ? QByteArrayView() : block.sliced(end + 2);
        const qsizetype colon = line.indexOf(':');
        if (colon <= 0 || line.startsWith(' ') || line.startsWith('\t') || line.contains('\0') || line.contains('\n'))
            return badHeader(QStringLiteral("a part's header has a line that is no field"));
        const QByteArrayView name = line.first(colon);
        const QByteArrayView value = line.sliced(colon + 1).trimmed();
        if (name.compare("Content-Disposition", Qt::CaseInsensitive) == 0) {
            const Result<Done> read = readDisposition(value, part);
            if (!read)
                return Unexpected<Error>{read.error()};
            disposed = true;
        } else if (name.compare("Content-Type", Qt::CaseInsensitive) == 0) {
            part.type = value.toByteArray();
        } else if (name.compare("Content-Transfer-Encoding", Qt::CaseInsensitive) == 0) {
            const QByteArray coding = value.toByteArray().toLower();
            if (coding != "binary" && coding != "8bit" && coding != "7bit")
                return badHeader(QStringLiteral("a part has the coding \"%1\"; send its bytes as they are").arg(QString::fromLatin1(coding.left(40))));
        }
    }
    if (!disposed)
        return badHeader(QStringLiteral("a part has no Content-Disposition"));
    return part;
}

} // namespace power::uploads
