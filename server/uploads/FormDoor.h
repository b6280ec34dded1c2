// POST /api/files/upload with multipart/form-data: files straight to disk.
#pragma once
#include "uploads/Context.h"

namespace power::uploads {

// The handler for such a body, of a route that streams it. Fields: any number of files; session_id (also in the query
// string) and filename (for a single file), before or behind the files. Answers FileInfo, or {files, count} for several.
// The files of one request together are limited to Context::most(). All of them arrive, or those named in
// details.arrived. Thread: the event loop's.
http::Handler formHandler(ContextPtr context);

} // namespace power::uploads
