// execute_code: one cell in a session's kernel.
#include "operations/InsideTools.h"
#include "operations/RunText.h"
#include "operations/Services.h"

namespace power::operations {

namespace {
Answer answerOf(const Services &services, const sessions::RunReport &report, const QString &baseUrl)
{
    Answer answer;
    answer.blocks = runBlocks(report, baseUrl);
    answer.data = runData(report, baseUrl);
    answer.data.insert(QStringLiteral("sandbox_tier"), services.kernels.tier().tier);
    if (services.kernels.tier().layers.value(QStringLiteral("cgroup")).toBool())
        answer.data.insert(QStringLiteral("sandbox_cgroup"), true);
    answer.userError = report.outcome.status != supervisor::RunStatus::Ok;
    return answer;
}

// What the client's log is told of a run; the answer says it as well.
void logRun(const Caller &caller, const sessions::RunReport &report, const QString &sessionId)
{
    if (!caller.log)
        return;
    const QString logger = QStringLiteral("sessions");
    const auto facts = [&](const QString &text) { return QJsonObject{{QStringLiteral("session_id"), sessionId}, {QStringLiteral("message"), text}}; };
    if (!report.kernelNote.isEmpty() && !report.sessionIsNew)
        caller.log(QStringLiteral("warning"), logger, facts(report.kernelNote));
    if (report.queuePosition > 0)
        caller.log(QStringLiteral("info"), logger,
                   facts(QStringLiteral("waited %1 ms for its turn").arg(report.queuedFor.count())));
    if (const auto &outcome = report.outcome; outcome.status != supervisor::RunStatus::Ok)
        caller.log(outcome.variablesSurvived ? QStringLiteral("notice") : QStringLiteral("error"), logger,
                   facts(outcome.cause.isEmpty() ? outcome.errorName : outcome.cause + u' ' + outcome.limit));
    caller.log(QStringLiteral("debug"), logger,
               facts(QStringLiteral("run %1 took %2 ms").arg(report.runId).arg(report.outcome.duration.count() / 1000)));
}

// Until the run is over or its code asks for input; then the answer is what the client must ask.
QCoro::Task<Result<Answer>> attendRun(Services *services, Caller caller, HeldRunPtr run)
{
    const QString baseUrl = caller.baseUrl;
    QCoro::Task<> attending = services->held.attend(run, caller);
    co_await attending;
    Answer answer;
    if (!run->report) {
        answer.need = services->held.need(run);
        co_return answer;
    }
    services->held.forget(run);
    const Result<sessions::RunReport> report = std::move(*run->report);
    if (!report)
        co_return Unexpected<Error>{report.error()};
    logRun(caller, *report, run->sessionId);
    answer = answerOf(*services, *report, baseUrl);
    co_return answer;
}

// The call that brings the user's answer.
QCoro::Task<Result<Answer>> resumeRun(Services *services, Caller caller)
{
    const QString id = caller.inputState.value(QStringLiteral("run")).toString();
    const int number = caller.inputState.value(QStringLiteral("number")).toInt();
    const HeldRunPtr run = services->held.find(id, caller.principal);
    if (!run)
        co_return fail(ErrorCode::Gone,
                       QStringLiteral("The run that asked is over, or waits elsewhere: nobody answered in time, the server was restarted, or "
                                      "another server got this call."),
                       QStringLiteral("Run the code again, or put the value into it."));
    if (run->attended)
        co_return fail(ErrorCode::Conflict, QStringLiteral("This question was answered already; another call waits for the run."));
    // No answer in it: ask again. An old question: the run has gone on, so see what it does.
    if (!HeldRuns::answer(run, number, caller.inputResponses.value(QStringLiteral("input")).toObject()) && run->question) {
        Answer again;
        again.need = services->held.need(run);
        co_return again;
    }
    QCoro::Task<Result<Answer>> attending = attendRun(services, std::move(caller), run);
    Result<Answer> answer = co_await attending;
    co_return answer;
}

// Printed text and what the code itself tells are one progress: once it told how far it is, text goes along with that.
void hearProgress(sessions::RunCall &call, const std::function<void(double, double, const QString &)> &progress)
{
    const auto told = std::make_shared<std::pair<double, double>>(-1.0, -1.0);
    call.progress = [progress, told](const QString &text) { progress(told->first, told->second, text); };
    call.report = [progress, told](double done, double total, const QString &text) {
        *told = {done, total};
        progress(done, total, text);
    };
}

QCoro::Task<Result<Answer>> executeCode(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    if (caller.inputState.contains(QStringLiteral("run"))) {
        QCoro::Task<Result<Answer>> resuming = resumeRun(services, std::move(caller));
        Result<Answer> answer = co_await resuming;
        co_return answer;
    }
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    sessions::RunCall call;
    call.key = *key;
    call.door = caller.door;
    call.code = arguments.value(QStringLiteral("code")).toString().toUtf8();
    if (call.code.trimmed().isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("code is empty: there is nothing to run."),
                       QStringLiteral("Send Python source, e.g. {\"code\": \"print(1 + 1)\"}."));
    call.timeout = std::chrono::seconds(arguments.value(QStringLiteral("timeout")).toInt(120));
    call.context = arguments.value(QStringLiteral("context")).toObject();
    call.tools = insideTools(*registry, caller, key->id);
    if (caller.progress)
        hearProgress(call, caller.progress);
    if (canElicit(caller)) {
        const auto start = [services](sessions::RunCall one) { return services->sessions.run(std::move(one)); };
        const HeldRunPtr run = services->held.begin(start, std::move(call));
        QCoro::Task<Result<Answer>> attending = attendRun(services, std::move(caller), run);
        Result<Answer> answer = co_await attending;
        co_return answer;
    }
    call.cancel = caller.cancel;

    auto report = co_await services->sessions.run(std::move(call));
    if (!report)
        co_return Unexpected<Error>{report.error()};
    logRun(caller, *report, key->id);
    co_return answerOf(*services, *report, caller.baseUrl);
}
} // namespace

void addExecuteOperations(Registry &registry, Services &services)
{
    Operation operation;
    operation.name = QStringLiteral("execute_code");
    operation.title = QStringLiteral("Run Python");
    operation.description = QStringLiteral(
        "Run Python in a persistent, sandboxed session, as in Jupyter: variables, imports and files stay between calls "
        "of one session_id; the last expression is shown; figures come back as images; written files as download links. "
        "pandas, numpy, matplotlib, scipy, scikit-learn, statsmodels, plotly, duckdb, openpyxl and more are installed "
        "(pd, np, plt are imported). Working directory: /app/sandbox_data/{session_id}. No internet inside: bring files in "
        "with fetch_from_url or upload_file.");
    Parameter code;
    code.name = QStringLiteral("code");
    code.description = QStringLiteral("Python source. %magics, !shell and top-level await work.");
    code.required = true;
    Parameter timeout;
    timeout.name = QStringLiteral("timeout");
    timeout.type = Parameter::Type::Integer;
    timeout.description = QStringLiteral("Seconds after which the run is interrupted; variables survive. At most %1.")
                              .arg(services.limits.maxExecutionSeconds);
    timeout.defaultValue = qMin(120, services.limits.maxExecutionSeconds);
    timeout.minimum = 1;
    timeout.maximum = services.limits.maxExecutionSeconds;
    timeout.clamp = true;
    Parameter context;
    context.name = QStringLiteral("context");
    context.type = Parameter::Type::Object;
    context.description = QStringLiteral("Variables to set before the run: name -> JSON value.");
    context.hidden = true;
    operation.parameters = {code, sessionParameter(), timeout, context};
    operation.hints = {false, false, false, false};
    operation.scope = QStringLiteral("run");
    operation.toolset = QStringLiteral("core");
    operation.task = Operation::Task::Optional;
    operation.taskAfterMs = 10'000; // clients give up after a minute or so; most cells are over by then
    operation.emptyArgumentsText = QStringLiteral(
        "The arguments of this call were lost (usually because the output tokens ran out). Do not repeat the same call. "
        "Send a shorter snippet: {\"code\": \"...\", \"session_id\": \"default\"}; build long programs in steps, write one "
        "file per call, and keep results in variables between calls. If it happens again, start a fresh chat.");
    operation.method = [&services, known = &registry](Caller caller, QJsonObject arguments) {
        return executeCode(&services, known, std::move(caller), std::move(arguments));
    };
    registry.add(std::move(operation));
}

} // namespace power::operations
