#include "base/Error.h"

namespace power {

namespace {
struct CodeFacts {
    const char *word;
    int status;
};
CodeFacts facts(ErrorCode code)
{
    switch (code) {
    case ErrorCode::InvalidArgument: return {"invalid_argument", 400};
    case ErrorCode::Unauthenticated: return {"unauthenticated", 401};
    case ErrorCode::Forbidden: return {"forbidden", 403};
    case ErrorCode::NotFound: return {"not_found", 404};
    case ErrorCode::Conflict: return {"conflict", 409};
    case ErrorCode::Gone: return {"gone", 410};
    case ErrorCode::TooLarge: return {"too_large", 413};
    case ErrorCode::Busy: return {"busy", 503};
    case ErrorCode::Unavailable: return {"unavailable", 503};
    case ErrorCode::Timeout: return {"timeout", 504};
    case ErrorCode::Upstream: return {"upstream", 502};
    case ErrorCode::Cancelled: return {"cancelled", 499};
    case ErrorCode::Internal: break;
    }
    return {"internal", 500};
}
} // namespace

QString Error::text() const
{
    return nextStep.isEmpty() ? message : message + u' ' + nextStep;
}

const char *errorWord(ErrorCode code)
{
    return facts(code).word;
}

int httpStatus(ErrorCode code)
{
    return facts(code).status;
}

} // namespace power
