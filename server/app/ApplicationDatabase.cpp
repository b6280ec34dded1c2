// The application's way to its database: at once, later, or back after it was away; and the key that all servers of one database share.
#include "app/Application.h"
#include "base/Log.h"
#include "storage/SharedSecret.h"
#include <QPointer>

namespace power::app {

using namespace std::chrono_literals;

namespace {
QString sealerFile(const config::Settings &settings)
{
    return settings.dataDir + QStringLiteral("/keys/mcp");
}
} // namespace

void Application::makeSealer()
{
    if (const Result<mcp::Sealer> kept = mcp::Sealer::fromFile(sealerFile(m_settings)))
        m_sealer = *kept;
    else
        log::warning("mcp_key_not_kept", {{QStringLiteral("reason"), kept.error().text()}});
}

QCoro::Task<Result<Done>> Application::shareSealer()
{
    const QString name = QStringLiteral("mcp");
    const QByteArray own = m_sealer.key();
    const Result<QByteArray> shared = co_await storage::askSharedSecret(*m_database, name, own);
    if (!shared)
        co_return Unexpected<Error>{shared.error()};
    if (*shared == own)
        co_return Done{};
    if (!m_sealer.adopt(*shared))
        co_return fail(ErrorCode::Internal, QStringLiteral("The key \"mcp\" in power.store_secrets is none."),
                       QStringLiteral("Delete that row; the next start makes a new one."));
    if (const Result<Done> kept = m_sealer.keepIn(sealerFile(m_settings)); !kept)
        log::warning("mcp_key_not_kept", {{QStringLiteral("reason"), kept.error().text()}});
    co_return Done{};
}

QCoro::Task<Result<Done>> Application::startDatabase()
{
    if (m_cluster) {
        const Result<Done> cluster = co_await m_cluster->start();
        if (!cluster) {
            m_databaseProblem = cluster.error().message;
            co_return Unexpected<Error>{cluster.error()};
        }
        m_database->setUrl(m_cluster->url());
    }
    if (m_stopping)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
    const Result<Done> database = co_await m_database->start();
    if (!database) {
        m_databaseProblem = database.error().message;
        co_return Unexpected<Error>{database.error()};
    }
    const Result<Done> sealer = co_await shareSealer();
    if (!sealer) {
        m_databaseProblem = sealer.error().message;
        co_return Unexpected<Error>{sealer.error()};
    }
    const Result<Done> files = co_await m_files->start();
    if (!files) {
        m_databaseProblem = files.error().message;
        co_return Unexpected<Error>{files.error()};
    }
    const Result<Done> datasets = co_await m_datasets->start();
    if (!datasets)
        log::error("datasets_unavailable", {{QStringLiteral("reason"), datasets.error().text()}});
    if (m_stopping)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
    m_databaseProblem.clear();
    m_databaseReady = true;
    connect(&m_sweepTimer, &QTimer::timeout, this, [this] {
        m_files->sweep();
        m_uploads->sweep();
        m_records->prune();
        m_jobs->prune();
        m_sessions->removeUnused();
    });
    m_jobs->start();
    m_webhooks->start();
    if (m_schedules)
        m_schedules->start();
    m_jobs->prune();
    m_records->prune();
    m_sessions->removeUnused();
    m_sweepTimer.start(1h);
    co_return Done{};
}

QCoro::Task<> Application::startDatabaseLater()
{
    constexpr std::chrono::milliseconds longest = 10s;
    const QPointer<Application> self(this);
    QString told = m_databaseProblem;
    for (std::chrono::milliseconds pause = 500ms;; pause = std::min(2 * pause, longest)) {
        const OneShot<Done> nap;
        const Result<Done> waited = co_await nap.wait(pause);
        Q_UNUSED(waited);
        if (!self || m_stopping)
            co_return;
        const Result<Done> ready = co_await startDatabase();
        if (!self || m_stopping)
            co_return;
        if (ready) {
            log::info("database_ready", {{QStringLiteral("uptime_ms"), m_uptime.elapsed()}});
            co_return;
        }
        if (ready.error().message != std::exchange(told, ready.error().message))
            log::error("database_unavailable", {{QStringLiteral("reason"), ready.error().text()}});
    }
}

} // namespace power::app
