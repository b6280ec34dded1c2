// Links: storing a file for download, finding it again.
#include "base/Ids.h"
#include "files/StoredFilesParts.h"
#include <QCryptographicHash>
#include <QMessageAuthenticationCode>
#include <QPointer>
#include <QUuid>
#include <fcntl.h>
#include <limits>
#include <openssl/crypto.h>
#include <sys/stat.h>

namespace power::files
{

namespace
{
Unexpected<Error> unknownLink()
{
    return fail(ErrorCode::NotFound, QStringLiteral("No such file."),
                QStringLiteral("The link may be incomplete, or the file or its session was deleted; "
                               "list_files gives fresh links."));
}

Unexpected<Error> aboveQuota(qint64 limit)
{
    return fail(ErrorCode::TooLarge,
                QStringLiteral("The session's files for download have reached %1 MB (MAX_SESSION_STORED_MB); this one gets no "
                               "link. It stays in the session.").arg(limit >> 20),
                QStringLiteral("Delete files that are no longer needed (delete_file), or ask the administrator to raise the limit."),
                {{QStringLiteral("cause"), QStringLiteral("session_store_full")}, {QStringLiteral("limit"), limit}});
}

constexpr qint64 largeFile = 8 << 20; // what takes longer to read than it is waited for
const QString isLargeKey = QStringLiteral("is_large");

// Not told to anybody: the work is for another worker.
Unexpected<Error> isLarge()
{
    return fail(ErrorCode::Internal, QString(), {}, {{isLargeKey, true}});
}

// A row of the original: the whole content came with it.
class BytesReader : public ContentReader
{
public:
    explicit BytesReader(QByteArray bytes) : m_bytes(std::move(bytes)) {}
    QCoro::Task<Result<QByteArray>> read(qint64 offset, qint64 most) override
    {
        co_return m_bytes.mid(qsizetype(offset), qsizetype(most));
    }

private:
    QByteArray m_bytes;
};
} // namespace

QString StoredFiles::slugFor(const QString &principal, const QString &sessionId) const
{
    if (principal == u"owner") return sessionId;
    const QByteArray text = principal.toUtf8() + '\0' + sessionId.toUtf8();
    const QByteArray code =
        QMessageAuthenticationCode::hash(text, m_slugKey, QCryptographicHash::Sha256).toHex();
    return QStringLiteral("s-") + QString::fromLatin1(code.first(24));
}

QByteArray StoredFiles::signatureOf(const QString &id, qint64 until) const
{
    const QByteArray text = "dl\n" + id.toLower().toLatin1() + '\n' + QByteArray::number(until);
    return QMessageAuthenticationCode::hash(text, m_linkKey, QCryptographicHash::Sha256).toHex().first(40);
}

StoredFile StoredFiles::linked(StoredFile file) const
{
    if (m_config.linkTimeToLive.count() <= 0) return file;
    const qint64 until = QDateTime::currentSecsSinceEpoch() + std::chrono::seconds(m_config.linkTimeToLive).count();
    file.signature = QStringLiteral("e=%1&s=%2").arg(until).arg(QString::fromLatin1(signatureOf(file.id, until)));
    return file;
}

Result<Done> StoredFiles::mayOpen(const QString &id, const QUrlQuery &query) const
{
    if (m_config.linkTimeToLive.count() <= 0) return Done{};
    const qint64 until = query.queryItemValue(QStringLiteral("e")).toLongLong();
    const QByteArray given = query.queryItemValue(QStringLiteral("s")).toLatin1(), right = signatureOf(id, until);
    if (given.size() != right.size() || CRYPTO_memcmp(given.constData(), right.constData(), size_t(right.size())) != 0)
        return fail(ErrorCode::Forbidden, QStringLiteral("This link lacks its signature, or was changed."),
                    QStringLiteral("Copy the link completely, with what stands behind the question mark; list_files gives fresh links."));
    if (until < QDateTime::currentSecsSinceEpoch())
        return fail(ErrorCode::Gone, QStringLiteral("This link has expired (LINK_TTL_HOURS)."), QStringLiteral("list_files gives a fresh link."));
    return Done{};
}

FileRow StoredFiles::rowFor(const QString &principal, const QString &sessionId, const QString &path, const KeptContent &kept) const
{
    FileRow row;
    row.found = true;
    row.file.id = newUuid();
    row.file.principal = principal;
    row.file.sessionId = sessionId;
    row.file.chartSlug = slugFor(principal, sessionId);
    row.file.name = path.startsWith(u'/') ? path.section(u'/', -1) : path;
    row.file.mime = mimeOf(row.file.name, kept.head);
    row.file.size = kept.size;
    row.file.sha256 = kept.sha256;
    row.file.created = QDateTime::currentDateTimeUtc();
    if (m_config.timeToLive.count() > 0)
        row.file.expires = row.file.created.addSecs(std::chrono::seconds(m_config.timeToLive).count());
    return row;
}

QCoro::Task<Result<StoredFile>> StoredFiles::storeFrom(QString principal, QString sessionId,
                                                       std::shared_ptr<workspace::Workspace> workspace, QString path,
                                                       std::shared_ptr<workspace::Descriptor> content)
{
    const QPointer<StoredFiles> self(this);
    if (!m_started && keepsSessions())
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The database is not ready yet; the file is in the session."),
                       QStringLiteral("list_files gives its link in a moment."));
    const Result<Done> ready = co_await makeReady();
    if (!ready) co_return Unexpected<Error>{ready.error()};
    if (!self) co_return shuttingDown();
    const bool isSessions = keepsSessions() && !path.startsWith(u'/');
    const qint64 limit = isSessions ? std::numeric_limits<qint64>::max() : m_config.maxFileBytes;
    Contents *contents = &this->contents();
    const qint64 mostLinked = m_config.maxFileBytes;
    const storage::FromThread door = m_inDatabase.door();
    const SessionRef ref{principal, sessionId};
    const QString home = m_home;
    const std::function<Result<KeptContent>(bool)> keep = [contents, workspace, path, limit, content, isSessions, mostLinked, door, ref, home](bool mayBeLarge) -> Result<KeptContent> {
        // Too large for a link, and kept already: it need not be read to say so.
        const Result<workspace::Descriptor> there = workspace->openRead(path, nullptr);
        struct stat facts = {};
        const int descriptor = content ? content->get() : there ? there->get() : -1;
        if (!mayBeLarge && descriptor >= 0 && ::fstat(descriptor, &facts) == 0 && facts.st_size > largeFile) return isLarge();
        if (isSessions && !content && there && ::fstat(there->get(), &facts) == 0 && facts.st_size > mostLinked) {
            const SessionFile file{path, qint64(facts.st_size), {}, sourceFacts(facts), {}};
            const Result<bool> kept = door.run<bool>(storage::Lane::Files, shortDeadline, [ref, home, file](QSqlDatabase &connection) {
                return sessiontable::isKept(connection, ref, home, file);
            });
            if (kept && *kept) return aboveLimit(path, facts.st_size, mostLinked);
        }
        const Contents::Reopen reopen = [&]() -> Result<workspace::Descriptor> {
            if (!content) return workspace->openRead(path, nullptr);
            workspace::Descriptor again(::fcntl(content->get(), F_DUPFD_CLOEXEC, 3));
            if (again.get() < 0) return diskError(QStringLiteral("\"%1\" cannot be read").arg(path));
            return again;
        };
        Result<KeptContent> stored = contents->keep(reopen, path, limit);
        // Its writer was overtaken: the session has the other one's file, and who wrote that stores it.
        const Result<workspace::Descriptor> now = workspace->openRead(path, nullptr);
        if (stored && content) stored->isReplaced = !now || ::fstat(now->get(), &facts) != 0 || facts.st_ino != stored->source.inode;
        return stored;
    };
    const OneShot<KeptContent> keeping = inWorker<KeptContent>(m_workers, [keep] { return keep(false); });
    Result<KeptContent> kept = co_await keeping.wait(workDeadline);
    if (!self) co_return shuttingDown();
    if (!kept && kept.error().details.contains(isLargeKey)) {
        const OneShot<KeptContent> later = inWorker<KeptContent>(m_largeWorkers, [keep] { return keep(true); });
        kept = co_await later.wait(workDeadline);
        if (!self) co_return shuttingDown();
    }
    if (!kept) co_return Unexpected<Error>{kept.error()};
    FileRow row = rowFor(principal, sessionId, path, *kept);
    row.location = contents->locationOf(kept->sha256);
    std::optional<SessionFile> file;
    if (isSessions && !kept->isReplaced) file = SessionFile{path, kept->size, kept->sha256, kept->source, {}};
    row.found = kept->size <= m_config.maxFileBytes;
    Result<FileRow> recorded = co_await record(row, file);
    if (!recorded) co_return Unexpected<Error>{recorded.error()};
    if (!recorded->found) co_return aboveLimit(path, kept->size, m_config.maxFileBytes);
    co_return linked(recorded->file);
}

// The row (unless !found) and the session's file in the database; or the row on the spool while that is away. Durable in
// both cases.
QCoro::Task<Result<FileRow>> StoredFiles::record(FileRow row, std::optional<SessionFile> file)
{
    const QPointer<StoredFiles> self(this);
    // A deletion that waits in the journal would take this with it: it goes first.
    if (m_forgetting && m_journal->pending() > 0) {
        const Result<Done> written = co_await m_journal->flush();
        if (!self) co_return shuttingDown();
        if (!written) co_return Unexpected<Error>{written.error()};
    }
    if (m_journal->pending() == 0) m_links.allSaved();
    m_forgetting = m_forgetting && m_journal->pending() > 0;
    const QString session = row.file.principal + u'/' + row.file.sessionId;
    const qint64 limit = m_config.maxSessionBytes;
    // Counted only when what is known says that it could be too much.
    const bool count = limit > 0 && (!m_charged.contains(session) || m_charged.value(session) + row.file.size > limit);
    struct Recorded {
        FileRow row;
        qint64 charged = 0, added = 0;
        bool tooMuch = false;
    };
    const QString home = m_home;
    storage::Job<Recorded> job = [row, file, home, count, limit](QSqlDatabase &connection) -> Result<Recorded> {
        Recorded recorded{row, 0, row.file.size, false};
        if (file) {
            const SessionRef ref{row.file.principal, row.file.sessionId};
            const Result<Done> kept = sessiontable::put(connection, ref, home, {*file});
            if (!kept) return Unexpected<Error>{kept.error()};
            const Result<QString> owner = sessiontable::claim(connection, ref, home, false);
            if (!owner) return Unexpected<Error>{owner.error()};
            const Result<Done> told = *owner == home ? Result<Done>(Done{}) : sessiontable::tell(connection, ref, home);
            if (!told) return Unexpected<Error>{told.error()};
        }
        if (!row.found) return recorded;
        if (count) {
            const Result<bool> isStored = table::isStored(connection, row);
            if (!isStored) return Unexpected<Error>{isStored.error()};
            if (*isStored) recorded.added = 0;
            const Result<qint64> before = table::chargedTo(connection, row.file.principal, row.file.sessionId,
                                                           *isStored ? 0 : std::max<qint64>(limit - row.file.size, 1));
            if (!before) return Unexpected<Error>{before.error()};
            recorded.charged = *before;
            recorded.tooMuch = !*isStored && *before + row.file.size > limit;
            if (recorded.tooMuch) return recorded;
        }
        const Result<FileRow> put = table::put(connection, row);
        if (!put) return Unexpected<Error>{put.error()};
        recorded.row = *put;
        return recorded;
    };
    const CancelToken never;
    Result<Recorded> got = fail(ErrorCode::Unavailable, QStringLiteral("The database is away, or has not heard yet what was deleted meanwhile."),
                                QStringLiteral("Try again in a moment."));
    if (!m_forgetting)
        got = co_await m_database.run<Recorded>(storage::Lane::Short, shortDeadline, std::move(job), never);
    if (!self) co_return shuttingDown();
    if (got) {
        if (count) m_charged.insert(session, got->charged);
        if (got->tooMuch) co_return aboveQuota(limit);
        m_charged[session] += row.found ? got->added : 0;
        if (got->row.found) m_links.remember(got->row, false);
        co_return got->row;
    }
    if (!isAway(got.error()) || keepsSessions()) co_return Unexpected<Error>{got.error()};
    if (const std::optional<FileRow> same = m_links.same(row)) row.file.id = same->file.id;
    QJsonObject entry = toJson(row);
    entry.insert(QStringLiteral("op"), QStringLiteral("put"));
    m_journal->append(entry);
    m_links.remember(row, true);
    const Result<Done> durable = co_await m_journal->flush();
    if (!durable) co_return Unexpected<Error>{durable.error()};
    co_return row;
}

QCoro::Task<Result<OpenedFile>> StoredFiles::opened(FileRow row)
{
    if (!row.found) co_return unknownLink();
    const StoredFile &file = row.file;
    if (file.expires.isValid() && file.expires <= QDateTime::currentDateTimeUtc()) {
        co_return fail(
            ErrorCode::Gone,
            QStringLiteral("This file expired on %1.").arg(file.expires.toUTC().toString(Qt::ISODate)),
            QStringLiteral(
                "If its session still has it, list_files gives a fresh link; else make it again."));
    }
    OpenedFile result;
    result.file = file;
    if (row.location.startsWith(u"sha256:")) {
        Result<workspace::Descriptor> content = m_onDisk.open(file.sha256);
        if (!content) co_return Unexpected<Error>{content.error()};
        result.descriptor = std::move(*content);
    } else if (row.location.startsWith(u"db:")) {
        const QByteArray sha256 = file.sha256;
        const qint64 size = file.size;
        Result<std::shared_ptr<ContentReader>> reader = co_await m_inDatabase.reader(sha256, size);
        if (!reader) co_return Unexpected<Error>{reader.error()};
        result.reader = *reader;
    } else {
        result.reader = std::make_shared<BytesReader>(row.bytes);
    }
    co_return result;
}

QCoro::Task<Result<OpenedFile>> StoredFiles::open(QString id)
{
    const QPointer<StoredFiles> self(this);
    const QUuid uuid = QUuid::fromString(id);
    const QString canonical = uuid.toString(QUuid::WithoutBraces);
    if (uuid.isNull() || canonical != id.toLower())
        co_return fail(ErrorCode::InvalidArgument,
                       QStringLiteral("\"%1\" is not a file id.").arg(id.left(80)),
                       QStringLiteral("A download link looks like /dl/<uuid>/<name>; copy it completely."));
    storage::Job<FileRow> job = [canonical](QSqlDatabase &connection) {
        return table::byId(connection, canonical);
    };
    const CancelToken never;
    Result<FileRow> row =
        co_await m_database.run<FileRow>(storage::Lane::Short, shortDeadline, std::move(job), never);
    if (!self) co_return shuttingDown();
    if (row && row->found && !m_links.isUnsaved(canonical)) m_links.remember(*row, false);
    // Not in the database: it may be on the way there, or the database may be away.
    if ((row && !row->found) || (!row && isAway(row.error()))) {
        const std::optional<FileRow> known = m_links.byId(canonical);
        if (known && (!row || m_links.isUnsaved(canonical))) {
            Result<OpenedFile> content = co_await opened(*known);
            co_return content;
        }
    }
    if (!row) co_return Unexpected<Error>{row.error()};
    Result<OpenedFile> content = co_await opened(*row);
    co_return content;
}

QCoro::Task<Result<OpenedFile>> StoredFiles::openChart(QString sessionSlug, QString name)
{
    const QPointer<StoredFiles> self(this);
    storage::Job<FileRow> job = [sessionSlug, name](QSqlDatabase &connection) {
        return table::newestChart(connection, sessionSlug, name);
    };
    const CancelToken never;
    Result<FileRow> row =
        co_await m_database.run<FileRow>(storage::Lane::Short, shortDeadline, std::move(job), never);
    if (!self) co_return shuttingDown();
    const std::optional<FileRow> known = m_links.newestChart(sessionSlug, name);
    if (!row && !(isAway(row.error()) && known)) co_return Unexpected<Error>{row.error()};
    const bool newer = known && m_links.isUnsaved(known->file.id) &&
                       (!row || !row->found || known->file.created > row->file.created);
    if (!row || newer) {
        Result<OpenedFile> content = co_await opened(*known);
        co_return content;
    }
    Result<OpenedFile> content = co_await opened(*row);
    co_return content;
}

QCoro::Task<Result<QList<StoredFile>>> StoredFiles::list(QString principal, QString sessionId)
{
    const QPointer<StoredFiles> self(this);
    using Listed = QList<FileRow>;
    storage::Job<Listed> job = [principal, sessionId](QSqlDatabase &connection) {
        return table::newestOfSession(connection, principal, sessionId);
    };
    const CancelToken never;
    Result<Listed> rows =
        co_await m_database.run<Listed>(storage::Lane::Short, shortDeadline, std::move(job), never);
    if (!self) co_return shuttingDown();
    if (!rows && !isAway(rows.error())) co_return Unexpected<Error>{rows.error()};
    const Listed found = rows ? *rows : m_links.newestOfSession(principal, sessionId);
    QList<StoredFile> all;
    for (const FileRow &row : found)
        all << linked(row.file);
    co_return all;
}

QCoro::Task<Result<Done>> StoredFiles::forget(QString principal, QString sessionId, QString name)
{
    const QPointer<StoredFiles> self(this);
    const Result<Done> ready = co_await makeReady();
    if (!ready) co_return ready;
    if (!self) co_return shuttingDown();
    m_links.forget(principal, sessionId, name);
    const QString home = m_home;
    storage::Job<Done> job = [principal, sessionId, name, home](QSqlDatabase &connection) {
        return table::forget(connection, principal, sessionId, name, home);
    };
    m_charged.remove(principal + u'/' + sessionId);
    const CancelToken never;
    // What the journal still holds would come back after the deletion: then the deletion goes behind it.
    Result<Done> gone = fail(ErrorCode::Unavailable, QString());
    if (m_journal->pending() == 0)
        gone = co_await m_database.run<Done>(storage::Lane::Short, shortDeadline, std::move(job), never);
    if (!self) co_return shuttingDown();
    if (gone || !isAway(gone.error())) co_return gone;
    m_journal->append({{QStringLiteral("op"), QStringLiteral("forget")},
                       {QStringLiteral("principal"), principal},
                       {QStringLiteral("session_id"), sessionId},
                       {QStringLiteral("name"), name},
                       {QStringLiteral("home"), home}});
    m_forgetting = true;
    const Result<Done> durable = co_await m_journal->flush();
    co_return durable;
}

void StoredFiles::countDownload(const QString &id)
{
    if (m_journal)
        m_journal->append({{QStringLiteral("op"), QStringLiteral("count")}, {QStringLiteral("id"), id}});
}

} // namespace power::files
