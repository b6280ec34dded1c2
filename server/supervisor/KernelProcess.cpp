#include "supervisor/KernelProcess.h"
#include "base/Log.h"
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <QFile>
#include <sys/epoll.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kBirthReport = 500ms; // of a kernel that died at once: the zygote's word on it
} // namespace

KernelProcess::KernelProcess(KernelHouse &house, quint64 number, KernelSpec spec, QString tier, QByteArray token,
                             Channels channels)
    : m_house(&house), m_number(number), m_spec(std::move(spec)), m_tier(std::move(tier)), m_token(std::move(token)),
      m_channels(std::move(channels)),
      m_decoder(std::max<std::size_t>(wire::kDefaultMaxBlob, std::size_t(m_spec.limits.displayBytes))),
      m_merger(m_token, {[this](Pipe pipe, QByteArrayView bytes) {
                             if (m_run)
                                 m_run->log.text(pipe, bytes);
                         },
                         [this](OutputEvent &&event) {
                             if (m_run)
                                 m_run->log.event(std::move(event));
                         }})
{
    for (QTimer *timer : {&m_deadline, &m_step, &m_quiet, &m_pause, &m_exitTimer, &m_treeTimer, &m_copyTimer})
        timer->setSingleShot(true);
    m_ordered.start();
    m_deadline.setTimerType(Qt::PreciseTimer);
    connect(&m_deadline, &QTimer::timeout, this, [this] {
        if (m_run)
            ladder(QStringLiteral("timeout"), wordsOfTime(m_run->timeout), {});
    });
    connect(&m_step, &QTimer::timeout, this, [this] { climb(); });
    connect(&m_quiet, &QTimer::timeout, this, [this] { onQuiet(); });
    m_pause.setTimerType(Qt::PreciseTimer);
    connect(&m_pause, &QTimer::timeout, this, [this] {
        if (m_run)
            watchPipes(true);
    });
    connect(&m_exitTimer, &QTimer::timeout, this, [this] { conclude({}); });
    connect(&m_treeTimer, &QTimer::timeout, this, [this] { waitForTree(); });
    connect(&m_copyTimer, &QTimer::timeout, this, [this] {
        dropAsked(); // no further one is asked for until it answers
        releaseRun();
        m_house->countCheckpoint(QStringLiteral("skipped"), QStringLiteral("no answer"));
    });
}

KernelProcess::~KernelProcess()
{
    letGo();
}

// Nothing of the host is used after this.
void KernelProcess::letGo()
{
    if (!m_house)
        return;
    Poller &poller = m_house->poller();
    dropAsked();
    dropCheckpoint();
    for (Poller::Id *id : {&m_controlWatch, &m_pidWatch, &m_pipeWatch[0], &m_pipeWatch[1]})
        poller.forget(std::exchange(*id, 0));
    for (QTimer *timer : {&m_deadline, &m_step, &m_quiet, &m_pause, &m_exitTimer, &m_treeTimer, &m_copyTimer})
        timer->stop();
    m_channels = {};
    m_house = nullptr;
}

void KernelProcess::abandon()
{
    if (m_state == State::Gone)
        return;
    end(QStringLiteral("cancelled"), QStringLiteral("The server stopped."));
    m_state = State::Gone;
    letGo();
    if (m_run)
        settle(goneOutcome());
    m_ready.resolve(fail(ErrorCode::Cancelled, QStringLiteral("The server stopped.")));
    m_gone.open();
}

void KernelProcess::born(const SpawnedKernel &spawned)
{
    m_pid = m_sid = spawned.pid;
    m_initPid = spawned.initPid;
    m_timings = spawned.timings;
    m_pidfd = openPidfd(m_pid);
    if (m_initPid > 0)
        m_initPidfd = openPidfd(m_initPid);
    if (!m_pidfd) { // it died at once, and the zygote has reaped it
        m_state = State::Living;
        m_exitTimer.start(kBirthReport);
        m_exited = true;
        return;
    }
    m_state = State::Living;
    Poller &poller = m_house->poller();
    m_controlWatch = poller.watch(m_channels.control.get(), EPOLLIN, [this](std::uint32_t events) { onControl(events); });
    m_pidWatch = poller.watch(m_pidfd.get(), EPOLLIN, [this](std::uint32_t) { onPidfd(); });
    if (m_final) // given up before it had a number to be killed by
        end(QStringLiteral("cancelled"), QStringLiteral("The session was ended."));
}

void KernelProcess::stillborn()
{
    m_deathReason = QStringLiteral("The kernel could not be started.");
    becomeGone();
}

TreeTarget KernelProcess::target() const
{
    TreeTarget target;
    target.kernel = m_number;
    target.pid = m_pid;
    target.initPid = m_initPid;
    target.session = m_sid;
    if (m_copy) {
        target.copy = m_copy->pid;
        target.faultsBefore = m_copy->faults;
        target.residentBefore = m_copy->resident;
    }
    target.uid = m_spec.uid;
    target.ownUid = m_spec.uid != 0 && m_spec.uid != ::geteuid() && m_tier != u"nonroot" && m_tier != u"none";
    target.workspace = QFile::encodeName(m_spec.workspace);
    target.scratch = QFile::encodeName(m_spec.scratch);
    target.taskLimit = m_spec.limits.processes;
    target.cpuBefore = m_cpuMs;
    target.elapsedMs = m_sampledAt.isValid() ? m_sampledAt.elapsed() : 0;
    target.longestRunMs = std::max(m_longestRun, m_run ? std::max<qint64>(1, m_run->clock.elapsed()) : 0);
    target.nice = m_nice;
    return target;
}

void KernelProcess::setOnDeath(std::function<void()> call)
{
    m_onDeath = std::move(call);
}

} // namespace power::supervisor
