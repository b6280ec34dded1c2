// The FileStore: rows in PostgreSQL, content on the local disk or in PostgreSQL as well.
#pragma once
#include "files/DatabaseContents.h"
#include "files/DiskContents.h"
#include "files/LinkCache.h"
#include "files/SessionTable.h"
#include "storage/WriteBehind.h"
#include <QJsonObject>
#include <QSet>
#include <QThreadPool>
#include <mutex>

namespace power::files
{

// StoredFiles: see FileStore. Content is read from where its row says it is, and new content goes to Config::place, so a
// server may change from one to the other.
class StoredFiles : public QObject, public FileStore
{
    Q_OBJECT
public:
    StoredFiles(Config config, storage::Database &database);
    ~StoredFiles() override;

    QCoro::Task<Result<Done>> start() override;
    QCoro::Task<Result<StoredFile>> storeFrom(QString principal, QString sessionId,
                                              std::shared_ptr<workspace::Workspace> workspace, QString path,
                                              std::shared_ptr<workspace::Descriptor> content) override;
    QCoro::Task<Result<OpenedFile>> open(QString id) override;
    QCoro::Task<Result<OpenedFile>> openChart(QString sessionSlug, QString name) override;
    QCoro::Task<Result<QList<StoredFile>>> list(QString principal, QString sessionId) override;
    QCoro::Task<Result<Done>> forget(QString principal, QString sessionId, QString name) override;
    void countDownload(const QString &id) override;
    QCoro::Task<Result<int>> sweep() override;
    Result<Done> mayOpen(const QString &id, const QUrlQuery &query) const override;
    QJsonObject report() const override;

    bool keepsSessions() const override { return m_config.place == FilePlace::Database; }
    QCoro::Task<Result<bool>> isElsewhere(QString principal, QString sessionId, bool hasDirectory) override;
    QCoro::Task<Result<int>> bringBack(QString principal, QString sessionId,
                                       std::shared_ptr<workspace::Workspace> workspace) override;
    void whenMoved(Moved moved) override { m_moved = std::move(moved); }
    QCoro::Task<Result<Done>> keepSession(QString principal, QString sessionId,
                                          std::shared_ptr<workspace::Workspace> workspace) override;
    QCoro::Task<Result<Done>> dropFiles(QString principal, QString sessionId, QStringList paths) override;

private:
    void hearOfHomes();
    template <typename T>
    OneShot<T> inWorker(QThreadPool &workers, std::function<Result<T>()> work);
    // Once, with or without a database: the keys, what is on disk, and the journal. Error: Unavailable (disk).
    QCoro::Task<Result<Done>> makeReady();
    Contents &contents() { return keepsSessions() ? static_cast<Contents &>(m_inDatabase) : m_onDisk; }
    // With its signature, where links are signed.
    StoredFile linked(StoredFile file) const;
    QByteArray signatureOf(const QString &id, qint64 until) const;
    Result<Done> prepare();
    Result<QByteArray> keyFile(const QString &path) const;
    QString slugFor(const QString &principal, const QString &sessionId) const;
    FileRow rowFor(const QString &principal, const QString &sessionId, const QString &path, const KeptContent &kept) const;
    QCoro::Task<Result<FileRow>> record(FileRow row, std::optional<SessionFile> file);
    QCoro::Task<Result<OpenedFile>> opened(FileRow row);
    // In a worker's thread.
    Result<int> bringBackNow(const SessionRef &session, workspace::Workspace &workspace);
    Result<Done> bringFile(SessionFile &file, workspace::Workspace &workspace);
    Result<Done> keepSessionNow(const SessionRef &session, workspace::Workspace &workspace);

    Config m_config;
    storage::Database &m_database;
    DiskContents m_onDisk;
    DatabaseContents m_inDatabase;
    LinkCache m_links;
    QByteArray m_slugKey; // makes the chart slugs of other principals unguessable
    QByteArray m_linkKey;
    QString m_home;                        // this disk, as power.session_homes names it
    Moved m_moved;
    QHash<QString, qint64> m_charged;      // session -> bytes stored for it, at most
    std::unique_ptr<storage::WriteBehind> m_journal;
    bool m_started = false;    // the database was there
    bool m_forgetting = false; // the journal may hold a deletion that the database has not seen
    std::mutex m_preparing;    // prepare()
    bool m_prepared = false;
    // What one waits for is not behind what takes long: stores of small files, those of large ones, whole sessions that are
    // brought, and those that are kept beside everything else.
    QThreadPool m_workers, m_largeWorkers, m_bringers, m_keepers;
};

} // namespace power::files
