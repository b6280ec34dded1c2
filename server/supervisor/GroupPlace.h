// Where this server may make control groups (cgroup v2), and how that place is made ready.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QByteArrayList>

namespace power::supervisor {

struct GroupPlace {
    QByteArray directory;       // of the control group that is ours to divide
    QByteArrayList controllers; // those that can be handed down to the sessions
};

// The place of a process: the directory below a mounted v2 tree that /proc/self/cgroup names; a server that was already
// moved into its own leaf there (kServerLeaf) has its parent. Empty: there is no v2 tree, or the process is outside of it.
// mounts, own: the contents of /proc/self/mountinfo and /proc/self/cgroup. Thread: any.
QByteArray groupDirectory(const QByteArray &mounts, const QByteArray &own);

// The leaf beside the sessions' groups that holds the server itself: a group with limits for those below it may hold no
// processes of its own.
inline constexpr char kServerLeaf[] = "power-server";

// Hands memory and, where they are there, pids and cpu down to the groups below `directory`. Every process in it (the
// server, what started it and what it has started) moves into kServerLeaf first, unless it is the root of the machine's tree.
// Where systemd is in charge it must have delegated the group (Delegate=yes), else it would take it back.
// Errors: Unavailable with the reason; then nothing was changed, but that the processes may stand in kServerLeaf.
// Thread: any; may take some 10 ms.
Result<GroupPlace> prepareGroups(const QByteArray &directory);

namespace groups {
// Whole write to an existing file of a group: 0 or errno.
int write(const QByteArray &path, const QByteArray &text);
// Whole small file, trimmed; empty when it cannot be read.
QByteArray read(const QByteArray &path);
// "oom_kill" of memory.events and the like; 0 when absent.
qint64 count(const QByteArray &path, const char *name);
// Ends all processes in a group and below it, and removes it. False: something is left, try again.
bool remove(const QByteArray &directory);
} // namespace groups

} // namespace power::supervisor
