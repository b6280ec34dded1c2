// The header fields of tus 1.0 as values.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QCryptographicHash>
#include <QHash>
#include <QList>
#include <memory>

namespace power::uploads {

// Upload-Metadata: comma list of "key base64". Error: InvalidArgument.
Result<QHash<QByteArray, QByteArray>> readMetadata(const QByteArray &value);

// A count of bytes: digits only, at most 2^62. Error: InvalidArgument naming the field.
Result<qint64> readCount(const QByteArray &value, const char *field);

// Upload-Concat of a joined upload, "final;/a/1 /a/2": the last path parts. Error: InvalidArgument.
Result<QList<QByteArray>> readPartIds(const QByteArray &value);

// Upload-Checksum: "sha1 base64"; the sum is taken while the bytes pass.
class Checksum
{
public:
    static constexpr const char *algorithms = "sha1,sha256,sha512,md5";
    // Error: InvalidArgument (malformed, an algorithm that is not there).
    static Result<std::shared_ptr<Checksum>> read(const QByteArray &value);

    void add(QByteArrayView bytes) { m_hash.addData(bytes); }
    bool matches() const { return m_hash.result() == m_expected; }

private:
    Checksum(QCryptographicHash::Algorithm algorithm, QByteArray expected) : m_hash(algorithm), m_expected(std::move(expected)) {}

    QCryptographicHash m_hash;
    QByteArray m_expected;
};

} // namespace power::uploads
