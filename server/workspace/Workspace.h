// Session directories: one per (principal, session), owned by the session's uid, opened only beneath itself.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QDateTime>
#include <QString>
#include <memory>

namespace power::workspace
{

struct FileFacts {
    QString path; // relative to the workspace, '/' separated; a file of the session's /tmp as "/tmp/..."
    qint64 size = 0;
    qint64 modifiedNs = 0; // since the epoch
    bool fromTmp = false;  // lies in the session's /tmp
    quint64 inode = 0;     // of a change
    bool isCertain = false; // of a change: its owner tells that it is of the kernel it is told for
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
    int release()
    {
        const int fd = m_fd;
        m_fd = -1;
        return fd;
    }

private:
    int m_fd;
};

// Workspace: all access goes through openat2(RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS) on a directory
// descriptor and accepts regular files only, so nothing user code plants (symlinks, FIFOs, devices) leads out
// or hangs. A path is relative to the workspace, or "/tmp/..." for the session's own /tmp; every method takes
// both forms. Thread: any; several threads may use one object at once (all state it changes is behind a
// lock).
class Workspace
{
public:
    virtual ~Workspace() = default;
    virtual QString hostPath() const = 0;    // <root>/<slug>/<session>
    virtual QString scratchPath() const = 0; // its /tmp
    virtual quint32 uid() const = 0;
    virtual quint32 gid() const = 0;
    virtual QString insidePath() const = 0; // /app/sandbox_data/<session_id>

    // Accepts a bare or relative name, /app/sandbox_data/<session>/name, /app/sandbox_data/name (session
    // default, R2), a doubled session prefix, /tmp/name. Gives the path for the methods below; the file need
    // not exist. Error: InvalidArgument naming the rule, with what to do instead (client-side paths, other
    // sessions, "..").
    virtual Result<QString> resolve(const QString &name) const = 0;
    // Errors: NotFound, InvalidArgument (a link, a directory, a device ...), Forbidden.
    virtual Result<Descriptor> openRead(const QString &path, FileFacts *facts = nullptr) const = 0;
    // A new file, renamed over the target by commit(); nothing is visible before. Destroyed without
    // commit it leaves nothing. The server's own writes and removals never show up among the changes.
    class Writer
    {
    public:
        virtual ~Writer() = default;
        virtual Result<Done> write(QByteArrayView bytes) = 0;
        // Instead of write(): the whole content of a regular file that nobody writes any more. On the same file system
        // it becomes this very file (a second name), else it is copied.
        virtual Result<Done> adopt(int file) = 0;
        // fsync, chown to the session, rename. Errors: Unavailable (disk; details.cause notDurable: a sync failed, and these
        // bytes are not to be trusted any more) ...
        virtual Result<FileFacts> commit() = 0;
        virtual int descriptor() const = 0;
    };
    virtual Result<std::unique_ptr<Writer>> create(const QString &path) = 0;
    virtual Result<Done> remove(const QString &path) = 0;
    // Regular files sorted by path; at most `most`. Names starting with a dot, __pycache__, names that are no
    // UTF-8 and what lies deeper than 64 directories are left out, here and in the changes.
    virtual QList<FileFacts> list(int most = 10'000) const = 0;
    // What list() passes over, to be told where files are carried: hidden files and directories (these with a "/" behind
    // them, for all that is below), links, pipes and sockets; not __pycache__. At most `most`, sorted.
    virtual QStringList leftOut(int most) const = 0;
    // Blocks in use, hidden files and /tmp included, hard links once. -1: a tree that is too large to be counted (DiskUse).
    virtual qint64 bytesOnDisk() const = 0;

    // Change detection by inotify, so that a run costs what it touched: begin before a cell, take after it:
    // files created or rewritten since (closed, still open or mapped), by path; removed ones separately. What
    // a leftover thread or process of an earlier cell wrote between two runs is told with the next one. Falls
    // back to comparing two walks when the workspace has more than 2,000 directories or inotify is not to be
    // had.
    virtual void beginChanges() = 0;
    struct Changes {
        QList<FileFacts> written;
        QStringList removed;
        bool truncated = false; // more than the cap (500); the rest is listed by list()
        // Opened and not written, as they are now; at most 100. Who opened them is not known: a file that the
        // server read for somebody else during the run is among them. None where changes are found by walking.
        QList<FileFacts> read;
    };
    virtual Changes takeChanges() = 0;

    // The same directories with a change detection of its own, for a second kernel that works in them under `uid`
    // (0, or without own uids: the session's). Files that one of two kernels made are told for that one alone, as long
    // as both have uids of their own: between begin and take they belong to their maker, openToGroup() comes after. A
    // file of the time before that was rewritten may be told for both.
    virtual std::shared_ptr<Workspace> apart(quint32 uid) const = 0;
    // What was taken from another one of these: not told here too, unless it changes again. Only what is certain, or
    // all of it.
    virtual void disown(const Changes &told, bool all) = 0;
    // Everything in it is given to the session's uid, and its group may what the owner may: a kernel of
    // another uid with this gid works in it as the session's own does. Nothing without own uids. Blocks on the
    // disk.
    virtual void openToGroup() = 0;
};

// Workspaces: the root directory (SANDBOX_DIR), uids and slugs.
class Workspaces
{
public:
    virtual ~Workspaces() = default;
    // root is made with mode 0711. As root: uids from a range of uidsPerRoot that starts at uidBase plus a
    // random offset kept in <root>/.uids, one uid (and gid) per workspace, recorded by the directory's owner
    // and not given again before the range is used up. Not root, or no right to chown: the own uid for all.
    // Error: Unavailable.
    static constexpr quint32 uidsPerRoot = 50'000;
    static Result<std::unique_ptr<Workspaces>> open(const QString &root, quint32 uidBase = 200'000);
    // [first, first + uidsPerRoot) of this root; 0 when all workspaces have the own uid.
    virtual quint32 firstUid() const = 0;
    // Those of the range that own a session's directory now. Thread: any.
    virtual QList<quint32> uids() const = 0;
    // The first of 16 uids of this range that no workspace gets: for the server's own workers; 0 as above.
    virtual quint32 firstWorkerUid() const = 0;
    // The first of jobUids uids of this range that no workspace gets: for kernels that work in a session's
    // directory beside its own; 0 as above.
    static constexpr quint32 jobUids = 256;
    virtual quint32 firstJobUid() const = 0;
    // slug empty = the principal `owner`: <root>/<session>; else <root>/.<slug>/<session>, its /tmp in
    // <root>/.scratch/<slug or "owner">/<session>. Made when missing, mode 0700. One object per session as
    // long as somebody holds it. Errors: InvalidArgument (session id, slug), Unavailable (disk).
    virtual Result<std::shared_ptr<Workspace>> openSession(const QString &slug, const QString &sessionId) = 0;
    virtual bool exists(const QString &slug, const QString &sessionId) const = 0;
    // Everything in it is gone when this returns.
    virtual Result<Done> removeSession(const QString &slug, const QString &sessionId) = 0;
    virtual QString root() const = 0;
};

} // namespace power::workspace
