#include "doors/Authenticator.h"
#include "doors/PublicBase.h"

namespace power::doors {

Authenticator keyAuthenticator(access::ApiKeyGate gate, QString publicUrl)
{
    return [gate = std::move(gate), publicUrl = std::move(publicUrl)](
               const http::Request &request) -> Result<operations::Caller> {
        const auto passed = gate.check(request.headers.value("X-API-Key"), request.headers.value("Authorization"));
        if (!passed)
            return Unexpected<Error>{passed.error()};
        operations::Caller caller;
        caller.baseUrl = publicBase(publicUrl, request);
        caller.requestId = request.id;
        return caller;
    };
}

Authenticator openAuthenticator(QString publicUrl)
{
    return keyAuthenticator(access::ApiKeyGate(QByteArray()), std::move(publicUrl));
}

} // namespace power::doors
