// submit_job, get_job_status, get_job_result, list_jobs, cancel_job, and what only REST has of jobs.
#include "operations/InsideTools.h"
#include "operations/JobAnswers.h"
#include "operations/Services.h"
#include "jobs/JobService.h"
#include <QUrl>

namespace power::operations {

namespace {
using Body = QCoro::Task<Result<Answer>> (*)(Services *, Caller, QJsonObject);
constexpr int kLongestWait = 50; // seconds; clients give up after about a minute

const QString kJobId = QStringLiteral("job_id");

} // namespace

Result<Done> completeWebhook(const Services &services, QJsonObject &arguments)
{
    const QString text = arguments.value(QStringLiteral("webhook_url")).toString();
    if (text.isEmpty())
        return Done{};
    const QUrl url(text, QUrl::StrictMode);
    if (!url.isValid() || url.host().isEmpty() || (url.scheme() != u"https" && url.scheme() != u"http"))
        return fail(ErrorCode::InvalidArgument, QStringLiteral("webhook_url must be an http or https URL."));
    if (arguments.value(QStringLiteral("webhook_secret")).toString().isEmpty())
        arguments.insert(QStringLiteral("webhook_secret"), services.webhookSecret);
    if (arguments.value(QStringLiteral("webhook_secret")).toString().isEmpty())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("A webhook must be signed, and there is no secret for it."),
                    QStringLiteral("Send webhook_secret, or let the administrator set WEBHOOK_SECRET."));
    return Done{};
}

namespace {
QCoro::Task<Result<Answer>> submitJob(Services *services, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const Result<Done> hook = completeWebhook(*services, arguments);
    if (!hook)
        co_return Unexpected<Error>{hook.error()};
    jobs::Order order = jobs::orderOf(arguments);
    order.key = *key;
    if (order.code.trimmed().isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("code is empty: there is nothing to run."));
    order.options = jobOptions(caller);
    order.door = caller.door;
    order.inherit = arguments.value(QStringLiteral("inherit")).toBool();
    if (order.inherit && caller.door == u"code")
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("inherit is not possible from inside of code: the session's variables are kept between two cells."),
                       QStringLiteral("Write what the job needs to a file, or submit it outside of code."));
    order.idempotencyKey = arguments.value(QStringLiteral("idempotency_key")).toString();
    if (const QString at = arguments.value(QStringLiteral("run_at")).toString(); !at.isEmpty()) {
        order.notBefore = QDateTime::fromString(at, Qt::ISODate);
        if (!services->schedules)
            co_return fail(ErrorCode::Forbidden, QStringLiteral("Schedules are switched off on this server, run_at among them."),
                           QStringLiteral("The administrator can set ENABLE_SCHEDULES=true."));
        if (!order.notBefore.isValid())
            co_return fail(ErrorCode::InvalidArgument, QStringLiteral("run_at \"%1\" is no time.").arg(at.left(40)),
                           QStringLiteral("Use ISO 8601, for example 2027-01-31T06:30:00Z."));
    }
    const CancelToken cancel = caller.cancel;
    const QString session = key->id;
    const auto submitted = co_await services->jobs->submit(std::move(order), cancel);
    if (!submitted)
        co_return Unexpected<Error>{submitted.error()};
    QString message = submitted->isNew ? QStringLiteral("Job %1 is queued.").arg(submitted->id)
                                       : QStringLiteral("That job was submitted before: %1 is %2.").arg(submitted->id, submitted->state);
    message += QStringLiteral(" get_job_result with wait=30 waits for it.");
    Answer answer;
    answer.data = {{kJobId, submitted->id},
                   {QStringLiteral("status"), jobs::statusOf(submitted->state)},
                   {QStringLiteral("state"), submitted->state},
                   {QStringLiteral("session_id"), session},
                   {QStringLiteral("message"), message}};
    if (!submitted->isNew)
        answer.data.insert(QStringLiteral("existing"), true);
    if (!submitted->inherited.isEmpty())
        answer.data.insert(QStringLiteral("inherited"), submitted->inherited);
    answer.status = submitted->isNew ? 202 : 200;
    co_return answer;
}

QCoro::Task<Result<Answer>> jobStatus(Services *services, Caller caller, QJsonObject arguments)
{
    const QString principal = caller.principal;
    const QString id = arguments.value(kJobId).toString();
    const jobs::table::Part part = jobs::table::Part::Facts;
    const auto job = co_await services->jobs->get(principal, id, part);
    if (!job)
        co_return Unexpected<Error>{job.error()};
    Answer answer;
    answer.data = jobFacts(*job);
    if (job->attempts > 1) {
        const auto attempts = co_await services->jobs->attempts(id);
        if (attempts)
            answer.data.insert(QStringLiteral("attempt_list"), *attempts);
    }
    co_return answer;
}

QCoro::Task<Result<Answer>> jobResult(Services *services, Caller caller, QJsonObject arguments)
{
    const QString principal = caller.principal;
    const QString id = arguments.value(kJobId).toString();
    const std::chrono::milliseconds wait = std::chrono::seconds(arguments.value(QStringLiteral("wait")).toInt());
    const CancelToken cancel = caller.cancel;
    const auto job = co_await services->jobs->await(principal, id, wait, cancel);
    if (!job)
        co_return Unexpected<Error>{job.error()};
    co_return jobAnswer(*job, caller.baseUrl);
}

QCoro::Task<Result<Answer>> cancelJob(Services *services, Caller caller, QJsonObject arguments)
{
    const QString principal = caller.principal;
    const QString id = arguments.value(kJobId).toString();
    const auto job = co_await services->jobs->cancel(principal, id);
    if (!job)
        co_return Unexpected<Error>{job.error()};
    Answer answer;
    answer.data = jobFacts(*job);
    if (!jobs::isFinal(job->state))
        answer.notes << QStringLiteral("The job was asked to end, but its server has not said yet that it did.");
    co_return answer;
}

QCoro::Task<Result<Answer>> listJobs(Services *services, Caller caller, QJsonObject arguments)
{
    jobs::Filter filter;
    filter.principal = caller.principal;
    filter.sessionId = arguments.value(QStringLiteral("session_id")).toString();
    const QString word = arguments.value(QStringLiteral("status")).toString();
    filter.states = word.isEmpty() ? QStringList() : jobs::statesOf(word.toLower());
    if (!word.isEmpty() && filter.states.isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("\"%1\" is no status of a job.").arg(word.left(40)),
                       QStringLiteral("Use pending, running, completed, failed or cancelled; or a state: queued, succeeded, timed_out, interrupted."));
    filter.limit = arguments.value(QStringLiteral("limit")).toInt(50);
    const auto found = co_await services->jobs->list(filter);
    if (!found)
        co_return Unexpected<Error>{found.error()};
    QJsonArray list;
    for (const jobs::Job &job : *found) {
        const bool over = jobs::isFinal(job.state);
        list.append(QJsonObject{{kJobId, job.id},
                                {QStringLiteral("session_id"), job.key.id},
                                {QStringLiteral("status"), jobs::statusOf(job.state)},
                                {QStringLiteral("state"), job.state},
                                {QStringLiteral("submitted_at"), job.submitted.toUTC().toString(Qt::ISODateWithMs)},
                                {QStringLiteral("execution_time_ms"), over && job.executionMs >= 0 ? QJsonValue(job.executionMs) : QJsonValue()},
                                {QStringLiteral("elapsed"), shownSeconds(job.elapsedMs())},
                                {QStringLiteral("has_error"), over && job.state != jobs::state::succeeded}});
    }
    Answer answer;
    answer.data = {{QStringLiteral("jobs"), list}, {QStringLiteral("count"), list.size()}};
    co_return answer;
}

// Live events through the caller's log: "output" {stream, text, offset}, "state" {facts of the job}; the answer is its end.
QCoro::Task<Result<Answer>> followJob(Services *services, Caller caller, QJsonObject arguments)
{
    const QString principal = caller.principal;
    const QString id = arguments.value(kJobId).toString();
    const QString info = QStringLiteral("info");
    jobs::FollowSink sink;
    if (const auto tell = caller.log) {
        sink.output = [tell, info](const QString &kind, const QString &text, qint64 offset) {
            tell(info, QStringLiteral("output"), QJsonObject{{QStringLiteral("stream"), kind}, {QStringLiteral("text"), text}, {QStringLiteral("offset"), offset}});
        };
        sink.changed = [tell, info](const jobs::Job &job) {
            QJsonObject facts = jobFacts(job);
            facts.remove(QStringLiteral("output_tail"));
            tell(info, QStringLiteral("state"), facts);
        };
    }
    const CancelToken stop = caller.cancel;
    const auto job = co_await services->jobs->follow(principal, id, sink, stop);
    if (!job)
        co_return Unexpected<Error>{job.error()};
    co_return jobAnswer(*job, caller.baseUrl);
}

Operation jobOperation(Services &services, const char *name, const char *title, const char *description, Body body)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = QLatin1String(title);
    operation.description = QLatin1String(description);
    operation.scope = QStringLiteral("run");
    operation.toolset = QStringLiteral("jobs");
    operation.method = [&services, body](Caller caller, QJsonObject arguments) { return body(&services, std::move(caller), std::move(arguments)); };
    return operation;
}

Parameter parameter(const char *name, Parameter::Type type, const char *description, QJsonValue byDefault = {}, bool hidden = false)
{
    Parameter made;
    made.name = QLatin1String(name);
    made.type = type;
    made.description = QLatin1String(description);
    made.defaultValue = std::move(byDefault);
    made.hidden = hidden;
    return made;
}

Parameter within(Parameter parameter, int least, int most)
{
    parameter.minimum = least;
    parameter.maximum = most;
    parameter.clamp = true;
    return parameter;
}

Parameter jobIdParameter()
{
    Parameter id = parameter("job_id", Parameter::Type::String, "Id that submit_job gave.");
    id.required = true;
    id.example = QStringLiteral("3f2a9c1e-0f5b-4c1d-9a77-2b1f6f0e8d11");
    return id;
}
} // namespace

QList<Parameter> submitParameters(const Services &services)
{
    using Type = Parameter::Type;
    Parameter code = parameter("code", Type::String, "Python source; it starts without the session's variables unless inherit is true.");
    code.required = true;
    const int longest = services.limits.jobSeconds;
    Parameter lost = parameter("if_lost", Type::String, "What happens when the job's server dies: interrupt ends it, requeue runs it again from its start.",
                               QStringLiteral("interrupt"), true);
    lost.allowed = {QStringLiteral("interrupt"), QStringLiteral("requeue")};
    Parameter key = parameter("idempotency_key", Type::String, "Submitting again with the same key gives the same job.", {}, true);
    key.maximum = 200;
    return {code,
            sessionParameter(),
            within(parameter("timeout", Type::Integer, "Seconds the job may run.", longest), 1, longest),
            parameter("inherit", Type::Boolean, "Begin with a copy of the session's variables as they are now.", false),
            parameter("context", Type::Object, "Variables to set before the run: name -> JSON value.", {}, true),
            parameter("metadata", Type::Object, "Free JSON kept with the job.", {}, true),
            within(parameter("priority", Type::Integer, "Higher runs first.", 0, true), -100, 100),
            within(parameter("max_attempts", Type::Integer, "Runs in all when it fails.", 1, true), 1, 10),
            lost,
            key,
            parameter("run_at", Type::String, "Not before this time (ISO 8601); needs ENABLE_SCHEDULES.", {}, true),
            parameter("webhook_url", Type::String, "Told by a signed POST when the job has ended.", {}, true),
            parameter("webhook_secret", Type::String, "Key of the signature (HMAC-SHA256); default: the server's WEBHOOK_SECRET.", {}, true)};
}

QJsonObject jobOptions(const Caller &caller)
{
    return {{QStringLiteral("base_url"), caller.baseUrl}, {QStringLiteral("scopes"), QJsonArray::fromStringList(caller.scopes)}};
}

void addJobOperations(Registry &registry, Services &services)
{
    using Type = Parameter::Type;
    Operation submit = jobOperation(services, "submit_job", "Run Python in the background",
                                    "Run Python that takes longer than a call may: in a process of its own with every core, beside the session and "
                                    "with its files. Returns a job_id at once; the job outlives this connection and restarts are told.", submitJob);
    submit.parameters = submitParameters(services);
    submit.hints = {false, false, false, false};
    submit.inside = {QStringLiteral("submit_job"), kJobId, QStringLiteral("the id of the job"), {}};
    registry.add(submit);

    Operation status = jobOperation(services, "get_job_status", "Job status", "State, elapsed time, progress and the end of a job's output so far.", jobStatus);
    status.parameters = {jobIdParameter()};
    status.hints = {true, false, true, false};
    status.inside = {QStringLiteral("job_status"), {}, QStringLiteral("a dict: state, elapsed_ms, progress ..."), {}};
    registry.add(status);

    Operation result = jobOperation(services, "get_job_result", "Job result",
                                    "Output, images and file links of a finished job; of a running one the output so far.", jobResult);
    result.parameters = {jobIdParameter(), within(parameter("wait", Type::Integer, "Seconds to wait for its end.", 0), 0, kLongestWait)};
    result.hints = {true, false, true, false};
    result.inside = {QStringLiteral("job_result"), {}, QStringLiteral("a dict: state, stdout, result ..."), {}};
    registry.add(result);

    Operation cancel = jobOperation(services, "cancel_job", "Cancel a job", "End a waiting or running job; its code is stopped.", cancelJob);
    cancel.parameters = {jobIdParameter()};
    cancel.hints = {false, true, true, false};
    cancel.inside = {QStringLiteral("cancel_job"), {}, QStringLiteral("a dict: state ..."), {}};
    registry.add(cancel);

    Operation list = jobOperation(services, "list_jobs", "List jobs", "Your jobs, newest first.", listJobs);
    list.parameters = {parameter("session_id", Type::String, "Only those of this session."),
                       parameter("status", Type::String, "Only those that are pending, running, completed, failed or cancelled."),
                       within(parameter("limit", Type::Integer, "Jobs in one answer.", 50), 1, 200)};
    list.hints = {true, false, true, false};
    registry.add(list);

    Operation follow = jobOperation(services, "follow_job", "Follow a job", "Events of a job until its end, then its result.", followJob);
    follow.parameters = {jobIdParameter()};
    follow.hints = {true, false, true, false};
    follow.isTool = false;
    registry.add(follow);
}

supervisor::CellCall jobTools(const Registry &registry, const jobs::Job &job)
{
    Caller caller;
    caller.principal = job.key.principal;
    caller.slug = job.key.slug;
    caller.baseUrl = job.options.value(QStringLiteral("base_url")).toString();
    for (const QJsonValue &scope : job.options.value(QStringLiteral("scopes")).toArray())
        caller.scopes << scope.toString();
    caller.requestId = job.id.toLatin1();
    return insideTools(registry, std::move(caller), job.key.id);
}

} // namespace power::operations
