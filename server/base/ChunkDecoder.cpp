#include "base/ChunkDecoder.h"

namespace power {

namespace {
constexpr int maxSizeDigits = 15;
constexpr int maxExtensionBytes = 256;
constexpr int maxTrailerBytes = 8 * 1024;

int chunkDigit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
} // namespace

ChunkDecoder::Step ChunkDecoder::afterByte(char c)
{
    switch (m_step) {
    case Step::Size: {
        const int digit = chunkDigit(c);
        if (digit >= 0) {
            m_left = m_left * 16 + quint64(digit);
            return ++m_digits > maxSizeDigits ? Step::Bad : Step::Size;
        }
        if (m_digits == 0)
            return Step::Bad;
        [[fallthrough]];
    }
    case Step::Padding:
        if (m_padded && (c == ' ' || c == '\t'))
            return ++m_extension > maxExtensionBytes ? Step::Bad : Step::Padding;
        return c == ';' ? Step::Extension : c == '\r' ? Step::SizeLf : Step::Bad;
    case Step::Extension:
        if (c == '\r')
            return Step::SizeLf;
        return c == '\n' || ++m_extension > maxExtensionBytes ? Step::Bad : Step::Extension;
    case Step::SizeLf:
        if (c != '\n')
            return Step::Bad;
        m_digits = 0;
        m_extension = 0;
        return m_left == 0 ? Step::TrailerStart : Step::Data;
    case Step::DataCr:
        return c == '\r' ? Step::DataLf : Step::Bad;
    case Step::DataLf:
        return c == '\n' ? Step::Size : Step::Bad;
    case Step::TrailerStart:
        if (c == '\r')
            return Step::EndLf;
        [[fallthrough]];
    case Step::Trailer:
        if (c == '\r')
            return Step::TrailerLf;
        return c == '\n' || ++m_trailers > maxTrailerBytes ? Step::Bad : Step::Trailer;
    case Step::TrailerLf:
        return c == '\n' ? Step::TrailerStart : Step::Bad;
    case Step::EndLf:
        return c == '\n' ? Step::Done : Step::Bad;
    case Step::Data:
    case Step::Done:
    case Step::Bad:
        break;
    }
    return m_step;
}

ChunkDecoder::Status ChunkDecoder::decode(QByteArrayView in, qsizetype &used, QByteArray &out, qsizetype room)
{
    used = 0;
    while (used < in.size() && m_step != Step::Done && m_step != Step::Bad) {
        if (m_step != Step::Data) {
            m_step = afterByte(in[used++]);
            continue;
        }
        const qsizetype take = qsizetype(qMin(m_left, quint64(qMin(in.size() - used, room))));
        if (take == 0)
            return Status::More;
        out.append(in.sliced(used, take));
        used += take;
        room -= take;
        m_left -= quint64(take);
        if (m_left == 0)
            m_step = Step::DataCr;
    }
    return m_step == Step::Done ? Status::Done : m_step == Step::Bad ? Status::Bad : Status::More;
}

} // namespace power
