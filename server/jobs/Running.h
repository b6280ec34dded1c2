// A job that runs on this server now. Only for this folder.
#pragma once
#include "base/CancelToken.h"
#include "jobs/Job.h"

namespace power::jobs {

// The last bytes of an output, whole characters, and how many there were. Thread: the event loop's.
class Tail
{
public:
    static constexpr qsizetype kKept = 16 << 10;
    void add(const QByteArray &text);
    QString text() const { return QString::fromUtf8(m_kept); }
    qint64 bytes() const { return m_bytes; }

private:
    QByteArray m_kept;
    qint64 m_bytes = 0;
};

struct Running {
    enum class Why { None, Asked, Stopping, Lost }; // it is being ended
    Job job;
    CancelSource cancel;
    Why why = Why::None;
    Tail tail;
    QJsonObject progress;
    bool told = true;          // the database has tail and progress
    bool occupies = false;     // one of the places of MAX_CONCURRENT_JOBS
    bool isWriting = false;    // its end is on the way to the database
    int uidPlace = -1;

    void end(Why reason);
};
using RunningPtr = std::shared_ptr<Running>;

// How the run of this job ended. `shape` makes the stored answer.
using Shaper = std::function<Shaped(const sessions::RunReport &)>;
Ending endingOf(const Running &running, const Result<sessions::RunReport> &report, const Shaper &shape);

} // namespace power::jobs
