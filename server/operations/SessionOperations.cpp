// create_session, list_sessions, get_session, delete_session.
#include "base/Ids.h"
#include "operations/RunText.h"
#include "operations/Services.h"
#include <QJsonArray>

namespace power::operations {

namespace {
QJsonObject limitFacts(const Services &services)
{
    const auto &kernel = services.sessions.config().kernel;
    // The machine may have less than MAX_MEMORY_MB for all kernels together.
    const qint64 memory = qMin(kernel.memoryBytes, services.kernels.totalMemoryBytes());
    return {{QStringLiteral("timeout_s"), services.limits.maxExecutionSeconds},
            {QStringLiteral("memory_mb"), memory >> 20},
            {QStringLiteral("disk_mb"), kernel.diskBytes >> 20},
            {QStringLiteral("processes"), kernel.processes},
            {QStringLiteral("output_mb"), kernel.outputBytes >> 20},
            {QStringLiteral("network"), QStringLiteral("none")},
            {QStringLiteral("sandbox"), services.kernels.tier().tier}};
}

QString iso(const QDateTime &time)
{
    return time.toUTC().toString(Qt::ISODate);
}

QJsonObject sessionFacts(const sessions::SessionInfo &info)
{
    QJsonObject facts{{QStringLiteral("session_id"), info.key.id},
            {QStringLiteral("name"), info.name},
            {QStringLiteral("description"), info.description},
            {QStringLiteral("created_at"), iso(info.created)},
            {QStringLiteral("last_used_at"), iso(info.lastUsed)},
            {QStringLiteral("is_active"), info.hasKernel},
            {QStringLiteral("busy"), info.busy},
            {QStringLiteral("queued"), info.queued},
            {QStringLiteral("variables"), info.variables},
            {QStringLiteral("execution_count"), info.executionCount},
            {QStringLiteral("memory_mb"), double(info.memoryBytes) / (1 << 20)}};
    if (info.expires.isValid())
        facts.insert(QStringLiteral("expires_at"), iso(info.expires));
    return facts;
}

QCoro::Task<Result<Answer>> createSession(Services *services, Caller caller, QJsonObject arguments)
{
    const QString given = arguments.value(QStringLiteral("session_id")).toString().trimmed();
    if (given.isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("session_id is empty."),
                       QStringLiteral("Send for example {\"session_id\": \"analysis\"}."));
    const bool valid = validSessionId(given).ok();
    sessions::SessionKey key{caller.principal, caller.slug, valid ? given : sessionIdFromText(given)};
    const QString name = given.left(255);
    const QString description = arguments.value(QStringLiteral("description")).toString();
    const QJsonObject metadata = arguments.value(QStringLiteral("metadata")).toObject();
    auto created = co_await services->sessions.create(key, name, description, metadata);
    if (!created)
        co_return Unexpected<Error>{created.error()};
    auto workspace = services->sessions.workspace(key);
    if (!workspace)
        co_return Unexpected<Error>{workspace.error()};
    Answer answer;
    answer.data = {{QStringLiteral("session_id"), key.id},
                   {QStringLiteral("name"), created->name},
                   {QStringLiteral("description"), created->description},
                   {QStringLiteral("sandbox_dir"), (*workspace)->insidePath()},
                   {QStringLiteral("directory"), (*workspace)->insidePath()},
                   {QStringLiteral("limits"), limitFacts(*services)},
                   {QStringLiteral("created_at"), iso(created->created)}};
    if (!valid)
        answer.notes << QStringLiteral("The name became the session_id \"%1\"; use that one.").arg(key.id);
    co_return answer;
}

QCoro::Task<Result<Answer>> listSessions(Services *services, Caller caller, QJsonObject)
{
    const QString principal = caller.principal;
    auto sessions = co_await services->sessions.list(principal);
    if (!sessions)
        co_return Unexpected<Error>{sessions.error()};
    QJsonArray list;
    for (const auto &info : *sessions)
        list.append(sessionFacts(info));
    Answer answer;
    answer.data = {{QStringLiteral("sessions"), list}, {QStringLiteral("count"), list.size()}};
    if (const qint64 hours = services->sessions.config().timeToLive.count(); hours > 0) {
        answer.data.insert(QStringLiteral("session_ttl_hours"), hours);
        answer.notes << QStringLiteral("A session that is not used for %1 hours is deleted with its files (SESSION_TTL_HOURS).").arg(hours);
    }
    co_return answer;
}

QCoro::Task<Result<Answer>> getSession(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    auto info = co_await services->sessions.get(named);
    if (!info)
        co_return Unexpected<Error>{info.error()};
    Answer answer;
    answer.data = sessionFacts(*info);
    answer.data.insert(QStringLiteral("metadata"), info->metadata);
    answer.data.insert(QStringLiteral("limits"), limitFacts(*services));
    co_return answer;
}

QCoro::Task<Result<Answer>> deleteSession(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    auto info = co_await services->sessions.get(named);
    auto removed = co_await services->sessions.remove(named);
    if (!removed)
        co_return Unexpected<Error>{removed.error()};
    Answer answer;
    answer.data = {{QStringLiteral("session_id"), named.id},
                   {QStringLiteral("name"), info ? info->name : named.id},
                   {QStringLiteral("deleted"), true},
                   {QStringLiteral("message"), QStringLiteral("Session '%1' is gone: its kernel, files and links.").arg(named.id)}};
    co_return answer;
}

using Body = QCoro::Task<Result<Answer>> (*)(Services *, Caller, QJsonObject);
Method bound(Services &services, Body body)
{
    return [&services, body](Caller caller, QJsonObject arguments) {
        return body(&services, std::move(caller), std::move(arguments));
    };
}
} // namespace

void addSessionOperations(Registry &registry, Services &services)
{
    Parameter id = sessionParameter();
    id.required = true;
    id.defaultValue = QJsonValue();

    Operation create;
    create.name = QStringLiteral("create_session");
    create.title = QStringLiteral("Create a session");
    create.description = QStringLiteral("Make a named session: own kernel, variables and directory. Optional: execute_code makes "
                                        "sessions on first use. Returns the effective limits.");
    create.parameters = {id};
    create.parameters[0].check = nullptr; // any text: an id is made of it (R1)
    create.parameters[0].aliases = {QStringLiteral("name")};
    create.parameters[0].description = QStringLiteral("Name of the session: letters, digits, dot, underscore, hyphen.");
    Parameter description;
    description.name = QStringLiteral("description");
    description.description = QStringLiteral("What it is for.");
    description.defaultValue = QString();
    Parameter metadata;
    metadata.name = QStringLiteral("metadata");
    metadata.type = Parameter::Type::Object;
    metadata.description = QStringLiteral("Free JSON kept with the session.");
    metadata.hidden = true;
    create.parameters << description << metadata;
    create.hints = {false, false, true, false};
    create.scope = QStringLiteral("sessions");
    create.toolset = QStringLiteral("core");
    create.method = bound(services, createSession);
    registry.add(create);

    Operation list;
    list.name = QStringLiteral("list_sessions");
    list.title = QStringLiteral("List sessions");
    list.description = QStringLiteral("Sessions with last use, variables in memory and whether they are busy.");
    list.hints = {true, false, true, false};
    list.scope = QStringLiteral("sessions");
    list.toolset = QStringLiteral("core");
    list.method = bound(services, listSessions);
    registry.add(list);

    Operation get;
    get.name = QStringLiteral("get_session");
    get.title = QStringLiteral("Session details");
    get.description = QStringLiteral("One session with its metadata and limits.");
    get.parameters = {id};
    get.hints = {true, false, true, false};
    get.scope = QStringLiteral("sessions");
    get.toolset = QStringLiteral("core");
    get.isTool = false;
    get.method = bound(services, getSession);
    registry.add(get);

    Operation remove;
    remove.name = QStringLiteral("delete_session");
    remove.title = QStringLiteral("Delete a session");
    remove.description = QStringLiteral("End a session for good: its variables, files and download links go.");
    remove.parameters = {id};
    remove.hints = {false, true, true, false};
    remove.scope = QStringLiteral("sessions");
    remove.toolset = QStringLiteral("core");
    remove.method = bound(services, deleteSession);
    registry.add(remove);
}

} // namespace power::operations
