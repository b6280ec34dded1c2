// A control group (cgroup v2) for each session: limits of memory, processes and processor share that the system itself holds.
#pragma once
#include "supervisor/Fd.h"
#include "supervisor/GroupPlace.h"
#include <memory>
#include <sys/types.h>

namespace power::supervisor {

struct GroupLimits {
    qint64 memoryBytes = 0; // of the session as the server explains it; 0: none
    int processes = 0;      // 0: none
    int nice = 0;           // as CpuPlace.h says it: the group's share of the processors
};

// SessionGroups: one directory beside the server's leaf, below it a group for each session, with two leaves. A session's
// kernel and all it starts live in one of them; its checkpoint, which must outlive an end for want of memory, in the other;
// when the checkpoint takes over they change roles. Each leaf ends as a whole (memory.oom.group).
// memory.max is above the session's limit by kHeadroom bytes and an eighth: MemoryError (RLIMIT_DATA) and the watchdog come
// first, and tell more; the rest of it is what those do not count (page cache, page tables, buffers).
// Held by a lock on the directory: what a server that was killed left is ended and removed by the next one.
// Thread: any, one at a time for the same session; calls may take some 10 ms.
class SessionGroups
{
public:
    static constexpr qint64 kHeadroom = 64ll << 20;

    // totalBytes: memory of all sessions together; 0: no limit. Finds out by doing that a process can be put into a group.
    // Errors: Unavailable with the reason.
    static Result<std::shared_ptr<SessionGroups>> open(const GroupPlace &place, qint64 totalBytes);
    // Ends and removes all of them.
    ~SessionGroups();

    const QByteArrayList &controllers() const { return m_controllers; }
    static qint64 memoryMax(const GroupLimits &limits) { return limits.memoryBytes + limits.memoryBytes / 8 + kHeadroom; }

    // Before the session's first process. Errors: Unavailable.
    Result<Done> make(quint64 session, const GroupLimits &limits) const;
    QByteArray group(quint64 session) const { return m_directory + '/' + QByteArray::number(session); }
    QByteArray leaf(quint64 session, int side) const { return group(session) + (side == 0 ? "/a" : "/b"); }
    // Ends every process of the session.
    void end(quint64 session) const;
    // Once nothing of it runs any more. False: something still does; it was ended, try again.
    bool remove(quint64 session) const;

    // Processes of a leaf that were ended for want of memory, since the group was made.
    qint64 endedForMemory(quint64 session, int side) const;
    // It was the session's own limit, not that of all together or of the machine.
    bool isAtOwnLimit(quint64 session) const;
    // The most it had, in bytes; 0: unknown.
    qint64 peak(quint64 session) const;

private:
    SessionGroups(QByteArray directory, Fd lock, QByteArrayList controllers);
    Result<Done> tryOut() const;

    QByteArray m_directory;
    Fd m_lock;
    QByteArrayList m_controllers;
};

} // namespace power::supervisor
