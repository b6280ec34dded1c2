// Where a request's body ends: by Content-Length or by chunks.
#pragma once
#include "base/ChunkDecoder.h"

namespace power::http {

// BodyFramer: one per request; a default one is a body without bytes. Thread: a plain value.
class BodyFramer
{
public:
    enum class Status { More, Complete, Bad, TooLarge };

    BodyFramer() = default;
    // limit: decoded bytes; more is TooLarge.
    BodyFramer(bool chunked, qint64 contentLength, qint64 limit)
        : m_chunked(chunked), m_left(chunked ? 0 : contentLength), m_limit(limit), m_complete(!chunked && contentLength == 0)
    {
    }
    bool isComplete() const { return m_complete; }

    // As ChunkDecoder::decode().
    Status take(QByteArrayView in, qsizetype &used, QByteArray &out, qsizetype room);

private:
    ChunkDecoder m_decoder;
    bool m_chunked = false;
    qint64 m_left = 0;
    qint64 m_limit = 0;
    qint64 m_seen = 0;
    bool m_complete = true;
};

} // namespace power::http
