// The public file routes: GET, HEAD, OPTIONS of /dl/{id}, /dl/{id}/{name} and /charts/{session}/{name}
// (contract 9.1).
#pragma once
#include "files/FileStore.h"
#include "http/Dispatcher.h"

namespace power::downloads
{

struct Config {
    bool charts = true; // CHARTS_PUBLIC; off: no such route (R13)
    QByteArray version; // in X-Power-Interpreter
};

// Open to every origin, without credentials; the unguessable id is the right to read. Errors are JSON
// {"error", "hint", "detail"} with 400 (no uuid), 404, 410 (expired) or 503. Files on disk leave by
// sendfile(2); byte ranges, If-Range and If-None-Match are answered. A GET from the first byte on counts as a
// download; HEAD does not. 403 where links are signed (LINK_TTL_HOURS) and the signature is missing or wrong. `files` must outlive the dispatcher's use. Thread: the event loop's.
void addRoutes(http::Dispatcher &dispatcher, files::FileStore &files, const Config &config);

} // namespace power::downloads
