// How an answer looks on the wire.
#pragma once
#include "http/Message.h"
#include "http/RequestHead.h"

namespace power::http {

struct RouteOptions;

// What the connection adds to a handler's own headers.
struct WireFacts {
    const RouteOptions *options = nullptr; // for CORS; null: none
    QByteArrayView requestId;
    bool keepAlive = true;
    bool oldVersion = false;               // HTTP/1.0 client
    qint64 bodySize = 0;                   // -1: ends with the connection
};

// Status line and all fields up to the empty line. Fields with control characters are left out (no header
// injection), as are Connection, Content-Length, Date and Transfer-Encoding of the handler.
QByteArray responseHead(const Response &response, const WireFacts &facts);

// An answer that no handler made. error: a stable word such as "not_found".
Response plainError(int status, QLatin1String error, const QString &detail, QByteArrayView requestId);
Response refusalResponse(const Refusal &refusal, QByteArrayView requestId);

// 204 for OPTIONS: the methods, and the CORS preflight fields on a CORS route.
Response optionsResponse(const QByteArray &allow, const RouteOptions *options, const Headers &requested);

// 204 and 304 and 1xx never have a body.
bool statusHasBody(int status);

} // namespace power::http
