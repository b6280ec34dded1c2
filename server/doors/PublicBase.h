// The beginning of every absolute link, decided in one place (contract D7).
#pragma once
#include "http/Message.h"
#include <QString>

namespace power::doors {

// "https://host" without a trailing slash: `configured` (PUBLIC_URL or RAILWAY_PUBLIC_DOMAIN) when set, else what the
// client used to reach us: X-Forwarded-Proto and X-Forwarded-Host when the peer is on loopback or a private network
// (a proxy of ours; a stranger must not choose our links), else Host. A host that is no host name with an optional port
// is not used; without any usable one the links are relative (empty result).
QString publicBase(const QString &configured, const http::Request &request);

} // namespace power::doors
