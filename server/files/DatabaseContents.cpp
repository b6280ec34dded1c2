#include "files/DatabaseContents.h"
#include "base/Ids.h"
#include "files/ContentTable.h"
#include <QElapsedTimer>
#include <QPointer>
#include <deque>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::files
{

using storage::Lane;

namespace
{
constexpr std::chrono::milliseconds pieceDeadline{20'000};
constexpr std::chrono::milliseconds sweepStepDeadline{30'000};
constexpr qint64 sweepTime = 30'000; // ms
constexpr int piecesAtOnce = 4;

constexpr int mostAhead = 3; // pieces asked for while one is sent
constexpr int mostFast = 4;  // readers; when there are more, each has one piece ahead

// Pieces of a content by position, the next ones asked for while the present one is sent: several connections work for one
// reader then, and none waits for another's way.
class PieceReader : public ContentReader
{
public:
    PieceReader(storage::Database &database, QString id, qint64 size) : m_database(&database), m_id(std::move(id)), m_size(size) { ++readers; }
    ~PieceReader() override { --readers; }

    QCoro::Task<Result<QByteArray>> read(qint64 offset, qint64 most) override
    {
        if (offset >= m_size) co_return QByteArray();
        const int n = int(offset / contents::pieceBytes);
        if (n != m_number) {
            while (!m_ahead.empty() && m_ahead.front().number != n)
                m_ahead.pop_front();
            if (m_ahead.empty()) m_ahead.push_back({n, fetch(n)});
            QCoro::Task<Result<QByteArray>> coming = std::move(m_ahead.front().piece);
            m_ahead.pop_front();
            lookAhead(n);
            Result<QByteArray> got = co_await coming;
            m_piece = std::move(got);
            m_number = n;
        }
        if (!m_piece) co_return m_piece;
        const qint64 at = offset % contents::pieceBytes;
        if (at >= m_piece->size())
            co_return fail(ErrorCode::NotFound, QStringLiteral("The content of this file is no longer stored."),
                           QStringLiteral("Make the file again, or list_files for a fresh link."));
        co_return m_piece->mid(qsizetype(at), qsizetype(most));
    }

private:
    struct Coming {
        int number;
        QCoro::Task<Result<QByteArray>> piece;
    };
    // Of the first piece on one only: many want no more than a file's head.
    void lookAhead(int n)
    {
        const int depth = readers > mostFast ? 1 : n == 0 ? 1 : mostAhead;
        for (int next = m_ahead.empty() ? n + 1 : m_ahead.back().number + 1; int(m_ahead.size()) < depth && next * contents::pieceBytes < m_size; ++next)
            m_ahead.push_back({next, fetch(next)});
    }
    QCoro::Task<Result<QByteArray>> fetch(int n)
    {
        return fetchPiece(m_database, m_id, n);
    }
    // Without `this`: the reader may go while the database answers.
    static QCoro::Task<Result<QByteArray>> fetchPiece(QPointer<storage::Database> database, QString id, int n)
    {
        if (!database) co_return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
        storage::Job<QByteArray> job = [id, n](QSqlDatabase &connection) { return contents::piece(connection, id, n); };
        const CancelToken never;
        Result<QByteArray> got = co_await database->run<QByteArray>(Lane::Files, pieceDeadline, std::move(job), never);
        co_return got;
    }

    QPointer<storage::Database> m_database;
    QString m_id;
    qint64 m_size;
    int m_number = -1;
    Result<QByteArray> m_piece = QByteArray();
    std::deque<Coming> m_ahead;
    static inline int readers = 0; // the event loop's thread only
};
} // namespace

QString DatabaseContents::locationOf(const QByteArray &sha256) const
{
    return QStringLiteral("db:") + QString::fromLatin1(sha256);
}

Result<KeptContent> DatabaseContents::keep(const Reopen &reopen, const QString &shown, qint64 limit)
{
    const QString cannotRead = QStringLiteral("\"%1\" cannot be read").arg(shown);
    for (int copy = 0; copy < mostCopies; ++copy) {
        const Result<workspace::Descriptor> source = reopen();
        if (!source) return Unexpected<Error>{source.error()};
        struct stat before, after;
        if (::fstat(source->get(), &before) != 0) return diskError(cannotRead);
        if (before.st_size > limit) return aboveLimit(shown, before.st_size, limit);
        KeptContent content;
        if (!digest(source->get(), &content) || ::fstat(source->get(), &after) != 0) return diskError(cannotRead);
        content.source = sourceFacts(before);
        if (!(content.source == sourceFacts(after)) || content.size != before.st_size) continue;
        const QByteArray sum = content.sha256;
        const Result<bool> there = m_door.run<bool>(Lane::Files, pieceDeadline,
                                                    [sum](QSqlDatabase &connection) { return contents::renew(connection, sum); });
        if (!there) return Unexpected<Error>{there.error()};
        if (*there) return content;
        const Result<Done> room = mayAdd(content.size);
        if (!room) return Unexpected<Error>{room.error()};
        const Result<bool> stored = put(source->get(), content);
        if (!stored && stored.error().code == ErrorCode::Conflict) continue; // somebody was faster with the same bytes
        if (!stored) return Unexpected<Error>{stored.error()};
        if (!*stored) continue;
        content.isNew = true;
        m_bytes += content.size;
        return content;
    }
    return wentOnChanging(shown);
}

Result<bool> DatabaseContents::put(int fd, const KeptContent &content)
{
    const QString id = newUuid();
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
    qint64 at = 0;
    int first = 0;
    do {
        QList<QByteArray> pieces;
        const qint64 from = at;
        while (at < content.size && pieces.size() < piecesAtOnce) {
            QByteArray piece(qsizetype(qMin(contents::pieceBytes, content.size - at)), Qt::Uninitialized);
            for (qsizetype have = 0; have < piece.size();) {
                const ssize_t got = ::pread(fd, piece.data() + have, size_t(piece.size() - have), at + have);
                if (got < 0) return diskError(QStringLiteral("The file cannot be read"));
                if (got == 0) return false; // shorter now
                have += got;
            }
            EVP_DigestUpdate(context.get(), piece.constData(), size_t(piece.size()));
            at += piece.size();
            pieces << piece;
        }
        const bool isFirst = from == 0, isLast = at >= content.size;
        if (isLast) {
            QByteArray sum(32, '\0');
            EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char *>(sum.data()), nullptr);
            if (sum.toHex() != content.sha256) return false;
        }
        const QByteArray sha256 = content.sha256;
        const qint64 size = content.size;
        storage::Job<Done> job = [id, sha256, size, pieces, first, isFirst, isLast](QSqlDatabase &connection) -> Result<Done> {
            Result<Done> done = isFirst ? contents::begin(connection, id, sha256, size) : Result<Done>(Done{});
            if (done) done = contents::addPieces(connection, id, first, pieces);
            if (done && isLast) done = contents::finish(connection, id);
            return done;
        };
        const Result<Done> added = m_door.run<Done>(Lane::Files, pieceDeadline, std::move(job));
        if (!added) return Unexpected<Error>{added.error()};
        first += int(pieces.size());
    } while (at < content.size);
    return true;
}

void DatabaseContents::release(const QByteArray &sha256)
{
    const Result<Done> released = m_door.run<Done>(Lane::Files, pieceDeadline, [sha256](QSqlDatabase &connection) {
        return contents::release(connection, sha256);
    });
    constexpr int mostSteps = 50;
    for (int step = 0; released && step < mostSteps; ++step) {
        const Result<int> rows = m_door.run<int>(Lane::Files, sweepStepDeadline, [](QSqlDatabase &connection) {
            return contents::sweepStep(connection, std::chrono::hours(24));
        });
        if (!rows || *rows == 0) return; // else the hourly sweep finds it
    }
}

Result<Done> DatabaseContents::copyTo(const QByteArray &sha256, qint64 size, const std::function<Result<Done>(QByteArrayView)> &write)
{
    const Result<QString> id = m_door.run<QString>(Lane::Files, pieceDeadline,
                                                   [sha256](QSqlDatabase &connection) { return contents::find(connection, sha256); });
    if (!id) return Unexpected<Error>{id.error()};
    qint64 have = 0;
    for (int n = 0; !id->isEmpty() && have < size; ++n) {
        const QString content = *id;
        const Result<QByteArray> piece = m_door.run<QByteArray>(
            Lane::Files, pieceDeadline, [content, n](QSqlDatabase &connection) { return contents::piece(connection, content, n); });
        if (!piece) return Unexpected<Error>{piece.error()};
        if (piece->isEmpty()) break;
        const Result<Done> written = write(*piece);
        if (!written) return written;
        have += piece->size();
    }
    if (!id->isEmpty() && have == size) return Done{};
    return fail(ErrorCode::NotFound,
                QStringLiteral("The content %1 is not (whole) in the database.").arg(QString::fromLatin1(sha256.left(12))));
}

QCoro::Task<Result<std::shared_ptr<ContentReader>>> DatabaseContents::reader(QByteArray sha256, qint64 size)
{
    storage::Database *database = &m_database;
    storage::Job<QString> job = [sha256](QSqlDatabase &connection) { return contents::find(connection, sha256); };
    const CancelToken never;
    const Result<QString> id = co_await database->run<QString>(Lane::Files, pieceDeadline, std::move(job), never);
    if (!id) co_return Unexpected<Error>{id.error()};
    if (id->isEmpty())
        co_return fail(ErrorCode::NotFound, QStringLiteral("The content of this file is no longer stored."),
                       QStringLiteral("Make the file again, or list_files for a fresh link."));
    std::shared_ptr<ContentReader> made = std::make_shared<PieceReader>(*database, *id, size);
    co_return made;
}

QCoro::Task<Result<int>> DatabaseContents::sweep(std::chrono::seconds age)
{
    const QPointer<storage::Database> alive(&m_database);
    QElapsedTimer clock;
    clock.start();
    int rows = 0;
    while (alive && clock.elapsed() < sweepTime) {
        storage::Job<int> step = [age](QSqlDatabase &connection) { return contents::sweepStep(connection, age); };
        const CancelToken never;
        const Result<int> deleted = co_await alive->run<int>(Lane::Bulk, sweepStepDeadline, std::move(step), never);
        if (!deleted) co_return deleted;
        rows += *deleted;
        if (*deleted == 0) break;
    }
    co_return rows;
}

QCoro::Task<Result<Done>> DatabaseContents::count()
{
    storage::Job<qint64> job = [](QSqlDatabase &connection) { return contents::allBytes(connection); };
    const CancelToken never;
    const Result<qint64> bytes = co_await m_database.run<qint64>(Lane::Bulk, sweepStepDeadline, std::move(job), never);
    if (!bytes) co_return Unexpected<Error>{bytes.error()};
    m_bytes = *bytes;
    co_return Done{};
}

} // namespace power::files
