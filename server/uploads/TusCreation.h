// What a request to create a resumable upload asks for.
#pragma once
#include "uploads/Context.h"

namespace power::uploads {

// Its id and dates are not set; a joined one has no length yet. Errors: InvalidArgument, TooLarge.
Result<TusUpload> readCreation(const Context &context, const http::Request &request, const operations::Caller &caller);

// The parts of a joined upload, in order; one that is named twice is the same turn twice. Their turns are taken in the order
// of their ids: two that join the same parts the other way round do not wait for each other. Errors: InvalidArgument (also a
// part that is not finished), those of TusUploads::turn().
QCoro::Task<Result<QList<TusTurnPtr>>> partsOf(ContextPtr context, QByteArray concat, QString principal);

} // namespace power::uploads
