// Files handed out: content kept apart from the workspace, found by an unguessable id, public at /dl and
// /charts.
#pragma once
#include "base/Error.h"
#include "storage/Database.h"
#include "workspace/Workspace.h"
#include <QCoroTask>
#include <QDateTime>

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
    bool isImage() const;         // png, jpeg, gif or webp: what an image block can carry
    QString downloadPath() const; // "/dl/<id>/<quoted last part of name>"
    QString chartPath() const;    // "/charts/<chart slug>/<quoted name>"
};

// Content of a stored file: a descriptor on disk, or bytes of an adopted row of the Python original.
struct OpenedFile {
    StoredFile file;
    workspace::Descriptor descriptor;
    QByteArray bytes;
    bool onDisk = true;
};

// FileStore: metadata in PostgreSQL, content under <data>/files by sha256 (one copy per content). A file is
// durable (fsync, committed row) before its id is given out. While the database is away metadata is spooled
// (fsync) and the links work in this process, as do the last 10,000 given out or opened before. An expired
// file's row stays 30 days, so that its link says "expired". Thread: the event loop's; disk work in two
// workers of its own.
class FileStore
{
public:
    virtual ~FileStore() = default;
    struct Config {
        QString directory;
        qint64 maxFileBytes = 50ll << 20;
        std::chrono::hours timeToLive{72};        // 0 = never
        std::chrono::seconds contentGrace{3'600}; // sweep() leaves younger content alone
    };
    static std::unique_ptr<FileStore> create(Config config, storage::Database &database);
    virtual QCoro::Task<Result<Done>> start() = 0;

    // Stores the present content of a workspace file. The same content under the same name of the same
    // session gives the same id again (expiry renewed); other content a new id, older ones stay until they
    // expire. Errors: TooLarge (above maxFileBytes; says how to get at it), NotFound, Conflict (the file went
    // on changing while it was copied), Unavailable (disk).
    virtual QCoro::Task<Result<StoredFile>> store(QString principal, QString sessionId,
                                                  std::shared_ptr<workspace::Workspace> workspace,
                                                  QString path) = 0;
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
    // Deletes what expired, and content nothing refers to; run hourly. Resolves with the number of expired
    // files.
    virtual QCoro::Task<Result<int>> sweep() = 0;
};

// Media type by content and name; images decide on content only.
QString mimeOf(const QString &name, const QByteArray &head);

} // namespace power::files
