// DNS rebinding and cross-site protection: which Host and Origin fields are accepted.
#pragma once
#include "http/RequestHead.h"

namespace power::http {

struct ListenConfig;

// OriginCheck: decided once from the listen address and the allow lists. Thread: a plain value.
//   Host    on a loopback bind: loopback names and allowedHosts. On another bind: any, unless allowedHosts is
//           set, then loopback names and those. Entries are "name" or "name:port".
//   Origin  absent is fine. Else loopback origins, the own origin (same authority as Host) and allowedOrigins
//           ("*" = any).
class OriginCheck
{
public:
    OriginCheck() = default;
    explicit OriginCheck(const ListenConfig &config);
    // Null when accepted, else one sentence for the client (403).
    const char *refusal(const RequestHead &head, bool secure) const;

private:
    bool hostAllowed(const QByteArray &host) const;
    bool originAllowed(const QByteArray &origin, const QByteArray &host, bool secure) const;

    bool m_anyHost = false;
    QByteArrayList m_hosts;
    QByteArrayList m_origins;
};

} // namespace power::http
