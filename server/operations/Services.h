// What the bound operations work with, and the functions that declare them.
#pragma once
#include "net/Fetch.h"
#include "operations/HeldRuns.h"
#include "operations/Operation.h"
#include "sessions/SessionService.h"

namespace power::sessions {
class SessionRecords;
class SessionPackages;
}

namespace power::jobs {
class JobService;
class Schedules;
struct Job;
}

namespace power::datasets {
class DatasetService;
}

namespace power::operations {

struct Limits {
    int maxExecutionSeconds = 300;    // execute_code, at most
    int jobSeconds = 1800;            // submit_job, default and at most
    qint64 maxUploadBytes = 500ll << 20;
    qint64 maxFetchBytes = 500ll << 20;
};

// Services: outlives the registry. Thread: the event loop's.
struct Services {
    sessions::SessionService &sessions;
    sessions::SessionRecords &records;
    supervisor::KernelHost &kernels;
    files::FileStore &files;
    net::Fetcher &fetcher;
    Limits limits;
    jobs::JobService *jobs = nullptr; // set before the first call
    datasets::DatasetService *datasets = nullptr; // set before the first call
    jobs::Schedules *schedules = nullptr; // null: switched off
    QString webhookSecret = {};       // signs webhooks that bring none of their own
    HeldRuns held = {};
};

void addExecuteOperations(Registry &registry, Services &services); // execute_code
void addSessionOperations(Registry &registry, Services &services); // create/list/get/delete_session
void addBranchOperations(Registry &registry, Services &services);  // checkpoint/restore/fork_session (toolset extended)
void addFileOperations(Registry &registry, Services &services);    // upload/fetch/list/delete_file
void addLookOperations(Registry &registry, Services &services);    // find_files, read_file: for the doors themselves
void addSearchOperations(Registry &registry, Services &services);  // search, fetch (toolset chatgpt)
void addFetchOperations(Registry &registry, Services &services);   // fetch_from_url
void addDataOperations(Registry &registry, Services &services);    // query_dataset, and the next two
void addLoadOperations(Registry &registry, Services &services);    // load_dataset
void addDatasetAsking(Registry &registry, Services &services);     // what code in a session asks of datasets; no tools
void addDatasetOperations(Registry &registry, Services &services); // upload/list/get/delete_dataset
// sheet_name, delimiter, encoding, pdf_pages: how a table file is read.
QList<Parameter> readingParameters();
void addPackageOperations(Registry &registry, sessions::SessionPackages &packages); // install_package, where it is offered
void addHistoryOperations(Registry &registry, Services &services); // list_runs, get_run, export_session

void addJobOperations(Registry &registry, Services &services);     // submit_job, get_job_status, get_job_result, list_jobs, cancel_job

void addScheduleOperations(Registry &registry, Services &services); // schedule_job, list_schedules, delete_schedule (toolset extended)
QList<Parameter> submitParameters(const Services &services);
// Where it may be told, and what it is signed with. Errors: InvalidArgument.
Result<Done> completeWebhook(const Services &services, QJsonObject &arguments);
// What is kept with a job of its submitter.
QJsonObject jobOptions(const Caller &caller);

// What the code of a job may call: the rights are those of its submitter.
supervisor::CellCall jobTools(const Registry &registry, const jobs::Job &job);

// Shared pieces of the declarations.
Parameter sessionParameter();
// The key of `session_id` in checked arguments. Error: InvalidArgument.
Result<sessions::SessionKey> sessionKey(const Caller &caller, const QJsonObject &arguments);
// One text block.
Answer textAnswer(const QString &text, QJsonObject data = {});

} // namespace power::operations
