// What the upload doors share.
#pragma once
#include "doors/Authenticator.h"
#include "http/Dispatcher.h"
#include "operations/Arrival.h"
#include "uploads/TusUploads.h"

namespace power::uploads {

// Context: outlives every request. Thread: the event loop's.
struct Context {
    operations::Services &services;
    doors::Authenticator authenticate;
    TusUploads &resumable;
    qint64 most() const { return services.limits.maxUploadBytes; }
};
using ContextPtr = std::shared_ptr<const Context>;

// Who asks, if they may bring files in. Errors: Forbidden.
Result<operations::Caller> callerOf(const Context &context, const http::Request &request);

Unexpected<Error> tooLarge(const Context &context, const QString &what);

} // namespace power::uploads
