// checkpoint_session, restore_session, fork_session.
#include "base/Ids.h"
#include "operations/Services.h"

namespace power::operations {

namespace {
using Work = QCoro::Task<Result<QJsonObject>> (*)(Services *, sessions::SessionKey, Caller, QJsonObject);

QCoro::Task<Result<QJsonObject>> makeCheckpoint(Services *services, sessions::SessionKey key, Caller caller, QJsonObject arguments)
{
    const QString name = arguments.value(QStringLiteral("name")).toString();
    return services->sessions.checkpoint(key, name, caller.cancel);
}

QCoro::Task<Result<QJsonObject>> restoreCheckpoint(Services *services, sessions::SessionKey key, Caller caller, QJsonObject arguments)
{
    const QString name = arguments.value(QStringLiteral("name")).toString();
    return services->sessions.restore(key, name, caller.cancel);
}

QCoro::Task<Result<QJsonObject>> forkSession(Services *services, sessions::SessionKey key, Caller caller, QJsonObject arguments)
{
    const sessions::SessionKey to{caller.principal, caller.slug, arguments.value(QStringLiteral("new_session_id")).toString()};
    return services->sessions.fork(key, to, caller.cancel);
}

QCoro::Task<Result<Answer>> answered(Services *services, Work work, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    const Result<QJsonObject> data = co_await work(services, named, caller, arguments);
    if (!data)
        co_return Unexpected<Error>{data.error()};
    Answer answer;
    answer.data = *data;
    co_return answer;
}

Method branchMethod(Services &services, Work work)
{
    return [&services, work](Caller caller, QJsonObject arguments) {
        return answered(&services, work, std::move(caller), std::move(arguments));
    };
}

Operation branchOperation(const char *name, const char *title, const char *description)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = QLatin1String(title);
    operation.description = QLatin1String(description);
    operation.scope = QStringLiteral("sessions");
    operation.toolset = QStringLiteral("extended");
    return operation;
}
} // namespace

void addBranchOperations(Registry &registry, Services &services)
{
    Parameter name;
    name.name = QStringLiteral("name");
    name.description = QStringLiteral("Name of the checkpoint: letters, digits, dot, underscore, hyphen.");
    name.required = true;
    name.check = sessionParameter().check;

    Operation make = branchOperation("checkpoint_session", "Keep a checkpoint",
                                     "Keep the session's variables and files under a name, to come back to with restore_session. An older "
                                     "checkpoint of that name is replaced. Says what cannot be carried (open connections, locks, threads ...).");
    make.parameters = {name, sessionParameter()};
    make.hints = {false, false, true, false};
    make.method = branchMethod(services, makeCheckpoint);
    registry.add(make);

    Operation restore = branchOperation("restore_session", "Go back to a checkpoint",
                                        "Put variables and files back to a checkpoint of checkpoint_session. Present variables are replaced; "
                                        "files made since then stay. Says what could not be restored and why.");
    restore.parameters = {name, sessionParameter()};
    restore.hints = {false, true, true, false};
    restore.method = branchMethod(services, restoreCheckpoint);
    registry.add(restore);

    Operation fork = branchOperation("fork_session", "Branch a session",
                                     "Make a new session that begins with the variables and files of this one, to try something without "
                                     "touching the original. Says what could not be carried.");
    Parameter target = sessionParameter();
    target.name = QStringLiteral("new_session_id");
    target.description = QStringLiteral("Id of the new session; must not exist yet.");
    target.required = true;
    target.defaultValue = QJsonValue();
    fork.parameters = {target, sessionParameter()};
    fork.hints = {false, false, false, false};
    fork.method = branchMethod(services, forkSession);
    registry.add(fork);
}

} // namespace power::operations
