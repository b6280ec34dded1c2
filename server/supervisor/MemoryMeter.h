// The memory of process trees, counted exactly only when it can have changed.
#pragma once
#include <QElapsedTimer>
#include <QHash>
#include <QList>
#include <chrono>
#include <sys/types.h>

namespace power::supervisor {

// What /proc/<pid>/stat says for nothing.
struct MemoryHints {
    pid_t pid = 0;
    quint64 born = 0;    // start time: a process id may come again
    qint64 resident = 0; // bytes
    qint64 faults = 0;   // page faults, each of which may have made a page its own
};

struct MemoryShare {
    qint64 bytes = 0;   // proportional: pages shared with others count in part
    qint64 own = 0;     // of them: what nobody else has
    bool exact = false; // false: it is gone, the system lets us not read it, or there was no time; both are 0
};

// The system counts proportional shares page by page and holds up the process meanwhile (1 to 5 ms per 100 MB). Watching ten
// sessions that compute without growing took a quarter of a processor. Thread: one at a time.
class MemoryMeter
{
public:
    // The trees asked for from now on belong to one look at all of them; quiet ones are counted for so long at most.
    void beginPass(std::chrono::milliseconds forQuiet);

    // The last exact counts and what became resident since, in the order of `now`. All of a tree are counted anew, because a
    // page that one makes its own is another one's more, when a process came or went; when more than a 32nd of it (4 MiB at
    // least) may have changed, then for at most a twentieth of the time while it grew by less than an eighth; and every 20 s.
    // A quiet tree that is due when the pass has no time left for it keeps its last counts; processes without one are not exact.
    QList<MemoryShare> sharesOf(quint64 tree, const QList<MemoryHints> &now, bool quiet = false);

    // Since the last exact count, in ms; the greatest number there is when there was none.
    qint64 ageOf(quint64 tree) const;

    // Forgets trees that were not asked for lately: they are gone, or will be counted anew.
    void forgetOthers();

private:
    struct Known {
        MemoryHints at;
        MemoryShare share;
    };
    struct Count {
        QHash<pid_t, Known> processes;
        QElapsedTimer since, asked;
        qint64 cost = 0; // ms, what counting took
    };
    static QList<MemoryShare> carriedOn(const Count &count, const QList<MemoryHints> &now);
    static bool isDue(const Count &count, const QList<MemoryHints> &now);

    QHash<quint64, Count> m_counts;
    qint64 m_left = 0; // us for quiet trees, of this pass
};

} // namespace power::supervisor
