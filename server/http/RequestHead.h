// The strict reading of a request's head (RFC 9112). Qt's own parser comes after it and is lenient.
#pragma once
#include "base/Expected.h"
#include "http/Message.h"

namespace power::http {

struct Limits;

// What is wrong with a request before any handler sees it: the status and one sentence for the client.
struct Refusal {
    int status = 400;
    const char *why = "";
};

struct RequestHead {
    QByteArray method;
    QByteArray target;
    QString path;            // decoded, without dot segments
    QUrlQuery query;
    Headers headers;
    bool keepAlive = true;   // the client wants the connection kept
    bool oldVersion = false; // HTTP/1.0
    bool expectsContinue = false;
    bool chunked = false;
    bool upgrade = false;    // has an Upgrade field, which this server ignores
    qint64 contentLength = 0;
};

// Scans for the end of a head from `from` on. Returns the position behind the empty line, 0 when more bytes are
// needed, -1 for a line that ends in a bare LF.
qsizetype findHeadEnd(QByteArrayView bytes, qsizetype from);

// block: the whole head including its empty line. Refuses (400, 413, 417, 431, 505) everything another parser could
// read differently: bare CR, folded lines, space before the colon, two Content-Length, Content-Length with
// Transfer-Encoding, codings other than chunked, missing or repeated Host, malformed targets.
Expected<RequestHead, Refusal> parseHead(QByteArrayView block, const Limits &limits);

} // namespace power::http
