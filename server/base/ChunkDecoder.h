// The chunked transfer coding (RFC 9112, 7.1), decoded strictly and piece by piece.
#pragma once
#include <QByteArray>
#include <QByteArrayView>

namespace power {

// ChunkDecoder: one per body. Sizes are at most 15 hexadecimal digits, extensions 256 bytes a chunk, trailers
// 8 KiB; both are read and dropped. Thread: a plain value.
class ChunkDecoder
{
public:
    enum class Status { More, Done, Bad };
    // Padded: blanks between a size and what follows it are let pass, as some servers write them. Never for what a
    // client sends: who reads it before or behind us must not read another size.
    enum class Sizes { Strict, Padded };

    explicit ChunkDecoder(Sizes sizes = Sizes::Strict) : m_padded(sizes == Sizes::Padded) {}

    // Consumes bytes of `in` (count in `used`) and appends at most `room` decoded bytes to `out`.
    // Done: the last chunk and its trailers are read. Bad: the framing is wrong and the connection is lost.
    Status decode(QByteArrayView in, qsizetype &used, QByteArray &out, qsizetype room);

private:
    enum class Step { Size, Padding, Extension, SizeLf, Data, DataCr, DataLf, TrailerStart, Trailer, TrailerLf, EndLf, Done, Bad };
    Step afterByte(char c);

    Step m_step = Step::Size;
    bool m_padded = false;
    quint64 m_left = 0;
    int m_digits = 0;
    int m_extension = 0;
    int m_trailers = 0;
};

} // namespace power
