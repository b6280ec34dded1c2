#include "rest/RouteTable.h"
#include <QStringList>

namespace power::rest {

namespace {
// POST /api/execute/quick: success, output, result, time_ms.
QJsonObject quickShape(const QJsonObject &data)
{
    const QString output = data.value(QLatin1String("stdout")).toString();
    const QJsonValue error = data.value(QLatin1String("error_message"));
    QJsonObject out{{QStringLiteral("success"), data.value(QLatin1String("success")).toBool()},
                    {QStringLiteral("output"), output},
                    {QStringLiteral("result"), data.value(QLatin1String("result"))},
                    {QStringLiteral("time_ms"), data.value(QLatin1String("execution_time_ms"))}};
    if (error.isString())
        out.insert(QStringLiteral("error"), error);
    return out;
}
} // namespace

const QList<Route> &routes()
{
    static const QList<Route> table{
        {.method = "POST", .pattern = "/api/execute", .operation = "execute_code",
         .summary = "Run Python in a session. 200 even when the code fails.", .body = true, .notBlank = "code"},
        {.method = "POST", .pattern = "/api/execute/quick", .operation = "execute_code",
         .summary = "Run a short snippet (session \"quick\", 10 s).", .body = true, .query = true, .notBlank = "code",
         .preset = {{QStringLiteral("session_id"), QStringLiteral("quick")}, {QStringLiteral("timeout"), 10}},
         .shape = quickShape},
        {.method = "POST", .pattern = "/api/sessions", .operation = "create_session",
         .summary = "Create a session.", .body = true},
        {.method = "GET", .pattern = "/api/sessions", .operation = "list_sessions", .summary = "Active sessions.", .query = true},
        {.method = "GET", .pattern = "/api/sessions/{session_id}", .operation = "get_session", .summary = "One session."},
        {.method = "DELETE", .pattern = "/api/sessions/{session_id}", .operation = "delete_session",
         .summary = "End a session: its kernel, its variables and its files go."},
        {.method = "GET", .pattern = "/api/sessions/{session_id}/runs", .operation = "list_runs",
         .summary = "What was run in a session, newest first.", .query = true},
        {.method = "GET", .pattern = "/api/sessions/{session_id}/runs/{run}", .operation = "get_run",
         .summary = "One run whole, by number or run_id."},
        {.method = "POST", .pattern = "/api/sessions/{session_id}/checkpoint", .operation = "checkpoint_session",
         .summary = "Keep the variables and files of a session under a name.", .body = true},
        {.method = "POST", .pattern = "/api/sessions/{session_id}/restore", .operation = "restore_session",
         .summary = "Put variables and files back to a checkpoint.", .body = true},
        {.method = "POST", .pattern = "/api/sessions/{session_id}/fork", .operation = "fork_session",
         .summary = "Make a new session with the variables and files of this one.", .body = true},
        {.method = "POST", .pattern = "/api/sessions/{session_id}/packages", .operation = "install_package",
         .summary = "Add a package to a session (where ALLOW_INSTALL is set).", .body = true},
        {.method = "POST", .pattern = "/api/sessions/{session_id}/export", .operation = "export_session",
         .summary = "Write the history as a notebook or script and give its link.", .body = true, .query = true},
        {.method = "POST", .pattern = "/api/data/load", .operation = "upload_dataset",
         .summary = "Store a table file as a persistent dataset.", .body = true, .upload = true},
        {.method = "POST", .pattern = "/api/data/load-csv", .operation = "upload_dataset",
         .summary = "The same; every format is recognised.", .body = true, .upload = true},
        {.method = "POST", .pattern = "/api/data/query", .operation = "query_dataset",
         .summary = "One SQL SELECT over DataFrames of a session and persistent datasets; rows as objects, or with \"rows\": true as lists.",
         .body = true},
        {.method = "GET", .pattern = "/api/data/datasets", .operation = "list_datasets",
         .summary = "Persistent datasets, and the DataFrames of a running session.", .query = true},
        {.method = "GET", .pattern = "/api/data/datasets/{dataset_name}", .operation = "get_dataset", .summary = "One persistent dataset."},
        {.method = "DELETE", .pattern = "/api/data/datasets/{dataset_name}", .operation = "delete_dataset",
         .summary = "Delete a persistent dataset."},
        {.method = "POST", .pattern = "/api/jobs/submit", .operation = "submit_job",
         .summary = "Run Python in the background. 202 with the job's id.", .body = true, .notBlank = "code"},
        {.method = "GET", .pattern = "/api/jobs", .operation = "list_jobs", .summary = "Jobs, newest first.", .query = true},
        {.method = "GET", .pattern = "/api/jobs/{job_id}/status", .operation = "get_job_status", .summary = "State and progress of a job."},
        {.method = "GET", .pattern = "/api/jobs/{job_id}/result", .operation = "get_job_result",
         .summary = "The result of a job; 202 while it is not finished, after waiting ?wait= seconds.", .query = true},
        {.method = "POST", .pattern = "/api/jobs/{job_id}/cancel", .operation = "cancel_job", .summary = "Stop a job."},
        {.method = "GET", .pattern = "/api/jobs/{job_id}/stream", .operation = "follow_job",
         .summary = "Events while it runs (text/event-stream): state, output, and end with the result.", .events = true},
        {.method = "POST", .pattern = "/api/schedules", .operation = "schedule_job",
         .summary = "Run Python by the clock (ENABLE_SCHEDULES).", .body = true, .notBlank = "code"},
        {.method = "GET", .pattern = "/api/schedules", .operation = "list_schedules", .summary = "Schedules."},
        {.method = "DELETE", .pattern = "/api/schedules/{name}", .operation = "delete_schedule", .summary = "Remove a schedule."},
        {.method = "POST", .pattern = "/api/files/upload", .operation = "upload_file",
         .summary = "Put files into a session: multipart/form-data (any number of files, session_id), or one as JSON.", .body = true, .upload = true},
        {.method = "POST", .pattern = "/api/files/fetch", .operation = "fetch_from_url",
         .summary = "Fetch a URL into a session.", .body = true},
        {.method = "POST", .pattern = "/api/files/view", .operation = "view_file",
         .summary = "Pages of a document, a smaller picture, or a table's columns and first rows.", .body = true},
        {.method = "GET", .pattern = "/api/files", .operation = "list_files", .summary = "Files of a session.", .query = true},
        {.method = "DELETE", .pattern = "/api/files/{session_id}/{filename*}", .operation = "delete_file",
         .summary = "Delete a file of a session."},
    };
    return table;
}

const Route *findRoute(const QByteArray &method, const QString &pattern)
{
    for (const Route &route : routes()) {
        if (method == route.method && pattern == QLatin1String(route.pattern))
            return &route;
    }
    return nullptr;
}

QStringList parametersOf(const QString &pattern)
{
    QStringList names;
    const QStringList segments = pattern.split(u'/');
    for (const QString &segment : segments) {
        if (segment.startsWith(u'{'))
            names << segment.mid(1).chopped(segment.endsWith(QLatin1String("*}")) ? 2 : 1);
    }
    return names;
}

QStringList pathParameters(const Route &route)
{
    return parametersOf(QString::fromLatin1(route.pattern));
}

} // namespace power::rest
