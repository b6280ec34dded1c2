// The error type of every service. Adapters turn it into HTTP or MCP form at one edge; the texts are
// written for an agent: what happened, why, what to do next.
#pragma once
#include "base/Expected.h"
#include <QJsonObject>
#include <QString>

namespace power {

enum class ErrorCode {
    InvalidArgument,  // the caller's input; HTTP 400 or 422
    Unauthenticated,  // 401
    Forbidden,        // 403
    NotFound,         // 404
    Conflict,         // 409
    Gone,             // 410
    TooLarge,         // 413
    Busy,             // 503 with Retry-After
    Unavailable,      // 503: a part of the system is away (database, sandbox)
    Timeout,          // 504
    Upstream,         // 502: a server we called failed
    Cancelled,        // the caller went away or asked to stop
    Internal,         // 500: a bug or an unforeseen failure of the machine
};

struct Error {
    ErrorCode code = ErrorCode::Internal;
    QString message;     // what happened and why; one or two sentences, no secrets, no SQL context
    QString nextStep;    // what the reader can do now; may be empty
    QJsonObject details; // machine-readable: cause, limit, peak, survived, lost ... (contract of the issue)

    // "message nextStep" as one text.
    QString text() const;
};

// Stable word of a code, e.g. "not_found"; used in JSON bodies and logs.
const char *errorWord(ErrorCode code);
// HTTP status of a code (table above).
int httpStatus(ErrorCode code);

template <typename T>
using Result = Expected<T, Error>;

inline Unexpected<Error> fail(ErrorCode code, QString message, QString nextStep = {}, QJsonObject details = {})
{
    return {Error{code, std::move(message), std::move(nextStep), std::move(details)}};
}

} // namespace power
