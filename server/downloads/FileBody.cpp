#include "downloads/FileBody.h"
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace power::downloads
{

namespace
{
// Stored files are cold at most once; a piece is a few microseconds.
Result<QByteArray> readFile(int file, qint64 offset, qint64 most)
{
    QByteArray piece(qsizetype(most), Qt::Uninitialized);
    const ssize_t got = ::pread(file, piece.data(), size_t(piece.size()), offset);
    if (got < 0 || (got == 0 && most > 0))
        return fail(ErrorCode::Internal, QStringLiteral("A file became shorter, or cannot be read: %1.")
                                             .arg(QString::fromLocal8Bit(std::strerror(errno))));
    piece.truncate(got);
    return piece;
}

// One part; where sendfile can be used, read() is not.
class WholeBody : public http::BodySource
{
public:
    WholeBody(Content content, qint64 offset, qint64 length) : m_content(std::move(content)), m_offset(offset), m_length(length) {}
    qint64 size() const override { return m_length; }
    int fileDescriptor() const override { return m_content.file ? m_content.file->get() : -1; }
    qint64 fileOffset() const override { return m_offset; }
    QCoro::Task<Result<QByteArray>> read(qint64 most) override
    {
        const qint64 at = m_offset + m_done, wanted = qMin(most, m_length - m_done);
        if (wanted <= 0) co_return QByteArray();
        Result<QByteArray> piece = QByteArray();
        if (m_content.file)
            piece = readFile(m_content.file->get(), at, wanted);
        else
            piece = co_await m_content.reader->read(at, wanted);
        if (piece) m_done += piece->size();
        co_return piece;
    }

private:
    Content m_content;
    qint64 m_offset, m_length, m_done = 0;
};

class PartsBody : public http::BodySource
{
public:
    PartsBody(Content content, QList<BodyPart> parts, QByteArray tail)
        : m_content(std::move(content)), m_parts(std::move(parts)), m_tail(std::move(tail)), m_size(m_tail.size())
    {
        for (const BodyPart &part : m_parts)
            m_size += part.head.size() + part.length;
    }
    qint64 size() const override { return m_size; }
    QCoro::Task<Result<QByteArray>> read(qint64 most) override
    {
        if (m_body && m_left == 0) m_body.reset();
        if (m_body) {
            Result<QByteArray> piece = co_await m_body->read(most);
            if (piece) m_left -= piece->size();
            co_return piece;
        }
        if (m_next == m_parts.size()) {
            ++m_next;
            co_return m_tail;
        }
        const BodyPart &part = m_parts.at(m_next++);
        m_body = std::make_unique<WholeBody>(m_content, part.offset, part.length);
        m_left = part.length;
        co_return part.head;
    }

private:
    Content m_content;
    QList<BodyPart> m_parts;
    QByteArray m_tail;
    qint64 m_size;
    std::unique_ptr<WholeBody> m_body;
    qint64 m_left = 0;
    qsizetype m_next = 0;
};

} // namespace

std::unique_ptr<http::BodySource> makeBody(Content content, qint64 offset, qint64 length)
{
    return std::make_unique<WholeBody>(std::move(content), offset, length);
}

std::unique_ptr<http::BodySource> makePartsBody(Content content, QList<BodyPart> parts, QByteArray tail)
{
    return std::make_unique<PartsBody>(std::move(content), std::move(parts), std::move(tail));
}

} // namespace power::downloads
