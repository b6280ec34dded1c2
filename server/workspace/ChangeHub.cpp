#include "workspace/ChangeHub.h"
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace power::workspace
{

ChangeHub::ChangeHub() : m_fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

ChangeHub::~ChangeHub()
{
    if (m_fd >= 0) ::close(m_fd);
}

void ChangeHub::drain()
{
    if (m_fd < 0) return;
    alignas(inotify_event) char buffer[64 * 1024];
    // What waits now and no more: user code can make events faster than they are read here.
    int waiting = 0;
    if (::ioctl(m_fd, FIONREAD, &waiting) != 0) return;
    while (waiting > 0) {
        const ssize_t got = ::read(m_fd, buffer, sizeof buffer);
        if (got <= 0) return;
        waiting -= int(got);
        for (ssize_t at = 0; at < got;) {
            const auto *event = reinterpret_cast<const inotify_event *>(buffer + at);
            at += ssize_t(sizeof(inotify_event) + event->len);
            if (event->mask & IN_Q_OVERFLOW) {
                for (ChangeTracker *tracker : std::as_const(m_trackers))
                    tracker->m_overflowed = true;
                continue;
            }
            const auto found = m_watches.constFind(event->wd);
            if (found == m_watches.constEnd()) continue;
            if (event->mask & IN_IGNORED) {
                m_watches.erase(found);
                continue;
            }
            const Watch watch = *found;
            if (event->len > 0) watch.tracker->handle(watch.directory, event->mask, event->name);
        }
    }
}

} // namespace power::workspace
