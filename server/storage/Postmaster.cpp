#include "storage/Postmaster.h"
#include <unistd.h>

namespace power::storage {

namespace {
SpawnPlan commonPlan(const PostmasterCall &call, const char *program)
{
    SpawnPlan plan;
    plan.program = call.programs.directory + u'/' + QLatin1String(program);
    plan.environment = QStringList{QStringLiteral("PATH=%1:/usr/bin:/bin").arg(call.programs.directory),
                                   QStringLiteral("LC_ALL=C.UTF-8"), QStringLiteral("TZ=UTC")} + call.nssVariables;
    plan.uid = call.user.uid;
    plan.gid = call.user.gid;
    plan.directory = call.directory;
    plan.output = call.log;
    return plan;
}

QString dataArgument(const PostmasterCall &call)
{
    return geteuid() == 0 ? QStringLiteral("/proc/self/fd/9") : call.cluster;
}
} // namespace

SpawnPlan initdbPlan(const PostmasterCall &call, const QString &passwordFile)
{
    SpawnPlan plan = commonPlan(call, "initdb");
    // C.UTF-8: the same order on every machine and after every C library update.
    plan.arguments = {QStringLiteral("-D"), dataArgument(call), QStringLiteral("--username=power"), QStringLiteral("--encoding=UTF8"),
                      QStringLiteral("--locale=C.UTF-8"), QStringLiteral("--data-checksums"), QStringLiteral("--no-sync"), QStringLiteral("--no-instructions"),
                      QStringLiteral("--auth=scram-sha-256"), QStringLiteral("--pwfile=") + passwordFile};
    return plan;
}

SpawnPlan serverPlan(const PostmasterCall &call)
{
    SpawnPlan plan = commonPlan(call, "postgres");
    // One huge value in a query ends that query, never the machine.
    plan.dataBytes = 2ll << 30;
    plan.arguments = {QStringLiteral("-D"), dataArgument(call)};
    const QString settings[] = {
        QStringLiteral("listen_addresses="),
        QStringLiteral("unix_socket_directories=") + call.socketDirectory,
        QStringLiteral("unix_socket_permissions=0700"),
        QStringLiteral("port=5432"),
        QStringLiteral("max_connections=40"),
        QStringLiteral("shared_buffers=64MB"),
        QStringLiteral("huge_pages=off"),
        QStringLiteral("synchronous_commit=on"),
        QStringLiteral("wal_level=minimal"), // no replica; COPY into a new table skips the log
        QStringLiteral("max_wal_senders=0"),
        QStringLiteral("max_wal_size=512MB"),
        // Parallel queries share memory in /dev/shm, which is 64 MB in most containers.
        QStringLiteral("max_parallel_workers_per_gather=0"),
        QStringLiteral("jit=off"),
        QStringLiteral("logging_collector=off"),
        QStringLiteral("log_min_messages=warning"),
        QStringLiteral("log_min_error_statement=panic"), // statements may hold users' data
    };
    for (const QString &setting : settings)
        plan.arguments += {QStringLiteral("-c"), setting};
    return plan;
}

} // namespace power::storage
