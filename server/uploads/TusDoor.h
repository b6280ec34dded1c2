// Resumable uploads by tus 1.0 at /api/uploads: core, creation, creation-with-upload, expiration, checksum, termination
// and concatenation.
#pragma once
#include "uploads/Context.h"

namespace power::uploads {

// Upload-Metadata: filename, session_id (also in the query string of the creation). When the last byte is there the file
// is in its session before the answer; GET /api/uploads/{id} tells it as JSON. A request for an upload that another one is
// still writing interrupts that one. Thread: the event loop's.
void addTusRoutes(http::Dispatcher &dispatcher, ContextPtr context);

} // namespace power::uploads
