#include "supervisor/Host.h"
#include "base/Log.h"
#include "supervisor/LeftOvers.h"
#include "supervisor/MemoryBudget.h"
#include "supervisor/TierProbe.h"
#include "supervisor/Words.h"
#include <QDir>
#include <QFile>
#include <QPointer>
#include <QRandomGenerator>
#include <algorithm>
#include <csignal>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kZygoteWait = 60s; // imports from a cold disk
constexpr auto kTreeEnd = 6s;
// A session that only starts needs this much of the budget.
constexpr qint64 kFreshKernel = 16ll << 20;

QByteArray newToken()
{
    return QByteArray::number(QRandomGenerator::system()->generate64(), 16).rightJustified(16, '0');
}

// Where outputs lie until they are moved into their session. Those of a server that was killed are nobody's.
void prepareSpool(QString &path)
{
    if (path.isEmpty()) {
        path = QDir::tempPath();
        return;
    }
    QDir().mkpath(path.section(u'/', 0, -2));
    ::mkdir(QFile::encodeName(path).constData(), 0700);
    QDir spool(path);
    for (const QString &left : spool.entryList({QStringLiteral("power-output-*")}, QDir::Files))
        spool.remove(left);
}

// Of a wait that timed out, what it was for.
Error tooLong(Error error, const QString &what, std::chrono::milliseconds limit)
{
    if (error.code != ErrorCode::Timeout)
        return error;
    return fail(ErrorCode::Timeout, QStringLiteral("%1 within %2: the server is overloaded.").arg(what, wordsOfTime(limit)),
                QStringLiteral("Try again in a few seconds.")).error;
}

// Kernel: what the callers own. The process outlives it until its tree is gone.
class KernelHandle final : public Kernel
{
public:
    explicit KernelHandle(std::shared_ptr<KernelProcess> process) : m_process(std::move(process)) {}
    ~KernelHandle() override
    {
        m_process->setStopping();
        m_process->end(QStringLiteral("cancelled"), QStringLiteral("The session was ended."));
    }

    QCoro::Task<RunOutcome> run(RunRequest request) override
    {
        const OneShot<RunOutcome> shot = m_process->run(std::move(request));
        return outcomeOf(shot);
    }
    QCoro::Task<RunOutcome> task(TaskRequest request) override
    {
        const OneShot<RunOutcome> shot = m_process->task(std::move(request));
        return outcomeOf(shot);
    }
    QCoro::Task<Result<SnapshotSummary>> snapshot(SnapshotOrder order) override
    {
        const OneShot<SnapshotSummary> shot = m_process->snapshot(std::move(order));
        return summaryOf(shot);
    }
    void interrupt() override { m_process->interrupt(); }
    bool isAlive() const override { return m_process->isAlive(); }
    std::optional<Restoration> takeRestoration() override { return m_process->takeRestoration(); }
    int untoldLoss() const override { return m_process->untoldLoss(); }
    QString deathReason() const override { return m_process->deathReason(); }
    qint64 pid() const override { return m_process->pid(); }
    qint64 memoryBytes() const override { return m_process->memoryBytes(); }
    void onDeath(std::function<void()> call) override { m_process->setOnDeath(std::move(call)); }
    QJsonObject startTimings() const override { return m_process->timings(); }
    QCoro::Task<> stop() override
    {
        m_process->setStopping();
        m_process->end(QStringLiteral("cancelled"), QStringLiteral("The session was ended."));
        return goneOf(m_process);
    }

private:
    // The process resolves every run by its own deadline, ladder and death watch: no second timeout here.
    static QCoro::Task<RunOutcome> outcomeOf(OneShot<RunOutcome> shot)
    {
        const std::chrono::milliseconds unlimited{0};
        const CancelToken none;
        Result<RunOutcome> result = co_await shot.wait(unlimited, none);
        co_return std::move(result.value());
    }
    // The reader has a time limit of its own.
    static QCoro::Task<Result<SnapshotSummary>> summaryOf(OneShot<SnapshotSummary> shot)
    {
        const std::chrono::milliseconds unlimited{0};
        const CancelToken none;
        Result<SnapshotSummary> result = co_await shot.wait(unlimited, none);
        co_return result;
    }
    static QCoro::Task<> goneOf(std::shared_ptr<KernelProcess> process)
    {
        const std::chrono::milliseconds most = kTreeEnd;
        const CancelToken none;
        const OneShot<Done> gone = process->goneShot();
        const Result<Done> result = co_await gone.wait(most, none);
        Q_UNUSED(result);
    }

    std::shared_ptr<KernelProcess> m_process;
};
} // namespace

std::unique_ptr<KernelHost> KernelHost::create(HostConfig config)
{
    return std::make_unique<Host>(std::move(config));
}

Host::Host(HostConfig config)
    : m_config(std::move(config)), m_pacer(m_config.checkpointsPerSecond, [this](const CheckpointPacer::Visit &visit) {
          for (const auto &[number, kernel] : m_kernels)
              visit(*kernel);
      })
{
    prepareSpool(m_config.spoolDirectory);
    m_budget = kernelMemoryBudget(m_config.totalMemoryBytes);
    m_walker.setMaxThreadCount(1);
    m_groupWork.setMaxThreadCount(1);
    m_sampler.setMaxThreadCount(2); // the end of a tree does not wait for a long walk of another one's directory
    m_renderer = std::make_unique<Renderer>(*this, m_config.renderDirectory, m_config.renderUid);
    m_tick.setSingleShot(true);
    connect(&m_tick, &QTimer::timeout, this, [this] { sample(); });
}

// Whatever still lives ends with its lifeline; trees that need more are killed here.
Host::~Host()
{
    m_sampler.waitForDone();
    m_walker.waitForDone();
    m_renderer->stop();
    m_renderer.reset();
    const std::map<quint64, Shared> kernels = std::exchange(m_kernels, {});
    for (const auto &[number, kernel] : kernels)
        kernel->abandon();
    m_zygotes.reset();
    m_sampler.waitForDone(); // kills without the zygote
    m_groupWork.waitForDone();
    m_groups.reset();
}

QCoro::Task<Result<Done>> Host::start()
{
    // No core dump of, no ptrace into, no /proc/<pid>/environ of the process that holds the secrets.
    ::prctl(PR_SET_DUMPABLE, 0);
    const QPointer<Host> self(this);
    HostConfig config = m_config;
    Result<TierReport> probed = co_await probeTier(std::move(config));
    if (!self)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
    if (!probed) {
        m_refusal = probed.error();
        m_ready.open(); // who waits hears of it
        co_return Unexpected<Error>{probed.error()};
    }
    m_tier = probed.value();
    log::info("sandbox_tier", {{QStringLiteral("tier"), m_tier.tier}, {QStringLiteral("reason"), m_tier.reason}});
    HostConfig swept = m_config;
    co_await sweepLeftOvers(std::move(swept));
    if (!self)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
    co_await openGroups();
    if (!self)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
    QByteArrayList arguments;
    for (const QString &module : std::as_const(m_config.imports))
        arguments << "--import" << module.toUtf8();
    const QByteArrayList environment = zygoteEnvironment();
    Zygotes::Make make = [this, arguments, environment] {
        return std::make_unique<ZygoteClient>(m_poller, m_config.kernelProgram, arguments, environment);
    };
    m_zygotes = std::make_unique<Zygotes>(std::move(make), m_config.kernelsPerZygote);
    connect(m_zygotes.get(), &Zygotes::ready, this, [this] {
        const pid_t zygote = m_zygotes->current().pid();
        m_baseline = procKilobytes(zygote, "status", "RssAnon");
        m_baselineData = procKilobytes(zygote, "status", "VmData");
        Q_EMIT ready();
        m_ready.open();
    });
    connect(m_zygotes.get(), &Zygotes::exited, this, [this](const ExitReport &report) { onExited(report); });
    connect(m_zygotes.get(), &Zygotes::died, this, [this](bool present) {
        m_orphans = true;
        if (present)
            m_ready.close();
    });
    Result<Done> started = m_zygotes->start();
    co_return started;
}

QJsonObject Host::zygoteReport() const
{
    return m_zygotes ? m_zygotes->current().report() : QJsonObject();
}

int Host::kernelCount() const
{
    int living = 0;
    for (const auto &[number, kernel] : m_kernels)
        living += kernel->isAlive() && kernel->spec().runAs == u"kernel" ? 1 : 0;
    return living;
}

int Host::birthsUnderWay() const
{
    return int(std::count_if(m_kernels.begin(), m_kernels.end(), [](const auto &each) { return each.second->isBeingBorn(); }));
}

qint64 Host::usedMemoryBytes() const
{
    qint64 sum = 0;
    for (const auto &[number, kernel] : m_kernels)
        sum += kernel->isGone() ? 0 : kernel->memoryBytes();
    return sum;
}

Result<Done> Host::roomFor(const KernelSpec &spec) const
{
    const qint64 used = usedMemoryBytes();
    if (used + kFreshKernel <= m_budget)
        return Done{};
    return fail(ErrorCode::Busy,
                QStringLiteral("There is no memory left for session %1: the sessions use %2 of the server's %3.")
                    .arg(spec.sessionId, wordsOfBytes(used), wordsOfBytes(m_budget)),
                QStringLiteral("Delete sessions that are not needed, or try again later."),
                {{QStringLiteral("cause"), QStringLiteral("memory_budget")},
                 {QStringLiteral("limit"), wordsOfBytes(m_budget)},
                 {QStringLiteral("peak"), wordsOfBytes(used)}});
}

// A kernel of the same session whose tree is not gone: it may still write there, and a kill by uid would hit both.
Host::Shared Host::predecessor(const KernelSpec &spec) const
{
    for (const auto &[number, kernel] : m_kernels) {
        const bool same = kernel->target().ownUid ? kernel->spec().uid == spec.uid
                                                       : kernel->spec().workspace == spec.workspace;
        if (same && !kernel->isAlive() && !kernel->isGone() && kernel->pid() > 0)
            return kernel;
    }
    return {};
}

Host::Shared Host::order(const KernelSpec &spec, quint64 number, QString &trouble)
{
    FdPair control = makeSocketPair();
    FdPair out = makeReadPipe();
    FdPair err = makeReadPipe();
    FdPair lifeline = makeLifeline();
    if (!control.ok() || !out.ok() || !err.ok() || !lifeline.ok()) {
        trouble = QStringLiteral("The server has no file descriptors left for another session.");
        return {};
    }
    const QByteArray token = newToken();
    auto kernel = std::make_shared<KernelProcess>(
        *this, number, spec, m_tier.tier, token,
        KernelProcess::Channels{std::move(control.ours), std::move(out.ours), std::move(err.ours), std::move(lifeline.ours)});
    m_kernels.emplace(kernel->number(), kernel);
    SpawnOrder ordered;
    ordered.plan = plan(spec, number);
    ordered.kernel = kernelMeta(spec, token);
    ordered.descriptors = {std::move(control.theirs), std::move(out.theirs), std::move(err.theirs), std::move(lifeline.theirs)};
    m_zygotes->spawn(kernel->number(), std::move(ordered), [kernel](Result<SpawnedKernel> spawned) {
        if (spawned) {
            kernel->born(spawned.value());
            return;
        }
        const OneShot<Done> ready = kernel->readyShot();
        const Error error = spawned.error();
        kernel->stillborn();
        ready.resolve(Unexpected<Error>{error});
    });
    return kernel;
}

QCoro::Task<Result<std::unique_ptr<Kernel>>> Host::spawn(KernelSpec spec, CancelToken cancel)
{
    const QPointer<Host> self(this);
    if (m_stopping)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("Kernels cannot be started: the server is stopping."));
    if (m_refusal)
        co_return Unexpected<Error>{*m_refusal};
    if (!isReady()) {
        // A call may come while the sandbox is still probed, before there is a zygote: it waits like the others.
        const QString trouble = m_zygotes ? m_zygotes->current().trouble() : QString();
        if (trouble.contains(QLatin1String("refuses")))
            co_return fail(ErrorCode::Unavailable, trouble);
        const std::chrono::milliseconds most = kZygoteWait;
        const OneShot<Done> ready = m_ready.pass();
        const Result<Done> waited = co_await ready.wait(most, cancel);
        if (!self)
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
        if (!waited)
            co_return fail(waited.error().code,
                           QStringLiteral("The kernels are still warming up. ") + (m_zygotes ? m_zygotes->current().trouble() : QString()),
                           QStringLiteral("Try again in a few seconds."));
        if (m_refusal)
            co_return Unexpected<Error>{*m_refusal};
    }
    if (!m_zygotes)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("Kernels cannot be started: the server is not running them."));
    Result<Done> room = roomFor(spec);
    if (!room)
        co_return Unexpected<Error>{room.error()};
    if (const Shared old = predecessor(spec)) {
        const std::chrono::milliseconds most = kTreeEnd;
        const OneShot<Done> gone = old->goneShot();
        const Result<Done> waited = co_await gone.wait(most, cancel);
        if (!self)
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
        if (!waited)
            co_return Unexpected<Error>{tooLong(waited.error(), QStringLiteral("What is left of the session's last Python process did not end"), most)};
    }
    if (m_stopping)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("Kernels cannot be started: the server is stopping."));
    const quint64 number = m_next++;
    if (m_groups) {
        const std::chrono::milliseconds most = m_config.kernelStart;
        const OneShot<Done> made = makeGroup(number, spec.limits);
        const Result<Done> waited = co_await made.wait(most, cancel);
        if (!self)
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
        if (!waited || m_stopping) {
            removeGroup(number);
            co_return fail(waited ? ErrorCode::Unavailable : waited.error().code,
                           QStringLiteral("The session's control group was not made: ")
                               + (waited ? QStringLiteral("the server is stopping.") : waited.error().message),
                           QStringLiteral("Try again in a few seconds."));
        }
    }
    QString trouble;
    const Shared kernel = order(spec, number, trouble);
    if (!kernel)
        removeGroup(number);
    if (!kernel)
        co_return fail(ErrorCode::Unavailable, trouble, QStringLiteral("Try again later; the administrator may raise LimitNOFILE."));
    auto handle = std::make_unique<KernelHandle>(kernel); // kills it on every way out but the last
    const std::chrono::milliseconds most = m_config.kernelStart;
    const OneShot<Done> ready = kernel->readyShot();
    const Result<Done> waited = co_await ready.wait(most, cancel);
    if (!waited)
        co_return Unexpected<Error>{tooLong(waited.error(), QStringLiteral("The session's Python process did not start"), most)};
    if (!self)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
    std::unique_ptr<Kernel> result = std::move(handle);
    co_return result;
}

void Host::onExited(const ExitReport &report)
{
    for (const auto &[number, kernel] : m_kernels) {
        if (kernel->pid() == report.pid && !kernel->isGone()) {
            const Shared keep = kernel;
            keep->exitReported(report);
            return;
        }
    }
}

void Host::killTree(const KernelProcess &kernel)
{
    const TreeTarget target = kernel.target();
    signalPidfd(kernel.initPidfd(), SIGKILL);
    signalPidfd(kernel.pidfd(), SIGKILL);
    const QJsonObject tree{{QStringLiteral("pid"), qint64(target.pid)},
                           {QStringLiteral("init_pid"), qint64(target.initPid)},
                           {QStringLiteral("uid"), qint64(target.uid)},
                           {QStringLiteral("tier"), kernel.tier()}};
    if (m_groups)
        m_groupWork.start([groups = m_groups, number = kernel.number()] { groups->end(number); });
    if (m_zygotes && m_zygotes->kill(kernel.number(), tree))
        return;
    if (target.initPid > 0)
        return; // the namespace ends with its init
    m_sampler.start([target] {
        for (const pid_t pid : treeProcesses(target))
            ::kill(pid, SIGKILL);
    });
}

void Host::lookForTree(const KernelProcess &kernel)
{
    const quint64 number = kernel.number();
    m_sampler.start([this, number, target = kernel.target()] {
        const bool left = !treeProcesses(target).isEmpty();
        // The destructor waits for this thread: `this` is alive here, and gone calls are dropped with it.
        QMetaObject::invokeMethod(this, [this, number, left] {
            const auto found = m_kernels.find(number);
            if (found == m_kernels.end())
                return;
            const Shared keep = found->second;
            keep->treeSeen(left);
        }, Qt::QueuedConnection);
    });
}

void Host::treeGone(KernelProcess &kernel)
{
    const auto found = m_kernels.find(kernel.number());
    if (found == m_kernels.end())
        return;
    // It still runs: let go of it at the next turn.
    const Shared last = found->second;
    m_kernels.erase(found);
    m_diskWalks.remove(last->number());
    m_seenRunning.remove(last->number());
    removeGroup(last->number());
    if (m_zygotes)
        m_zygotes->forget(last->number());
    QTimer::singleShot(0, this, [last] {});
    if (m_orphans)
        reapStrays();
}

// Pid 1 of a container inherits what a dead zygote left. Only processes of session uids are taken: everybody else
// in the server waits for children of its own.
void Host::reapStrays()
{
    for (int i = 0; i < 256; ++i) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        if (info.si_uid == ::geteuid())
            return;
        ::waitpid(info.si_pid, nullptr, WNOHANG);
    }
}

void Host::asked(KernelProcess &kernel, AskFrame ask, CancelToken cancel)
{
    const auto found = m_kernels.find(kernel.number());
    if (found != m_kernels.end())
        drawFor(m_renderer.get(), found->second, std::move(ask), std::move(cancel));
}

QCoro::Task<> Host::drawFor(Renderer *renderer, Shared kernel, AskFrame ask, CancelToken cancel)
{
    const QString runId = ask.runId;
    const quint64 number = ask.number;
    Result<QByteArray> picture = co_await renderer->draw(std::move(ask), std::move(cancel));
    kernel->answer(runId, number, std::move(picture));
}

QCoro::Task<Result<Done>> Host::load(QJsonObject arguments, int file, std::shared_ptr<Fd> rows, std::chrono::milliseconds timeout,
                                     CancelToken cancel)
{
    return m_renderer->load(std::move(arguments), file, std::move(rows), timeout, std::move(cancel));
}

QCoro::Task<Result<FileLook>> Host::look(QJsonObject arguments, int file, CancelToken cancel)
{
    return m_renderer->look(std::move(arguments), file, std::move(cancel));
}

QCoro::Task<> Host::stop()
{
    const QPointer<Host> self(this);
    m_stopping = true;
    m_renderer->stop();
    m_tick.stop();
    QList<OneShot<Done>> waits;
    std::map<quint64, Shared> kernels = m_kernels;
    for (const auto &[number, kernel] : kernels) {
        kernel->setStopping();
        kernel->end(QStringLiteral("cancelled"), QStringLiteral("The server is shutting down."));
        if (kernel->pid() > 0)
            waits << kernel->goneShot();
    }
    kernels.clear();
    const CancelToken none;
    const std::chrono::milliseconds most = kTreeEnd;
    for (const OneShot<Done> &each : waits) {
        const Result<Done> gone = co_await each.wait(most, none);
        Q_UNUSED(gone);
    }
    if (!self || !m_zygotes)
        co_return;
    const OneShot<Done> ended;
    m_zygotes->stop([ended] { ended.resolve(Done{}); });
    const Result<Done> gone = co_await ended.wait(most, none);
    Q_UNUSED(gone);
}

} // namespace power::supervisor
