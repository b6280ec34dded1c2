// Texts that clients carry for us and must not forge: session ids and request states.
#pragma once
#include "base/Error.h"
#include <QByteArrayList>
#include <memory>
#include <optional>

namespace power::mcp {

// Sealer: HMAC-SHA256 (16 bytes of it) over purpose and payload. The payload is readable, never secret.
// Copies share their keys. Thread: the event loop's.
class Sealer
{
public:
    // A key of this process only: what it sealed is worth nothing after a restart.
    Sealer();
    // The key lies in `file` (32 random bytes, 0600); made when it is missing. Error: Unavailable.
    static Result<Sealer> fromFile(const QString &file);

    // The key of all servers on one database: all copies seal with it from now on; what the keys before it sealed still opens.
    // False: that is no key.
    bool adopt(const QByteArray &key) const;
    // adopt() for the starts to come: `file` as fromFile() finds it. Error: Unavailable.
    Result<Done> keepIn(const QString &file) const;
    const QByteArray &key() const { return m_keys->first(); }
    // Changes with every adopt().
    qsizetype generation() const { return m_keys->size(); }

    // "<payload>.<mac>", URL-safe base64: fits a header field.
    QByteArray seal(QByteArrayView purpose, const QByteArray &payload) const;
    // The payload; nothing when it is not ours or was sealed for another purpose.
    std::optional<QByteArray> open(QByteArrayView purpose, const QByteArray &sealed) const;

private:
    explicit Sealer(QByteArray key) : m_keys(std::make_shared<QByteArrayList>(QByteArrayList{std::move(key)})) {}

    std::shared_ptr<QByteArrayList> m_keys; // first the one that seals
};

} // namespace power::mcp
