// Headers of a download, and the conditional ones of its request (RFC 9110, 6266, 8187).
#pragma once
#include "files/FileStore.h"
#include "http/Message.h"

namespace power::downloads
{

enum class Disposition { Attachment, Inline };

// attachment; filename="ascii.csv"; filename*=UTF-8''...
QByteArray contentDisposition(Disposition kind, const QString &name);

// Content-Type, Content-Disposition, X-Session-Id; a sandbox policy for types a browser would run scripts of.
http::Headers fileHeaders(const files::StoredFile &file, Disposition kind);

struct ByteRange {
    enum Kind { Whole, Part, Unsatisfiable } kind = Whole;
    qint64 first = 0, length = 0;
};
// One range of a Range header; several ranges, other units and nonsense mean the whole file, as the RFC
// allows.
ByteRange rangeOf(const QByteArray &header, qint64 size);

// If-None-Match: "*" or a list that contains the tag (weak comparison).
bool matchesTag(const QByteArray &header, const QByteArray &tag);

} // namespace power::downloads
