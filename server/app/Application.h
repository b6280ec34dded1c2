// The server put together: ordered build, reverse shutdown.
#pragma once
#include "app/ExtraPackages.h"
#include "config/Settings.h"
#include "datasets/DatasetService.h"
#include "http/HttpServer.h"
#include "jobs/JobService.h"
#include "jobs/Schedules.h"
#include "jobs/Webhooks.h"
#include "mcp/Sealer.h"
#include "operations/Services.h"
#include "sessions/SessionPackages.h"
#include "sessions/SessionRecords.h"
#include "sessions/Snapshots.h"
#include "storage/ManagedCluster.h"
#include "uploads/TusUploads.h"
#include <QElapsedTimer>

namespace power::app {

// Application: start() listens at once; database and kernels come up behind it, so that /health and initialize answer
// while kernels are still warming. Thread: main.
class Application : public QObject
{
    Q_OBJECT
public:
    explicit Application(config::Settings settings, QObject *parent = nullptr);
    ~Application() override;

    // Resolves when the port is open. Errors: what keeps the server from starting at all.
    QCoro::Task<Result<Done>> start();
    // Resolves when database and kernels are ready, or have failed (health() says which); a database that failed is tried again.
    QCoro::Task<Result<Done>> warmUp();
    // After start(): MCP on these descriptors too; `ended` when the client closes them.
    void serveLines(int in, int out, std::function<void()> ended);
    // Reverse order: no new requests, running ones get `grace`, kernels end, records are flushed, database stops.
    QCoro::Task<> stop(std::chrono::milliseconds grace);

    QJsonObject health() const;
    QUrl url() const;                  // as a client on this machine reaches it
    const config::Settings &settings() const { return m_settings; }
    int toolCount() const { return m_toolCount; } // as a client that selects none sees them
    QString databaseDescription() const;
    QString tier() const;
    QString packages() const;          // EXTRA_REQUIREMENTS in one sentence; empty: none asked for

private:
    void buildServices();
    Result<Done> buildJobs();
    // Error: TOOL_PROFILE names something that is not there.
    Result<Done> buildDoors();
    QCoro::Task<Result<Done>> startDatabase();
    // Session ids and request states of MCP stay good over a restart, on an empty disk and with another server: their key is
    // the database's. The data directory has it too, for as long as the database is away.
    void makeSealer();
    QCoro::Task<Result<Done>> shareSealer();
    // Again and again behind the server's work, until it has come up: it may be started later than this server.
    QCoro::Task<> startDatabaseLater();

    config::Settings m_settings;
    QElapsedTimer m_uptime;
    QString m_databaseProblem;
    bool m_stopping = false;
    bool m_databaseReady = false; // its schema and the file store too
    int m_toolCount = 0;

    std::unique_ptr<ExtraPackages> m_packages;
    std::unique_ptr<sessions::SessionPackages> m_sessionPackages;
    std::unique_ptr<storage::ManagedCluster> m_cluster;
    std::unique_ptr<storage::Database> m_database;
    std::unique_ptr<workspace::Workspaces> m_workspaces;
    std::unique_ptr<supervisor::KernelHost> m_kernels;
    std::unique_ptr<files::FileStore> m_files;
    std::unique_ptr<net::Fetcher> m_fetcher;
    std::unique_ptr<sessions::SessionRecords> m_records;
    std::unique_ptr<files::SnapshotStore> m_snapshotStore;
    std::unique_ptr<sessions::Snapshots> m_snapshots;
    std::unique_ptr<sessions::SessionService> m_sessions;
    std::unique_ptr<operations::Services> m_services;
    std::unique_ptr<datasets::DatasetService> m_datasets;
    std::unique_ptr<uploads::TusUploads> m_uploads;
    mcp::Sealer m_sealer;
    operations::Registry m_registry;
    std::unique_ptr<jobs::JobService> m_jobs;
    std::unique_ptr<jobs::Schedules> m_schedules;
    std::unique_ptr<jobs::Webhooks> m_webhooks;
    std::unique_ptr<class Doors> m_doors;
    http::Dispatcher m_dispatcher;
    std::unique_ptr<http::HttpServer> m_http;
    QTimer m_sweepTimer;
};

} // namespace power::app
