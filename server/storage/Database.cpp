#include "storage/Database.h"
#include "storage/DatabaseLanes.h"
#include "storage/Migrations.h"
#include <QElapsedTimer>

namespace power::storage {

using namespace std::chrono_literals;

namespace {
QString notPrepared()
{
    return QStringLiteral("The database is just being prepared.");
}
} // namespace

Database::Database(Config config, QObject *parent) : QObject(parent), d(std::make_unique<Private>())
{
    d->q = this;
    d->config = std::move(config);
}

Database::~Database()
{
    d->self.reset();
    for (const Slot &slot : d->slots) {
        slot.worker->quit();
        if (slot.ticket) {
            slot.ticket->work->advance(Work::Running, Work::Abandoned);
            slot.worker->shutSocket();
        }
    }
    // The threads use Qt's driver, which must not be torn down below them.
    d->waitForThreads(3s);
    const Error gone{ErrorCode::Cancelled, QStringLiteral("The server is stopping."), {}, {}};
    for (const Slot &slot : d->slots) {
        if (slot.ticket)
            Private::finish(slot.ticket, Unexpected<Error>{gone});
    }
    for (const auto &[lane, queue] : d->queues) {
        for (const auto &ticket : queue)
            Private::finish(ticket, Unexpected<Error>{gone});
    }
}

QCoro::Task<Result<Done>> Database::start()
{
    const QPointer<Database> alive(this);
    if (d->config.url.isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("There is no database address."));
    d->makeSlots();
    if (!d->connected) {
        OneShot<Done> contact;
        if (d->laneAway(Lane::Short)) // a later start(): the workers try again by themselves
            co_return awayError(d->problem);
        d->firstContact += contact;
        const std::chrono::milliseconds limit = d->config.connectTimeout + 2s;
        const Result<Done> reached = co_await contact.wait(limit);
        if (!alive)
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
        if (!reached)
            co_return reached.error().code == ErrorCode::Timeout ? awayError(d->problem) : Unexpected<Error>{reached.error()};
    }
    const std::chrono::milliseconds limit = 10min;
    for (const Migration &migration : migrations()) {
        Job<Done> step = [migration](QSqlDatabase &connection) { return applyMigration(connection, migration); };
        const Result<Done> applied = co_await run<Done>(Lane::Bulk, limit, std::move(step));
        if (!applied || !alive)
            co_return applied;
    }
    Job<Done> last = [](QSqlDatabase &connection) { return finishMigrations(connection); };
    const Result<Done> finished = co_await run<Done>(Lane::Bulk, limit, std::move(last));
    if (finished && alive && !std::exchange(d->prepared, true) && d->connected)
        Q_EMIT connectedChanged(true);
    co_return finished;
}

QCoro::Task<> Database::stop()
{
    const QPointer<Database> alive(this);
    d->stopping = true;
    for (const Lane lane : {Lane::Control, Lane::Listen, Lane::Short, Lane::Bulk, Lane::Files})
        d->failQueue(lane);
    for (const Slot &slot : d->slots)
        slot.worker->quit();
    // Running jobs may end; then they are cut off.
    QElapsedTimer clock;
    clock.start();
    while (alive && !d->waitForThreads(0ms) && clock.elapsed() < 5'000) {
        if (clock.elapsed() > 2'000) {
            for (const Slot &slot : d->slots)
                slot.worker->shutSocket();
        }
        const std::chrono::milliseconds step = 10ms;
        OneShot<Done> never;
        const Result<Done> waited = co_await never.wait(step);
        Q_UNUSED(waited)
    }
}

void Database::setUrl(QString url)
{
    d->config.url = std::move(url);
}

QString Database::url() const { return d->config.url; }
bool Database::isConnected() const { return d->connected && d->prepared; }

QString Database::lastProblem() const
{
    if (d->connected && !d->prepared)
        return notPrepared();
    return d->connected ? QString() : d->problem;
}

QString Database::serverVersion() const { return d->version; }

void Database::listen(const QString &channel)
{
    if (d->channels.contains(channel))
        return;
    d->channels += channel;
    for (const Slot &slot : d->slots) {
        if (slot.lane == Lane::Listen)
            slot.worker->listen(channel);
    }
}

OneShot<std::any> Database::post(Lane lane, std::chrono::milliseconds deadline, AnyJob job, CancelToken token)
{
    const auto ticket = std::make_shared<Ticket>();
    const OneShot<std::any> shot = ticket->shot;
    if (d->stopping) {
        shot.resolve(fail(ErrorCode::Unavailable, QStringLiteral("The server is stopping.")));
        return shot;
    }
    // Tables may be missing, or be those of an older server: only the migrations themselves may go in.
    const bool tooEarly = !d->prepared && lane != Lane::Bulk;
    if (tooEarly || d->slots.empty() || d->laneAway(lane)) {
        shot.resolve(awayError(tooEarly && d->connected ? notPrepared() : d->problem));
        return shot;
    }
    ticket->work = std::make_shared<Work>();
    ticket->work->job = std::move(job);
    ticket->lane = lane;
    const std::weak_ptr<Ticket> weak = ticket;
    const auto giveUp = [this, weak](ErrorCode code, const QString &message, const QString &next) {
        if (const auto held = weak.lock())
            d->giveUp(held, Error{code, message, next, {}});
    };
    ticket->timer = std::make_unique<QTimer>();
    ticket->timer->setSingleShot(true);
    QObject::connect(ticket->timer.get(), &QTimer::timeout, this, [giveUp, weak] {
        if (const auto held = weak.lock()) {
            // The timer must outlive its own signal.
            if (auto timer = std::move(held->timer))
                timer.release()->deleteLater();
        }
        giveUp(ErrorCode::Timeout, QStringLiteral("The database did not answer in time."), QStringLiteral("Try again in a moment."));
    });
    ticket->timer->start(std::max(deadline, 1ms));
    ticket->cancel = token.onCancel([giveUp, guard = QPointer<Database>(this)] {
        if (guard)
            giveUp(ErrorCode::Cancelled, QStringLiteral("The call was cancelled."), {});
    });
    if (shot.isResolved()) // cancelled before it began
        return shot;
    d->queues[lane].push_back(ticket);
    d->dispatch(lane);
    return shot;
}

} // namespace power::storage
