#include "jobs/AfterTable.h"
#include "storage/Sql.h"
#include <QJsonDocument>

namespace power::jobs::table {

using storage::query;

namespace {
constexpr int kMostSchedules = 200; // of one principal

const char *const kScheduleColumns = "id, name, principal, slug, cron, zone, missed, template, home, created_at, next_at, last_at, last_job, last_note";

Schedule scheduleOf(const storage::Rows &rows, int row)
{
    Schedule schedule;
    schedule.id = rows.text(row, 0);
    schedule.name = rows.text(row, 1);
    schedule.principal = rows.text(row, 2);
    schedule.slug = rows.text(row, 3);
    schedule.cron = rows.text(row, 4);
    schedule.zone = rows.text(row, 5);
    schedule.missed = rows.text(row, 6);
    schedule.job = QJsonDocument::fromJson(rows.text(row, 7).toUtf8()).object();
    schedule.home = rows.text(row, 8);
    schedule.created = rows.time(row, 9);
    schedule.next = rows.time(row, 10);
    schedule.last = rows.time(row, 11);
    schedule.lastJob = rows.text(row, 12);
    schedule.note = rows.text(row, 13);
    return schedule;
}

QVariant textOrNone(const QString &text)
{
    return text.isEmpty() ? QVariant() : QVariant(text);
}

QVariant timeOrNone(const QDateTime &time)
{
    return time.isValid() ? QVariant(time) : QVariant();
}
} // namespace

Result<QList<Delivery>> takeDeliveries(QSqlDatabase &connection, int most)
{
    const auto rows = query(connection,
                            "WITH due AS (SELECT job_id FROM power.job_webhooks WHERE next_at <= clock_timestamp() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED), "
                            "taken AS (UPDATE power.job_webhooks w SET attempts = w.attempts + 1, next_at = clock_timestamp() + interval '1 minute' "
                            "FROM due WHERE w.job_id = due.job_id RETURNING w.job_id, w.url, w.secret, w.attempts) "
                            "SELECT j.id, t.url, t.secret, t.attempts, j.session_id, j.state, j.cause, j.submitted_at, j.started_at, j.completed_at, j.attempts, "
                            "j.execution_ms, j.error_message, j.metadata, j.options FROM taken t JOIN power.jobs j ON j.id = t.job_id",
                            {most});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QList<Delivery> list;
    for (int row = 0; row < rows->size(); ++row) {
        Delivery one;
        one.job.id = rows->text(row, 0);
        one.hook = {rows->text(row, 1), rows->text(row, 2)};
        one.attempt = int(rows->number(row, 3));
        one.job.key.id = rows->text(row, 4);
        one.job.state = rows->text(row, 5);
        one.job.cause = rows->text(row, 6);
        one.job.submitted = rows->time(row, 7);
        one.job.started = rows->time(row, 8);
        one.job.completed = rows->time(row, 9);
        one.job.attempts = int(rows->number(row, 10));
        one.job.executionMs = rows->isNull(row, 11) ? -1 : rows->number(row, 11);
        one.job.errorMessage = rows->text(row, 12);
        one.job.metadata = QJsonDocument::fromJson(rows->text(row, 13).toUtf8()).object();
        one.job.options = rows->json(row, 14);
        list << one;
    }
    return list;
}

Result<Done> noteDelivery(QSqlDatabase &connection, const QString &job, int attempt, const QString &problem)
{
    const auto noted = query(connection,
                             "UPDATE power.job_webhooks SET last_problem = $3, delivered_at = CASE WHEN $3 = '' THEN clock_timestamp() END, "
                             "failed_at = CASE WHEN $3 <> '' AND attempts >= $4 THEN clock_timestamp() END, "
                             "next_at = CASE WHEN $3 <> '' AND attempts < $4 THEN clock_timestamp() + LEAST(600, 2 * power(2, attempts)) * interval '1 second' END "
                             "WHERE job_id = $1 AND attempts = $2",
                             {job, attempt, problem.left(500), kMostDeliveries});
    if (!noted)
        return Unexpected<Error>{noted.error()};
    return Done{};
}

Result<Done> addSchedule(QSqlDatabase &connection, const Schedule &schedule)
{
    const auto count = query(connection, "SELECT count(*) FROM power.job_schedules WHERE principal = $1", {schedule.principal});
    if (!count)
        return Unexpected<Error>{count.error()};
    if (count->number(0, 0) >= kMostSchedules)
        return fail(ErrorCode::Busy, QStringLiteral("There are %1 schedules already.").arg(kMostSchedules), QStringLiteral("Remove some of them."));
    const auto made = query(connection,
                            "INSERT INTO power.job_schedules (id, name, principal, slug, cron, zone, missed, template, home, next_at) "
                            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (principal, name) DO NOTHING RETURNING id",
                            {schedule.id, schedule.name, schedule.principal, schedule.slug, textOrNone(schedule.cron), schedule.zone, schedule.missed,
                             QString::fromUtf8(QJsonDocument(schedule.job).toJson(QJsonDocument::Compact)), textOrNone(schedule.home), schedule.next});
    if (!made)
        return Unexpected<Error>{made.error()};
    if (made->isEmpty())
        return fail(ErrorCode::Conflict, QStringLiteral("There is a schedule '%1' already.").arg(schedule.name), QStringLiteral("Choose another name, or remove that one first."));
    return Done{};
}

Result<QList<Schedule>> listSchedules(QSqlDatabase &connection, const QString &principal)
{
    const QByteArray sql = QByteArray("SELECT ") + kScheduleColumns + " FROM power.job_schedules WHERE principal = $1 ORDER BY next_at NULLS LAST, name";
    const auto rows = query(connection, sql.constData(), {principal});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QList<Schedule> list;
    for (int row = 0; row < rows->size(); ++row)
        list << scheduleOf(*rows, row);
    return list;
}

Result<bool> removeSchedule(QSqlDatabase &connection, const QString &which, const QString &principal)
{
    const auto gone = query(connection, "DELETE FROM power.job_schedules WHERE principal = $2 AND (name = $1 OR id::text = $1)", {which, principal});
    if (!gone)
        return Unexpected<Error>{gone.error()};
    return gone->affected() > 0;
}

Result<QList<Schedule>> dueSchedules(QSqlDatabase &connection, int most)
{
    const QByteArray sql = QByteArray("SELECT ") + kScheduleColumns
                           + " FROM power.job_schedules WHERE next_at <= clock_timestamp() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED";
    const auto rows = query(connection, sql.constData(), {most});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QList<Schedule> list;
    for (int row = 0; row < rows->size(); ++row)
        list << scheduleOf(*rows, row);
    return list;
}

Result<Done> moveSchedule(QSqlDatabase &connection, const Schedule &schedule)
{
    const auto moved = query(connection, "UPDATE power.job_schedules SET next_at = $2, last_at = $3, last_job = COALESCE($4, last_job), last_note = $5 WHERE id = $1",
                             {schedule.id, timeOrNone(schedule.next), timeOrNone(schedule.last), textOrNone(schedule.lastJob), schedule.note});
    if (!moved)
        return Unexpected<Error>{moved.error()};
    return Done{};
}

} // namespace power::jobs::table
