#include "mcp/Methods.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
constexpr qsizetype kMostWatched = 200;

// What a client wants to hear of. Changes that come before it was told what it will hear wait.
struct Wishes {
    bool acknowledged = false;
    QList<Change> early;
    QSet<QString> telling, again; // tasks that are being read for the client; news of them meanwhile
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

using WishesPtr = std::shared_ptr<Wishes>;

// As it is when it is told; one after the other, so that what is told last is its last state.
QCoro::Task<> tellTask(CorePtr core, std::shared_ptr<Outlet> outlet, operations::Caller caller, WishesPtr heard, QString id, QJsonObject meta)
{
    heard->again.insert(id);
    if (heard->telling.contains(id))
        co_return;
    heard->telling.insert(id);
    while (heard->again.remove(id)) {
        operations::Caller asker = caller;
        QCoro::Task<Outcome> reading = wholeTask(core, std::move(asker), id);
        Outcome task = co_await reading;
        auto *params = std::get_if<QJsonObject>(&task);
        if (!params)
            continue;
        params->insert(QStringLiteral("_meta"), meta);
        outlet->carry(notificationMessage(QStringLiteral("notifications/tasks"), *params));
    }
    heard->telling.remove(id);
}
} // namespace

QCoro::Task<Outcome> listenForChanges(CorePtr core, CallPtr call)
{
    const QJsonValue asked = call->inbound.params.value(QLatin1String("notifications"));
    if (!asked.isObject())
        co_return RpcError{InvalidParams, QStringLiteral("params.notifications must be an object."), {}, 400};
    const Features &features = core->features();
    const QJsonObject meta{{QLatin1String(kMetaSubscription), call->inbound.id}};
    const WishesPtr heard = std::make_shared<Wishes>();
    Wishes &wishes = *heard;
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
    const auto tell = [core, caller = call->caller, outlet = call->outlet, heard, meta](const Change &change) {
        if (!change.principal.isEmpty() && change.principal != caller.principal)
            return;
        const bool isTask = change.kind == Change::Kind::Task; // which ones, is not known from the start
        if (!heard->contains(change) && (heard->acknowledged || !isTask))
            return;
        if (!heard->acknowledged)
            heard->early.append(change);
        else if (isTask)
            tellTask(core, outlet, caller, heard, change.uri, meta);
        else
            outlet->carry(changeMessage(change, meta));
    };
    // Before the tasks are looked up: one that ends meanwhile is heard of.
    const Changes::Registration listening = features.changes->listen(tell);
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
        // What is over, or waits for the client, would make no news any more.
        const TaskRunPtr run = core->taskRuns.find(named, call->caller.principal);
        if (known->status != u"working" || (run && run->need))
            wishes.early.append({Change::Kind::Task, {}, named});
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
    wishes.acknowledged = true;
    QSet<QString> tasksTold;
    for (const Change &change : std::exchange(wishes.early, {})) {
        if (change.kind == Change::Kind::Task && tasksTold.contains(change.uri))
            continue;
        tasksTold.insert(change.uri);
        tell(change);
    }

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
