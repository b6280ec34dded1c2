// The SQL of webhooks and schedules: what happens after a job, and what makes jobs. Runs inside of a storage job.
#pragma once
#include "jobs/Job.h"
#include <QSqlDatabase>

namespace power::jobs::table {

struct Delivery {
    Job job;
    Webhook hook;
    int attempt = 0;
};
constexpr int kMostDeliveries = 8;     // attempts, over about a quarter of an hour
// What is due; nobody else gets it within the next minute.
Result<QList<Delivery>> takeDeliveries(QSqlDatabase &connection, int most);
// An empty problem: delivered.
Result<Done> noteDelivery(QSqlDatabase &connection, const QString &job, int attempt, const QString &problem);

struct Schedule {
    QString id, name, principal, slug;
    QString cron, zone, missed;        // cron empty: once
    QJsonObject job;                   // arguments of submit_job
    QString home;
    QDateTime created, next, last;     // next invalid: over
    QString lastJob, note;
};
// Errors: Conflict (the name is taken), Busy (too many).
Result<Done> addSchedule(QSqlDatabase &connection, const Schedule &schedule);
Result<QList<Schedule>> listSchedules(QSqlDatabase &connection, const QString &principal);
// By name or id. False: there is none.
Result<bool> removeSchedule(QSqlDatabase &connection, const QString &which, const QString &principal);
// Due ones, locked for this transaction: other servers pass over them.
Result<QList<Schedule>> dueSchedules(QSqlDatabase &connection, int most);
Result<Done> moveSchedule(QSqlDatabase &connection, const Schedule &schedule);

} // namespace power::jobs::table
