#include "supervisor/TierProbe.h"
#include <QCoroProcess>
#include <QJsonDocument>
#include <QProcess>
#include <QProcessEnvironment>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kProbeTimeout = 20s;

QProcessEnvironment probeEnvironment()
{
    QProcessEnvironment environment;
    environment.insert(QStringLiteral("PATH"), QStringLiteral("/usr/local/bin:/usr/bin:/bin"));
    environment.insert(QStringLiteral("LANG"), QStringLiteral("C.UTF-8"));
    return environment;
}
} // namespace

int tierRank(const QString &word)
{
    static const QStringList words{QStringLiteral("none"), QStringLiteral("nonroot"), QStringLiteral("container"),
                                   QStringLiteral("full")};
    return int(words.indexOf(word));
}

Result<TierReport> decideTier(const HostConfig &config, const QJsonObject &probe)
{
    for (const QString &word : {config.requiredTier, config.forcedTier}) {
        if (!word.isEmpty() && tierRank(word) < 0) {
            return fail(ErrorCode::Unavailable,
                        QStringLiteral("\"%1\" is no sandbox tier.").arg(word),
                        QStringLiteral("Use full, container, nonroot or none for SANDBOX_REQUIRE and SANDBOX_TIER."));
        }
    }
    TierReport report;
    report.layers = probe;
    report.reason = probe.value(QStringLiteral("reason")).toString();
    for (const char *key : {"reason", "best", "tier"})
        report.layers.remove(QLatin1String(key));
    report.tier = probe.value(probe.contains(QStringLiteral("best")) ? QStringLiteral("best") : QStringLiteral("tier")).toString();
    if (tierRank(report.tier) < 0)
        report.tier = QStringLiteral("none");
    const bool noneAsked = config.forcedTier == u"none" || config.requiredTier == u"none";
    if (config.forcedTier == u"none") {
        report.tier = config.forcedTier;
        report.reason = QStringLiteral("No sandbox: SANDBOX_TIER=none was set.");
    }
    const int rank = tierRank(report.tier);
    if (!config.forcedTier.isEmpty() && report.tier != config.forcedTier) {
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("The sandbox tier %1 that was demanded is not available here: %2")
                        .arg(config.forcedTier, report.reason),
                    QStringLiteral("Remove SANDBOX_TIER to use the best tier of this machine."));
    }
    if (rank < tierRank(config.requiredTier)) {
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("This machine offers the sandbox tier %1; SANDBOX_REQUIRE demands %2. %3")
                        .arg(report.tier, config.requiredTier, report.reason),
                    QStringLiteral("Give the server what the tier needs, or require less."));
    }
    if (rank == 0 && !noneAsked) {
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("No safe sandbox is possible here, so user code is not run. %1").arg(report.reason),
                    QStringLiteral("Run the server where Landlock and seccomp work. Without any wall it runs only when "
                                   "SANDBOX_REQUIRE=none says so."));
    }
    report.safe = rank > 0;
    return report;
}

QCoro::Task<Result<TierReport>> probeTier(HostConfig config)
{
    QStringList arguments{QStringLiteral("probe")};
    if (config.landlockAbi >= 0)
        arguments << QStringLiteral("--landlock") << QString::number(config.landlockAbi);
    if (!config.forcedTier.isEmpty())
        arguments << QStringLiteral("--tier") << config.forcedTier;
    QProcess process;
    process.setProcessEnvironment(probeEnvironment());
    process.setProgram(config.kernelProgram);
    process.setArguments(arguments);
    process.start(QIODevice::ReadOnly);
    auto waiter = qCoro(process);
    bool finished = co_await waiter.waitForStarted(kProbeTimeout);
    if (finished)
        finished = co_await waiter.waitForFinished(kProbeTimeout);
    if (!finished || process.exitStatus() != QProcess::NormalExit || process.error() == QProcess::FailedToStart) {
        const QString why = process.errorString();
        process.kill();
        co_return fail(ErrorCode::Unavailable,
                       QStringLiteral("The sandbox probe %1 did not run: %2.").arg(config.kernelProgram, why),
                       QStringLiteral("Check the installation: the kernel program belongs beside the server."));
    }
    const QJsonDocument answer = QJsonDocument::fromJson(process.readAllStandardOutput());
    if (!answer.isObject()) {
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The sandbox probe gave no answer (exit code %1).").arg(process.exitCode()));
    }
    Result<TierReport> decided = decideTier(config, answer.object());
    co_return decided;
}

} // namespace power::supervisor
