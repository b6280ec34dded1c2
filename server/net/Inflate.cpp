#include "net/Inflate.h"
#include <zlib.h>

namespace power::net
{

struct Inflater::Stream {
    z_stream z{};
    bool started = false, ended = false;
};

Inflater::Inflater() : m_stream(std::make_unique<Stream>()) {}

Inflater::~Inflater()
{
    if (m_stream->started) ::inflateEnd(&m_stream->z);
}

bool Inflater::isComplete() const
{
    return m_stream->ended;
}

Result<Done> Inflater::feed(QByteArrayView bytes, const std::function<Result<Done>(QByteArrayView)> &out)
{
    const auto broken = [] {
        return fail(ErrorCode::Upstream, QStringLiteral("The server's compressed answer cannot be unpacked."),
                    QStringLiteral("Try again; if it stays so, the file on that server is damaged."));
    };
    if (bytes.isEmpty()) return Done{};
    z_stream &z = m_stream->z;
    if (!m_stream->started) {
        // gzip and zlib recognise themselves; `deflate` of some servers has no header at all.
        const auto first = quint8(bytes.front());
        const bool framed = first == 0x1f || (first & 0x0f) == 8;
        if (::inflateInit2(&z, framed ? 15 + 32 : -15) != Z_OK) return broken();
        m_stream->started = true;
    }
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
    z.avail_in = uInt(bytes.size());
    char piece[64 * 1024];
    for (;;) {
        if (m_stream->ended) {
            if (z.avail_in == 0) return Done{};
            // gzip files may be several members in a row.
            if (::inflateReset(&z) != Z_OK) return broken();
            m_stream->ended = false;
        }
        z.next_out = reinterpret_cast<Bytef *>(piece);
        z.avail_out = sizeof piece;
        const int state = ::inflate(&z, Z_NO_FLUSH);
        const qsizetype made = qsizetype(sizeof piece - z.avail_out);
        if (made > 0) {
            const Result<Done> taken = out(QByteArrayView(piece, made));
            if (!taken) return taken;
        }
        m_stream->ended = state == Z_STREAM_END;
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) return broken();
        if (!m_stream->ended && z.avail_in == 0 && z.avail_out > 0) return Done{};
    }
}

} // namespace power::net
