// Session directories: one per (principal, session), owned by the session's uid, opened only beneath itself.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QDateTime>
#include <QString>
#include <memory>

namespace power::workspace {

struct FileFacts {
    QString path;          // relative to the workspace, '/' separated; files of /tmp as "tmp/..." only inside changes
    qint64 size = 0;
    qint64 modifiedNs = 0; // since the epoch
    bool fromTmp = false;  // lies in the session's /tmp
};

// Descriptor: owns a file descriptor.
class Descriptor
{
public:
    explicit Descriptor(int fd = -1) : m_fd(fd) {}
    Descriptor(Descriptor &&other) noexcept : m_fd(other.release()) {}
    Descriptor &operator=(Descriptor &&other) noexcept;
    ~Descriptor();
    int get() const { return m_fd; }
    int release() { const int fd = m_fd; m_fd = -1; return fd; }

private:
    int m_fd;
};

// Workspace: all access goes through openat2(RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS) on a directory descriptor
// and accepts regular files only, so nothing user code plants (symlinks, FIFOs, devices) leads out or hangs.
// Thread: any, one at a time.
class Workspace
{
public:
    virtual ~Workspace() = default;
    virtual QString hostPath() const = 0;      // <root>/<slug>/<session>
    virtual QString scratchPath() const = 0;   // its /tmp
    virtual quint32 uid() const = 0;
    virtual quint32 gid() const = 0;
    virtual QString insidePath() const = 0;    // /app/sandbox_data/<session_id>

    // Accepts a bare or relative name, /app/sandbox_data/<session>/name, /app/sandbox_data/name (session default,
    // R2), a doubled session prefix, /tmp/name. Gives the relative path. Error: InvalidArgument naming the rule.
    virtual Result<QString> resolve(const QString &name) const = 0;
    virtual Result<Descriptor> openRead(const QString &path, FileFacts *facts = nullptr) const = 0;
    // A new file beside the target, renamed over it by commit(); nothing is visible before.
    class Writer
    {
    public:
        virtual ~Writer() = default;
        virtual Result<Done> write(QByteArrayView bytes) = 0;
        virtual Result<FileFacts> commit() = 0; // fsync, chown to the session, rename
        virtual int descriptor() const = 0;
    };
    virtual Result<std::unique_ptr<Writer>> create(const QString &path) = 0;
    virtual Result<Done> remove(const QString &path) = 0;
    // Sorted by path; at most `most`, hidden names left out.
    virtual QList<FileFacts> list(int most = 10'000) const = 0;
    virtual qint64 bytesOnDisk() const = 0;

    // Change detection by inotify, so that a run costs what it touched: begin() before a cell, changes() after it:
    // files created or rewritten since (closed or still open), by path; removed ones separately.
    virtual void beginChanges() = 0;
    struct Changes {
        QList<FileFacts> written;
        QStringList removed;
        bool truncated = false; // more than the cap (500); the rest is listed by list()
    };
    virtual Changes takeChanges() = 0;
};

// Workspaces: the root directory (SANDBOX_DIR), uids and slugs.
class Workspaces
{
public:
    virtual ~Workspaces() = default;
    // root is made with mode 0711. As root: uids from `uidBase` on, one per workspace, recorded by the directory's
    // owner; otherwise the own uid. ownerRoot: directories of the principal `owner` lie directly in root.
    static Result<std::unique_ptr<Workspaces>> open(const QString &root, quint32 uidBase);
    // slug empty = the principal `owner`: <root>/<session>; else <root>/.<slug>/<session>.
    virtual Result<std::shared_ptr<Workspace>> openSession(const QString &slug, const QString &sessionId) = 0;
    virtual bool exists(const QString &slug, const QString &sessionId) const = 0;
    // Everything in it is gone when this returns.
    virtual Result<Done> removeSession(const QString &slug, const QString &sessionId) = 0;
    virtual QString root() const = 0;
};

} // namespace power::workspace
