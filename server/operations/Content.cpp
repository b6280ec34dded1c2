#include "operations/Content.h"

namespace power::operations {

Result<QByteArray> contentOf(const QJsonObject &arguments, const QString &operation)
{
    QJsonValue encoded = arguments.value(QStringLiteral("content_base64")), text = arguments.value(QStringLiteral("text"));
    if (encoded.isString() && text.isString() && (encoded.toString().isEmpty() || text.toString().isEmpty()))
        (encoded.toString().isEmpty() ? encoded : text) = QJsonValue(); // an empty one beside it was not meant
    if (encoded.isString() == text.isString())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("%1 needs the content, once: content_base64 or text.").arg(operation),
                    QStringLiteral("Send bytes as standard base64 in content_base64, or a text file's content in text."));
    if (text.isString())
        return text.toString().toUtf8();
    const auto decoded = QByteArray::fromBase64Encoding(encoded.toString().toLatin1().simplified().replace(' ', ""),
                                                        QByteArray::Base64Encoding | QByteArray::AbortOnBase64DecodingErrors);
    if (!decoded)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("content_base64 is not valid base64."),
                    QStringLiteral("Encode the file's bytes with standard base64, or load it with fetch_from_url."));
    return decoded.decoded;
}

} // namespace power::operations
