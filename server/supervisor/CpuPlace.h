// Where a session stands when the processors are short: one that computes stands behind those that only answer, and the
// server before all.
#pragma once
#include "supervisor/TreeSampler.h"

namespace power::supervisor {

// A session's niceness towards the server and the other sessions: that of its autogroups (sched(7)), which the system
// makes for every setsid(2), so that the niceness of a single process says nothing outside. Both are behind the server
// (0); a session that computes has about a sixth of the share of one that only answers.
constexpr int kAtRestNice = 5; // as the sandbox begins with
constexpr int kComputingNice = 13;

// What the processes of a session wanted of a processor between two samples.
struct CpuDemand {
    qint64 wantedMs = 0;     // run, or waited to run
    qint64 elapsedMs = 0;
    qint64 longestRunMs = 0; // of the runs that ended or went on meanwhile; 0: there was none, it is left-over threads
};

// The niceness it should have now. A run of up to a tenth of a second never moves a session back: agents call in bursts.
int niceFor(int present, const CpuDemand &demand);

// What each of a session's autogroups gets so that all together have no more than one would: a process that makes itself a
// session of its own gains nothing. At most 19.
int niceOfEach(int nice, qsizetype sessions);

// Gives every autogroup of one process tree its niceness, if it has another. Refusals are passed over: where the system
// has no autogroups, or a container's own share is what counts. Thread: any.
void placeTree(const QList<pid_t> &oneOfEachSession, int nice);

// The calling thread asks for short turns on its processor (sched_setattr(2), a slice of 0.1 ms), so that it gets one soon
// after it wakes beside sessions that compute; its share stays the same. Threads and processes that it starts do not
// inherit it. false where the system knows no such slices (Linux before 6.12), which is no loss but of that.
bool takeShortTurns();

} // namespace power::supervisor
