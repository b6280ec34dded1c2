// One inotify instance for all workspaces of a root (the kernel allows only 128 per user), and what it saw.
#pragma once
#include "workspace/Workspace.h"
#include <QHash>
#include <QMap>
#include <QSet>
#include <memory>
#include <mutex>
#include <sys/stat.h>

namespace power::workspace
{

class ChangeHub;

// What openToGroup() did in a session's directories. Thread: any.
class Settled
{
public:
    // A change time of its making is no change of content. `maker`: whose the file was.
    void note(const struct stat &now, qint64 bornNs, quint32 maker);
    bool isStamp(quint64 inode, qint64 changedNs) const;
    // Where it gave the file to the session: whose it was, as long as that one's kernel may still tell it; else 0.
    quint32 makerOf(quint64 inode, qint64 bornNs) const;
    bool hasMakers() const;
    void forgetMaker(quint32 uid);

private:
    struct Maker {
        qint64 bornNs = 0; // inodes are used again
        quint32 uid = 0;
    };
    mutable std::mutex m_lock;
    QHash<quint64, qint64> m_stamps;
    QHash<quint64, Maker> m_makers;
};

// The two open directories of a session; shared, because a tracker may outlive its workspace object for a
// moment.
struct OpenPlaces {
    Descriptor workspace, scratch;
    std::shared_ptr<Settled> settled = std::make_shared<Settled>();
};

// Whose files a tracker tells: those of `uid`. In the directory of a session, whose files belong to `session`. 0: all.
struct TrackedUids {
    quint32 uid = 0, session = 0;
};

// ChangeTracker: the changes of one workspace and its /tmp. Keys are the paths of Workspace ("a/b",
// "/tmp/a"), directories likewise ("" = the workspace, "/tmp"). The public methods take the hub's lock, the
// others run under it.
class ChangeTracker
{
public:
    ChangeTracker(std::shared_ptr<ChangeHub> hub, std::shared_ptr<const OpenPlaces> places, TrackedUids uids = {});
    ~ChangeTracker();
    ChangeTracker(const ChangeTracker &) = delete;
    ChangeTracker &operator=(const ChangeTracker &) = delete;

    void begin();
    Workspace::Changes take();
    // The server itself wrote (facts after the rename) or removed this path: no change of the session's.
    void ownWrite(const QByteArray &path, quint64 inode, qint64 changedNs);
    void ownRemoval(const QByteArray &path);
    // What another tracker has told: not told here too, unless it changes again.
    void disown(const Workspace::Changes &told, bool all);

private:
    friend class ChangeHub;
    struct Seen {
        bool written = false; // an event says so; else the change time decides
        bool fresh = false;   // made since begin(): its removal is no news
        bool removed = false;
        bool opened = false;
        int open = 0; // opens without a close, as far as events tell
    };
    struct Facts {
        quint64 inode = 0;
        qint64 size = 0, modifiedNs = 0, changedNs = 0;
        quint32 uid = 0;
        bool operator==(const Facts &other) const
        {
            return inode == other.inode && size == other.size && modifiedNs == other.modifiedNs && changedNs == other.changedNs;
        }
    };
    struct Directory {
        int wd = -1;
        quint64 inode = 0;
    };

    using Collected = QMap<QByteArray, Facts>; // sorted, as it is told
    static Facts factsOf(const struct stat &facts);
    int rootOf(bool scratch) const { return (scratch ? m_places->scratch : m_places->workspace).get(); }
    bool look(const QByteArray &key, Facts *facts) const;
    bool isSame(const Facts &before, const Facts &now) const;
    bool isOthers(const QByteArray &key, Facts &facts) const;
    void flushMapped(const QByteArray &key) const;

    void watchAll();
    void watchTree(const QByteArray &key, bool report);
    void forgetTree(const QByteArray &key);
    void forgetWatches();
    void handle(const QByteArray &directory, quint32 mask, const char *name);
    Seen *touch(const QByteArray &key);
    Collected snapshot() const;
    void searchByTime(Collected &written);
    void takeSeen(Collected &written, Collected &read, QStringList &removed);
    void takeStillOpen(Collected &written);
    void takeByWalk(Collected now, Collected &written, QStringList &removed);

    std::shared_ptr<ChangeHub> m_hub;
    std::shared_ptr<const OpenPlaces> m_places;
    TrackedUids m_uids;
    bool m_started = false;
    bool m_byWalk = false; // too many directories or no inotify: compare two walks
    bool m_overflowed = false;
    qint64 m_beganNs = 0;
    QHash<QByteArray, Seen> m_seen;
    QHash<QByteArray, Directory> m_directories;
    struct Told {
        Facts facts;
        int open = 0;
    };
    QHash<QByteArray, Told> m_told; // files still open when they were last looked at
    QSet<QByteArray> m_ownRemoved;
    QHash<QByteArray, Facts> m_own; // changedNs 0: compared by size and time of modification
    Collected m_last;   // what the last take() found
    Collected m_before; // by walk only
};

// ChangeHub: reads the events and gives them to the trackers. Thread: any, under its own lock.
class ChangeHub
{
public:
    ChangeHub();
    ~ChangeHub();
    ChangeHub(const ChangeHub &) = delete;
    ChangeHub &operator=(const ChangeHub &) = delete;

private:
    friend class ChangeTracker;
    struct Watch {
        ChangeTracker *tracker = nullptr;
        QByteArray directory;
    };
    void drain();

    std::mutex m_lock;
    int m_fd = -1;
    QSet<ChangeTracker *> m_trackers;
    QHash<int, Watch> m_watches;
};

} // namespace power::workspace
