// One request and its one answer. Handlers get a shared_ptr and may answer later, from a coroutine.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include "http/Message.h"
#include <QCoroTask>
#include <memory>

namespace power::http {

// SseStream: an answer of type text/event-stream on a taken-over socket (WHATWG HTML 9.2).
// Sent with `Connection: close`, flushed when the event loop turns; a comment line every 15 s keeps it alive.
// Dropped (disconnected() fires) when more than 8 MiB still wait unsent at the next event, when a client takes nothing for the
// idle timeout, or when it goes away.
// Thread: the event loop's.
class SseStream
{
public:
    virtual ~SseStream() = default;
    // `event` and `id` may be empty; every line of `data` becomes a data: line.
    virtual void send(QByteArrayView event, QByteArrayView data, QByteArrayView id = {}) = 0;
    // How long the client should wait before it comes back after a break (field "retry").
    virtual void setRetry(std::chrono::milliseconds delay) = 0;
    // Flushes and closes. Sending after it is ignored.
    virtual void finish() = 0;
    virtual bool isOpen() const = 0;
};

// BodyReader: a request body that is read as it arrives, with backpressure, on a taken-over socket.
class BodyReader
{
public:
    virtual ~BodyReader() = default;
    // The next piece (at most 512 KiB); empty = complete. Errors: Cancelled (client gone), TooLarge,
    // Timeout (no byte for the body timeout), InvalidArgument (bad framing).
    virtual QCoro::Task<Result<QByteArray>> read() = 0;
    // Content-Length, or -1 when chunked.
    virtual qint64 announcedSize() const = 0;
};

// BodySource: where a streamed answer comes from; pulled with backpressure (never more than 512 KiB waiting).
class BodySource
{
public:
    virtual ~BodySource() = default;
    virtual qint64 size() const = 0; // bytes in all; known before the first byte is sent
    // At most `most` bytes; empty = end. An error closes the connection (the client sees a short body).
    virtual QCoro::Task<Result<QByteArray>> read(qint64 most) = 0;
    // A regular file's descriptor when the body is exactly [offset, offset+size) of it: it then leaves by
    // sendfile(2) on a plain socket; over TLS read() is used. -1 otherwise. Stays owned by the source.
    virtual int fileDescriptor() const { return -1; }
    virtual qint64 fileOffset() const { return 0; }
};

// Exchange: answer exactly once, by reply(), startSse() or stream(). One that is destroyed unanswered
// replies 500 by itself, so no client waits for ever. HEAD: give the same answer as for GET, the body is dropped.
// Thread: the event loop's.
class Exchange
{
public:
    virtual ~Exchange() = default;
    virtual const Request &request() const = 0;
    // Fires when the client disconnects before the answer is complete.
    virtual CancelToken disconnected() const = 0;
    virtual bool isAnswered() const = 0;

    virtual void reply(Response response) = 0;
    // `headers` are added to the stream's own.
    virtual std::shared_ptr<SseStream> startSse(Headers headers = {}) = 0;
    // `response.body` is ignored; Content-Length comes from the source.
    virtual void stream(Response response, std::unique_ptr<BodySource> source) = 0;
    // Only on routes with RouteOptions::streamBody; before any answer. Sends 100-continue when expected.
    virtual BodyReader &bodyReader() = 0;

    // Fields for the access log line of this exchange: user, session, tool ... (never secrets).
    virtual void note(const QString &key, const QJsonValue &value) = 0;
};

using ExchangePtr = std::shared_ptr<Exchange>;
using Handler = std::function<void(ExchangePtr)>;

// {"detail": ...} as the original's REST answers had it, plus error, next_step, details and request_id.
Response errorResponse(const Error &error, const Request &request);

} // namespace power::http
