#include "downloads/Answer.h"
#include "base/Ids.h"

namespace power::downloads
{

namespace
{
QByteArray contentRange(const ByteRange &range, qint64 size)
{
    return "bytes " + QByteArray::number(range.first) + '-' + QByteArray::number(range.first + range.length - 1) + '/' +
           QByteArray::number(size);
}

// The answer to a client that has the content already: without what describes a body.
http::Response unchanged(const http::Headers &headers)
{
    http::Response response = http::Response::empty(304);
    for (const http::Headers::Field &field : headers.fields()) {
        if (field.name != "Content-Type" && field.name != "Content-Disposition") response.headers.add(field.name, field.value);
    }
    return response;
}

http::Response another()
{
    http::Response refused = problem(fail(ErrorCode::Conflict, QStringLiteral("The file is not the version of If-Match any more."),
                                          QStringLiteral("Begin the download anew.")).error);
    refused.status = 412;
    return refused;
}

http::Response unsatisfiable(qint64 size)
{
    http::Response refused = problem(
        fail(ErrorCode::InvalidArgument,
             QStringLiteral("The file has %1 bytes; the range asked for lies behind its end.").arg(size),
             QStringLiteral("Ask for a range within it."))
            .error);
    refused.status = 416;
    refused.headers.add("Content-Range", "bytes */" + QByteArray::number(size));
    return refused;
}

void answerParts(http::Exchange &exchange, http::Response response, Served served, const QList<ByteRange> &parts)
{
    const QByteArray boundary = "power-" + newUuid().toLatin1();
    const QByteArray type = served.headers.value("Content-Type");
    QList<BodyPart> body;
    for (const ByteRange &part : parts)
        body << BodyPart{"\r\n--" + boundary + "\r\nContent-Type: " + type + "\r\nContent-Range: " + contentRange(part, served.size) + "\r\n\r\n",
                         part.first, part.length};
    response.headers.set("Content-Type", "multipart/byteranges; boundary=" + boundary);
    exchange.stream(std::move(response), makePartsBody(std::move(served.content), body, "\r\n--" + boundary + "--\r\n"));
}
} // namespace

http::Response problem(const Error &error)
{
    return http::Response::json(httpStatus(error.code), {{QStringLiteral("error"), error.message},
                                                         {QStringLiteral("hint"), error.nextStep},
                                                         {QStringLiteral("detail"), error.text()}});
}

void answerContent(http::Exchange &exchange, Served served, const std::function<void()> &counted)
{
    const http::Request &request = exchange.request();
    http::Response response;
    response.headers = served.headers;
    response.headers.add("ETag", served.tag);
    response.headers.add("Accept-Ranges", "bytes");
    if (!mayServe(request.headers.value("If-Match"), served.tag)) return exchange.reply(another());
    if (matchesTag(request.headers.value("If-None-Match"), served.tag)) return exchange.reply(unchanged(response.headers));
    const QByteArray condition = request.headers.value("If-Range");
    const bool partly = request.method == "GET" && (condition.isEmpty() || condition == served.tag); // a HEAD has no parts
    const ByteRanges ranges = partly ? rangesOf(request.headers.value("Range"), served.size) : ByteRanges{};
    if (ranges.kind == ByteRanges::Unsatisfiable) return exchange.reply(unsatisfiable(served.size));
    const ByteRange first = ranges.kind == ByteRanges::Parts ? ranges.parts.first() : ByteRange{0, served.size};
    if (counted && request.method == "GET" && first.first == 0) counted();
    if (ranges.kind == ByteRanges::Parts) response.status = 206;
    if (ranges.parts.size() > 1) return answerParts(exchange, std::move(response), std::move(served), ranges.parts);
    if (ranges.kind == ByteRanges::Parts) response.headers.add("Content-Range", contentRange(first, served.size));
    exchange.stream(std::move(response), makeBody(std::move(served.content), first.first, first.length));
}

} // namespace power::downloads
