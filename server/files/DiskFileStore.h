// The FileStore of this release: content on the local disk, rows in PostgreSQL.
#pragma once
#include "files/ContentStore.h"
#include "files/LinkCache.h"
#include "storage/WriteBehind.h"
#include <QThreadPool>

namespace power::files
{

// DiskFileStore: see FileStore.
class DiskFileStore : public QObject, public FileStore
{
    Q_OBJECT
public:
    DiskFileStore(Config config, storage::Database &database);

    QCoro::Task<Result<Done>> start() override;
    QCoro::Task<Result<StoredFile>> store(QString principal, QString sessionId,
                                          std::shared_ptr<workspace::Workspace> workspace,
                                          QString path) override;
    QCoro::Task<Result<OpenedFile>> open(QString id) override;
    QCoro::Task<Result<OpenedFile>> openChart(QString sessionSlug, QString name) override;
    QCoro::Task<Result<QList<StoredFile>>> list(QString principal, QString sessionId) override;
    QCoro::Task<Result<Done>> forget(QString principal, QString sessionId, QString name) override;
    void countDownload(const QString &id) override;
    QCoro::Task<Result<int>> sweep() override;

private:
    template <typename T>
    OneShot<T> inWorker(std::function<Result<T>()> work);
    Result<Done> prepare();
    QString slugFor(const QString &principal, const QString &sessionId) const;
    QCoro::Task<Result<FileRow>> record(FileRow row);
    Result<OpenedFile> opened(const FileRow &row) const;

    Config m_config;
    storage::Database &m_database;
    ContentStore m_content;
    LinkCache m_links;
    QByteArray m_slugKey; // makes the chart slugs of other principals unguessable
    std::unique_ptr<storage::WriteBehind> m_journal;
    QThreadPool m_workers;
};

} // namespace power::files
