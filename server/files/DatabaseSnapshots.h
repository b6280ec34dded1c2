// Snapshots in the database, so that a server with an empty disk has the variables of its sessions again.
#pragma once
#include "files/DatabaseContents.h"
#include "files/DiskSnapshots.h"
#include "files/SnapshotTable.h"

namespace power::files
{

// DatabaseSnapshots: see SnapshotStore. Kernels read snapshots from files, so each lies on disk too; which of both is
// newer tells the time they were made at. While the database is away the disk's are read, and none are written.
class DatabaseSnapshots final : public SnapshotStore
{
public:
    DatabaseSnapshots(QString directory, storage::Database &database, qint64 maxTotalBytes)
        : m_disk(std::move(directory), 0), m_contents(database, 0), m_maxTotalBytes(maxTotalBytes)
    {
    }
    ~DatabaseSnapshots() override { m_contents.close(); }

    Result<std::unique_ptr<Writer>> create(const SnapshotKey &key) override;
    Result<Opened> open(const SnapshotKey &key) override;
    Result<SnapshotFacts> facts(const SnapshotKey &key) override;
    QList<QPair<QString, SnapshotFacts>> named(const QString &owner, const QString &session) override;
    void setAside(const SnapshotKey &key) override;
    Result<Done> copy(const SnapshotKey &from, const SnapshotKey &to, const QJsonObject &about) override;
    void remove(const SnapshotKey &key) override;
    void removeSession(const QString &owner, const QString &session) override;
    Result<int> keep(const SnapshotKey &from, const SnapshotKey &to, const workspace::Workspace &files, qint64 limit) override;
    Result<QStringList> putFilesBack(const SnapshotKey &key, workspace::Workspace &to) override;

    // The disk's goes to the database.
    Result<Done> send(const SnapshotKey &key, const SnapshotFacts &facts);

private:
    template <typename T>
    Result<T> ask(storage::Job<T> job) const;
    Result<SnapshotRow> rowOf(const SnapshotKey &key) const;
    // The disk's file of `from` as the content of `to`; with `files` those that belong to it, in the same transaction.
    Result<Done> sendAs(const SnapshotKey &from, const SnapshotKey &to, const SnapshotFacts &facts, const QList<SessionFile> *files);
    // The disk's is as new as the row.
    bool isFresh(const SnapshotKey &key, const SnapshotRow &row);

    DiskSnapshots m_disk;
    DatabaseContents m_contents;
    const qint64 m_maxTotalBytes;
};

} // namespace power::files
