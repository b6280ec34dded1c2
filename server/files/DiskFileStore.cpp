#include "files/DiskFileStore.h"
#include "base/Ids.h"
#include "base/Log.h"
#include <QCryptographicHash>
#include <QFile>
#include <QMessageAuthenticationCode>
#include <QPointer>
#include <QRandomGenerator>
#include <QSaveFile>
#include <QUuid>

namespace power::files
{

namespace
{
constexpr std::chrono::milliseconds shortDeadline{5'000};
constexpr std::chrono::milliseconds bulkDeadline{60'000};

// The database cannot be asked now; as opposed to an answer of it.
bool isAway(const Error &error)
{
    return error.code == ErrorCode::Unavailable || error.code == ErrorCode::Timeout ||
           error.code == ErrorCode::Busy;
}

Unexpected<Error> shuttingDown()
{
    return fail(ErrorCode::Unavailable, QStringLiteral("The server is shutting down."));
}

Unexpected<Error> unknownLink()
{
    return fail(ErrorCode::NotFound, QStringLiteral("No such file."),
                QStringLiteral("The link may be incomplete, or the file or its session was deleted; "
                               "list_files gives fresh links."));
}
} // namespace

std::unique_ptr<FileStore> FileStore::create(Config config, storage::Database &database)
{
    return std::make_unique<DiskFileStore>(std::move(config), database);
}

DiskFileStore::DiskFileStore(Config config, storage::Database &database)
    : m_config(std::move(config)), m_database(database), m_content(m_config.directory)
{
    m_workers.setMaxThreadCount(2);
}

template <typename T>
OneShot<T> DiskFileStore::inWorker(std::function<Result<T>()> work)
{
    OneShot<T> done;
    m_workers.start([this, done, work = std::move(work)] {
        Result<T> got = work();
        // The destructor waits for the workers, so `this` is there; it drops calls that were not delivered.
        QMetaObject::invokeMethod(
            this,
            [done, shared = std::make_shared<Result<T>>(std::move(got))] {
                done.resolve(std::move(*shared));
            },
            Qt::QueuedConnection);
    });
    return done;
}

Result<Done> DiskFileStore::prepare()
{
    const Result<Done> ready = m_content.start();
    if (!ready) return ready;
    QFile key(m_config.directory + QStringLiteral("/.chart-key"));
    if (key.open(QIODevice::ReadOnly)) m_slugKey = key.readAll();
    if (m_slugKey.size() == 32) return Done{};
    m_slugKey.resize(32);
    QRandomGenerator::system()->fillRange(reinterpret_cast<quint32 *>(m_slugKey.data()), 8);
    QSaveFile file(key.fileName());
    if (!file.open(QIODevice::WriteOnly) || !file.setPermissions(QFile::ReadOwner | QFile::WriteOwner) ||
        file.write(m_slugKey) != m_slugKey.size() || !file.commit())
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("\"%1\" cannot be written: %2.").arg(key.fileName(), file.errorString()));
    return Done{};
}

QCoro::Task<Result<Done>> DiskFileStore::start()
{
    const OneShot<Done> prepared = inWorker<Done>([this] { return prepare(); });
    Result<Done> ready = co_await prepared.wait(bulkDeadline);
    if (!ready) co_return ready;
    auto apply = [](QSqlDatabase &connection, const QList<QJsonObject> &records) -> Result<Done> {
        for (const QJsonObject &record : records) {
            const Result<Done> applied = table::apply(connection, record);
            if (!applied) return applied;
        }
        return Done{};
    };
    m_journal = std::make_unique<storage::WriteBehind>(
        m_database, m_config.directory + QStringLiteral("/.journal"), std::move(apply));
    co_return Done{};
}

QString DiskFileStore::slugFor(const QString &principal, const QString &sessionId) const
{
    if (principal == u"owner") return sessionId;
    const QByteArray text = principal.toUtf8() + '\0' + sessionId.toUtf8();
    const QByteArray code =
        QMessageAuthenticationCode::hash(text, m_slugKey, QCryptographicHash::Sha256).toHex();
    return QStringLiteral("s-") + QString::fromLatin1(code.first(24));
}

QCoro::Task<Result<StoredFile>> DiskFileStore::store(QString principal, QString sessionId,
                                                     std::shared_ptr<workspace::Workspace> workspace,
                                                     QString path)
{
    const QPointer<DiskFileStore> self(this);
    const qint64 limit = m_config.maxFileBytes;
    const OneShot<KeptContent> keeping = inWorker<KeptContent>([this, workspace, path, limit] {
        return m_content.keep([&workspace, &path] { return workspace->openRead(path, nullptr); }, path,
                              limit);
    });
    Result<KeptContent> kept = co_await keeping.wait(bulkDeadline);
    if (!self) co_return shuttingDown();
    if (!kept) co_return Unexpected<Error>{kept.error()};
    FileRow row;
    row.found = true;
    row.file.id = newUuid();
    row.file.principal = principal;
    row.file.sessionId = sessionId;
    row.file.chartSlug = slugFor(principal, sessionId);
    row.file.name = path.startsWith(u'/') ? path.section(u'/', -1) : path;
    row.file.mime = mimeOf(row.file.name, kept->head);
    row.file.size = kept->size;
    row.file.sha256 = kept->sha256;
    row.file.created = QDateTime::currentDateTimeUtc();
    if (m_config.timeToLive.count() > 0)
        row.file.expires = row.file.created.addSecs(std::chrono::seconds(m_config.timeToLive).count());
    row.location = QStringLiteral("sha256:") + QString::fromLatin1(kept->sha256);
    Result<FileRow> recorded = co_await record(row);
    if (!recorded) co_return Unexpected<Error>{recorded.error()};
    co_return recorded->file;
}

// The row in the database, or on the spool while that is away; durable in both cases.
QCoro::Task<Result<FileRow>> DiskFileStore::record(FileRow row)
{
    const QPointer<DiskFileStore> self(this);
    if (m_journal->pending() == 0) m_links.allSaved();
    storage::Job<FileRow> job = [row](QSqlDatabase &connection) { return table::put(connection, row); };
    const CancelToken never;
    Result<FileRow> got =
        co_await m_database.run<FileRow>(storage::Lane::Short, shortDeadline, std::move(job), never);
    if (!self) co_return shuttingDown();
    if (got) {
        m_links.remember(*got, false);
        co_return got;
    }
    if (!isAway(got.error())) co_return got;
    if (const std::optional<FileRow> same = m_links.same(row)) row.file.id = same->file.id;
    QJsonObject entry = toJson(row);
    entry.insert(QStringLiteral("op"), QStringLiteral("put"));
    m_journal->append(entry);
    m_links.remember(row, true);
    co_await m_journal->flush();
    co_return row;
}

Result<OpenedFile> DiskFileStore::opened(const FileRow &row) const
{
    if (!row.found) return unknownLink();
    const StoredFile &file = row.file;
    if (file.expires.isValid() && file.expires <= QDateTime::currentDateTimeUtc()) {
        return fail(
            ErrorCode::Gone,
            QStringLiteral("This file expired on %1.").arg(file.expires.toUTC().toString(Qt::ISODate)),
            QStringLiteral(
                "If its session still has it, list_files gives a fresh link; else make it again."));
    }
    OpenedFile result;
    result.file = file;
    if (!row.location.startsWith(u"sha256:")) {
        result.bytes = row.bytes;
        result.onDisk = false;
        return result;
    }
    Result<workspace::Descriptor> content = m_content.open(file.sha256);
    if (!content) return Unexpected<Error>{content.error()};
    result.descriptor = std::move(*content);
    return result;
}

QCoro::Task<Result<OpenedFile>> DiskFileStore::open(QString id)
{
    const QPointer<DiskFileStore> self(this);
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
        if (known && (!row || m_links.isUnsaved(canonical))) co_return opened(*known);
    }
    if (!row) co_return Unexpected<Error>{row.error()};
    co_return opened(*row);
}

QCoro::Task<Result<OpenedFile>> DiskFileStore::openChart(QString sessionSlug, QString name)
{
    const QPointer<DiskFileStore> self(this);
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
    if (!row || newer) co_return opened(*known);
    co_return opened(*row);
}

QCoro::Task<Result<QList<StoredFile>>> DiskFileStore::list(QString principal, QString sessionId)
{
    const QPointer<DiskFileStore> self(this);
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
        all << row.file;
    co_return all;
}

QCoro::Task<Result<Done>> DiskFileStore::forget(QString principal, QString sessionId, QString name)
{
    const QPointer<DiskFileStore> self(this);
    m_links.forget(principal, sessionId, name);
    storage::Job<Done> job = [principal, sessionId, name](QSqlDatabase &connection) {
        return table::forget(connection, principal, sessionId, name);
    };
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
                       {QStringLiteral("name"), name}});
    co_await m_journal->flush();
    co_return Done{};
}

void DiskFileStore::countDownload(const QString &id)
{
    m_journal->append({{QStringLiteral("op"), QStringLiteral("count")}, {QStringLiteral("id"), id}});
}

QCoro::Task<Result<int>> DiskFileStore::sweep()
{
    const QPointer<DiskFileStore> self(this);
    using Contents = QList<QByteArray>;
    const CancelToken never;
    storage::Job<int> expiry = [](QSqlDatabase &connection) { return table::expire(connection); };
    Result<int> expired =
        co_await m_database.run<int>(storage::Lane::Bulk, bulkDeadline, std::move(expiry), never);
    if (!self) co_return shuttingDown();
    // Rows on the spool refer to contents the database does not know of yet.
    if (!expired || m_journal->pending() > 0) co_return expired;
    const std::chrono::seconds grace = m_config.contentGrace;
    const OneShot<Contents> looking =
        inWorker<Contents>([this, grace] { return Result<Contents>(m_content.olderThan(grace)); });
    Result<Contents> old = co_await looking.wait(bulkDeadline);
    if (!self) co_return shuttingDown();
    if (!old || old->isEmpty()) co_return expired;
    const Contents candidates = *old;
    storage::Job<Contents> asking = [candidates](QSqlDatabase &connection) {
        return table::unreferenced(connection, candidates);
    };
    Result<Contents> unused =
        co_await m_database.run<Contents>(storage::Lane::Bulk, bulkDeadline, std::move(asking), never);
    if (!self) co_return shuttingDown();
    if (!unused || m_journal->pending() > 0) co_return expired;
    const Contents condemned = *unused;
    const OneShot<Done> dropping = inWorker<Done>([this, condemned, grace] {
        m_content.drop(condemned, grace);
        return Result<Done>(Done{});
    });
    Result<Done> dropped = co_await dropping.wait(bulkDeadline);
    if (dropped)
        log::info("files_swept",
                  {{QStringLiteral("expired"), *expired}, {QStringLiteral("contents"), condemned.size()}});
    co_return expired;
}

} // namespace power::files
