// schedule_job, list_schedules, delete_schedule: jobs by the clock.
#include "jobs/JobService.h"
#include "jobs/Schedules.h"
#include "operations/Services.h"

namespace power::operations {

namespace {
using ScheduleBody = QCoro::Task<Result<Answer>> (*)(Services *, Caller, QJsonObject);

QJsonValue timeOrNull(const QDateTime &time)
{
    return time.isValid() ? QJsonValue(time.toUTC().toString(Qt::ISODateWithMs)) : QJsonValue();
}

QJsonObject scheduleFacts(const jobs::table::Schedule &schedule)
{
    return {{QStringLiteral("schedule_id"), schedule.id},
            {QStringLiteral("name"), schedule.name},
            {QStringLiteral("session_id"), schedule.job.value(QStringLiteral("session_id"))},
            {QStringLiteral("cron"), schedule.cron.isEmpty() ? QJsonValue() : QJsonValue(schedule.cron)},
            {QStringLiteral("timezone"), schedule.zone},
            {QStringLiteral("missed"), schedule.missed},
            {QStringLiteral("next_run"), timeOrNull(schedule.next)},
            {QStringLiteral("last_run"), timeOrNull(schedule.last)},
            {QStringLiteral("last_job_id"), schedule.lastJob.isEmpty() ? QJsonValue() : QJsonValue(schedule.lastJob)},
            {QStringLiteral("note"), schedule.note}};
}

Unexpected<Error> schedulesAreOff()
{
    return fail(ErrorCode::Forbidden, QStringLiteral("Schedules are switched off on this server."),
                QStringLiteral("The administrator can set ENABLE_SCHEDULES=true."));
}

QCoro::Task<Result<Answer>> scheduleJob(Services *services, Caller caller, QJsonObject arguments)
{
    if (!services->schedules)
        co_return schedulesAreOff();
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    jobs::table::Schedule schedule;
    schedule.principal = caller.principal;
    schedule.slug = caller.slug;
    schedule.name = arguments.value(QStringLiteral("name")).toString();
    schedule.cron = arguments.value(QStringLiteral("cron")).toString();
    schedule.zone = arguments.value(QStringLiteral("timezone")).toString();
    schedule.missed = arguments.value(QStringLiteral("missed")).toString();
    const QString at = arguments.value(QStringLiteral("at")).toString();
    if (schedule.cron.isEmpty() == at.isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("Give one of cron and at."), QStringLiteral("cron=\"30 6 * * mon-fri\" or at=\"2027-01-31T06:30:00Z\"."));
    if (!at.isEmpty()) {
        schedule.next = QDateTime::fromString(at, Qt::ISODate);
        if (!schedule.next.isValid())
            co_return fail(ErrorCode::InvalidArgument, QStringLiteral("\"%1\" is no time.").arg(at.left(40)), QStringLiteral("Use ISO 8601, for example 2027-01-31T06:30:00Z."));
    }
    for (const char *name : {"name", "cron", "timezone", "missed", "at"})
        arguments.remove(QLatin1String(name));
    const Result<Done> hook = completeWebhook(*services, arguments);
    if (!hook)
        co_return Unexpected<Error>{hook.error()};
    arguments.insert(QStringLiteral("options"), jobOptions(caller));
    schedule.job = arguments;
    if (services->sessions.existingWorkspace(*key))
        schedule.home = services->jobs->runner().node();
    const auto added = co_await services->schedules->add(std::move(schedule));
    if (!added)
        co_return Unexpected<Error>{added.error()};
    Answer answer;
    answer.data = scheduleFacts(*added);
    answer.status = 201;
    co_return answer;
}

QCoro::Task<Result<Answer>> listSchedules(Services *services, Caller caller, QJsonObject)
{
    if (!services->schedules)
        co_return schedulesAreOff();
    const QString principal = caller.principal;
    const auto all = co_await services->schedules->list(principal);
    if (!all)
        co_return Unexpected<Error>{all.error()};
    QJsonArray list;
    for (const auto &schedule : *all)
        list.append(scheduleFacts(schedule));
    Answer answer;
    answer.data = {{QStringLiteral("schedules"), list}, {QStringLiteral("count"), list.size()}};
    co_return answer;
}

QCoro::Task<Result<Answer>> deleteSchedule(Services *services, Caller caller, QJsonObject arguments)
{
    if (!services->schedules)
        co_return schedulesAreOff();
    const QString principal = caller.principal;
    const QString name = arguments.value(QStringLiteral("name")).toString();
    const auto gone = co_await services->schedules->remove(principal, name);
    if (!gone)
        co_return Unexpected<Error>{gone.error()};
    Answer answer;
    answer.data = {{QStringLiteral("name"), name}, {QStringLiteral("deleted"), true}};
    co_return answer;
}

Operation scheduleOperation(Services &services, const char *name, const char *title, const char *description, ScheduleBody body)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = QLatin1String(title);
    operation.description = QLatin1String(description);
    operation.scope = QStringLiteral("run");
    operation.toolset = QStringLiteral("extended");
    operation.isTool = services.schedules != nullptr;
    operation.method = [&services, body](Caller caller, QJsonObject arguments) { return body(&services, std::move(caller), std::move(arguments)); };
    return operation;
}

Parameter textParameter(const char *name, const char *description, QJsonValue byDefault = {})
{
    Parameter made;
    made.name = QLatin1String(name);
    made.description = QLatin1String(description);
    made.defaultValue = std::move(byDefault);
    return made;
}
} // namespace

void addScheduleOperations(Registry &registry, Services &services)
{
    Parameter name = textParameter("name", "Name of the schedule.");
    name.required = true;
    name.maximum = 100;
    Parameter missed = textParameter("missed", "Runs missed while no server ran: skip, make up for them once, or all.", QStringLiteral("once"));
    missed.allowed = {QStringLiteral("skip"), QStringLiteral("once"), QStringLiteral("all")};

    Operation add = scheduleOperation(services, "schedule_job", "Schedule a job", "Run Python as a job at a time, or again and again by a cron expression.", scheduleJob);
    add.parameters = {name, textParameter("cron", "Five fields: minute hour day month weekday, e.g. 30 6 * * mon-fri."),
                      textParameter("at", "Or one time, ISO 8601."), textParameter("timezone", "Zone of cron, e.g. Europe/Vienna.", QStringLiteral("UTC")), missed};
    add.choices = {{{QStringLiteral("cron"), QStringLiteral("at")}}};
    for (const Parameter &parameter : submitParameters(services)) {
        static const QStringList fitting{QStringLiteral("code"), QStringLiteral("session_id"), QStringLiteral("timeout"), QStringLiteral("context"),
                                         QStringLiteral("metadata"), QStringLiteral("priority"), QStringLiteral("max_attempts"), QStringLiteral("if_lost"),
                                         QStringLiteral("webhook_url"), QStringLiteral("webhook_secret")};
        if (fitting.contains(parameter.name))
            add.parameters << parameter;
    }
    registry.add(add);

    Operation list = scheduleOperation(services, "list_schedules", "List schedules", "Your schedules with their next and last runs.", listSchedules);
    list.hints = {true, false, true, false};
    registry.add(list);

    Operation remove = scheduleOperation(services, "delete_schedule", "Remove a schedule", "No more jobs are made by it; those made stay.", deleteSchedule);
    remove.parameters = {name};
    remove.hints = {false, true, true, false};
    registry.add(remove);
}

} // namespace power::operations
