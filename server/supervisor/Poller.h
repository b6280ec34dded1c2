// All descriptors of all kernels behind one epoll instance and one QSocketNotifier, so that the event loop's
// own poll set stays small however many sessions live.
#pragma once
#include "supervisor/Fd.h"
#include <QHash>
#include <QObject>
#include <QSocketNotifier>
#include <cstdint>
#include <functional>
#include <memory>

namespace power::supervisor {

// Poller: calls back on the event loop when a watched descriptor is ready (level-triggered: a callback may read
// as little as it wants and is called again at the next turn). Thread: the event loop's.
class Poller : public QObject
{
    Q_OBJECT
public:
    using Call = std::function<void(std::uint32_t events)>;
    using Id = quint64; // 0: none

    explicit Poller(QObject *parent = nullptr);

    // events: EPOLLIN | EPOLLOUT ...; the descriptor must stay open until forget(). 0 when epoll refuses it.
    Id watch(int fd, std::uint32_t events, Call call);
    // Also from within a callback; events already collected for it are dropped. Ignores 0.
    void forget(Id id);
    // Other events for a watched descriptor.
    void change(Id id, std::uint32_t events);

private:
    void turn();

    struct Watch {
        int fd = -1;
        std::shared_ptr<Call> call;
    };
    Fd m_epoll;
    std::unique_ptr<QSocketNotifier> m_notifier;
    QHash<Id, Watch> m_watches;
    Id m_next = 1;
};

} // namespace power::supervisor
