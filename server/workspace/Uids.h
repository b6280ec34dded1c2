// Which uid a new workspace gets.
#pragma once
#include "base/Error.h"
#include <QSet>

namespace power::workspace
{

// UidRange: a range of a root directory and the next one to give. Thread: under the lock of Workspaces.
class UidRange
{
public:
    // Reads <root>/.uids or makes it: uidBase + n * span for a random n, within what the user namespace maps.
    // Errors: Unavailable (the file cannot be written).
    static Result<UidRange> open(int root, quint32 uidBase, quint32 span);
    quint32 first() const { return m_first; }
    // The last ones of the range are never given to workspaces.
    static constexpr quint32 workers = 16, jobs = 256;
    quint32 firstWorker() const { return m_first + m_span - workers; }
    quint32 firstJob() const { return firstWorker() - jobs; }

    // The next free one in turn (not in `used`), recorded durably before it is given.
    Result<quint32> take(const QSet<quint32> &used);

private:
    Result<Done> save() const;

    int m_root = -1; // the caller's
    quint32 m_first = 0, m_span = 0, m_next = 0, m_reserved = 0;
};

} // namespace power::workspace
