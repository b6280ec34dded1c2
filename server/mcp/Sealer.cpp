#include "mcp/Sealer.h"
#include <QDir>
#include <QFileInfo>
#include <QMessageAuthenticationCode>
#include <QRandomGenerator>
#include <QSaveFile>

namespace power::mcp {

namespace {
constexpr qsizetype kKeyBytes = 32;
constexpr qsizetype kMacBytes = 16;
constexpr auto kForm = QByteArray::Base64UrlEncoding | QByteArray::OmitTrailingEquals;

QByteArray randomKey()
{
    QByteArray key(kKeyBytes, Qt::Uninitialized);
    QRandomGenerator::system()->generate(key.begin(), key.end());
    return key;
}

// As long for a wrong text as for a right one.
bool sameBytes(const QByteArray &a, const QByteArray &b)
{
    if (a.size() != b.size())
        return false;
    unsigned difference = 0;
    for (qsizetype i = 0; i < a.size(); ++i)
        difference |= unsigned(uchar(a[i]) ^ uchar(b[i]));
    return difference == 0;
}

QByteArray mac(const QByteArray &key, QByteArrayView purpose, const QByteArray &payload)
{
    return QMessageAuthenticationCode::hash(purpose.toByteArray() + '\n' + payload, key, QCryptographicHash::Sha256).left(kMacBytes);
}
} // namespace

Sealer::Sealer() : Sealer(randomKey()) {}

Result<Sealer> Sealer::fromFile(const QString &file)
{
    QFile stored(file);
    if (stored.open(QIODevice::ReadOnly)) {
        if (QByteArray key = stored.read(kKeyBytes + 1); key.size() == kKeyBytes)
            return Sealer(std::move(key));
    }
    const Sealer made;
    const Result<Done> kept = made.keepIn(file);
    if (!kept)
        return Unexpected<Error>{kept.error()};
    return made;
}

Result<Done> Sealer::keepIn(const QString &file) const
{
    QDir().mkpath(QFileInfo(file).path());
    QFile::setPermissions(QFileInfo(file).path(), QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    QSaveFile made(file);
    if (!made.open(QIODevice::WriteOnly) || !made.setPermissions(QFile::ReadOwner | QFile::WriteOwner)
        || made.write(key()) != key().size() || !made.commit())
        return fail(ErrorCode::Unavailable, QStringLiteral("The key file %1 cannot be written.").arg(file),
                    QStringLiteral("Make the data directory writable."));
    return Done{};
}

bool Sealer::adopt(const QByteArray &key) const
{
    if (key.size() != kKeyBytes)
        return false;
    if (key != m_keys->first())
        m_keys->prepend(key);
    return true;
}

QByteArray Sealer::seal(QByteArrayView purpose, const QByteArray &payload) const
{
    return payload.toBase64(kForm) + '.' + mac(key(), purpose, payload).toBase64(kForm);
}

std::optional<QByteArray> Sealer::open(QByteArrayView purpose, const QByteArray &sealed) const
{
    const qsizetype dot = sealed.indexOf('.');
    if (dot <= 0)
        return std::nullopt;
    const auto strict = kForm | QByteArray::AbortOnBase64DecodingErrors;
    const auto payload = QByteArray::fromBase64Encoding(sealed.left(dot), strict);
    const auto given = QByteArray::fromBase64Encoding(sealed.mid(dot + 1), strict);
    if (!payload || !given)
        return std::nullopt;
    for (const QByteArray &key : std::as_const(*m_keys)) {
        if (sameBytes(mac(key, purpose, *payload), *given))
            return *payload;
    }
    return std::nullopt;
}

} // namespace power::mcp
