#include "jobs/Schedules.h"
#include "base/Ids.h"
#include "base/Log.h"
#include "jobs/Cron.h"
#include "jobs/JobTable.h"
#include <QPointer>

namespace power::jobs {

using namespace std::chrono_literals;
using table::Schedule;

namespace {
constexpr std::chrono::milliseconds kTableTime = 5s;
constexpr std::chrono::milliseconds kRunsTime = 30s; // after a long time without a server there may be many
constexpr int kMostAtOnce = 20;
constexpr int kMostMadeUp = 50;
constexpr int kLate = 120; // seconds

QTimeZone zoneOf(const Schedule &schedule)
{
    return QTimeZone(schedule.zone.toLatin1());
}

Result<Done> makeRuns(QSqlDatabase &connection)
{
    const auto due = table::dueSchedules(connection, kMostAtOnce);
    if (!due)
        return Unexpected<Error>{due.error()};
    for (Schedule schedule : *due) {
        const DueRuns runs = dueRuns(schedule, QDateTime::currentDateTimeUtc());
        schedule.note = runs.note;
        for (const QDateTime &time : runs.times) {
            table::Insertion insertion;
            insertion.id = newUuid();
            insertion.home = schedule.home;
            insertion.order = orderOf(schedule.job);
            insertion.order.key.principal = schedule.principal;
            insertion.order.key.slug = schedule.slug;
            insertion.order.door = QStringLiteral("schedule");
            insertion.order.scheduleId = schedule.id;
            insertion.order.scheduledFor = time;
            insertion.order.notBefore = {};
            const auto made = table::insert(connection, insertion);
            if (made)
                schedule.lastJob = made->id;
            else if (made.error().code == ErrorCode::Busy)
                schedule.note = made.error().message;
            else if (made.error().code != ErrorCode::Conflict)
                return Unexpected<Error>{made.error()};
            schedule.last = time;
        }
        schedule.next = runs.next;
        const auto moved = table::moveSchedule(connection, schedule);
        if (!moved)
            return moved;
    }
    return Done{};
}
} // namespace

DueRuns dueRuns(const Schedule &schedule, const QDateTime &now)
{
    DueRuns due;
    if (schedule.cron.isEmpty()) {
        due.times << schedule.next;
    } else {
        const auto cron = Cron::parse(schedule.cron);
        const QTimeZone zone = zoneOf(schedule);
        if (!cron || !zone.isValid()) {
            due.note = QStringLiteral("The expression or time zone is not understood any more.");
            return due;
        }
        QDateTime time = schedule.next;
        for (int i = 0; time.isValid() && time <= now && i < 10'000; ++i) {
            due.times << time;
            time = cron->next(time, zone);
        }
        due.next = time.isValid() && time <= now ? cron->next(now, zone) : time;
    }
    const qsizetype all = due.times.size();
    if (schedule.missed == u"skip")
        due.times.removeIf([&now](const QDateTime &time) { return time.secsTo(now) > kLate; });
    else if (schedule.missed == u"once")
        due.times = due.times.last(std::min<qsizetype>(1, all));
    else
        due.times = due.times.last(std::min<qsizetype>(kMostMadeUp, all));
    if (due.times.size() < all)
        due.note = QStringLiteral("%1 runs were missed and passed over.").arg(all - due.times.size());
    return due;
}

Schedules::Schedules(storage::Database &database, QObject *parent) : QObject(parent), m_database(database)
{
    connect(&m_tick, &QTimer::timeout, this, [this] { work(); });
}

void Schedules::start()
{
    m_tick.start(1s);
    work();
}

QCoro::Task<> Schedules::work()
{
    if (m_working || !m_database.isConnected())
        co_return;
    m_working = true;
    const QPointer<Schedules> self(this);
    storage::Job<Done> job = makeRuns;
    const storage::Lane lane = storage::Lane::Short;
    const Result<Done> done = co_await m_database.run<Done>(lane, kRunsTime, std::move(job));
    if (!self)
        co_return;
    m_working = false;
    if (!done)
        log::warning("schedules_not_run", {{QStringLiteral("reason"), done.error().message}});
}

QCoro::Task<Result<Schedule>> Schedules::add(Schedule schedule)
{
    const QDateTime now = QDateTime::currentDateTimeUtc();
    if (!zoneOf(schedule).isValid())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("There is no time zone \"%1\".").arg(schedule.zone.left(60)),
                       QStringLiteral("Use a name like Europe/Vienna, or UTC."));
    if (!schedule.cron.isEmpty()) {
        const auto cron = Cron::parse(schedule.cron);
        if (!cron)
            co_return Unexpected<Error>{cron.error()};
        schedule.next = cron->next(now, zoneOf(schedule));
    }
    if (!schedule.next.isValid() || (schedule.cron.isEmpty() && schedule.next < now.addSecs(-kLate)))
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("There is no such time to come."));
    schedule.id = newUuid();
    schedule.created = now;
    storage::Job<Done> job = [schedule](QSqlDatabase &connection) { return table::addSchedule(connection, schedule); };
    const storage::Lane lane = storage::Lane::Short;
    const Result<Done> added = co_await m_database.run<Done>(lane, kTableTime, std::move(job));
    if (!added)
        co_return Unexpected<Error>{added.error()};
    co_return schedule;
}

QCoro::Task<Result<QList<Schedule>>> Schedules::list(QString principal)
{
    storage::Job<QList<Schedule>> job = [principal](QSqlDatabase &connection) { return table::listSchedules(connection, principal); };
    const storage::Lane lane = storage::Lane::Short;
    Result<QList<Schedule>> all = co_await m_database.run<QList<Schedule>>(lane, kTableTime, std::move(job));
    co_return all;
}

QCoro::Task<Result<Done>> Schedules::remove(QString principal, QString which)
{
    storage::Job<bool> job = [principal, which](QSqlDatabase &connection) { return table::removeSchedule(connection, which, principal); };
    const storage::Lane lane = storage::Lane::Short;
    const Result<bool> gone = co_await m_database.run<bool>(lane, kTableTime, std::move(job));
    if (!gone)
        co_return Unexpected<Error>{gone.error()};
    if (!*gone)
        co_return fail(ErrorCode::NotFound, QStringLiteral("There is no schedule '%1'.").arg(which.left(60)), QStringLiteral("list_schedules shows them."));
    co_return Done{};
}

} // namespace power::jobs
