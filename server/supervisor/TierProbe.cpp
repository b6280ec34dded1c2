#include "supervisor/TierProbe.h"
#include "base/Log.h"
#include "base/OneShot.h"
#include <QJsonDocument>
#include <QProcess>
#include <QProcessEnvironment>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kProbeTimeout = 20s;
constexpr int kAttempts = 5;
constexpr auto kFirstPause = 100ms; // doubled before each further attempt

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

namespace {
// One run of the probe. `again`: it was ended from outside or too slow, which says nothing about the machine.
QCoro::Task<Result<QJsonObject>> runProbe(QString program, QStringList arguments, bool *again)
{
    QProcess process;
    process.setProcessEnvironment(probeEnvironment());
    process.setProgram(program);
    process.setArguments(arguments);
    const OneShot<Done> ended;
    const auto end = [ended] { ended.resolve(Done{}); };
    QObject::connect(&process, &QProcess::finished, &process, end, Qt::QueuedConnection); // its owner lets go of it then
    QObject::connect(&process, &QProcess::errorOccurred, &process, end, Qt::QueuedConnection); // not started: it does not finish
    process.start(QIODevice::ReadOnly);
    const Result<Done> waited = co_await ended.wait(kProbeTimeout);
    const bool finished = waited && process.error() != QProcess::FailedToStart;
    *again = process.error() != QProcess::FailedToStart && (!finished || process.exitStatus() != QProcess::NormalExit);
    if (*again || !finished) {
        const QString why = process.errorString();
        process.kill();
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The sandbox probe %1 did not run: %2.").arg(program, why),
                       QStringLiteral("Check the installation: the kernel program belongs beside the server."));
    }
    const QJsonDocument answer = QJsonDocument::fromJson(process.readAllStandardOutput());
    if (!answer.isObject())
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The sandbox probe gave no answer (exit code %1).").arg(process.exitCode()));
    co_return answer.object();
}
} // namespace

QCoro::Task<Result<TierReport>> probeTier(HostConfig config)
{
    QStringList arguments{QStringLiteral("probe")};
    if (config.landlockAbi >= 0)
        arguments << QStringLiteral("--landlock") << QString::number(config.landlockAbi);
    if (!config.forcedTier.isEmpty())
        arguments << QStringLiteral("--tier") << config.forcedTier;
    for (int attempt = 1;; ++attempt) {
        const QString program = config.kernelProgram;
        bool again = false;
        const Result<QJsonObject> answer = co_await runProbe(program, arguments, &again);
        if (answer) {
            Result<TierReport> decided = decideTier(config, *answer);
            co_return decided;
        }
        if (!again || attempt == kAttempts)
            co_return Unexpected<Error>{answer.error()};
        log::warning("sandbox_probe_again", {{QStringLiteral("reason"), answer.error().message}});
        const OneShot<Done> pause;
        const std::chrono::milliseconds rest = kFirstPause * (1 << attempt);
        const Result<Done> paused = co_await pause.wait(rest);
        Q_UNUSED(paused)
    }
}

} // namespace power::supervisor
