// Texts that clients carry for us and must not forge: session ids and request states.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <optional>

namespace power::mcp {

// Sealer: HMAC-SHA256 (16 bytes of it) over purpose and payload. The payload is readable, never secret.
// Thread: a plain value.
class Sealer
{
public:
    // A key of this process only: what it sealed is worth nothing after a restart.
    Sealer();
    // The key lies in `file` (32 random bytes, 0600); made when it is missing. Error: Unavailable.
    static Result<Sealer> fromFile(const QString &file);

    // "<payload>.<mac>", URL-safe base64: fits a header field.
    QByteArray seal(QByteArrayView purpose, const QByteArray &payload) const;
    // The payload; nothing when it is not ours or was sealed for another purpose.
    std::optional<QByteArray> open(QByteArrayView purpose, const QByteArray &sealed) const;

private:
    explicit Sealer(QByteArray key) : m_key(std::move(key)) {}
    QByteArray mac(QByteArrayView purpose, const QByteArray &payload) const;

    QByteArray m_key;
};

} // namespace power::mcp
