#include "workspace/Beneath.h"
#include "workspace/ChangeHub.h"

namespace power::workspace
{

namespace
{
constexpr int mostNoted = 200'000;
}

void Settled::note(const struct stat &now, qint64 bornNs, quint32 maker)
{
    const std::lock_guard lock(m_lock);
    if (m_stamps.size() >= mostNoted) m_stamps.clear();
    m_stamps.insert(quint64(now.st_ino), nanoseconds(now.st_ctim));
    if (maker != 0 && m_makers.size() < mostNoted) m_makers.insert(quint64(now.st_ino), {bornNs, maker});
}

bool Settled::isStamp(quint64 inode, qint64 changedNs) const
{
    const std::lock_guard lock(m_lock);
    return m_stamps.value(inode, -1) == changedNs;
}

quint32 Settled::makerOf(quint64 inode, qint64 bornNs) const
{
    const std::lock_guard lock(m_lock);
    const auto found = m_makers.constFind(inode);
    return found != m_makers.constEnd() && found->bornNs == bornNs ? found->uid : 0;
}

bool Settled::hasMakers() const
{
    const std::lock_guard lock(m_lock);
    return !m_makers.isEmpty();
}

void Settled::forgetMaker(quint32 uid)
{
    const std::lock_guard lock(m_lock);
    m_makers.removeIf([uid](const auto &entry) { return entry->uid == uid; });
}

} // namespace power::workspace
