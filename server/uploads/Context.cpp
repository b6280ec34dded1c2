#include "uploads/Context.h"
#include "operations/RunText.h"

namespace power::uploads {

Result<operations::Caller> callerOf(const Context &context, const http::Request &request)
{
    Result<operations::Caller> caller = context.authenticate(request);
    if (!caller) {
        Error error = caller.error();
        if (error.code == ErrorCode::Unauthenticated)
            error.code = ErrorCode::Forbidden; // as published for /api
        return Unexpected<Error>{error};
    }
    const Result<Done> may = operations::mayBringFiles(*caller);
    if (!may)
        return Unexpected<Error>{may.error()};
    return caller;
}

Unexpected<Error> tooLarge(const Context &context, const QString &what)
{
    return fail(ErrorCode::TooLarge,
                QStringLiteral("%1; uploads are limited to %2 (MAX_UPLOAD_MB).").arg(what, operations::humanSize(context.most())),
                QStringLiteral("Split it, or ask the administrator to raise the limit."),
                {{QStringLiteral("limit"), context.most()}});
}

} // namespace power::uploads
