// The body of a download: parts of a file on disk, or of content elsewhere.
#pragma once
#include "files/FileStore.h"
#include "http/Exchange.h"

namespace power::downloads
{

// One of both.
struct Content {
    std::shared_ptr<workspace::Descriptor> file;
    std::shared_ptr<files::ContentReader> reader;
};

// [offset, offset + length) of it; a file leaves by sendfile(2) where that can be.
std::unique_ptr<http::BodySource> makeBody(Content content, qint64 offset, qint64 length);

struct BodyPart {
    QByteArray head; // goes before it
    qint64 offset = 0, length = 0;
};
// Several, each behind its head, then `tail`.
std::unique_ptr<http::BodySource> makePartsBody(Content content, QList<BodyPart> parts, QByteArray tail);

} // namespace power::downloads
