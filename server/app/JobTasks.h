// MCP tasks kept as jobs: the same rows, states and endings, whether a client calls them one or the other.
#pragma once
#include "jobs/JobService.h"
#include "mcp/Providers.h"

namespace power::app {

// JobTasks: the job service must outlive it. Thread: main.
class JobTasks final : public mcp::TaskProvider
{
public:
    // keepHours: how long ended jobs are kept.
    JobTasks(jobs::JobService &jobs, int keepHours, std::shared_ptr<mcp::Changes> changes);

    QCoro::Task<Result<mcp::TaskFacts>> begin(operations::Caller caller, QString tool, QJsonObject arguments, CancelSource stop) override;
    QCoro::Task<> end(QString id, Result<operations::Answer> answer) override;
    QCoro::Task<Result<mcp::TaskFacts>> get(operations::Caller caller, QString id) override;
    QCoro::Task<Result<mcp::TaskFacts>> wait(operations::Caller caller, QString id, CancelToken stop) override;
    QCoro::Task<Result<operations::Answer>> result(operations::Caller caller, QString id) override;
    QCoro::Task<Result<Done>> cancel(operations::Caller caller, QString id) override;
    QCoro::Task<Result<QList<mcp::TaskFacts>>> list(operations::Caller caller) override;

private:
    struct Held {
        jobs::RunningPtr running;
        CancelToken::Registration stopped;
    };
    mcp::TaskFacts factsOf(const jobs::Job &job) const;

    jobs::JobService &m_jobs;
    qint64 m_ttlMs;
    QHash<QString, Held> m_held;
};

} // namespace power::app
