#include "supervisor/Poller.h"
#include <sys/epoll.h>

namespace power::supervisor {

namespace {
// One turn serves at most this many descriptors; the rest stays ready for the next one.
constexpr int kEventsPerTurn = 64;
} // namespace

Poller::Poller(QObject *parent) : QObject(parent), m_epoll(::epoll_create1(EPOLL_CLOEXEC))
{
    m_notifier = std::make_unique<QSocketNotifier>(qintptr(m_epoll.get()), QSocketNotifier::Read);
    connect(m_notifier.get(), &QSocketNotifier::activated, this, [this] { turn(); });
}

Poller::Id Poller::watch(int fd, std::uint32_t events, Call call)
{
    const Id id = m_next++;
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    if (::epoll_ctl(m_epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        return 0;
    m_watches.insert(id, Watch{fd, std::make_shared<Call>(std::move(call))});
    return id;
}

void Poller::forget(Id id)
{
    const auto found = m_watches.constFind(id);
    if (found == m_watches.constEnd())
        return;
    ::epoll_ctl(m_epoll.get(), EPOLL_CTL_DEL, found->fd, nullptr);
    m_watches.erase(found);
}

void Poller::change(Id id, std::uint32_t events)
{
    const auto found = m_watches.constFind(id);
    if (found == m_watches.constEnd())
        return;
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    ::epoll_ctl(m_epoll.get(), EPOLL_CTL_MOD, found->fd, &event);
}

void Poller::turn()
{
    epoll_event events[kEventsPerTurn];
    const int count = ::epoll_wait(m_epoll.get(), events, kEventsPerTurn, 0);
    for (int i = 0; i < count; ++i) {
        const auto found = m_watches.constFind(events[i].data.u64);
        if (found == m_watches.constEnd())
            continue;
        // The callback may forget itself: it is kept alive here.
        const std::shared_ptr<Call> call = found->call;
        (*call)(events[i].events);
    }
}

} // namespace power::supervisor
