// Jobs as answers: stored once without the base of links, told with it.
#pragma once
#include "jobs/Job.h"
#include "operations/Operation.h"

namespace power::operations {

// What is stored of a run.
jobs::Shaped shapedRun(const sessions::RunReport &report);

QJsonArray storedBlocks(const QList<Block> &blocks);

// get_job_result of it, over or not.
Answer jobAnswer(const jobs::Job &job, const QString &baseUrl);
// job_id, session_id, status, state, times, progress: contract 9.3.
QJsonObject jobFacts(const jobs::Job &job);
// The whole record with its result: GET /api/jobs/{id}/result. baseUrl: of the links.
QJsonObject jobRecord(const jobs::Job &job, const QString &baseUrl);
// What a model reads of a job that is over.
QList<Block> jobBlocks(const jobs::Job &job, const QString &baseUrl);
// Of one that is not: state, elapsed, what it printed so far.
QString jobSoFar(const jobs::Job &job);
// "14.2s"
QString shownSeconds(qint64 milliseconds);

} // namespace power::operations
