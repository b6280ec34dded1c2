#include "storage/DatabaseLanes.h"
#include "base/Log.h"

namespace power::storage {

namespace {
using namespace std::chrono_literals;
constexpr std::chrono::milliseconds cancelGrace = 500ms, commitGrace = 500ms, socketGrace = 1'500ms;

const char *laneWord(Lane lane)
{
    switch (lane) {
    case Lane::Control: return "control";
    case Lane::Listen: return "listen";
    case Lane::Short: return "short";
    case Lane::Bulk: return "bulk";
    case Lane::Files: break;
    }
    return "files";
}
} // namespace

Unexpected<Error> awayError(const QString &problem)
{
    return fail(ErrorCode::Unavailable, problem.isEmpty() ? QStringLiteral("The database is away.") : problem,
                QStringLiteral("Try again in a few seconds; the server reconnects by itself."));
}

void Database::Private::makeSlots()
{
    if (!slots.empty())
        return;
    const std::pair<Lane, int> counts[] = {{Lane::Control, 1}, {Lane::Listen, 1}, {Lane::Short, config.shortWorkers},
                                           {Lane::Bulk, config.bulkWorkers}, {Lane::Files, config.fileWorkers}};
    for (const auto &[lane, count] : counts) {
        for (int i = 0; i < count; ++i)
            slots.push_back({lane, {}, SlotState::Opening, {}});
    }
    for (Slot &slot : slots)
        startWorker(slot);
}

void Database::Private::startWorker(Slot &slot)
{
    static std::atomic<int> instances{0};
    const QString name = QStringLiteral("power-%1-%2-%3").arg(++instances).arg(QLatin1String(laneWord(slot.lane))).arg(++nextName);
    // Everything a worker reports crosses to the event loop by a posted call; `self` says whether we still live there.
    const auto post = [box = mailbox, alive = std::weak_ptr<Private *>(self)](auto call) {
        QMetaObject::invokeMethod(box.get(), [alive, call = std::move(call)]() mutable {
            if (const auto owner = alive.lock())
                call(**owner);
        }, Qt::QueuedConnection);
    };
    Worker::Reports reports;
    reports.opened = [post](std::shared_ptr<Worker> worker, QString serverVersion) {
        post([worker, serverVersion](Private &data) {
            if (Slot *place = data.slotOf(worker)) {
                data.version = serverVersion;
                data.setState(*place, SlotState::Ready);
            }
        });
    };
    reports.away = [post](std::shared_ptr<Worker> worker, QString reason) {
        post([worker, reason](Private &data) {
            if (Slot *place = data.slotOf(worker)) {
                data.problem = reason;
                data.setState(*place, SlotState::Away);
            }
        });
    };
    reports.lost = [post](std::shared_ptr<Worker> worker) {
        post([worker](Private &data) {
            if (Slot *place = data.slotOf(worker); place && place->state == SlotState::Ready) {
                data.problem = QStringLiteral("The database closed the connection.");
                data.setState(*place, SlotState::Opening);
            }
        });
    };
    reports.finished = [post](std::shared_ptr<Worker> worker, Result<std::any> answer, bool isOpen) {
        post([worker, answer = std::move(answer), isOpen](Private &data) mutable {
            Slot *place = data.slotOf(worker);
            if (!place)
                return;
            const auto ticket = std::exchange(place->ticket, {});
            data.setState(*place, isOpen ? SlotState::Ready : SlotState::Opening);
            if (ticket)
                data.finish(ticket, std::move(answer));
        });
    };
    reports.notified = [post](QString channel, QString payload) {
        post([channel, payload](Private &data) { Q_EMIT data.q->notified(channel, payload); });
    };
    reports.ended = [count = threads] {
        const std::lock_guard lock(count->mutex);
        --count->alive;
        count->changed.notify_all();
    };
    slot.worker = std::make_shared<Worker>(name, config.url, config.connectTimeout, std::move(reports));
    slot.state = SlotState::Opening;
    slot.ticket.reset();
    {
        const std::lock_guard lock(threads->mutex);
        ++threads->alive;
    }
    if (slot.lane == Lane::Listen) {
        for (const QString &channel : channels)
            slot.worker->listen(channel);
    }
    slot.worker->start();
}

Slot *Database::Private::slotOf(const std::shared_ptr<Worker> &worker)
{
    for (Slot &slot : slots) {
        if (slot.worker == worker)
            return &slot;
    }
    return nullptr; // replaced meanwhile
}

bool Database::Private::laneAway(Lane lane) const
{
    for (const Slot &slot : slots) {
        if (slot.lane == lane && slot.state != SlotState::Away)
            return false;
    }
    return true;
}

void Database::Private::setState(Slot &slot, SlotState state)
{
    slot.state = state;
    const Lane lane = slot.lane;
    if (state == SlotState::Ready)
        dispatch(lane);
    else if (state == SlotState::Away && laneAway(lane))
        failQueue(lane);

    if (lane != Lane::Short)
        return;
    bool now = false, anyOpening = false;
    for (const Slot &other : slots) {
        now = now || (other.lane == Lane::Short && (other.state == SlotState::Ready || other.state == SlotState::Busy));
        anyOpening = anyOpening || (other.lane == Lane::Short && other.state == SlotState::Opening);
    }
    if (now)
        problem.clear();
    // Connections that are being replaced are no loss yet; a failed attempt is.
    now = now || (connected && anyOpening);
    if (now != connected) {
        connected = now;
        const QString text = problem;
        QMetaObject::invokeMethod(q, [owner = q, now, text] {
            if (now)
                log::info("database_connected");
            else
                log::warning("database_lost", {{QStringLiteral("problem"), text}});
            if (owner->d->prepared) // else start() tells it
                Q_EMIT owner->connectedChanged(now);
        }, Qt::QueuedConnection);
    }
    if (!now && anyOpening)
        return;
    const Result<Done> reached = now ? Result<Done>(Done{}) : Result<Done>(awayError(problem));
    const QList<OneShot<Done>> waiting = std::exchange(firstContact, {});
    for (const auto &shot : waiting)
        shot.resolve(reached);
}

void Database::Private::failQueue(Lane lane)
{
    const auto waiting = std::exchange(queues[lane], {});
    const auto error = awayError(problem);
    for (const auto &ticket : waiting)
        finish(ticket, error);
}

void Database::Private::dispatch(Lane lane)
{
    auto &queue = queues[lane];
    for (Slot &slot : slots) {
        if (queue.empty())
            return;
        if (slot.lane != lane || slot.state != SlotState::Ready)
            continue;
        slot.ticket = queue.front();
        queue.pop_front();
        slot.state = SlotState::Busy;
        slot.worker->give(slot.ticket->work);
    }
}

void Database::Private::finish(const std::shared_ptr<Ticket> &ticket, Result<std::any> answer)
{
    ticket->timer.reset();
    ticket->cancel.reset();
    const OneShot<std::any> shot = ticket->shot;
    shot.resolve(std::move(answer));
}

// The deadline passed, or nobody wants the answer any more.
void Database::Private::giveUp(const std::shared_ptr<Ticket> &ticket, Error error)
{
    if (ticket->shot.isResolved())
        return;
    auto &queue = queues[ticket->lane];
    if (const auto found = std::find(queue.begin(), queue.end(), ticket); found != queue.end()) {
        queue.erase(found);
        finish(ticket, Unexpected<Error>{std::move(error)});
        return;
    }
    if (ticket->work->advance(Work::Running, Work::Abandoned) || ticket->work->advance(Work::Queued, Work::Abandoned)) {
        escalate(ticket);
        finish(ticket, Unexpected<Error>{std::move(error)});
        return;
    }
    // COMMIT is under way: wait a moment for its real outcome.
    QTimer::singleShot(commitGrace, mailbox.get(), [this, ticket, error, alive = std::weak_ptr<Private *>(self)]() mutable {
        if (alive.expired() || ticket->shot.isResolved())
            return;
        escalate(ticket);
        error.details.insert(QStringLiteral("outcome"), QStringLiteral("unknown"));
        finish(ticket, Unexpected<Error>{std::move(error)});
    });
}

// Frees the worker of a job that was given up: cancel, then shut the socket, then leave the thread behind.
void Database::Private::escalate(const std::shared_ptr<Ticket> &ticket)
{
    Slot *slot = nullptr;
    for (Slot &candidate : slots) {
        if (candidate.ticket == ticket)
            slot = &candidate;
    }
    if (!slot)
        return;
    const std::shared_ptr<Worker> worker = slot->worker;
    worker->cancelStatement();
    const auto stillBusy = [this, worker, ticket, alive = std::weak_ptr<Private *>(self)]() -> Slot * {
        if (alive.expired())
            return nullptr;
        Slot *busy = slotOf(worker);
        return busy && busy->ticket == ticket ? busy : nullptr;
    };
    QTimer::singleShot(cancelGrace, mailbox.get(), [worker, stillBusy] {
        if (stillBusy())
            worker->shutSocket();
    });
    QTimer::singleShot(socketGrace, mailbox.get(), [this, worker, stillBusy] {
        Slot *busy = stillBusy();
        if (!busy)
            return;
        log::warning("database_worker_replaced", {{QStringLiteral("lane"), QLatin1String(laneWord(busy->lane))}});
        worker->quit();
        startWorker(*busy);
    });
}

bool Database::Private::waitForThreads(std::chrono::milliseconds limit)
{
    std::unique_lock lock(threads->mutex);
    return threads->changed.wait_for(lock, limit, [this] { return threads->alive == 0; });
}

} // namespace power::storage
