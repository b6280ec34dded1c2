// Snapshots as files: <directory>/<owner>/<session>/<name>.snapshot.
#pragma once
#include "files/SnapshotStore.h"
#include <QHash>
#include <functional>
#include <mutex>

namespace power::files
{

// Of the facts: the directory beside the snapshot that has its files.
inline const QString filesIn = QStringLiteral("files_in");
// Of errno.
Unexpected<Error> snapshotTrouble(const QString &what);

// DiskSnapshots: see SnapshotStore.
class DiskSnapshots final : public SnapshotStore
{
public:
    // maxTotalBytes: of all snapshots and the files kept with them; 0 = no limit.
    DiskSnapshots(QString directory, qint64 maxTotalBytes);

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

    // The file of one, unchecked. Errors: as open.
    Result<workspace::Descriptor> whole(const SnapshotKey &key) const;
    // Makes the file of one: `fill` writes all of it to a descriptor.
    Result<Done> take(const SnapshotKey &key, const std::function<Result<Done>(int)> &fill);
    // For one that only holds copies: removes the longest untouched ones which are elsewhere, until `most` bytes are left.
    void dropCopies(qint64 most, const std::function<bool(const SnapshotKey &, const SnapshotFacts &)> &isElsewhere);

private:
    friend class DiskSnapshotWriter;
    struct Used {
        qint64 bytes = 0;
        qint64 created = 0;    // ms since the epoch
        bool mayGo = false;    // to make room for others
    };
    void lookAround();
    void note(const QString &path, Used used);
    void noteGone(const QString &prefix);
    // Room for so many bytes in place of what `path` has now.
    Result<Done> makeRoom(const QString &path, qint64 bytes);
    QString placeOf(const QString &owner, const QString &session) const { return m_directory + u'/' + owner + u'/' + session; }
    QString pathOf(const SnapshotKey &key) const;
    // Where the files of a named one are, as the snapshot itself says: its rename into place is that of its files too.
    QString filesOf(const SnapshotKey &key);
    struct KeptFiles {
        int count = 0;
        qint64 bytes = 0;
    };
    Result<KeptFiles> copyFiles(const workspace::Workspace &from, const QString &directory, qint64 limit) const;
    void forgetFiles(const QString &directory);
    Result<Done> ensurePlace(const QString &place) const;

    QString m_directory;
    qint64 m_maxTotalBytes;
    std::mutex m_lock; // of m_used
    QHash<QString, Used> m_used;
};

} // namespace power::files
