// list_runs, get_run, export_session: what was run in a session.
#include "base/Offload.h"
#include "operations/Arrival.h"
#include "operations/RunText.h"
#include "operations/Services.h"
#include "sessions/Notebook.h"
#include "sessions/SessionRecords.h"
#include <QJsonArray>

namespace power::operations {

namespace {
constexpr int kShownCode = 400;                 // characters of the code in a list
constexpr qint64 kMostExported = 40ll << 20;    // bytes of records in one export: it must fit a download link

QJsonObject runSummary(const sessions::RunRow &run)
{
    return {{QStringLiteral("number"), run.number},
            {QStringLiteral("run_id"), run.id},
            {QStringLiteral("started_at"), run.started.toUTC().toString(Qt::ISODateWithMs)},
            {QStringLiteral("status"), run.status},
            {QStringLiteral("success"), run.status == u"ok"},
            {QStringLiteral("cause"), run.cause.isEmpty() ? QJsonValue() : QJsonValue(run.cause)},
            {QStringLiteral("error"), run.errorName.isEmpty() ? QJsonValue() : QJsonValue(run.errorName)},
            {QStringLiteral("execution_time_ms"), run.durationMs},
            {QStringLiteral("execution_count"), run.executionCount},
            {QStringLiteral("principal"), run.principal},
            {QStringLiteral("door"), run.door},
            {QStringLiteral("code"), run.code.left(kShownCode)},
            {QStringLiteral("code_complete"), run.code.size() <= kShownCode && !run.facts.contains(QStringLiteral("code_cut"))},
            {QStringLiteral("files_read"), run.inputs},
            {QStringLiteral("files_written"), run.files}};
}

// Text and images of the outputs for a model.
void addOutputs(const QJsonArray &outputs, QList<Block> &blocks, QString &text)
{
    for (const QJsonValue &value : outputs) {
        const QJsonObject output = value.toObject();
        const QString type = output.value(QStringLiteral("output_type")).toString();
        const QJsonObject data = output.value(QStringLiteral("data")).toObject();
        if (type == u"stream")
            text += output.value(QStringLiteral("text")).toString();
        else if (type == u"error")
            text += output.value(QStringLiteral("ename")).toString() + QStringLiteral(": ") + output.value(QStringLiteral("evalue")).toString();
        else
            text += data.value(QStringLiteral("text/plain")).toString();
        if (!text.isEmpty() && !text.endsWith(u'\n'))
            text += u'\n';
        const QByteArray png = QByteArray::fromBase64(data.value(QStringLiteral("image/png")).toString().toLatin1());
        if (png.isEmpty())
            continue;
        Block image;
        image.kind = Block::Kind::Image;
        image.text = QStringLiteral("image of an output");
        image.data = png;
        image.mime = "image/png";
        blocks << image;
    }
}

QCoro::Task<Result<Answer>> listRuns(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    const int limit = arguments.value(QStringLiteral("limit")).toInt(20);
    const qint64 offset = arguments.value(QStringLiteral("offset")).toInteger();
    auto page = co_await services->records.runs(named, limit, offset);
    if (!page)
        co_return Unexpected<Error>{page.error()};
    if (page->total == 0) {
        auto known = co_await services->sessions.get(named);
        if (!known)
            co_return Unexpected<Error>{known.error()};
    }
    QJsonArray list;
    for (const sessions::RunRow &run : std::as_const(page->runs))
        list.append(runSummary(run));
    Answer answer;
    answer.data = {{QStringLiteral("session_id"), named.id},
                   {QStringLiteral("runs"), list},
                   {QStringLiteral("count"), list.size()},
                   {QStringLiteral("total_count"), page->total},
                   {QStringLiteral("limit"), limit},
                   {QStringLiteral("offset"), offset},
                   {QStringLiteral("has_more"), offset + list.size() < page->total}};
    co_return answer;
}

QCoro::Task<Result<Answer>> getRun(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    const QString wanted = arguments.value(QStringLiteral("run")).toString();
    auto found = co_await services->records.run(named, wanted);
    if (!found)
        co_return Unexpected<Error>{found.error()};
    if (!*found)
        co_return fail(ErrorCode::NotFound, QStringLiteral("Session '%1' has no run %2 in its history.").arg(named.id, wanted.left(60)),
                       QStringLiteral("list_runs shows the runs that are kept; older ones are removed by number, size and age."));
    const sessions::RunRow &run = **found;
    Answer answer;
    answer.data = runSummary(run);
    answer.data.insert(QStringLiteral("code"), run.code);
    answer.data.insert(QStringLiteral("code_complete"), !run.facts.contains(QStringLiteral("code_cut")));
    answer.data.insert(QStringLiteral("context"), run.context.isEmpty() ? QJsonValue() : QJsonValue(run.context));
    answer.data.insert(QStringLiteral("error_message"), run.errorValue.isEmpty() ? QJsonValue() : QJsonValue(run.errorValue));
    answer.data.insert(QStringLiteral("facts"), run.facts);
    answer.data.insert(QStringLiteral("calls"), run.calls);
    answer.data.insert(QStringLiteral("outputs"), run.outputs);
    QString text;
    QList<Block> images;
    addOutputs(run.outputs, images, text);
    Block body;
    body.text = QStringLiteral("Run %1 of session %2, %3, %4 ms: %5%6\n\n%7\n\nOutput:\n%8")
                    .arg(run.number).arg(named.id, run.started.toUTC().toString(Qt::ISODate)).arg(run.durationMs)
                    .arg(run.status, run.cause.isEmpty() ? QString() : QStringLiteral(", ") + run.cause, run.code,
                         text.isEmpty() ? QStringLiteral("(none)") : text);
    answer.blocks << body << images;
    co_return answer;
}

QCoro::Task<Result<Answer>> exportSession(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    auto known = co_await services->sessions.get(named);
    if (!known)
        co_return Unexpected<Error>{known.error()};
    const bool script = arguments.value(QStringLiteral("format")).toString() == u"py";
    const QString wanted = arguments.value(QStringLiteral("filename")).toString();
    const QString name = wanted.isEmpty() ? named.id + (script ? QStringLiteral(".py") : QStringLiteral(".ipynb")) : wanted;
    auto runs = co_await services->records.history(named, kMostExported);
    if (!runs)
        co_return Unexpected<Error>{runs.error()};
    const sessions::ExportFacts facts{named.id, services->kernels.zygoteReport().value(QStringLiteral("python")).toString(),
                                      QDateTime::currentDateTimeUtc()};
    std::function<Result<QByteArray>()> make = [facts, script, list = *runs]() -> Result<QByteArray> {
        return script ? sessions::scriptOf(facts, list) : sessions::notebookOf(facts, list);
    };
    auto content = co_await offload<QByteArray>(std::move(make));
    const Result<Destination> to = destinationOf(services, caller, named.id, name);
    if (!to)
        co_return Unexpected<Error>{to.error()};
    const Destination destination = *to;
    const QByteArray bytes = *content;
    const QString baseUrl = caller.baseUrl;
    const Result<Arrival> arrival = co_await arriveWith(services, baseUrl, destination, bytes);
    if (!arrival)
        co_return Unexpected<Error>{arrival.error()};
    QJsonObject data = arrival->info;
    data.insert(QStringLiteral("format"), script ? QStringLiteral("py") : QStringLiteral("ipynb"));
    data.insert(QStringLiteral("runs"), runs->size());
    data.remove(QStringLiteral("preview"));
    const QString link = arrival->stored ? QStringLiteral("Download URL: ") + baseUrl + arrival->stored->downloadPath() : arrival->note;
    co_return textAnswer(QStringLiteral("%1 runs of session %2 as %3 (%4)\n%5")
                             .arg(runs->size()).arg(named.id, destination.space->insidePath() + u'/' + destination.name, humanSize(arrival->facts.size), link),
                         data);
}

using RunBody = QCoro::Task<Result<Answer>> (*)(Services *, Caller, QJsonObject);
Operation historyOperation(Services &services, const char *name, const char *title, const char *description, RunBody body)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = QLatin1String(title);
    operation.description = QLatin1String(description);
    operation.parameters = {sessionParameter()};
    operation.hints = {true, false, true, false};
    operation.scope = QStringLiteral("sessions");
    operation.toolset = QStringLiteral("extended");
    operation.method = [&services, body](Caller caller, QJsonObject arguments) {
        return body(&services, std::move(caller), std::move(arguments));
    };
    return operation;
}
} // namespace

void addHistoryOperations(Registry &registry, Services &services)
{
    Operation list = historyOperation(services, "list_runs", "List runs",
                                      "What was run in a session, newest first: number, code, outcome, duration, files read and "
                                      "written with their hashes.", listRuns);
    Parameter limit;
    limit.name = QStringLiteral("limit");
    limit.type = Parameter::Type::Integer;
    limit.description = QStringLiteral("Runs in one answer.");
    limit.defaultValue = 20;
    limit.minimum = 1;
    limit.maximum = 200;
    limit.clamp = true;
    Parameter offset;
    offset.name = QStringLiteral("offset");
    offset.type = Parameter::Type::Integer;
    offset.description = QStringLiteral("Runs to pass over, counted from the newest.");
    offset.defaultValue = 0;
    offset.minimum = 0;
    offset.maximum = 1'000'000'000;
    list.parameters << limit << offset;
    registry.add(list);

    Operation get = historyOperation(services, "get_run", "Read a run",
                                     "One run of a session's history whole: code, outputs with images, error, files.", getRun);
    Parameter run;
    run.name = QStringLiteral("run");
    run.description = QStringLiteral("Number of the run in its session (list_runs), or its run_id.");
    run.required = true;
    run.example = QStringLiteral("3");
    get.parameters << run;
    registry.add(get);

    Operation exported = historyOperation(services, "export_session", "Export a session",
                                          "Write a session's history into its directory as a Jupyter notebook with outputs, or as a "
                                          "Python script, and give the link.", exportSession);
    Parameter format;
    format.name = QStringLiteral("format");
    format.description = QStringLiteral("ipynb (with outputs) or py.");
    format.defaultValue = QStringLiteral("ipynb");
    format.allowed = {QStringLiteral("ipynb"), QStringLiteral("py")};
    Parameter filename;
    filename.name = QStringLiteral("filename");
    filename.description = QStringLiteral("Name of the file; default: the session_id.");
    exported.parameters << format << filename;
    exported.hints = {false, false, true, false};
    registry.add(exported);
}

} // namespace power::operations
