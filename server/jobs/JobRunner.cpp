#include "jobs/JobRunner.h"
#include "base/Ids.h"
#include "base/Log.h"
#include <QPointer>
#include <algorithm>

namespace power::jobs {

using namespace std::chrono_literals;

namespace {
constexpr int kBeatsPerLease = 7;
constexpr std::chrono::milliseconds kDeadline = 5s;
constexpr std::chrono::milliseconds kPause = 1s;                           // between attempts to write an end
constexpr auto kStopTime = 10s;

// What a model would read of an output that is no text.
QString shownOutput(const supervisor::OutputEvent &event)
{
    if (!event.text.isEmpty())
        return QString::fromUtf8(event.text);
    for (const auto &part : event.parts) {
        if (part.mime == "text/plain")
            return QString::fromUtf8(part.data) + u'\n';
    }
    return QStringLiteral("[%1]\n").arg(event.fileName.isEmpty() ? event.alt : event.fileName);
}

QString kindOf(const supervisor::OutputEvent &event)
{
    switch (event.kind) {
    case supervisor::OutputEvent::Kind::Stdout: return QStringLiteral("stdout");
    case supervisor::OutputEvent::Kind::Stderr: return QStringLiteral("stderr");
    default: return QStringLiteral("display");
    }
}
} // namespace

JobRunner::JobRunner(RunnerConfig config, storage::Database &database, sessions::SessionService &sessions,
                     supervisor::KernelHost &kernels, Shaper shape, Tools tools, QObject *parent)
    : QObject(parent), m_config(std::move(config)), m_database(database), m_sessions(sessions), m_kernels(kernels),
      m_shape(std::move(shape)), m_tools(std::move(tools)), m_instance(newUuid())
{
    m_config.atOnce = std::min<int>(m_config.atOnce, int(workspace::Workspaces::jobUids));
    connect(&m_tick, &QTimer::timeout, this, [this] { beat(); });
    connect(&m_kernels, &supervisor::KernelHost::ready, this, &JobRunner::wake);
}

void JobRunner::start()
{
    m_started = true;
    m_heard.start();
    m_tick.start(std::chrono::milliseconds(m_config.leaseSeconds * 1000 / kBeatsPerLease));
    beat();
}

int JobRunner::freePlaces() const
{
    return m_config.atOnce - int(std::count_if(m_running.cbegin(), m_running.cend(), [](const RunningPtr &each) { return each->occupies; }));
}

// In turn, so that a uid rests before it is used again.
int JobRunner::takeUidPlace()
{
    if (m_config.firstUid == 0)
        return -1;
    const int all = int(workspace::Workspaces::jobUids);
    while (m_uidPlaces.contains(m_nextUidPlace))
        m_nextUidPlace = (m_nextUidPlace + 1) % all;
    const int place = m_nextUidPlace;
    m_nextUidPlace = (m_nextUidPlace + 1) % all;
    m_uidPlaces.insert(place);
    return place;
}

void JobRunner::wake()
{
    if (m_started)
        claim();
}

QCoro::Task<> JobRunner::claim()
{
    if (std::exchange(m_claiming, true)) {
        m_claimAgain = true;
        co_return;
    }
    const QPointer<JobRunner> self(this);
    do {
        m_claimAgain = false;
        const int most = freePlaces();
        if (most <= 0 || m_stopping || !m_kernels.isReady() || !m_database.isConnected())
            break;
        storage::Job<QList<Job>> job = [node = m_config.node, most, lease = m_config.leaseSeconds](QSqlDatabase &connection) {
            return table::claim(connection, node, most, lease);
        };
        const storage::Lane lane = storage::Lane::Short;
        const Result<QList<Job>> claimed = co_await m_database.run<QList<Job>>(lane, kDeadline, std::move(job));
        if (!self)
            co_return;
        if (!claimed) {
            log::warning("jobs_not_claimed", {{QStringLiteral("reason"), claimed.error().message}});
            break;
        }
        for (const Job &each : *claimed) {
            const auto running = std::make_shared<Running>();
            running->job = each;
            if (m_stopping) {
                m_running.insert(each.id, running);
                giveBack(running);
                continue;
            }
            running->occupies = true;
            running->uidPlace = takeUidPlace();
            m_running.insert(each.id, running);
            execute(running);
        }
    } while (m_claimAgain);
    m_claiming = false;
}

// Claimed when the server was stopping already: the next one begins it as if nobody had.
void JobRunner::giveBack(const RunningPtr &running)
{
    Ending ending;
    ending.state = state::interrupted;
    ending.notStarted = true;
    settle(running, std::move(ending));
}

sessions::ApartCall JobRunner::callFor(const RunningPtr &running)
{
    const Job &job = running->job;
    sessions::ApartCall apart;
    apart.call.key = job.key;
    apart.call.door = QStringLiteral("job");
    apart.call.code = job.code;
    apart.call.timeout = std::chrono::seconds(job.timeoutSeconds);
    apart.call.context = job.context;
    apart.call.cancel = running->cancel.token();
    apart.call.tools = m_tools ? m_tools(job) : supervisor::CellCall();
    apart.uid = running->uidPlace >= 0 ? m_config.firstUid + quint32(running->uidPlace) : 0;
    apart.cores = m_config.cores;
    apart.state = job.inherit ? job.id : QString();
    const QPointer<JobRunner> self(this);
    const std::weak_ptr<Running> weak = running;
    apart.onOutput = [self, weak](const supervisor::OutputEvent &event) {
        const RunningPtr open = weak.lock();
        if (!self || !open)
            return;
        const QString text = shownOutput(event);
        const qint64 offset = open->tail.bytes();
        open->tail.add(text.toUtf8());
        open->told = false;
        Q_EMIT self->output(open->job.id, kindOf(event), text, offset);
    };
    apart.call.report = [self, weak](double done, double total, const QString &text) {
        const RunningPtr open = weak.lock();
        if (!self || !open)
            return;
        open->progress = {{QStringLiteral("done"), done},
                          {QStringLiteral("total"), total < 0 ? QJsonValue() : QJsonValue(total)},
                          {QStringLiteral("text"), text}};
        open->told = false;
        Q_EMIT self->progressed(open->job.id);
    };
    return apart;
}

QCoro::Task<> JobRunner::execute(RunningPtr running)
{
    const QPointer<JobRunner> self(this);
    const QString id = running->job.id;
    log::info("job_started", {{QStringLiteral("job"), id}, {QStringLiteral("session"), running->job.key.id},
                              {QStringLiteral("attempt"), running->job.attempts}, {QStringLiteral("code_len"), running->job.code.size()}});
    Q_EMIT begun(id);
    sessions::ApartCall apart = callFor(running);
    Result<sessions::RunReport> report = co_await m_sessions.runApart(std::move(apart));
    if (!self)
        co_return;
    m_uidPlaces.remove(running->uidPlace);
    running->occupies = false;
    wake(); // the next one begins while this one's end is written
    Ending ending = endingOf(*running, report, m_shape);
    co_await settle(running, std::move(ending));
}

RunningPtr JobRunner::follow(Job job)
{
    const auto running = std::make_shared<Running>();
    running->job = std::move(job);
    m_running.insert(running->job.id, running);
    Q_EMIT begun(running->job.id);
    return running;
}

// Tried until the database has taken it, or the job belongs to somebody else.
QCoro::Task<> JobRunner::settle(RunningPtr running, Ending ending)
{
    const QPointer<JobRunner> self(this);
    const QString id = running->job.id;
    const qint64 fence = running->job.fence;
    running->isWriting = true;
    QString now;
    while (running->why != Running::Why::Lost) {
        storage::Job<std::optional<QString>> job = [id, fence, ending](QSqlDatabase &connection) { return table::finish(connection, id, fence, ending); };
        const storage::Lane lane = storage::Lane::Short;
        const Result<std::optional<QString>> written = co_await m_database.run<std::optional<QString>>(lane, kDeadline, std::move(job));
        if (!self)
            co_return;
        if (written) {
            now = written->value_or(QString());
            break;
        }
        if (m_stopping)
            break; // whoever comes next finds the lease run out
        log::warning("job_end_not_written", {{QStringLiteral("job"), id}, {QStringLiteral("reason"), written.error().message}});
        const OneShot<Done> pause;
        const CancelToken none;
        const Result<Done> waited = co_await pause.wait(kPause, none);
        Q_UNUSED(waited);
        if (!self)
            co_return;
    }
    if (running->job.inherit && isFinal(now)) {
        co_await m_sessions.dropState(id);
        if (!self)
            co_return;
    }
    if (m_running.value(id) == running)
        m_running.remove(id);
    log::info("job_ended", {{QStringLiteral("job"), id}, {QStringLiteral("state"), now.isEmpty() ? QStringLiteral("lost") : now},
                            {QStringLiteral("cause"), ending.cause}, {QStringLiteral("duration_ms"), ending.executionMs},
                            {QStringLiteral("attempt"), running->job.attempts}});
    Q_EMIT ended(id);
}

void JobRunner::cancel(const QString &id)
{
    if (const RunningPtr running = find(id); running && !running->isWriting)
        running->end(Running::Why::Asked);
}

QCoro::Task<> JobRunner::beat()
{
    if (std::exchange(m_beating, true))
        co_return;
    const QPointer<JobRunner> self(this);
    QList<table::Beat> beats;
    for (const RunningPtr &running : std::as_const(m_running)) {
        table::Beat one{running->job.id, {}, running->job.fence, 0, {}, !running->told};
        if (one.told) {
            one.tail = running->tail.text().right(Tail::kKept);
            one.outputBytes = running->tail.bytes();
            one.progress = running->progress;
            running->told = true;
        }
        beats << one;
    }
    storage::Job<table::Pulse> job = [node = m_config.node, instance = m_instance, beats, lease = m_config.leaseSeconds](QSqlDatabase &connection) {
        return table::beat(connection, node, instance, beats, lease);
    };
    const storage::Lane lane = storage::Lane::Control;
    const Result<table::Pulse> pulse = co_await m_database.run<table::Pulse>(lane, kDeadline, std::move(job));
    if (!self)
        co_return;
    m_beating = false;
    if (pulse) {
        m_heard.start();
        heard(beats, *pulse);
        wake();
        co_return;
    }
    // In time for the last of an interrupt's stages.
    const std::chrono::milliseconds giveUp(m_config.leaseSeconds * 600);
    if (!m_config.alone && std::chrono::milliseconds(m_heard.elapsed()) > giveUp) {
        const auto all = m_running.values();
        for (const RunningPtr &running : all) {
            if (running->isWriting || running->why == Running::Why::Lost)
                continue;
            log::error("job_given_up", {{QStringLiteral("job"), running->job.id}, {QStringLiteral("reason"), pulse.error().message}});
            running->end(Running::Why::Lost);
        }
    }
}

void JobRunner::heard(const QList<table::Beat> &sent, const table::Pulse &pulse)
{
    for (const table::Beat &one : sent) {
        const RunningPtr running = find(one.id);
        if (!running || running->job.fence != one.fence || running->isWriting)
            continue;
        const auto held = pulse.held.constFind(one.id);
        if (held == pulse.held.constEnd()) {
            log::error("job_lease_lost", {{QStringLiteral("job"), one.id}});
            running->end(Running::Why::Lost);
        } else if (*held) {
            running->end(Running::Why::Asked);
        }
    }
    for (const QString &id : pulse.ended) {
        m_sessions.dropState(id);
        Q_EMIT ended(id);
    }
}

QCoro::Task<> JobRunner::stop()
{
    m_stopping = true;
    const auto all = m_running.values();
    log::info("jobs_stopping", {{QStringLiteral("running"), all.size()}});
    for (const RunningPtr &running : all)
        running->end(Running::Why::Stopping);
    const QPointer<JobRunner> self(this);
    const auto since = std::chrono::steady_clock::now();
    const std::chrono::milliseconds step{50};
    while (self && (m_claiming || !m_running.isEmpty()) && std::chrono::steady_clock::now() - since < kStopTime) {
        const OneShot<Done> pause;
        const CancelToken none;
        const Result<Done> waited = co_await pause.wait(step, none);
        Q_UNUSED(waited);
    }
    if (self)
        m_tick.stop();
}

} // namespace power::jobs
