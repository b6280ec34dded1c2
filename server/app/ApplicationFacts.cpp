// What the application tells of itself: /health and the banner.
#include "app/Application.h"
#include <QDateTime>
#include <QHostAddress>
#include <QJsonArray>

namespace power::app {

QJsonObject Application::health() const
{
    const supervisor::TierReport &tier = m_kernels->tier();
    const bool connected = m_databaseReady && m_database->isConnected();
    const QString problem = m_databaseProblem.isEmpty() ? m_database->lastProblem() : m_databaseProblem;
    QJsonArray warnings = QJsonArray::fromStringList(m_settings.warnings);
    return {{QStringLiteral("status"), QStringLiteral("healthy")},
            {QStringLiteral("service"), QStringLiteral("power-interpreter")},
            {QStringLiteral("version"), QStringLiteral(POWER_VERSION)},
            {QStringLiteral("database"), connected ? QStringLiteral("connected") : QStringLiteral("disconnected")},
            {QStringLiteral("database_detail"), connected ? databaseDescription() : problem},
            {QStringLiteral("ready"), connected && m_kernels->isReady()},
            {QStringLiteral("sandbox"), QJsonObject{{QStringLiteral("tier"), tier.tier},
                                                    {QStringLiteral("safe"), tier.safe},
                                                    {QStringLiteral("reason"), tier.reason},
                                                    {QStringLiteral("layers"), tier.layers}}},
            {QStringLiteral("kernels"), QJsonObject{{QStringLiteral("ready"), m_kernels->isReady()},
                                                    {QStringLiteral("alive"), m_kernels->kernelCount()},
                                                    {QStringLiteral("memory_mb"), m_kernels->usedMemoryBytes() >> 20},
                                                    {QStringLiteral("memory_limit_mb"), m_kernels->totalMemoryBytes() >> 20},
                                                    {QStringLiteral("checkpoints"), m_kernels->checkpointReport()}}},
            {QStringLiteral("jobs"), QJsonObject{{QStringLiteral("running"), m_jobs->runner().count()},
                                                 {QStringLiteral("at_once"), m_settings.maxConcurrentJobs},
                                                 {QStringLiteral("server"), m_jobs->runner().node()}}},
            {QStringLiteral("datasets"), m_datasets->report()},
            {QStringLiteral("extra_packages"), m_packages->isConfigured() ? QJsonValue(m_packages->state()) : QJsonValue()},
            {QStringLiteral("mcp_auth"), m_settings.mcpAuth},
            {QStringLiteral("warnings"), warnings},
            {QStringLiteral("file_store"), m_files->report()},
            {QStringLiteral("records_waiting"), m_records->pending()},
            {QStringLiteral("uptime_s"), m_uptime.elapsed() / 1000},
            {QStringLiteral("timestamp"), QDateTime::currentDateTimeUtc().toString(Qt::ISODate)}};
}

QUrl Application::url() const
{
    QUrl url;
    url.setScheme(m_http && m_http->isSecure() ? QStringLiteral("https") : QStringLiteral("http"));
    const QHostAddress address(m_settings.host);
    url.setHost(address.isNull() || address == QHostAddress::AnyIPv4 || address == QHostAddress::Any
                        || address == QHostAddress::AnyIPv6
                    ? QStringLiteral("127.0.0.1")
                    : m_settings.host);
    url.setPort(m_http ? m_http->port() : int(m_settings.port));
    return url;
}

QString Application::databaseDescription() const
{
    return m_cluster ? m_cluster->description()
                     : QStringLiteral("PostgreSQL %1 at %2").arg(m_database->serverVersion(), config::redactedUrl(m_settings.databaseUrl));
}

QString Application::packages() const
{
    return m_packages ? m_packages->state() : QString();
}

QString Application::tier() const
{
    const supervisor::TierReport &tier = m_kernels->tier();
    const QString words = tier.reason.isEmpty() ? tier.tier : tier.tier + QStringLiteral(" (") + tier.reason + u')';
    return tier.layers.value(QStringLiteral("cgroup")).toBool() ? words + QStringLiteral(", sessions in control groups") : words;
}

} // namespace power::app
