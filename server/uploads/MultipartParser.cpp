#include "uploads/MultipartParser.h"
#include <algorithm>
#include <cstring>

namespace power::uploads {

namespace {
Unexpected<Error> malformed(const QString &what)
{
    return fail(ErrorCode::InvalidArgument, QStringLiteral("The multipart body is malformed: %1.").arg(what),
                QStringLiteral("Send it as RFC 7578 says, for example curl -F file=@data.csv."));
}

bool isBoundaryByte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && std::strchr("'()+_,-./:=? ", c));
}

qsizetype find(QByteArrayView in, QByteArrayView what)
{
    const void *at = ::memmem(in.data(), size_t(in.size()), what.data(), size_t(what.size()));
    return at ? static_cast<const char *>(at) - in.data() : -1;
}
} // namespace

Result<QByteArray> MultipartParser::boundaryOf(const QByteArray &contentType)
{
    const qsizetype semicolon = contentType.indexOf(';');
    const QByteArray type = contentType.left(semicolon).trimmed().toLower();
    if (type != "multipart/form-data")
        return fail(ErrorCode::InvalidArgument, QStringLiteral("The body is \"%1\", not multipart/form-data.").arg(QString::fromLatin1(type.left(80))));
    const QByteArray rest = semicolon < 0 ? QByteArray() : contentType.mid(semicolon);
    qsizetype at = rest.toLower().indexOf("boundary=");
    if (at < 0)
        return malformed(QStringLiteral("its Content-Type names no boundary"));
    at += 9;
    QByteArray boundary;
    if (at < rest.size() && rest[at] == '"')
        boundary = rest.mid(at + 1, qMax<qsizetype>(0, rest.indexOf('"', at + 1) - at - 1));
    else
        boundary = rest.mid(at, rest.indexOf(';', at) < 0 ? -1 : rest.indexOf(';', at) - at).trimmed();
    const bool fine = !boundary.isEmpty() && boundary.size() <= 70 && !boundary.endsWith(' ')
                      && std::all_of(boundary.begin(), boundary.end(), isBoundaryByte);
    if (!fine)
        return malformed(QStringLiteral("its boundary is not one"));
    return boundary;
}

// The first boundary may stand at the very beginning: as if a line ended before it.
MultipartParser::MultipartParser(const QByteArray &boundary, Sink &sink)
    : m_sink(sink), m_delimiter("\r\n--" + boundary), m_in("\r\n")
{
}

Result<Done> MultipartParser::feed(QByteArrayView bytes)
{
    if (m_state == State::Epilogue)
        return Done{};
    m_in.append(bytes.data(), bytes.size());
    for (;;) {
        const Result<bool> more = step();
        if (!more)
            return Unexpected<Error>{more.error()};
        if (!*more)
            break;
    }
    m_in.remove(0, m_at);
    m_at = 0;
    return Done{};
}

Result<Done> MultipartParser::finish() const
{
    if (m_state != State::Epilogue)
        return malformed(QStringLiteral("it ends before its closing boundary"));
    return Done{};
}

Result<bool> MultipartParser::step()
{
    switch (m_state) {
    case State::Preamble: return skipPreamble();
    case State::Delimiter: return readDelimiter();
    case State::Header: return readHeader();
    case State::Body: return readBody();
    case State::Epilogue: break;
    }
    m_at = m_in.size();
    return false;
}

Result<bool> MultipartParser::skipPreamble()
{
    const QByteArrayView in = QByteArrayView(m_in).sliced(m_at);
    const qsizetype found = find(in, m_delimiter);
    const qsizetype passed = found >= 0 ? found : qMax<qsizetype>(0, in.size() - m_delimiter.size() + 1);
    m_skipped += passed;
    m_at += passed;
    if (m_skipped > mostPreamble)
        return malformed(QStringLiteral("its boundary does not occur"));
    if (found < 0)
        return false;
    m_at += m_delimiter.size();
    m_state = State::Delimiter;
    return true;
}

// Behind a delimiter: "--" is the end, else blanks and a line end.
Result<bool> MultipartParser::readDelimiter()
{
    QByteArrayView in = QByteArrayView(m_in).sliced(m_at);
    if (in.size() < 2)
        return false;
    if (in.startsWith("--")) {
        m_state = State::Epilogue;
        return true;
    }
    qsizetype blanks = 0;
    while (blanks < in.size() && (in[blanks] == ' ' || in[blanks] == '\t'))
        ++blanks;
    in = in.sliced(blanks);
    if (blanks > 256 || (in.size() >= 2 && !in.startsWith("\r\n")) || (in.size() == 1 && in[0] != '\r'))
        return malformed(QStringLiteral("a boundary line goes on with something else"));
    if (in.size() < 2)
        return false;
    if (++m_parts > mostParts)
        return malformed(QStringLiteral("it has more than %1 parts").arg(mostParts));
    m_at += blanks; // the line end stays: a header may be empty
    m_state = State::Header;
    return true;
}

Result<bool> MultipartParser::readHeader()
{
    const QByteArrayView in = QByteArrayView(m_in).sliced(m_at);
    const qsizetype end = find(in.first(qMin(in.size(), mostHeader)), "\r\n\r\n");
    if (end < 0) {
        if (in.size() >= mostHeader)
            return malformed(QStringLiteral("a part's header has more than %1 bytes").arg(mostHeader));
        return false;
    }
    const Result<FormPart> part = readPartHeader(in.first(end).sliced(qMin<qsizetype>(2, end)));
    if (!part)
        return Unexpected<Error>{part.error()};
    const Result<Done> begun = m_sink.begin(*part);
    if (!begun)
        return Unexpected<Error>{begun.error()};
    m_at += end + 2; // the empty line's end may be the beginning of the next delimiter
    m_state = State::Body;
    m_skipped = 2;
    return true;
}

Result<bool> MultipartParser::readBody()
{
    const QByteArrayView in = QByteArrayView(m_in).sliced(m_at);
    const qsizetype found = find(in, m_delimiter);
    const qsizetype sure = found >= 0 ? found : qMax<qsizetype>(0, in.size() - m_delimiter.size() + 1);
    // The first two bytes are the header's own line end.
    const qsizetype own = qMin(m_skipped, sure);
    m_skipped -= own;
    const QByteArrayView content = in.first(sure).sliced(own);
    if (!content.isEmpty()) {
        const Result<Done> taken = m_sink.data(content);
        if (!taken)
            return Unexpected<Error>{taken.error()};
    }
    m_at += sure;
    if (found < 0)
        return false;
    m_at += m_delimiter.size();
    m_state = State::Delimiter;
    const Result<Done> ended = m_sink.end();
    if (!ended)
        return Unexpected<Error>{ended.error()};
    return true;
}

} // namespace power::uploads
