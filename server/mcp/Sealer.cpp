#include "mcp/Sealer.h"
#include "base/Durable.h"
#include <QDir>
#include <QFileInfo>
#include <QMessageAuthenticationCode>
#include <QRandomGenerator>
#include <cerrno>
#include <cstring>

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
    const auto unwritable = [&file](const QString &why) {
        return fail(ErrorCode::Unavailable, QStringLiteral("The key file %1 cannot be written: %2").arg(file, why),
                    QStringLiteral("Make the data directory writable, on a disk without errors."));
    };
    const QString place = QFileInfo(file).path();
    if (!QFileInfo(place).isDir()) {
        QDir().mkpath(place);
        if (!syncDirectory(QFileInfo(place).path())) {
            const QString why = QString::fromLocal8Bit(std::strerror(errno)) + u'.';
            QDir().rmdir(place); // made and synced anew by the next one
            return unwritable(why);
        }
    }
    QFile::setPermissions(place, QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    const Result<Done> written = writeDurably(file, key());
    if (!written)
        return unwritable(written.error().message);
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
