#include "mcp/Methods.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
constexpr qsizetype kMostWatched = 200;

struct Wishes {
    bool tools = false, prompts = false, resources = false;
    QSet<QString> uris, tasks;

    bool contains(const Change &change) const
    {
        switch (change.kind) {
        case Change::Kind::Tools: return tools;
        case Change::Kind::Prompts: return prompts;
        case Change::Kind::Resources: return resources;
        case Change::Kind::Resource: return uris.contains(change.uri);
        case Change::Kind::Task: return tasks.contains(change.uri);
        }
        return false;
    }
};

// As it is when it is told.
QCoro::Task<> tellTask(CorePtr core, std::shared_ptr<Outlet> outlet, operations::Caller caller, QString id, QJsonObject meta)
{
    QCoro::Task<Outcome> reading = wholeTask(core, std::move(caller), id);
    Outcome task = co_await reading;
    auto *params = std::get_if<QJsonObject>(&task);
    if (!params)
        co_return;
    params->insert(QStringLiteral("_meta"), meta);
    outlet->carry(notificationMessage(QStringLiteral("notifications/tasks"), *params));
}
} // namespace

QCoro::Task<Outcome> listenForChanges(CorePtr core, CallPtr call)
{
    const QJsonValue asked = call->inbound.params.value(QLatin1String("notifications"));
    if (!asked.isObject())
        co_return RpcError{InvalidParams, QStringLiteral("params.notifications must be an object."), {}, 400};
    const Features &features = core->features();
    const QJsonObject meta{{QLatin1String(kMetaSubscription), call->inbound.id}};
    Wishes wishes;
    wishes.tools = features.toolsMayChange && asked[QLatin1String("toolsListChanged")].toBool();
    wishes.prompts = !features.prompts.isEmpty() && asked[QLatin1String("promptsListChanged")].toBool();
    wishes.resources = !features.resources.isEmpty() && asked[QLatin1String("resourcesListChanged")].toBool();
    QList<Watches::Registration> watches;
    QJsonArray watched;
    const QJsonArray uris = asked[QLatin1String("resourceSubscriptions")].toArray();
    for (const QJsonValue &uri : uris) {
        if (watches.size() >= kMostWatched)
            break;
        const auto watch = core->watches.add(call->caller, uri.toString());
        if (!watch || wishes.uris.contains(uri.toString()))
            continue;
        watches.append(*watch);
        wishes.uris.insert(uri.toString());
        watched.append(uri);
    }
    QJsonArray followed;
    const QJsonArray ids = features.tasks ? asked[QLatin1String("taskIds")].toArray() : QJsonArray();
    qsizetype askedFor = 0;
    for (const QJsonValue &id : ids) {
        if (++askedFor > kMostWatched || call->caller.cancel.isCancelled())
            break;
        operations::Caller caller = call->caller;
        const QString named = id.toString();
        if (wishes.tasks.contains(named))
            continue;
        const Result<TaskFacts> known = co_await features.tasks->get(std::move(caller), named);
        if (!known)
            continue;
        wishes.tasks.insert(named);
        followed.append(id);
    }
    QJsonObject honoured;
    if (!followed.isEmpty())
        honoured.insert(QStringLiteral("taskIds"), followed);
    if (wishes.tools)
        honoured.insert(QStringLiteral("toolsListChanged"), true);
    if (wishes.prompts)
        honoured.insert(QStringLiteral("promptsListChanged"), true);
    if (wishes.resources)
        honoured.insert(QStringLiteral("resourcesListChanged"), true);
    if (!watched.isEmpty())
        honoured.insert(QStringLiteral("resourceSubscriptions"), watched);
    call->outlet->carry(notificationMessage(QStringLiteral("notifications/subscriptions/acknowledged"),
                                            {{QStringLiteral("_meta"), meta}, {QStringLiteral("notifications"), honoured}}));

    const auto tell = [core, caller = call->caller, outlet = call->outlet, wishes, meta](const Change &change) {
        if ((!change.principal.isEmpty() && change.principal != caller.principal) || !wishes.contains(change))
            return;
        if (change.kind == Change::Kind::Task)
            tellTask(core, outlet, caller, change.uri, meta);
        else
            outlet->carry(changeMessage(change, meta));
    };
    const Changes::Registration listening = features.changes->listen(tell);
    const OneShot<Done> end;
    const auto stop = [end] { end.resolve(Done{}); };
    const CancelToken::Registration closing = core->closing.token().onCancel(stop);
    const std::chrono::milliseconds forever{0};
    const CancelToken cancelled = call->caller.cancel;
    const Result<Done> ended = co_await end.wait(forever, cancelled);
    if (!ended)
        co_return NoAnswer{};
    co_return QJsonObject{{QStringLiteral("_meta"), meta}};
}

} // namespace power::mcp
