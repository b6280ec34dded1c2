// Jobs by the clock: once at a time, or by a cron expression.
#pragma once
#include "jobs/AfterTable.h"
#include "storage/Database.h"
#include <QCoroTask>
#include <QTimer>

namespace power::jobs {

// The runs of a schedule that are due at `now`, and where that leaves it. Runs that fell into a time without a server are
// passed over (missed = skip: those more than two minutes old), made up for by one (once) or each made (all, at most 50).
struct DueRuns {
    QList<QDateTime> times;
    QDateTime next;          // invalid: over
    QString note;            // what was passed over
};
DueRuns dueRuns(const table::Schedule &schedule, const QDateTime &now);

// Schedules: every server looks; a run is made by one of them, in the transaction that moves the schedule on. Thread: the
// event loop's.
class Schedules : public QObject
{
    Q_OBJECT
public:
    Schedules(storage::Database &database, QObject *parent = nullptr);
    void start();

    // Fills in id and next. Errors: InvalidArgument (cron expression, zone, a time that is past), Conflict (name), Busy.
    QCoro::Task<Result<table::Schedule>> add(table::Schedule schedule);
    QCoro::Task<Result<QList<table::Schedule>>> list(QString principal);
    // Errors: NotFound.
    QCoro::Task<Result<Done>> remove(QString principal, QString which);

private:
    QCoro::Task<> work();

    storage::Database &m_database;
    QTimer m_tick;
    bool m_working = false;
};

} // namespace power::jobs
