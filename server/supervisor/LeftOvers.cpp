#include "supervisor/LeftOvers.h"
#include "base/Log.h"
#include <QCoroProcess>
#include <QProcess>
#include <QProcessEnvironment>
#include <unistd.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kSweepTimeout = 20s;
} // namespace

QCoro::Task<> sweepLeftOvers(HostConfig config)
{
    if (config.sessionUids.isEmpty() || ::geteuid() != 0)
        co_return;
    QByteArray uids;
    for (const quint32 uid : std::as_const(config.sessionUids))
        uids += QByteArray::number(uid) + '\n';
    QProcess process;
    process.setProcessEnvironment(QProcessEnvironment());
    process.setProgram(config.kernelProgram);
    process.setArguments({QStringLiteral("sweep")});
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(QIODevice::ReadWrite);
    auto waiter = qCoro(process);
    bool finished = co_await waiter.waitForStarted(kSweepTimeout);
    if (finished) {
        process.write(uids);
        process.closeWriteChannel();
        finished = co_await waiter.waitForFinished(kSweepTimeout);
    }
    if (finished && process.exitStatus() == QProcess::NormalExit && process.exitCode() == 0)
        co_return;
    const QString said = QString::fromLocal8Bit(process.readAllStandardOutput()).trimmed();
    log::warning("left_overs", {{QStringLiteral("detail"), said.isEmpty() ? process.errorString() : said}});
    process.kill();
}

} // namespace power::supervisor
