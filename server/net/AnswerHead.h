// The head of an HTTP/1.1 answer as a client reads it (RFC 9112, 4 to 6).
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QList>
#include <utility>

namespace power::net
{

// What ends a body: there is none; its length; its last chunk; nothing but the end of the connection.
enum class Framing { None, Length, Chunked, Close };

struct AnswerHead {
    int status = 0;
    Framing framing = Framing::None;
    qint64 length = -1;                               // of the body as it is sent; -1: not announced
    QList<std::pair<QByteArray, QByteArray>> fields;  // names in lower case, values without CR and NUL

    // The values of all fields of this name (lower case), ", " between them.
    QByteArray field(QByteArrayView name) const;
};

// Behind the empty line that ends a head; -1: it is not there yet.
qsizetype endOfHead(QByteArrayView bytes);

// `head`: up to endOfHead(). Lines that are no fields are passed over. Errors: Upstream (no HTTP, lengths that contradict
// each other, a transfer coding that is not understood).
Result<AnswerHead> parseAnswerHead(const QByteArray &head);

} // namespace power::net
