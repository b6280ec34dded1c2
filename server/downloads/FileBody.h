// The body of a download: a part of a file on disk, or of bytes in memory.
#pragma once
#include "files/FileStore.h"
#include "http/Exchange.h"

namespace power::downloads
{

// [offset, offset + length) of the opened file.
std::unique_ptr<http::BodySource> makeBody(files::OpenedFile opened, qint64 offset, qint64 length);

} // namespace power::downloads
