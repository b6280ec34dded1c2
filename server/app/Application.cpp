#include "app/Application.h"
#include "app/Doors.h"
#include "base/Log.h"
#include "jobs/Node.h"
#include "operations/JobAnswers.h"
#include "supervisor/Renderer.h"
#include <QCoreApplication>
#include <QDir>
#include <QFile>
#include <QThread>
#include <QThreadPool>
#include <sys/stat.h>
#include <unistd.h>

namespace power::app {

using namespace std::chrono_literals;

namespace {
QString besideServer(const QString &configured, const char *name)
{
    return configured.isEmpty() ? QCoreApplication::applicationDirPath() + u'/' + QLatin1String(name) : configured;
}

// Kernels of other uids pass through the data directory; its secrets lie in 0700 directories below.
Result<Done> makeDataDirectory(const QString &path)
{
    if (!QDir().mkpath(path))
        return fail(ErrorCode::Unavailable, QStringLiteral("The data directory %1 cannot be made.").arg(path),
                    QStringLiteral("Set DATA_DIR to a directory this user may write."));
    ::chmod(QFile::encodeName(path).constData(), 0711);
    return Done{};
}

// The nearest directory above (or at) `path` that other users cannot pass through; empty when there is none.
QString closedDirectory(QString path)
{
    while (!path.isEmpty()) {
        struct stat facts = {};
        if (::stat(QFile::encodeName(path).constData(), &facts) == 0 && S_ISDIR(facts.st_mode) && !(facts.st_mode & S_IXOTH))
            return path;
        path.truncate(path.lastIndexOf(u'/'));
    }
    return {};
}

// Without a mount namespace a session's own uid must reach its workspace and the libraries by their host paths: a clone
// below /root fails every session, so it is said at start and not by the first cell.
Result<Done> sessionsCanEnter(const config::Settings &settings)
{
    for (const QString &path : {settings.sandboxDir, settings.pythonEnv}) {
        const QString closed = closedDirectory(path);
        if (!closed.isEmpty())
            return fail(ErrorCode::Unavailable,
                        QStringLiteral("Sessions run as users of their own here and cannot reach %1, because %2 is closed to them.")
                            .arg(path, closed),
                        QStringLiteral("Move it to a directory that everybody may pass through (--sandbox-dir, --python-env; /srv "
                                       "or /opt for the clone), or run chmod o+x %1.").arg(closed));
    }
    return Done{};
}

sessions::PackageRules packageRules(const config::Settings &settings)
{
    sessions::PackageRules rules;
    rules.offered = settings.allowInstall;
    rules.pythonEnv = settings.pythonEnv;
    rules.index = settings.packageIndex;
    QFile script(QStringLiteral(":/power/packages/session.py"));
    rules.script = script.open(QIODevice::ReadOnly) ? QString::fromUtf8(script.readAll()) : QString();
    rules.mostBytes = settings.packageMaxMb << 20;
    return rules;
}

// The files of the session that an operation names are on this disk when it begins. delete_session needs none.
QCoro::Task<Result<Done>> prepareSession(sessions::SessionService &sessions, const operations::Operation &operation,
                                         const operations::Caller &caller, const QJsonObject &arguments)
{
    const bool names = operation.name != u"delete_session" && arguments.contains(QStringLiteral("session_id"));
    const auto key = operations::sessionKey(caller, arguments);
    return sessions.prepare(names && key ? *key : sessions::SessionKey());
}
} // namespace

Application::Application(config::Settings settings, QObject *parent)
    : QObject(parent)
    , m_settings(std::move(settings))
{
    m_uptime.start();
    // Work in these threads waits for the disk or the database most of the time.
    QThreadPool::globalInstance()->setMaxThreadCount(qMax(8, QThread::idealThreadCount()));
}

Application::~Application() = default;

QCoro::Task<Result<Done>> Application::start()
{
    for (const QString &note : std::as_const(m_settings.notes))
        log::info("setting_note", {{QStringLiteral("text"), note}});
    for (const QString &warning : std::as_const(m_settings.warnings))
        log::warning("setting_warning", {{QStringLiteral("text"), warning}});
    if (m_settings.mcpAuth == u"oauth")
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("MCP_AUTH=oauth is not part of this version."),
                       QStringLiteral("Use MCP_AUTH=api-key, or none behind a proxy that checks who comes in."));
    if (m_settings.pythonEnv.startsWith(u"/tmp/"))
        co_return fail(ErrorCode::InvalidArgument,
                       QStringLiteral("PYTHON_ENV %1 lies below /tmp, where sessions have a directory of their own.").arg(m_settings.pythonEnv),
                       QStringLiteral("Build the environment elsewhere: installer/build-python-env.sh --dir DIR."));
    const Result<Done> data = makeDataDirectory(m_settings.dataDir);
    if (!data)
        co_return Unexpected<Error>{data.error()};
    auto workspaces = workspace::Workspaces::open(m_settings.sandboxDir);
    if (!workspaces)
        co_return Unexpected<Error>{workspaces.error()};
    m_workspaces = std::move(*workspaces);
    buildServices();
    const Result<Done> jobs = buildJobs();
    if (!jobs)
        co_return Unexpected<Error>{jobs.error()};
    const Result<Done> doors = buildDoors();
    if (!doors)
        co_return Unexpected<Error>{doors.error()};

    http::ListenConfig listen;
    listen.address = QHostAddress(m_settings.host == u"localhost" ? QStringLiteral("127.0.0.1") : m_settings.host);
    listen.port = quint16(m_settings.port);
    listen.certificateFile = m_settings.tlsCertFile;
    listen.keyFile = m_settings.tlsKeyFile;
    listen.allowedHosts = m_settings.allowedHosts;
    listen.allowedOrigins = m_settings.allowedOrigins;
    m_http = std::make_unique<http::HttpServer>(m_dispatcher);
    const Result<Done> listening = m_http->listen(listen);
    if (!listening)
        co_return Unexpected<Error>{listening.error()};
    log::info("listening", {{QStringLiteral("url"), url().toString()}});
    co_return Done{};
}

void Application::buildServices()
{
    if (m_settings.databaseUrl.isEmpty())
        m_cluster = std::make_unique<storage::ManagedCluster>(m_settings.dataDir);
    storage::Database::Config database;
    database.url = m_settings.databaseUrl;
    m_database = std::make_unique<storage::Database>(database);

    supervisor::HostConfig host;
    host.kernelProgram = besideServer(m_settings.kernelProgram, "power-kernel");
    host.initProgram = besideServer(m_settings.initProgram, "power-init");
    host.python = m_settings.pythonEnv;
    // The environment's own caches are filled when it is built (font list, fonts by script); else one in the data directory.
    const QString warmed = m_settings.pythonEnv + QStringLiteral("/share");
    host.cacheDirectory = !m_settings.pythonEnv.isEmpty() && QFile::exists(warmed + QStringLiteral("/matplotlib"))
                              ? warmed
                              : m_settings.dataDir + QStringLiteral("/cache");
    host.requiredTier = m_settings.sandboxRequire;
    host.forcedTier = m_settings.sandboxTier == u"auto" ? QString() : m_settings.sandboxTier;
    host.usesGroups = m_settings.sandboxCgroup != u"off";
    host.landlockAbi = int(m_settings.sandboxLandlockAbi);
    host.checkpointsPerSecond = int(m_settings.checkpointsPerSecond);
    host.totalMemoryBytes = m_settings.totalMemoryMb << 20;
    host.sessionUids = m_workspaces->uids();
    const quint32 firstJob = m_workspaces->firstJobUid();
    for (quint32 i = 0; firstJob != 0 && i < workspace::Workspaces::jobUids; ++i)
        host.sessionUids << firstJob + i;
    host.spoolDirectory = m_settings.dataDir + QStringLiteral("/spool/outputs");
    host.renderDirectory = m_settings.dataDir + QStringLiteral("/render");
    host.renderUid = m_workspaces->firstWorkerUid();
    for (quint32 i = 0; host.renderUid != 0 && i < supervisor::Renderer::kUids; ++i)
        host.sessionUids << host.renderUid + i;
    m_packages = std::make_unique<ExtraPackages>(m_settings.extraRequirements, m_settings.packageIndex, m_settings.pythonEnv,
                                                 m_settings.dataDir + QStringLiteral("/packages"));
    if (m_packages->isConfigured())
        host.extraSite = m_packages->site();
    host.installsPackages = m_settings.allowInstall;
    m_kernels = supervisor::KernelHost::create(host);

    files::FileStore::Config files;
    files.directory = m_settings.dataDir + QStringLiteral("/files");
    files.maxFileBytes = m_settings.sandboxFileMaxMb << 20;
    files.timeToLive = std::chrono::hours(m_settings.sandboxFileTtlHours);
    files.linkTimeToLive = std::chrono::hours(m_settings.linkTtlHours);
    files.homeFile = m_settings.sandboxDir + QStringLiteral("/.power.home");
    const bool inDatabase = m_settings.fileStore == u"postgres" || (m_settings.fileStore.isEmpty() && !m_settings.databaseUrl.isEmpty());
    files.place = inDatabase ? files::FilePlace::Database : files::FilePlace::Disk;
    files.maxTotalBytes = m_settings.fileStoreMaxMb << 20;
    files.maxSessionBytes = m_settings.maxSessionStoredMb << 20;
    m_files = files::FileStore::create(files, *m_database);
    m_fetcher = net::Fetcher::create(net::AddressPolicy(m_settings.fetchAllowOrigins));
    const sessions::HistoryLimits history{int(m_settings.historyRuns), m_settings.historyMb << 20, int(m_settings.historyDays)};
    m_records = std::make_unique<sessions::SessionRecords>(*m_database, m_settings.dataDir + QStringLiteral("/spool/sessions"), history);

    sessions::SessionService::Config sessions;
    sessions.kernel.memoryBytes = m_settings.maxMemoryMb << 20;
    sessions.kernel.processes = int(m_settings.maxSessionProcesses);
    sessions.kernel.diskBytes = m_settings.maxSessionDiskMb << 20;
    sessions.kernel.fileBytes = sessions.kernel.diskBytes;
    sessions.kernel.outputBytes = m_settings.maxRunOutputMb << 20;
    sessions.kernel.keptOutputBytes = m_settings.maxOutputSize;
    sessions.maxSessions = int(m_settings.maxSessions);
    sessions.timeToLive = std::chrono::hours(m_settings.sessionTtlHours);
    sessions.idleKernel = std::chrono::minutes(m_settings.sessionIdleMinutes);
    const QString snapshotDirectory = m_settings.dataDir + QStringLiteral("/snapshots");
    m_snapshotStore = inDatabase ? files::SnapshotStore::inDatabase(snapshotDirectory, *m_database, m_settings.snapshotsTotalMb << 20)
                                 : files::SnapshotStore::onDisk(snapshotDirectory, m_settings.snapshotsTotalMb << 20);
    const sessions::Snapshots::Config snapshots{m_settings.snapshotMaxMb << 20, sessions.kernel.memoryBytes};
    m_snapshots = std::make_unique<sessions::Snapshots>(snapshots, *m_snapshotStore, *m_kernels);
    m_sessions = std::make_unique<sessions::SessionService>(sessions, *m_kernels, *m_workspaces, *m_files, *m_records, *m_snapshots);
    m_sessionPackages = std::make_unique<sessions::SessionPackages>(packageRules(m_settings), *m_sessions, sessions.kernel.diskBytes);
}

Result<Done> Application::buildJobs()
{
    const Result<QString> node = jobs::nodeIdentity(m_settings.dataDir + QStringLiteral("/node"));
    if (!node)
        return Unexpected<Error>{node.error()};
    jobs::JobService::Config config;
    config.runner.node = *node;
    config.runner.atOnce = int(m_settings.maxConcurrentJobs);
    config.runner.cores = QThread::idealThreadCount();
    config.runner.firstUid = m_workspaces->firstJobUid();
    config.runner.leaseSeconds = int(m_settings.jobLeaseSeconds);
    config.runner.alone = m_cluster != nullptr;
    config.keepHours = int(m_settings.jobCleanupHours);
    const auto tools = [this](const jobs::Job &job) { return operations::jobTools(m_registry, job); };
    m_jobs = std::make_unique<jobs::JobService>(config, *m_database, *m_sessions, *m_kernels, operations::shapedRun, tools);
    m_webhooks = std::make_unique<jobs::Webhooks>(*m_database, *m_fetcher);
    connect(m_jobs.get(), &jobs::JobService::ended, m_webhooks.get(), &jobs::Webhooks::wake);
    if (m_settings.enableSchedules)
        m_schedules = std::make_unique<jobs::Schedules>(*m_database);
    return Done{};
}

Result<Done> Application::buildDoors()
{
    operations::Limits limits{int(m_settings.maxExecutionTime), int(m_settings.jobTimeout), m_settings.maxUploadMb << 20, m_settings.maxFetchSizeMb << 20};
    m_services.reset(new operations::Services{*m_sessions, *m_records, *m_kernels, *m_files, *m_fetcher, limits});
    datasets::DatasetService::Config datasets;
    datasets.ownCluster = m_cluster != nullptr;
    datasets.disk = m_cluster ? m_settings.dataDir : QString();
    m_datasets = std::make_unique<datasets::DatasetService>(datasets, *m_database, *m_kernels);
    m_services->datasets = m_datasets.get();
    m_services->jobs = m_jobs.get();
    m_services->schedules = m_schedules.get();
    m_services->webhookSecret = m_settings.webhookSecret;
    operations::addExecuteOperations(m_registry, *m_services);
    operations::addSessionOperations(m_registry, *m_services);
    operations::addFileOperations(m_registry, *m_services);
    operations::addBranchOperations(m_registry, *m_services);
    operations::addLookOperations(m_registry, *m_services);
    operations::addSearchOperations(m_registry, *m_services);
    operations::addFetchOperations(m_registry, *m_services);
    operations::addDataOperations(m_registry, *m_services);
    operations::addDatasetOperations(m_registry, *m_services);
    operations::addHistoryOperations(m_registry, *m_services);
    operations::addPackageOperations(m_registry, *m_sessionPackages);
    operations::addJobOperations(m_registry, *m_services);
    operations::addScheduleOperations(m_registry, *m_services);
    Result<mcp::ToolSelection> tools = mcp::ToolSelection::parse(m_settings.toolProfile, m_registry);
    if (!tools)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("TOOL_PROFILE: ") + tools.error().message, tools.error().nextStep);
    tools->setReadOnly(m_settings.mcpReadOnly);
    m_toolCount = int(std::count_if(m_registry.all().cbegin(), m_registry.all().cend(),
                                    [&tools](const operations::Operation &operation) { return tools->shows(operation); }));
    if (m_files->keepsSessions())
        m_registry.setBefore([this](const operations::Operation &operation, const operations::Caller &caller, const QJsonObject &arguments) {
            return prepareSession(*m_sessions, operation, caller, arguments);
        });
    uploads::TusUploads::Config resumable;
    resumable.directory = m_settings.dataDir + QStringLiteral("/uploads");
    m_uploads = std::make_unique<uploads::TusUploads>(resumable);
    const Result<Done> uploadsReady = m_uploads->start();
    if (!uploadsReady)
        return uploadsReady;
    makeSealer();
    m_doors = std::make_unique<Doors>(m_settings, *tools, m_registry, *m_services, *m_uploads, m_sealer, [this] { return health(); }, m_dispatcher);
    return Done{};
}

QCoro::Task<Result<Done>> Application::warmUp()
{
    m_packages->start();
    // Both at once: the zygote's imports take longer than PostgreSQL.
    auto database = startDatabase();
    auto kernels = m_kernels->start();
    const Result<Done> databaseReady = co_await database;
    const Result<Done> kernelsReady = co_await kernels;
    if (!databaseReady) {
        log::error("database_unavailable", {{QStringLiteral("reason"), databaseReady.error().text()}});
        startDatabaseLater();
    }
    if (!kernelsReady)
        co_return Unexpected<Error>{kernelsReady.error()};
    log::info("kernels_ready", {{QStringLiteral("tier"), m_kernels->tier().tier}, {QStringLiteral("ms"), m_uptime.elapsed()}});
    if (!databaseReady)
        co_return Unexpected<Error>{databaseReady.error()};
    if (::geteuid() == 0 && m_kernels->tier().tier == u"container")
        co_return sessionsCanEnter(m_settings);
    co_return Done{};
}

void Application::serveLines(int in, int out, std::function<void()> ended)
{
    m_doors->serveLines(in, out, url().toString(), std::move(ended));
}

QCoro::Task<> Application::stop(std::chrono::milliseconds grace)
{
    if (std::exchange(m_stopping, true))
        co_return;
    m_sweepTimer.stop();
    if (m_doors)
        m_doors->close();
    if (m_http)
        co_await m_http->shutdown(grace);
    if (m_jobs)
        co_await m_jobs->stop();
    if (m_datasets)
        m_datasets->stop();
    if (m_sessions)
        co_await m_sessions->stop();
    if (m_kernels)
        co_await m_kernels->stop();
    if (m_database)
        co_await m_database->stop();
    if (m_cluster)
        co_await m_cluster->stop();
    log::info("stopped", {{QStringLiteral("uptime_s"), m_uptime.elapsed() / 1000}});
}

} // namespace power::app
