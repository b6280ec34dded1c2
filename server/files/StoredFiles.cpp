#include "files/StoredFilesParts.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include "base/Log.h"
#include "files/ContentTable.h"
#include "storage/SharedSecret.h"
#include <QFile>
#include <QJsonDocument>
#include <QPointer>
#include <QRandomGenerator>

namespace power::files
{

std::unique_ptr<FileStore> FileStore::create(Config config, storage::Database &database)
{
    return std::make_unique<StoredFiles>(std::move(config), database);
}

StoredFiles::StoredFiles(Config config, storage::Database &database)
    : m_config(std::move(config)), m_database(database), m_onDisk(m_config.directory, m_config.maxTotalBytes),
      m_inDatabase(database, m_config.maxTotalBytes)
{
    m_workers.setMaxThreadCount(2);
    for (QThreadPool *each : {&m_largeWorkers, &m_bringers, &m_keepers})
        each->setMaxThreadCount(2);
}

StoredFiles::~StoredFiles()
{
    m_inDatabase.close(); // what waits for the database in a worker ends
    for (QThreadPool *each : {&m_workers, &m_largeWorkers, &m_bringers, &m_keepers})
        each->waitForDone();
}

// A random key that stays; made with mode 0600.
Result<QByteArray> StoredFiles::keyFile(const QString &path) const
{
    QFile there(path);
    QByteArray key;
    if (there.open(QIODevice::ReadOnly)) key = there.readAll();
    if (key.size() == 32) return key;
    key.resize(32);
    QRandomGenerator::system()->fillRange(reinterpret_cast<quint32 *>(key.data()), 8);
    const Result<Done> written = writeDurably(path, key);
    if (!written) return Unexpected<Error>{written.error()};
    return key;
}

Result<Done> StoredFiles::prepare()
{
    const std::lock_guard lock(m_preparing);
    if (m_prepared) return Done{};
    const Result<Done> ready = m_onDisk.start();
    if (!ready) return ready;
    const Result<QByteArray> slug = keyFile(m_config.directory + QStringLiteral("/.chart-key"));
    const Result<QByteArray> link = keyFile(m_config.directory + QStringLiteral("/.link-key"));
    if (!slug || !link) return Unexpected<Error>{slug ? link.error() : slug.error()};
    m_slugKey = *slug;
    m_linkKey = *link;
    if (keepsSessions()) {
        const Result<QByteArray> home = keyFile(m_config.homeFile);
        if (!home) return Unexpected<Error>{home.error()};
        m_home = QUuid::fromRfc4122(home->first(16)).toString(QUuid::WithoutBraces);
    }
    m_prepared = true;
    return Done{};
}

QCoro::Task<Result<Done>> StoredFiles::makeReady()
{
    if (m_journal) co_return Done{};
    const QPointer<StoredFiles> self(this);
    const OneShot<Done> preparing = inWorker<Done>(m_keepers, [this] { return prepare(); });
    Result<Done> prepared = co_await preparing.wait(workDeadline);
    if (!self) co_return shuttingDown();
    if (!prepared || m_journal) co_return prepared;
    auto apply = [](QSqlDatabase &connection, const QList<QJsonObject> &records) -> Result<Done> {
        for (const QJsonObject &record : records) {
            const Result<Done> applied = table::apply(connection, record);
            if (!applied) return applied;
        }
        return Done{};
    };
    m_journal = std::make_unique<storage::WriteBehind>(
        m_database, m_config.directory + QStringLiteral("/.journal"), std::move(apply));
    m_forgetting = m_journal->pending() > 0;
    co_return Done{};
}

QCoro::Task<Result<Done>> StoredFiles::start()
{
    Result<Done> ready = co_await makeReady();
    if (!ready) co_return ready;
    if (keepsSessions()) {
        // The same keys wherever this database is opened; those of the disk are used when it has none yet.
        using Keys = std::pair<QByteArray, QByteArray>;
        storage::Job<Keys> ask = [slug = m_slugKey, link = m_linkKey](QSqlDatabase &connection) -> Result<Keys> {
            const Result<QByteArray> first = storage::sharedSecret(connection, QStringLiteral("chart-key"), slug);
            const Result<QByteArray> second = storage::sharedSecret(connection, QStringLiteral("link-key"), link);
            if (!first || !second) return Unexpected<Error>{first ? second.error() : first.error()};
            return Keys(*first, *second);
        };
        const CancelToken never;
        const Result<Keys> keys = co_await m_database.run<Keys>(storage::Lane::Short, shortDeadline, std::move(ask), never);
        if (!keys) co_return Unexpected<Error>{keys.error()};
        m_slugKey = keys->first;
        m_linkKey = keys->second;
        const Result<Done> counted = co_await m_inDatabase.count();
        if (!counted) co_return counted;
        hearOfHomes();
    }
    m_started = true;
    co_return Done{};
}

// Other servers tell when they take a session over, so that nobody has to ask before each call. News without a payload:
// some may have been missed.
void StoredFiles::hearOfHomes()
{
    connect(&m_database, &storage::Database::notified, this, [this](const QString &channel, const QString &payload) {
        if (!m_moved || channel != QLatin1String(sessiontable::kHomesChannel)) return;
        const QJsonObject news = QJsonDocument::fromJson(payload.toUtf8()).object();
        if (news.value(QLatin1String("home")).toString() != m_home)
            m_moved(news.value(QLatin1String("principal")).toString(), news.value(QLatin1String("session")).toString(),
                    news.value(QLatin1String("deleted")).toBool());
    });
    m_database.listen(QLatin1String(sessiontable::kHomesChannel));
}

QJsonObject StoredFiles::report() const
{
    return {{QStringLiteral("place"), keepsSessions() ? QStringLiteral("postgres") : QStringLiteral("disk")},
            {QStringLiteral("bytes"), keepsSessions() ? m_inDatabase.bytes() : m_onDisk.bytes()},
            {QStringLiteral("limit_bytes"), m_config.maxTotalBytes}};
}

QCoro::Task<Result<int>> StoredFiles::sweep()
{
    const QPointer<StoredFiles> self(this);
    using Sums = QList<QByteArray>;
    if (!m_started) co_return 0;
    const CancelToken never;
    storage::Job<int> expiry = [](QSqlDatabase &connection) { return table::expire(connection); };
    Result<int> expired =
        co_await m_database.run<int>(storage::Lane::Bulk, bulkDeadline, std::move(expiry), never);
    if (!self) co_return shuttingDown();
    m_charged.clear(); // counted anew when it matters
    if (expired) {
        const std::chrono::seconds age = m_config.contentGrace;
        const Result<int> rows = co_await m_inDatabase.sweep(age);
        if (!self) co_return shuttingDown();
        const Result<Done> counted = co_await m_inDatabase.count();
        if (!self) co_return shuttingDown();
        storage::Job<Done> copies = [](QSqlDatabase &connection) { return sessiontable::sweepCopies(connection); };
        const Result<Done> forgotten = co_await m_database.run<Done>(storage::Lane::Bulk, bulkDeadline, std::move(copies), never);
        if (!self) co_return shuttingDown();
        if (!forgotten)
            log::warning("copies_not_swept", {{QStringLiteral("reason"), forgotten.error().message}});
        if (!rows || !counted)
            log::warning("contents_not_swept", {{QStringLiteral("reason"), (rows ? counted.error() : rows.error()).message}});
    }
    // Rows on the spool refer to contents the database does not know of yet.
    if (!expired || m_journal->pending() > 0) co_return expired;
    const std::chrono::seconds grace = m_config.contentGrace;
    const OneShot<Sums> looking =
        inWorker<Sums>(m_keepers, [this, grace] { return Result<Sums>(m_onDisk.olderThan(grace)); });
    Result<Sums> old = co_await looking.wait(bulkDeadline);
    if (!self) co_return shuttingDown();
    if (!old || old->isEmpty()) co_return expired;
    const Sums candidates = *old;
    storage::Job<Sums> asking = [candidates](QSqlDatabase &connection) {
        return table::unreferenced(connection, candidates);
    };
    Result<Sums> unused =
        co_await m_database.run<Sums>(storage::Lane::Bulk, bulkDeadline, std::move(asking), never);
    if (!self) co_return shuttingDown();
    if (!unused || m_journal->pending() > 0) co_return expired;
    const Sums condemned = *unused;
    const OneShot<Done> dropping = inWorker<Done>(m_keepers, [this, condemned, grace] {
        m_onDisk.drop(condemned, grace);
        return Result<Done>(Done{});
    });
    Result<Done> dropped = co_await dropping.wait(bulkDeadline);
    if (dropped)
        log::info("files_swept",
                  {{QStringLiteral("expired"), *expired}, {QStringLiteral("contents"), condemned.size()}});
    co_return expired;
}

} // namespace power::files
