#include "sessions/SessionPackages.h"
#include "base/Log.h"
#include "base/Offload.h"
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QTemporaryDir>
#include <fcntl.h>
#include <unistd.h>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
constexpr int kPackagesAtOnce = 2;
constexpr int kUnpacked = 4; // times the size of the wheels

struct Wheels {
    QString directory;
    QStringList names;
};

// The wheels into the workspace. The directory was another user's: nothing but a plain file is followed.
Result<Done> moveWheels(const Wheels &wheels, workspace::Workspace &to)
{
    QByteArray bytes(1 << 20, Qt::Uninitialized);
    for (const QString &name : wheels.names) {
        const workspace::Descriptor from(
            ::open(QFile::encodeName(wheels.directory + u'/' + name).constData(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        auto writer = to.create(QStringLiteral(".packages/incoming/") + name);
        if (from.get() < 0 || name.contains(u'/'))
            return fail(ErrorCode::Internal, QStringLiteral("A fetched wheel could not be read: %1").arg(name), {});
        if (!writer)
            return Unexpected<Error>{writer.error()};
        ssize_t got = 0;
        while ((got = ::read(from.get(), bytes.data(), size_t(bytes.size()))) > 0) {
            if (const auto wrote = (*writer)->write(QByteArrayView(bytes.constData(), got)); !wrote)
                return Unexpected<Error>{wrote.error()};
        }
        if (const auto committed = (*writer)->commit(); !committed)
            return Unexpected<Error>{committed.error()};
    }
    return Done{};
}
} // namespace

QCoro::Task<Result<QJsonObject>> SessionPackages::install(SessionKey key, QString requirement, CancelToken cancel)
{
    if (m_running >= kPackagesAtOnce)
        co_return fail(ErrorCode::Busy, QStringLiteral("Other packages are being installed."), QStringLiteral("Try again in a minute."));
    ++m_running;
    Result<QJsonObject> done = co_await fetchAndUnpack(key, requirement, cancel);
    --m_running;
    const QString outcome = done ? QString::fromUtf8(QJsonDocument(done->value(QLatin1String("installed")).toArray()).toJson(QJsonDocument::Compact))
                                 : done.error().message;
    log::info("install_package", {{QStringLiteral("principal"), key.principal},
                                  {QStringLiteral("session"), key.id},
                                  {QStringLiteral("requirement"), requirement},
                                  {QStringLiteral("success"), bool(done)},
                                  {QStringLiteral("outcome"), outcome}});
    co_return done;
}

QCoro::Task<Result<QJsonObject>> SessionPackages::fetchAndUnpack(SessionKey key, QString requirement, CancelToken cancel)
{
    auto opened = m_sessions.workspace(key);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const std::shared_ptr<workspace::Workspace> workspace = *opened;
    const QTemporaryDir staging;
    if (!staging.isValid())
        co_return fail(ErrorCode::Unavailable, QStringLiteral("There is no place for the package: ") + staging.errorString(), {});
    const PackageRules rules = m_rules;
    const QString directory = staging.path();
    Result<QJsonObject> fetched = co_await downloadWheels(rules, requirement, directory, cancel);
    if (!fetched)
        co_return Unexpected<Error>{fetched.error()};
    QJsonObject answer = *fetched;
    const Wheels wheels{directory + QStringLiteral("/wheels"), answer.take(QStringLiteral("wheels")).toVariant().toStringList()};
    if (wheels.names.isEmpty())
        co_return answer;

    const qint64 diskBytes = m_diskBytes;
    std::function<Result<Done>()> move = [wheels, workspace, diskBytes, rules]() -> Result<Done> {
        const qint64 used = diskBytes > 0 ? workspace->bytesOnDisk() : 0;
        if (diskBytes > 0 && (used < 0 || used + rules.mostBytes > diskBytes))
            return fail(ErrorCode::Conflict,
                        QStringLiteral("The session has no room for packages: %1 of %2 MB are in use.")
                            .arg(used < 0 ? QStringLiteral("more than can be counted") : QString::number(used >> 20)).arg(diskBytes >> 20),
                        QStringLiteral("Delete files of the session first."));
        return moveWheels(wheels, *workspace);
    };
    const Result<Done> moved = co_await offload<Done>(std::move(move));
    if (!moved)
        co_return Unexpected<Error>{moved.error()};
    const QString task = QStringLiteral("install");
    const QJsonObject arguments{{QStringLiteral("wheels"), QJsonArray::fromStringList(wheels.names)},
                                {QStringLiteral("most_bytes"), rules.mostBytes * kUnpacked}};
    const std::chrono::milliseconds timeout = 60s;
    auto outcome = co_await m_sessions.task(key, task, arguments, timeout, cancel);
    if (!outcome)
        co_return Unexpected<Error>{outcome.error()};
    if (outcome->status != supervisor::RunStatus::Ok)
        co_return fail(ErrorCode::InvalidArgument,
                       QStringLiteral("%1 could not be unpacked: %2 %3 %4").arg(requirement, outcome->errorName, outcome->errorValue, outcome->cause).trimmed(),
                       QStringLiteral("Try another version, or use what is installed."));
    const QJsonObject unpacked = QJsonDocument::fromJson(outcome->payload).object();
    answer.insert(QStringLiteral("modules"), unpacked.value(QLatin1String("modules")).toArray());
    answer.insert(QStringLiteral("loaded"), unpacked.value(QLatin1String("loaded")).toArray());
    co_return answer;
}

} // namespace power::sessions
