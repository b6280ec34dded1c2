// Who asks: from a request to the caller that operations see.
#pragma once
#include "access/ApiKeyGate.h"
#include "http/Message.h"
#include "operations/Operation.h"

namespace power::doors {

// Error: Unauthenticated or Forbidden. The caller's principal, slug, scopes, baseUrl and requestId are set;
// cancel and progress belong to the door.
using Authenticator = std::function<Result<operations::Caller>(const http::Request &)>;

// Everybody is `owner` (MCP_AUTH=none). publicUrl: see publicBase().
Authenticator openAuthenticator(QString publicUrl);
// `owner` for who has the key in X-API-Key or as a bearer token (REST, MCP_AUTH=api-key).
Authenticator keyAuthenticator(access::ApiKeyGate gate, QString publicUrl);

} // namespace power::doors
