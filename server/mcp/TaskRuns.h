// Calls of tools that go on after they were answered with a task. Only for this folder.
#pragma once
#include "base/OneShot.h"
#include "operations/Operation.h"
#include <QHash>

namespace power::mcp {

// One call that may become a task, or is one.
struct TaskRun {
    QString id;                               // empty: not a task (yet)
    QString tool;
    QJsonObject arguments;
    operations::Caller caller;                // of its next round
    CancelSource stop;
    bool becoming = false;                    // it is being made a task: who goes on waits for `made`
    OneShot<Done> made;
    std::optional<Result<operations::Answer>> end; // while it was no task: also a question to the client
    OneShot<Done> ended;
    // As a task, between two rounds: what the client must tell.
    std::optional<operations::InputNeed> need;
    QJsonObject responses;                    // what it has told of that
    OneShot<Done> answered;

    // Questions without an answer.
    QJsonObject openRequests() const;
};
using TaskRunPtr = std::shared_ptr<TaskRun>;

// TaskRuns: those of this process, by id. Thread: the event loop's.
class TaskRuns
{
public:
    void add(const TaskRunPtr &run) { m_runs.insert(run->id, run); }
    void remove(const QString &id) { m_runs.remove(id); }
    // Null: it is none, not here, or of another principal.
    TaskRunPtr find(const QString &id, const QString &principal) const
    {
        const TaskRunPtr run = m_runs.value(id);
        return run && run->caller.principal == principal ? run : nullptr;
    }

private:
    QHash<QString, TaskRunPtr> m_runs;
};

} // namespace power::mcp
