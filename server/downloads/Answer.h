// How content is answered, wherever it comes from: whole, in part or not at all (RFC 9110, 13 and 14).
#pragma once
#include "downloads/FileBody.h"
#include "downloads/FileHeaders.h"

namespace power::downloads
{

struct Served {
    Content content;
    qint64 size = 0;
    QByteArray tag;        // quoted
    http::Headers headers; // of the answer; ETag and Accept-Ranges are added
};

// One range leaves as it is (a file on disk by sendfile(2)), several as multipart/byteranges. `counted` is called for a
// GET that begins with the first byte. Thread: the event loop's.
void answerContent(http::Exchange &exchange, Served served, const std::function<void()> &counted = {});

// {"error", "hint", "detail"}
http::Response problem(const Error &error);

} // namespace power::downloads
