#include "downloads/FileBody.h"
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace power::downloads
{

namespace
{

class DiskBody : public http::BodySource
{
public:
    DiskBody(workspace::Descriptor file, qint64 offset, qint64 length)
        : m_file(std::move(file)), m_offset(offset), m_length(length)
    {
    }
    qint64 size() const override { return m_length; }
    int fileDescriptor() const override { return m_file.get(); }
    qint64 fileOffset() const override { return m_offset; }
    // Where sendfile cannot be used (TLS). Stored files are cold at most once; a piece is a few microseconds.
    QCoro::Task<Result<QByteArray>> read(qint64 most) override
    {
        QByteArray piece(qsizetype(qMin(most, m_length - m_done)), Qt::Uninitialized);
        const ssize_t got = ::pread(m_file.get(), piece.data(), size_t(piece.size()), m_offset + m_done);
        if (got < 0 || (got == 0 && !piece.isEmpty()))
            co_return fail(ErrorCode::Internal, QStringLiteral("A stored file cannot be read: %1.")
                                                    .arg(QString::fromLocal8Bit(std::strerror(errno))));
        piece.truncate(got);
        m_done += got;
        co_return piece;
    }

private:
    workspace::Descriptor m_file;
    qint64 m_offset, m_length, m_done = 0;
};

class MemoryBody : public http::BodySource
{
public:
    explicit MemoryBody(QByteArray bytes) : m_bytes(std::move(bytes)) {}
    qint64 size() const override { return m_bytes.size(); }
    QCoro::Task<Result<QByteArray>> read(qint64 most) override
    {
        const QByteArray piece = m_bytes.mid(m_done, qsizetype(most));
        m_done += piece.size();
        co_return piece;
    }

private:
    QByteArray m_bytes;
    qsizetype m_done = 0;
};

} // namespace

std::unique_ptr<http::BodySource> makeBody(files::OpenedFile opened, qint64 offset, qint64 length)
{
    if (opened.onDisk) return std::make_unique<DiskBody>(std::move(opened.descriptor), offset, length);
    return std::make_unique<MemoryBody>(opened.bytes.mid(qsizetype(offset), qsizetype(length)));
}

} // namespace power::downloads
