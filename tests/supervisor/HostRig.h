// A real KernelHost with real kernels for the tests of this folder.
#pragma once
#include "supervisor/KernelHost.h"
#include <QCoroTask>
#include <QDir>
#include <QEventLoop>
#include <QTemporaryDir>
#include <QTest>
#include <cerrno>
#include <csignal>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace rig {

using namespace power;
using namespace power::supervisor;
using namespace std::chrono_literals;

// Runs the event loop until the task is done (QCoro::waitFor wants values with a default).
template <typename T>
QCoro::Task<void> keep(QCoro::Task<T> task, std::shared_ptr<std::optional<T>> out, QEventLoop *loop)
{
    T value = co_await std::move(task);
    out->emplace(std::move(value));
    loop->quit();
}
template <typename T>
T await(QCoro::Task<T> task)
{
    QEventLoop loop;
    const auto out = std::make_shared<std::optional<T>>();
    keep(std::move(task), out, &loop);
    if (!*out)
        loop.exec();
    return std::move(**out);
}
inline void await(QCoro::Task<> task)
{
    QCoro::waitFor(std::move(task));
}

inline QString binary(const char *name)
{
    return qEnvironmentVariable("POWER_BIN") + u'/' + QLatin1String(name);
}

inline HostConfig config(const QString &spool)
{
    HostConfig made;
    made.kernelProgram = binary("power-kernel");
    made.initProgram = binary("power-init");
    made.spoolDirectory = spool;
    made.python = qEnvironmentVariable("POWER_PYTHON_ENV");
    made.renderDirectory = spool + QStringLiteral("/render");
    made.renderUid = ::geteuid() == 0 ? 140'000 + quint32(::getpid() % 1000) * 4 : 0;
    // The best tier of this machine; POWER_TEST_TIER runs the same tests in a lower one.
    made.forcedTier = qEnvironmentVariable("POWER_TEST_TIER");
    made.requiredTier = made.forcedTier;
    return made;
}

// Rig: one host and as many sessions as a test wants, each with a workspace and a uid of its own.
struct Rig {
    // Named by the process. What one left that was killed (by a time limit) or ended by exit (an unknown test's name) goes.
    static QString sweptPlace()
    {
        const QString prefix = QStringLiteral("power-rig-");
        for (const QString &left : QDir(QStringLiteral("/tmp")).entryList({prefix + u'*'}, QDir::Dirs)) {
            const int pid = left.section(u'-', 2, 2).toInt();
            if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH)
                QDir(QStringLiteral("/tmp/") + left).removeRecursively();
        }
        return QStringLiteral("/tmp/%1%2-XXXXXX").arg(prefix).arg(::getpid());
    }

    QTemporaryDir directory{sweptPlace()};
    std::unique_ptr<KernelHost> host;
    quint32 nextUid = 150'000 + quint32(::getpid() % 1000) * 100;
    int sessions = 0;

    Rig() { ::chmod(directory.path().toLocal8Bit().constData(), 0711); }

    bool start(HostConfig made)
    {
        host = KernelHost::create(std::move(made));
        const Result<Done> started = await(host->start());
        if (!started)
            qWarning("%s", qPrintable(started.error().text()));
        return bool(started);
    }
    bool start() { return start(config(directory.path())); }
    void stop()
    {
        if (host)
            await(host->stop());
        host.reset();
    }

    KernelSpec spec()
    {
        KernelSpec made;
        made.sessionId = QStringLiteral("s%1").arg(++sessions);
        made.uid = made.gid = nextUid++;
        made.workspace = directory.filePath(made.sessionId);
        made.scratch = made.workspace + QStringLiteral(".tmp");
        for (const QString &path : {made.workspace, made.scratch}) {
            QDir().mkpath(path);
            const QByteArray name = path.toLocal8Bit();
            ::chmod(name.constData(), 0700);
            const QString tier = host->tier().tier;
            const bool own = tier == u"none" || tier == u"nonroot" || ::geteuid() != 0;
            if (!own && ::chown(name.constData(), made.uid, made.gid) != 0)
                qWarning("chown failed");
        }
        made.limits.memoryBytes = 1ll << 30;
        made.limits.diskBytes = 256ll << 20;
        return made;
    }

    std::unique_ptr<Kernel> spawn(KernelSpec wanted)
    {
        auto made = await(host->spawn(std::move(wanted), {}));
        if (!made) {
            qWarning("%s", qPrintable(made.error().text()));
            return {};
        }
        return std::move(made.value());
    }
    std::unique_ptr<Kernel> spawn() { return spawn(spec()); }
};

inline RunRequest request(const QByteArray &code, std::chrono::milliseconds timeout = 30s)
{
    static int number = 0;
    RunRequest made;
    made.runId = QStringLiteral("run%1").arg(++number);
    made.code = code;
    made.timeout = timeout;
    return made;
}

inline RunOutcome run(Kernel &kernel, const QByteArray &code, std::chrono::milliseconds timeout = 30s)
{
    return await(kernel.run(request(code, timeout)));
}

// All texts of an outcome: "o:..." "e:..." "d:alt or first part", in order.
inline QByteArray story(const RunOutcome &outcome)
{
    QByteArrayList all;
    for (const OutputEvent &event : outcome.outputs) {
        if (event.kind == OutputEvent::Kind::Stdout)
            all << "o:" + event.text;
        else if (event.kind == OutputEvent::Kind::Stderr)
            all << "e:" + event.text;
        else if (!event.parts.isEmpty())
            all << "d:" + event.parts.last().data.left(100);
    }
    return all.join('|');
}

inline QByteArray describe(const RunOutcome &outcome)
{
    return "status " + QByteArray::number(int(outcome.status)) + " cause " + outcome.cause.toUtf8() + " limit "
           + outcome.limit.toUtf8() + " peak " + outcome.peak.toUtf8() + ' ' + outcome.errorName.toUtf8() + ' '
           + outcome.errorValue.left(300).toUtf8() + ' ' + outcome.notes.join(u';').toUtf8();
}

} // namespace rig
