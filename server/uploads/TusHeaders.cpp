#include "uploads/TusHeaders.h"
#include <algorithm>

namespace power::uploads {

namespace {
Unexpected<Error> badField(const char *field, const char *shape)
{
    return fail(ErrorCode::InvalidArgument, QStringLiteral("The header %1 is malformed.").arg(QLatin1String(field)),
                QStringLiteral("tus 1.0 asks for %1.").arg(QLatin1String(shape)));
}

Result<QByteArray> fromBase64(const QByteArray &text)
{
    auto decoded = QByteArray::fromBase64Encoding(text, QByteArray::Base64Encoding | QByteArray::AbortOnBase64DecodingErrors);
    if (!decoded)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("not base64"));
    return decoded.decoded;
}
} // namespace

Result<QHash<QByteArray, QByteArray>> readMetadata(const QByteArray &value)
{
    QHash<QByteArray, QByteArray> pairs;
    if (value.trimmed().isEmpty())
        return pairs;
    for (const QByteArray &each : value.split(',')) {
        const QByteArray pair = each.trimmed();
        const qsizetype space = pair.indexOf(' ');
        const QByteArray key = pair.left(space < 0 ? pair.size() : space);
        const Result<QByteArray> content = fromBase64(space < 0 ? QByteArray() : pair.mid(space + 1).trimmed());
        if (key.isEmpty() || !content || pairs.contains(key))
            return badField("Upload-Metadata", "a comma list of \"key base64value\", each key once");
        pairs.insert(key, *content);
    }
    return pairs;
}

Result<qint64> readCount(const QByteArray &value, const char *field)
{
    const bool digits = !value.isEmpty() && value.size() <= 18 && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits)
        return badField(field, "a number of bytes");
    return value.toLongLong();
}

Result<QList<QByteArray>> readPartIds(const QByteArray &value)
{
    constexpr qsizetype mostPartials = 100;
    QList<QByteArray> ids;
    for (const QByteArray &url : value.mid(value.indexOf(';') + 1).simplified().split(' ')) {
        const QByteArray path = url.left(url.indexOf('?') < 0 ? url.size() : url.indexOf('?'));
        const QByteArray id = path.mid(path.lastIndexOf('/') + 1);
        if (id.isEmpty() || ids.size() >= mostPartials)
            return badField("Upload-Concat", "\"final;\" and the URLs of at most 100 partial uploads");
        ids << id;
    }
    return ids;
}

Result<std::shared_ptr<Checksum>> Checksum::read(const QByteArray &value)
{
    const qsizetype space = value.indexOf(' ');
    const QByteArray name = value.left(qMax<qsizetype>(0, space)).toLower();
    const Result<QByteArray> sum = fromBase64(value.mid(space + 1).trimmed());
    static const QHash<QByteArray, QCryptographicHash::Algorithm> known{
        {"sha1", QCryptographicHash::Sha1}, {"sha256", QCryptographicHash::Sha256},
        {"sha512", QCryptographicHash::Sha512}, {"md5", QCryptographicHash::Md5}};
    const auto algorithm = known.constFind(name);
    if (algorithm == known.cend())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("Upload-Checksum uses an algorithm that is not there."),
                    QStringLiteral("Use one of %1.").arg(QLatin1String(algorithms)));
    if (!sum || sum->size() != QCryptographicHash::hashLength(*algorithm))
        return badField("Upload-Checksum", "\"sha1 base64value\"");
    return std::shared_ptr<Checksum>(new Checksum(*algorithm, *sum));
}

} // namespace power::uploads
