#include "files/Contents.h"
#include "workspace/Beneath.h"
#include <cerrno>
#include <cstring>
#include <memory>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::files
{

namespace
{
constexpr qsizetype headBytes = 4096;
}

Result<Done> Contents::mayAdd(qint64 size) const
{
    if (m_maxBytes <= 0 || m_bytes.load() + size <= m_maxBytes) return Done{};
    return fail(ErrorCode::TooLarge,
                QStringLiteral("The server's store is full: it holds %1 of %2 MB (FILE_STORE_MAX_MB), and %3 MB more do not fit.")
                    .arg(m_bytes.load() >> 20)
                    .arg(m_maxBytes >> 20)
                    .arg(double(size) / (1 << 20), 0, 'f', 1),
                QStringLiteral("Delete files and sessions that are no longer needed (delete_file, delete_session), wait until links "
                               "expire, or ask the administrator to raise the limit. The file is still in the session's directory."),
                {{QStringLiteral("cause"), QStringLiteral("store_full")}, {QStringLiteral("limit"), m_maxBytes}});
}

SourceFacts sourceFacts(const struct stat &facts)
{
    return {workspace::nanoseconds(facts.st_mtim), workspace::nanoseconds(facts.st_ctim), quint64(facts.st_ino),
            int(facts.st_mode & 0777)};
}

bool digest(int fd, KeptContent *content)
{
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
    QByteArray piece(256 * 1024, Qt::Uninitialized);
    content->size = 0;
    for (;;) {
        const ssize_t got = ::pread(fd, piece.data(), size_t(piece.size()), content->size);
        if (got < 0) return false;
        if (got == 0) break;
        if (content->size == 0) content->head = piece.left(qMin<qsizetype>(got, headBytes));
        EVP_DigestUpdate(context.get(), piece.constData(), size_t(got));
        content->size += got;
    }
    QByteArray sum(32, '\0');
    EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char *>(sum.data()), nullptr);
    content->sha256 = sum.toHex();
    return true;
}

Unexpected<Error> diskError(const QString &what)
{
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return fail(
        ErrorCode::Unavailable,
        QStringLiteral("%1: %2.").arg(what, QString::fromLocal8Bit(std::strerror(number))),
        full ? QStringLiteral(
                   "The server's disk is full; the file is still in the session. Tell the administrator.")
             : QStringLiteral("The file is still in the session; try again, or tell the administrator."));
}

Unexpected<Error> aboveLimit(const QString &shown, qint64 size, qint64 limit)
{
    return fail(
        ErrorCode::TooLarge,
        QStringLiteral("\"%1\" has %2 MB; files above %3 MB get no download link. It stays in the session.")
            .arg(shown)
            .arg(double(size) / (1 << 20), 0, 'f', 1)
            .arg(double(limit) / (1 << 20), 0, 'f', limit < (10 << 20) ? 1 : 0),
        QStringLiteral("Write a smaller file (fewer rows or columns, Parquet or a zip, several parts), or "
                       "ask the administrator "
                       "to raise SANDBOX_FILE_MAX_MB."),
        {{QStringLiteral("limit"), limit}, {QStringLiteral("size"), size}});
}

Unexpected<Error> wentOnChanging(const QString &shown)
{
    return fail(ErrorCode::Conflict,
                QStringLiteral("\"%1\" went on changing while it was copied.").arg(shown),
                QStringLiteral("Finish writing (close the file, stop the thread) and ask again."));
}

} // namespace power::files
