// Files handed out: content kept apart from the workspace, found by an unguessable id, public at /dl and
// /charts. And the files of sessions, where their directories do not outlive the machine.
#pragma once
#include "base/Error.h"
#include "storage/Database.h"
#include "workspace/Workspace.h"
#include <QCoroTask>
#include <QDateTime>
#include <QUrlQuery>
#include <functional>

namespace power::files
{

struct StoredFile {
    QString id;        // uuid, the /dl id
    QString principal; // "owner" or another
    QString sessionId;
    QString chartSlug; // the session in /charts links: its id for `owner`, else opaque
    QString name;      // path relative to the workspace ("out/report.xlsx"); /tmp files: their bare name
    QString mime;
    qint64 size = 0;
    QByteArray sha256;            // hex
    QDateTime created, expires;   // last handed out; expires invalid = never
    QString signature;            // the query of downloadPath() where links are signed
    bool isImage() const;         // png, jpeg, gif or webp: what an image block can carry
    QString downloadPath() const; // "/dl/<id>/<quoted last part of name>"
    QString chartPath() const;    // "/charts/<chart slug>/<quoted name>"
};

// ContentReader: content that is no file of this disk. Thread: the event loop's.
class ContentReader
{
public:
    virtual ~ContentReader() = default;
    // The bytes from `offset`, at most `most`, at least one before the end. Errors: Unavailable (database away), NotFound.
    virtual QCoro::Task<Result<QByteArray>> read(qint64 offset, qint64 most) = 0;
};

// Content of a stored file: a file on disk, else a reader.
struct OpenedFile {
    StoredFile file;
    workspace::Descriptor descriptor;
    std::shared_ptr<ContentReader> reader;
    bool onDisk() const { return !reader; }
};

enum class FilePlace { Disk, Database };

// FileStore: metadata in PostgreSQL; content by sha256 (one copy per content) below <directory> or in the database.
// A file is durable (fsync, committed row) before its id is given out. While the database is away, files on disk are
// recorded on a spool (fsync), and the links work in this process, as do the last 10,000 given out or opened before;
// files in the database cannot be stored or read then. An expired file's row stays 30 days, so that its link says
// "expired". Thread: the event loop's; disk work in workers of its own.
//
// With the content in the database the files of sessions are there as well, so that a server with an empty disk has
// them again: store() and forget() keep and drop the session's file too, the methods at the end do the rest. With it
// on disk the session's directory is the only place of its files, and those methods do nothing.
class FileStore
{
public:
    virtual ~FileStore() = default;
    struct Config {
        QString directory;
        QString homeFile; // names the disk that holds the sessions' directories; lies and goes with them
        FilePlace place = FilePlace::Disk;
        qint64 maxFileBytes = 50ll << 20;
        qint64 maxSessionBytes = 0;               // stored for download for one session, all versions; 0 = no limit
        qint64 maxTotalBytes = 0;                 // of all content in `place`; 0 = no limit
        std::chrono::hours timeToLive{72};        // 0 = never
        std::chrono::hours linkTimeToLive{0};     // of signed links; 0 = links are not signed and live as long as the file
        std::chrono::seconds contentGrace{3'600}; // sweep() leaves younger content alone
    };
    static std::unique_ptr<FileStore> create(Config config, storage::Database &database);
    virtual QCoro::Task<Result<Done>> start() = 0;

    // Stores the present content of a workspace file. The same content under the same name of the same
    // session gives the same id again (expiry renewed); other content a new id, older ones stay until they
    // expire. When the session's quota is used up, its oldest
    // replaced versions expire early. Errors: TooLarge (above maxFileBytes; says how to get at it; a quota), NotFound,
    // Conflict (the file went on changing while it was copied), Unavailable (disk, database).
    QCoro::Task<Result<StoredFile>> store(QString principal, QString sessionId, std::shared_ptr<workspace::Workspace> workspace,
                                          QString path)
    {
        return storeFrom(std::move(principal), std::move(sessionId), std::move(workspace), std::move(path), nullptr);
    }
    // The same for who has just written the file: `content` is an open descriptor of it (a duplicate of
    // Workspace::Writer::descriptor()), and that is stored even if somebody else has written the same path since. So of
    // two writers of one name each gets the link of its own version.
    virtual QCoro::Task<Result<StoredFile>> storeFrom(QString principal, QString sessionId,
                                                      std::shared_ptr<workspace::Workspace> workspace, QString path,
                                                      std::shared_ptr<workspace::Descriptor> content) = 0;
    // Errors: InvalidArgument (not a uuid), NotFound, Gone (expired), Unavailable (database away, link not
    // known here).
    virtual QCoro::Task<Result<OpenedFile>> open(QString id) = 0;
    // The newest file of that session and name that was handed out; a name without '/' finds nested files as
    // well.
    virtual QCoro::Task<Result<OpenedFile>> openChart(QString sessionSlug, QString name) = 0;
    // Newest id per name of a session, for list_files.
    virtual QCoro::Task<Result<QList<StoredFile>>> list(QString principal, QString sessionId) = 0;
    // Links of a deleted session (empty name) or file stop working.
    virtual QCoro::Task<Result<Done>> forget(QString principal, QString sessionId, QString name = {}) = 0;
    virtual void countDownload(const QString &id) = 0;
    // Deletes what expired, content nothing refers to and what was left half-written, in bounded steps; run
    // hourly. Resolves with the number of expired files.
    virtual QCoro::Task<Result<int>> sweep() = 0;
    // Whether a link with this query may be followed; always where links are not signed. Errors: Forbidden, Gone.
    virtual Result<Done> mayOpen(const QString &id, const QUrlQuery &query) const = 0;
    // {place, bytes, limit_bytes} for /health.
    virtual QJsonObject report() const = 0;

    // Whether the files of sessions are kept in the database.
    virtual bool keepsSessions() const = 0;
    // Whether the database knows of that session what this disk does not have, or `hasDirectory` is false and it knows it.
    virtual QCoro::Task<Result<bool>> isElsewhere(QString principal, QString sessionId, bool hasDirectory) = 0;
    // Makes the workspace follow it: writes what is newer there, removes what was deleted elsewhere and is still here as
    // this server last stored it, keeps (and stores) what is new here. From now on the directory is what counts. Gives the
    // number of files written and removed.
    virtual QCoro::Task<Result<int>> bringBack(QString principal, QString sessionId,
                                               std::shared_ptr<workspace::Workspace> workspace) = 0;
    // Called when another server took a session over, changed files of one that lives here or deleted it, so that
    // isElsewhere() has to be asked again; with empty names when that may be true of any (the database was away).
    using Moved = std::function<void(const QString &principal, const QString &sessionId, bool isDeleted)>;
    virtual void whenMoved(Moved moved) = 0;
    // Stores everything in the workspace that the database does not have yet, hidden files too, and forgets what is
    // gone from it since this server stored or brought it; what other servers wrote is left to bringBack(). Not: links,
    // devices, /tmp. Errors: of the first file that could not be stored; the others are.
    virtual QCoro::Task<Result<Done>> keepSession(QString principal, QString sessionId,
                                                  std::shared_ptr<workspace::Workspace> workspace) = 0;
    // Forgets session files that a run has just removed, before its answer tells so. Their links go on.
    virtual QCoro::Task<Result<Done>> dropFiles(QString principal, QString sessionId, QStringList paths) = 0;
};

// Media type by content and name; images decide on content only.
QString mimeOf(const QString &name, const QByteArray &head);

} // namespace power::files
