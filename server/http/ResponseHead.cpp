#include "http/ResponseHead.h"
#include "http/Dispatcher.h"
#include <ctime>

namespace power::http {

namespace {
const char *reasonOf(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 460: return "Checksum Mismatch";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
    }
}

QLatin1String refusalWord(int status)
{
    switch (status) {
    case 403: return QLatin1String("forbidden");
    case 408: return QLatin1String("request_timeout");
    case 413: return QLatin1String("too_large");
    case 414: return QLatin1String("uri_too_long");
    case 417: return QLatin1String("expectation_failed");
    case 431: return QLatin1String("headers_too_large");
    case 500: return QLatin1String("internal");
    case 503: return QLatin1String("busy");
    case 505: return QLatin1String("http_version_not_supported");
    default: return QLatin1String("bad_request");
    }
}

// IMF-fixdate, made once a second. One I/O thread, but the server may have several in one process.
const QByteArray &dateLine()
{
    thread_local std::time_t made = 0;
    thread_local QByteArray line;
    const std::time_t now = std::time(nullptr);
    if (now != made) {
        static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::tm t{};
        gmtime_r(&now, &t);
        char text[64];
        const int size = std::snprintf(text, sizeof text, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[t.tm_wday],
                                       t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
        line = QByteArray(text, size);
        made = now;
    }
    return line;
}

bool isClean(QByteArrayView text)
{
    return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool isOurs(QByteArrayView name)
{
    for (const char *own : {"content-length", "connection", "date", "transfer-encoding", "x-request-id"}) {
        if (name.compare(QByteArrayView(own), Qt::CaseInsensitive) == 0)
            return true;
    }
    return false;
}

const char defaultCorsHeaders[] = "Content-Type, Accept, Authorization, X-API-Key, X-Request-Id, Mcp-Session-Id, "
                                  "MCP-Protocol-Version, Last-Event-ID, Mcp-Method, Mcp-Name";
} // namespace

bool statusHasBody(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

QByteArray responseHead(const Response &response, const WireFacts &facts)
{
    QByteArray head;
    head.reserve(512);
    head += "HTTP/1.1 ";
    head += QByteArray::number(response.status);
    head += ' ';
    head += reasonOf(response.status);
    head += "\r\n";
    head += dateLine();
    for (const Headers::Field &field : response.headers.fields()) {
        if (isOurs(field.name) || !isClean(field.name) || !isClean(field.value))
            continue;
        head += field.name;
        head += ": ";
        head += field.value;
        head += "\r\n";
    }
    if (facts.bodySize >= 0 && statusHasBody(response.status)) {
        head += "Content-Length: ";
        head += QByteArray::number(facts.bodySize);
        head += "\r\n";
    }
    head += "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";
    if (!facts.requestId.isEmpty()) {
        head += "X-Request-Id: ";
        head += facts.requestId;
        head += "\r\n";
    }
    if (facts.options && facts.options->cors) {
        head += "Access-Control-Allow-Origin: *\r\n";
        if (!facts.options->corsExpose.isEmpty()) {
            head += "Access-Control-Expose-Headers: ";
            head += facts.options->corsExpose;
            head += "\r\n";
        }
    }
    if (!facts.keepAlive)
        head += "Connection: close\r\n";
    else if (facts.oldVersion)
        head += "Connection: keep-alive\r\n";
    head += "\r\n";
    return head;
}

Response plainError(int status, QLatin1String error, const QString &detail, QByteArrayView requestId)
{
    QJsonObject body{{QStringLiteral("error"), error}, {QStringLiteral("detail"), detail}};
    if (!requestId.isEmpty())
        body.insert(QStringLiteral("request_id"), QString::fromLatin1(requestId));
    return Response::json(status, body);
}

Response refusalResponse(const Refusal &refusal, QByteArrayView requestId)
{
    Response response =
        plainError(refusal.status, refusalWord(refusal.status), QString::fromUtf8(refusal.why), requestId);
    if (refusal.status == 503)
        response.headers.add(QByteArrayLiteral("Retry-After"), QByteArrayLiteral("1"));
    return response;
}

Response optionsResponse(const QByteArray &allow, const RouteOptions *options, const Headers &requested)
{
    Response response = Response::empty(204);
    response.headers.add(QByteArrayLiteral("Allow"), allow);
    for (const Headers::Field &field : options ? options->optionsFields.fields() : QList<Headers::Field>())
        response.headers.add(field.name, field.value);
    if (!options || !options->cors)
        return response;
    // Credentials are never allowed, so any header name may be; asked-for ones are simply repeated.
    QByteArray names(defaultCorsHeaders);
    const QByteArray asked = requested.value("Access-Control-Request-Headers");
    if (!asked.isEmpty() && asked.size() <= 2048)
        names += ", " + asked;
    response.headers.add(QByteArrayLiteral("Access-Control-Allow-Methods"), allow);
    response.headers.add(QByteArrayLiteral("Access-Control-Allow-Headers"), names);
    response.headers.add(QByteArrayLiteral("Access-Control-Max-Age"), QByteArrayLiteral("3600"));
    return response;
}

} // namespace power::http
