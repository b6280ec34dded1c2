// Where the state of sessions is kept: opaque bytes with a few facts, by session and name.
#pragma once
#include "base/Error.h"
#include "workspace/Workspace.h"
#include <QDateTime>
#include <QJsonObject>
#include <QPair>
#include <memory>

namespace power::storage
{
class Database;
}

namespace power::files
{

// Of which session; an empty name is the automatic snapshot, others are checkpoints that somebody named.
struct SnapshotKey {
    QString owner;   // the principal's slug, "owner" for the owner
    QString session;
    QString name;
};

struct SnapshotFacts {
    int cell = 0;          // the state after this cell
    QString python;        // "3.11.2"
    qint64 size = 0;       // of the opaque bytes
    QDateTime created;
    QJsonObject about;     // what the service wants to know again: names that are not carried ...
};

// As JSON, without the checksum.
QJsonObject snapshotJson(const SnapshotFacts &facts);
SnapshotFacts snapshotFacts(const QJsonObject &json);
// TooLarge: above the limit of all snapshots; Conflict: it was dropped for others' sake.
Unexpected<Error> snapshotsFull(qint64 size, qint64 limit);
Unexpected<Error> madeRoom(const QString &when);
Unexpected<Error> tooManyFiles();

// SnapshotStore: what is stored is durable and whole: a crash leaves the one before. The bytes come from sandboxes and
// are never looked into, only checked against the checksum that was taken when they came. Thread: any; everything
// blocks on the disk.
class SnapshotStore
{
public:
    virtual ~SnapshotStore() = default;
    // Below `directory`: <owner>/<session>/<name>.snapshot, beside it what was set aside (.damaged). Made 0700.
    // maxTotalBytes: of all together; 0 = no limit. Above it the oldest latest ones of other sessions make room (which
    // open() then says); named ones, and those of owners that begin with a dot (of jobs), never do.
    static std::unique_ptr<SnapshotStore> onDisk(QString directory, qint64 maxTotalBytes = 0);
    // In the database, with copies below `directory` that save the way there: a commit is durable in the database. Made
    // on the event loop's thread.
    static std::unique_ptr<SnapshotStore> inDatabase(QString directory, storage::Database &database, qint64 maxTotalBytes);

    // Files that belong to one named snapshot.
    static constexpr int mostFiles = 50'000;

    // Destroyed without commit it leaves nothing. Errors: Unavailable (disk).
    class Writer
    {
    public:
        virtual ~Writer() = default;
        virtual Result<Done> write(QByteArrayView bytes) = 0;
        // In place of the one before. `facts.size` is filled in.
        virtual Result<Done> commit(SnapshotFacts facts) = 0;
    };
    virtual Result<std::unique_ptr<Writer>> create(const SnapshotKey &key) = 0;

    struct Opened {
        workspace::Descriptor descriptor; // read only
        qint64 offset = 0;                // of the bytes; a multiple of 4096
        SnapshotFacts facts;
    };
    // Errors: NotFound; Conflict (damaged: does not fit its checksum); Unavailable.
    virtual Result<Opened> open(const SnapshotKey &key) = 0;
    // Without reading the bytes; size 0: it was dropped to make room. Errors: as open, except for that.
    virtual Result<SnapshotFacts> facts(const SnapshotKey &key) = 0;
    // Those with a name. Sorted by name.
    virtual QList<QPair<QString, SnapshotFacts>> named(const QString &owner, const QString &session) = 0;
    // It is out of the way, and an operator can look at it; an older one that was set aside goes.
    virtual void setAside(const SnapshotKey &key) = 0;
    // The same bytes for another key. Errors: NotFound, Unavailable.
    virtual Result<Done> copy(const SnapshotKey &from, const SnapshotKey &to, const QJsonObject &about) = 0;
    virtual void remove(const SnapshotKey &key) = 0;
    virtual void removeSession(const QString &owner, const QString &session) = 0;

    // A named one: the bytes of `from` and the files of a workspace, both in place of those before or neither, also over a
    // crash. Gives the number of files, which its facts tell as "files". Errors: as copy; TooLarge (above `limit` bytes in all,
    // or mostFiles).
    virtual Result<int> keep(const SnapshotKey &from, const SnapshotKey &to, const workspace::Workspace &files, qint64 limit) = 0;
    // Writes them into a workspace, over what is there. Gives their paths.
    virtual Result<QStringList> putFilesBack(const SnapshotKey &key, workspace::Workspace &to) = 0;
};

} // namespace power::files
