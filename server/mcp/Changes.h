// News for clients that listen: lists that changed, resources that were updated.
#pragma once
#include <QSet>
#include <QString>
#include <functional>
#include <list>
#include <memory>

namespace power::mcp {

struct Change {
    enum class Kind { Tools, Prompts, Resources, Resource, Task };
    Kind kind = Kind::Tools;
    QString principal; // whose view changed; empty = everybody's
    QString uri;       // Kind::Resource; Kind::Task: its id
};

// Changes: what happened -> who listens. Cheap when nobody does. Thread: the event loop's.
class Changes
{
public:
    using Listener = std::function<void(const Change &)>;
    // Keeps a listener registered; destroying it forgets the listener.
    using Registration = std::shared_ptr<void>;

    void toolsChanged(const QString &principal = {}) { tell({Change::Kind::Tools, principal, {}}); }
    void promptsChanged(const QString &principal = {}) { tell({Change::Kind::Prompts, principal, {}}); }
    void resourcesChanged(const QString &principal = {}) { tell({Change::Kind::Resources, principal, {}}); }
    void resourceUpdated(const QString &principal, const QString &uri) { tell({Change::Kind::Resource, principal, uri}); }

    void taskChanged(const QString &id) { tell({Change::Kind::Task, {}, id}); }

    [[nodiscard]] Registration listen(Listener listener);
    void tell(const Change &change);

private:
    std::list<std::weak_ptr<Listener>> m_listeners;
};

} // namespace power::mcp
