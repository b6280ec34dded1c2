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
http::Headers contentHeaders(const QString &mime, const QString &name, const QString &sessionId, Disposition kind);

struct ByteRange {
    qint64 first = 0, length = 0;
};
struct ByteRanges {
    enum Kind { Whole, Parts, Unsatisfiable } kind = Whole;
    QList<ByteRange> parts; // as asked for
};
// The ranges of a Range header. Other units and nonsense mean the whole file, as the RFC allows; so do more than 32 ranges,
// and ones that together are longer than the file (overlapping ones are how downloads are made expensive).
ByteRanges rangesOf(const QByteArray &header, qint64 size);

// If-None-Match: "*" or a list that contains the tag (weak comparison).
bool matchesTag(const QByteArray &header, const QByteArray &tag);
// If-Match: not there, "*", or a list that contains the tag (strong comparison).
bool mayServe(const QByteArray &header, const QByteArray &tag);

} // namespace power::downloads
