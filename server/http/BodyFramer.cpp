#include "http/BodyFramer.h"

namespace power::http {

BodyFramer::Status BodyFramer::take(QByteArrayView in, qsizetype &used, QByteArray &out, qsizetype room)
{
    used = 0;
    if (m_complete)
        return Status::Complete;
    if (!m_chunked) {
        used = qsizetype(qMin(m_left, qint64(qMin(in.size(), room))));
        out.append(in.first(used));
        m_left -= used;
        m_complete = m_left == 0;
        return m_complete ? Status::Complete : Status::More;
    }
    const qsizetype before = out.size();
    const ChunkDecoder::Status status = m_decoder.decode(in, used, out, room);
    m_seen += out.size() - before;
    if (m_seen > m_limit)
        return Status::TooLarge;
    if (status == ChunkDecoder::Status::Bad)
        return Status::Bad;
    m_complete = status == ChunkDecoder::Status::Done;
    return m_complete ? Status::Complete : Status::More;
}

} // namespace power::http
