// The one key of the environment (API_KEY): who has it is the principal `owner`.
#pragma once
#include "base/Error.h"
#include <QByteArray>

namespace power::access {

// ApiKeyGate: compares without telling by time how much of the key was right.
// Thread: any (immutable).
class ApiKeyGate
{
public:
    // Empty key: the gate is open (the server then listens on loopback only, contract D8).
    explicit ApiKeyGate(QByteArray key);

    bool isOpen() const { return m_digest.isEmpty(); }

    // Values of the headers X-API-Key and Authorization ("Bearer <key>"); empty = not sent. One right key is enough.
    // Error: Unauthenticated, with a text that says which header to send and never a key.
    Result<Done> check(const QByteArray &apiKeyHeader, const QByteArray &authorizationHeader) const;

private:
    bool matches(const QByteArray &candidate) const;
    QByteArray m_digest; // SHA-256 of the key: equal length for every comparison
};

} // namespace power::access
