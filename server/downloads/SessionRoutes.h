// Session files as bytes, behind the key of /api: GET /api/files/{session}/{path}/content and
// GET /api/sessions/{session}/archive.
#pragma once
#include "doors/Authenticator.h"
#include "http/Dispatcher.h"

namespace power::operations
{
struct Services;
}

namespace power::downloads
{

// content: any file of a session, of any size, with ranges, tags and HEAD like /dl; ?download=1 names it as an attachment.
// archive: a ZIP of the session, or with ?glob= of what matches, made while it is sent. Errors are JSON as elsewhere below
// /api. `services` must outlive the dispatcher's use. Thread: the event loop's.
void addSessionRoutes(http::Dispatcher &dispatcher, operations::Services &services, doors::Authenticator authenticate);

} // namespace power::downloads
