// multipart/form-data (RFC 7578, RFC 2046) as it arrives, in bounded memory; its input is hostile.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QString>

namespace power::uploads {

struct FormPart {
    QByteArray name;    // of the form's field
    QString fileName;   // as sent, not cleaned; empty for a plain field
    bool isFile = false; // a file name was given, even an empty one
    QByteArray type;    // Content-Type, may be empty
};

// MultipartParser: feed() calls `sink` for every part in order: begin, data (any number of times), end. Holds at most
// one piece and a part's header. Thread: a plain value, any, one at a time.
class MultipartParser
{
public:
    // Its errors end the parsing and come back from feed().
    class Sink
    {
    public:
        virtual ~Sink() = default;
        virtual Result<Done> begin(const FormPart &part) = 0;
        virtual Result<Done> data(QByteArrayView bytes) = 0;
        virtual Result<Done> end() = 0;
    };
    static constexpr int mostParts = 1000;
    static constexpr qsizetype mostHeader = 8 * 1024;    // bytes of one part's header
    static constexpr qsizetype mostPreamble = 16 * 1024; // before the first boundary

    // From a Content-Type value. Error: InvalidArgument (not multipart/form-data, no or an impossible boundary).
    static Result<QByteArray> boundaryOf(const QByteArray &contentType);

    MultipartParser(const QByteArray &boundary, Sink &sink);
    // Error: InvalidArgument (malformed, too many parts, a header too long), those of the sink; nothing more may be fed then.
    Result<Done> feed(QByteArrayView bytes);
    // Error: InvalidArgument when the closing boundary did not come.
    Result<Done> finish() const;

private:
    enum class State { Preamble, Delimiter, Header, Body, Epilogue };
    Result<bool> step(); // false: needs more bytes
    Result<bool> skipPreamble();
    Result<bool> readDelimiter();
    Result<bool> readHeader();
    Result<bool> readBody();

    Sink &m_sink;
    const QByteArray m_delimiter; // CRLF, two hyphens, boundary
    QByteArray m_in;
    qsizetype m_at = 0;
    qsizetype m_skipped = 0;
    State m_state = State::Preamble;
    int m_parts = 0;
};

// One part's header block, without its empty line. Error: InvalidArgument.
Result<FormPart> readPartHeader(QByteArrayView block);

} // namespace power::uploads
