// What the host does with control groups: made before a session's first process, removed after its last.
#include "base/Log.h"
#include "base/Offload.h"
#include "supervisor/Host.h"
#include "supervisor/Words.h"
#include <QPointer>
#include <QTimer>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kRemoveAgain = 250ms;
constexpr int kRemoveTries = 40;
constexpr char kKernelScore[] = "900", kCopyScore[] = "600"; // of oom_score_adj; the first as the sandbox sets it
} // namespace

QCoro::Task<> Host::openGroups()
{
    using Groups = std::shared_ptr<SessionGroups>;
    const QPointer<Host> self(this);
    Result<Groups> opened = fail(ErrorCode::Unavailable, QStringLiteral("switched off (SANDBOX_CGROUP=off)"));
    if (m_config.usesGroups) {
        std::function<Result<Groups>()> work = [total = m_budget]() -> Result<Groups> {
            const Result<GroupPlace> place =
                prepareGroups(groupDirectory(groups::read("/proc/self/mountinfo"), groups::read("/proc/self/cgroup")));
            if (!place)
                return Unexpected<Error>{place.error()};
            return SessionGroups::open(*place, total);
        };
        opened = co_await offload<Groups>(std::move(work));
        if (!self)
            co_return;
    }
    m_tier.layers.insert(QStringLiteral("cgroup"), bool(opened));
    if (opened) {
        m_groups = *opened;
        m_tier.layers.insert(QStringLiteral("cgroup_controllers"), QString::fromLatin1(m_groups->controllers().join(' ')));
        log::info("session_groups", {{QStringLiteral("controllers"), QString::fromLatin1(m_groups->controllers().join(' '))}});
    } else {
        m_tier.layers.insert(QStringLiteral("cgroup_reason"), opened.error().message);
        log::info("no_session_groups", {{QStringLiteral("reason"), opened.error().message}});
    }
}

OneShot<Done> Host::makeGroup(quint64 number, const KernelLimits &limits)
{
    const OneShot<Done> made;
    m_seats.insert(number, {});
    const GroupLimits wanted{limits.memoryBytes, limits.processes, kAtRestNice};
    m_groupWork.start([this, groups = m_groups, number, wanted, made] {
        const Result<Done> done = groups->make(number, wanted);
        // The destructor waits for this thread: `this` is alive here, and gone calls are dropped with it.
        QMetaObject::invokeMethod(this, [made, done] { made.resolve(done); }, Qt::QueuedConnection);
    });
    return made;
}

void Host::removeGroup(quint64 number, int tries)
{
    m_seats.remove(number);
    if (!m_groups)
        return;
    m_groupWork.start([this, groups = m_groups, number, tries] {
        if (groups->remove(number))
            return;
        QMetaObject::invokeMethod(this, [this, number, tries] {
            if (tries < kRemoveTries)
                QTimer::singleShot(kRemoveAgain, this, [this, number, tries] { removeGroup(number, tries + 1); });
            else
                log::error("session_group_left", {{QStringLiteral("group"), QString::fromLocal8Bit(m_groups->group(number))}});
        }, Qt::QueuedConnection);
    });
}

QString Host::leafOf(quint64 number) const
{
    return m_groups ? QString::fromLocal8Bit(m_groups->leaf(number, m_seats.value(number).side)) : QString();
}

// The copy goes to the other leaf: the end of this one for want of memory leaves it what the session goes on from.
void Host::seatCopy(const KernelProcess &kernel, pid_t copy)
{
    if (!m_groups)
        return;
    const auto held = std::make_shared<Fd>(openPidfd(copy));
    const QByteArray leaf = m_groups->leaf(kernel.number(), 1 - m_seats.value(kernel.number()).side);
    m_groupWork.start([held, leaf, copy] {
        const QByteArray pid = QByteArray::number(copy);
        if (!*held || hasEnded(*held))
            return;
        groups::write(leaf + "/cgroup.procs", pid);
        groups::write("/proc/" + pid + "/oom_score_adj", kCopyScore);
    });
}

void Host::carriesOn(const KernelProcess &kernel)
{
    if (!m_groups)
        return;
    Seat &seat = m_seats[kernel.number()];
    seat.side = 1 - seat.side;
    seat.ended = m_groups->endedForMemory(kernel.number(), seat.side);
    const auto held = std::make_shared<Fd>(openPidfd(kernel.pid()));
    m_groupWork.start([held, pid = QByteArray::number(kernel.pid())] {
        if (*held && !hasEnded(*held))
            groups::write("/proc/" + pid + "/oom_score_adj", kKernelScore);
    });
}

std::optional<MemoryEnd> Host::memoryEnd(const KernelProcess &kernel) const
{
    const auto seat = m_seats.constFind(kernel.number());
    if (!m_groups || seat == m_seats.constEnd() || m_groups->endedForMemory(kernel.number(), seat->side) <= seat->ended)
        return std::nullopt;
    const qint64 peak = std::max(m_groups->peak(kernel.number()), kernel.memoryBytes());
    const QString had = wordsOfBytes(peak), own = wordsOfBytes(kernel.spec().limits.memoryBytes), all = wordsOfBytes(m_budget);
    if (!m_groups->isAtOwnLimit(kernel.number()))
        return MemoryEnd{QStringLiteral("The kernel was ended by the system: all sessions together used up the memory that is theirs (%1); this one had %2.")
                             .arg(all, had),
                         QStringLiteral("%1 for all sessions together").arg(all), had};
    return MemoryEnd{QStringLiteral("The kernel was ended by the system: the session used %1 of memory, its limit is %2.").arg(had, own), own, had};
}

} // namespace power::supervisor
