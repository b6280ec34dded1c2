#include "sessions/Snapshots.h"
#include "base/Ids.h"
#include "base/Log.h"
#include "base/Offload.h"
#include "sessions/LiveSession.h"
#include "sessions/RestoredText.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QPointer>

namespace power::sessions {

using namespace std::chrono_literals;
using files::SnapshotFacts;
using files::SnapshotStore;

namespace {
constexpr auto kTick = 500ms;
constexpr auto kQuietTime = 1500ms;  // after a run; with a tick and the writing: within 5 s
constexpr auto kBusyTime = 30s;      // a session that is never quiet
constexpr int kWrittenAtOnce = 2;
constexpr int kCrowd = 4;            // births at once
constexpr auto kCrowdTime = 10s;     // what runs are kept waiting for at most while a crowd is born
constexpr auto kSlowAfter = 2s;
constexpr qint64 kSlowBytesPerSecond = 4 << 20;
constexpr int kTimesItsTime = 8;     // the pause between two is that many times what the last one took
constexpr auto kLongestPause = 60s;
constexpr auto kAfterFailure = 30s;  // doubled by each further one
constexpr auto kSaveWait = 200s;
constexpr auto kRestoreTime = 180s;
constexpr qint64 kLeastAllowance = 64ll << 20;
constexpr qsizetype kMostSkippedNames = 20;

template <typename T>
std::chrono::milliseconds elapsed(const T &timer)
{
    return std::chrono::milliseconds(timer.isValid() ? timer.elapsed() : 0);
}

QJsonArray skippedFacts(const QList<supervisor::SkippedName> &names)
{
    QJsonArray list;
    for (qsizetype i = 0; i < names.size() && i < kMostSkippedNames; ++i)
        list.append(QJsonObject{{QStringLiteral("name"), names.at(i).name},
                                {QStringLiteral("type"), names.at(i).type},
                                {QStringLiteral("reason"), names.at(i).reason.left(100)}});
    return list;
}
} // namespace

Snapshots::Snapshots(Config config, SnapshotStore &store, supervisor::KernelHost &host, QObject *parent)
    : QObject(parent), m_config(config), m_store(store), m_host(host)
{
    m_timer.setInterval(kTick);
    connect(&m_timer, &QTimer::timeout, this, [this] { tick(); });
}

Snapshots::~Snapshots() = default;

files::SnapshotKey Snapshots::keyOf(const SessionKey &key, const QString &name)
{
    return {key.slug.isEmpty() ? QStringLiteral("owner") : key.slug, key.id, name};
}

QString Snapshots::problemOf(const LiveSession &session) const
{
    return isOn() ? session.snapshot.problem : QStringLiteral("snapshots are switched off (SNAPSHOT_MAX_MB=0)");
}

void Snapshots::noteRun(const std::shared_ptr<LiveSession> &session)
{
    SnapshotState &state = session->snapshot;
    if (!state.isDirty())
        state.changed.start();
    ++state.changes;
    state.touched.start();
    if (!isOn())
        return;
    m_dirty.insert(session->key.text(), session);
    if (!m_timer.isActive())
        m_timer.start();
    // One that is never quiet: between this run and the next. The kernel only forks, nobody waits for it.
    if (elapsed(state.changed) >= kBusyTime && isDue(*session) && hasRoomFor(*session))
        writeSoon(session);
}

// Apart from whether it is quiet.
bool Snapshots::isDue(const LiveSession &session) const
{
    const SnapshotState &state = session.snapshot;
    if (!state.isDirty() || state.saving || session.deleted || !session.kernelAlive())
        return false;
    if (state.failures > 0)
        return elapsed(state.written) >= kAfterFailure * (1 << std::min(state.failures - 1, 6));
    return !state.written.isValid() || elapsed(state.written) >= std::min<std::chrono::milliseconds>(state.took * kTimesItsTime, kLongestPause);
}

bool Snapshots::isSlow(const LiveSession &session)
{
    const SnapshotState &state = session.snapshot;
    const auto time = elapsed(state.written);
    return state.saving && time >= kSlowAfter && state.arrived && *state.arrived < kSlowBytesPerSecond / 1000 * time.count();
}

bool Snapshots::hasRoomFor(const LiveSession &session) const
{
    int quick = 0, quickOfIts = 0, slow = 0, slowOfIts = 0;
    for (const auto &each : m_writing) {
        const bool isIts = each->key.principal == session.key.principal;
        (isSlow(*each) ? slow : quick) += 1;
        (isSlow(*each) ? slowOfIts : quickOfIts) += isIts ? 1 : 0;
    }
    if (slow < kSlowAtOnce && slowOfIts < kSlowOfOne)
        return quick < kWrittenAtOnce;
    // One at a time, so that the principal's slow ones never have both places.
    return !session.snapshot.knownSlow && quick < kWrittenAtOnce && quickOfIts == 0;
}

// The last ones that have become slow.
void Snapshots::stopTooSlow()
{
    int slow = 0;
    QHash<QString, int> ofOne;
    for (const auto &each : std::as_const(m_writing)) {
        if (!isSlow(*each))
            continue;
        int &ofIts = ofOne[each->key.principal];
        if ((slow >= kSlowAtOnce || ofIts >= kSlowOfOne) && each->snapshot.stop) {
            *each->snapshot.stop = true;
            continue;
        }
        ++slow;
        ++ofIts;
    }
}

void Snapshots::tick()
{
    stopTooSlow();
    std::shared_ptr<LiveSession> oldest;
    const bool crowd = m_host.birthsUnderWay() >= kCrowd; // they want the processors more than a copy does
    for (auto it = m_dirty.begin(); it != m_dirty.end();) {
        const std::shared_ptr<LiveSession> session = it->lock();
        if (!session || !session->snapshot.isDirty() || session->deleted || !session->kernelAlive()) {
            it = m_dirty.erase(it);
            continue;
        }
        ++it;
        if (crowd && elapsed(session->snapshot.changed) < kCrowdTime)
            continue;
        if (!isDue(*session) || session->queue.isBusy() || elapsed(session->snapshot.touched) < kQuietTime || !hasRoomFor(*session))
            continue;
        if (!oldest || elapsed(session->snapshot.changed) > elapsed(oldest->snapshot.changed))
            oldest = session;
    }
    if (m_dirty.isEmpty())
        m_timer.stop();
    if (oldest)
        writeSoon(oldest);
}

QCoro::Task<> Snapshots::writeSoon(std::shared_ptr<LiveSession> session)
{
    const QPointer<Snapshots> self(this);
    const bool written = co_await write(session, true);
    if (self && written && !self->m_dirty.isEmpty())
        self->tick(); // many sessions at once do not wait for the clock
}

QCoro::Task<bool> Snapshots::write(std::shared_ptr<LiveSession> session, bool mayStop)
{
    SnapshotState &state = session->snapshot;
    state.saving = true;
    state.written.start();
    m_writing << session;
    const QPointer<Snapshots> self(this);
    const qint64 changes = state.changes;
    const files::SnapshotKey key = keyOf(session->key);
    SnapshotStore *store = &m_store;
    const QString python = m_host.zygoteReport().value(QStringLiteral("python")).toString();
    const QDateTime created = QDateTime::currentDateTimeUtc(); // cells that are lost began later
    const int lostTo = session->kernel->untoldLoss();          // but for these

    // The file is made in the reader's thread, when the first bytes come.
    struct Target {
        std::unique_ptr<SnapshotStore::Writer> writer;
    };
    auto target = std::make_shared<Target>();
    const auto arrived = std::make_shared<std::atomic<qint64>>(0);
    const auto stop = mayStop ? std::make_shared<std::atomic<bool>>(false) : nullptr;
    state.arrived = arrived;
    state.stop = stop;
    supervisor::SnapshotOrder order;
    order.stop = stop;
    order.limitBytes = m_config.limitBytes;
    const qint64 free = m_host.totalMemoryBytes() - m_host.usedMemoryBytes(); // of all sessions
    const qint64 own = m_config.memoryBytes > 0 ? m_config.memoryBytes / 10 * 9 - session->kernel->memoryBytes() : free;
    order.allowanceBytes = std::max(std::min(own, free / 2), kLeastAllowance);
    order.skip = state.skip;
    order.take = [target, store, key, arrived](QByteArrayView bytes) -> Result<Done> {
        *arrived += bytes.size();
        if (!target->writer) {
            auto made = store->create(key);
            if (!made)
                return Unexpected<Error>{made.error()};
            target->writer = std::move(*made);
        }
        return target->writer->write(bytes);
    };
    auto summary = co_await session->kernel->snapshot(std::move(order));
    Result<Done> stored = Done{};
    if (summary && !session->deleted) {
        SnapshotFacts facts;
        facts.cell = summary->cell;
        facts.python = python;
        facts.created = created;
        facts.about = {{QStringLiteral("saved"), summary->saved},
                       {QStringLiteral("skipped_count"), summary->skippedCount},
                       {QStringLiteral("skipped"), skippedFacts(summary->skipped)},
                       {QStringLiteral("lost_to"), lostTo}};
        std::function<Result<Done>()> work = [target, facts] { return target->writer->commit(facts); };
        stored = co_await offload<Done>(std::move(work));
    }
    target.reset();
    if (self)
        self->m_writing.removeOne(session);
    state.knownSlow = isSlow(*session);
    state.saving = false;
    state.stop.reset();
    state.took = elapsed(state.written);
    const bool good = summary && stored && !session->deleted;
    if (good) {
        state.saved = changes;
        state.cell = summary->cell;
        state.failures = 0;
        state.problem.clear();
        if (state.isDirty())
            state.changed.start(); // what ran meanwhile
        log::debug("snapshot_written", {{QStringLiteral("session"), session->key.id}, {QStringLiteral("cell"), summary->cell},
                                        {QStringLiteral("bytes"), summary->bytes}, {QStringLiteral("ms"), qint64(state.took.count())},
                                        {QStringLiteral("skipped"), summary->skippedCount}});
    } else if (!session->deleted && session->kernelAlive()) {
        const Error error = summary ? stored.error() : summary.error();
        if (error.code == ErrorCode::Busy || error.code == ErrorCode::Cancelled) { // a run was faster; others are slow already
            state.written.invalidate();
        } else {
            ++state.failures;
            state.problem = error.message;
            const QString at = error.details.value(QStringLiteral("at")).toString();
            if (error.code == ErrorCode::Timeout && !at.isEmpty()) {
                state.skip << at;
                state.knownSlow = false;
            }
            log::warning("snapshot_failed", {{QStringLiteral("session"), session->key.id}, {QStringLiteral("reason"), error.message}});
        }
    }
    const QList<OneShot<Done>> waiting = std::exchange(session->snapshotWaiting, {});
    for (const OneShot<Done> &each : waiting)
        each.resolve(Done{});
    co_return good;
}

QCoro::Task<bool> Snapshots::save(std::shared_ptr<LiveSession> session)
{
    if (!isOn() || !session->kernelAlive())
        co_return !session->snapshot.isDirty();
    while (session->snapshot.saving) {
        const std::chrono::milliseconds most = kSaveWait;
        const CancelToken none;
        const OneShot<Done> done;
        session->snapshotWaiting << done;
        const Result<Done> waited = co_await done.wait(most, none);
        if (!waited)
            co_return false;
    }
    if (!session->snapshot.isDirty()) {
        if (session->snapshot.cell < 0)
            co_return true;
        // It may have made room for others meanwhile.
        const SessionKey key = session->key;
        const QString latest;
        const Result<SnapshotFacts> stored = co_await facts(key, latest);
        if (session->snapshot.isDirty() || (stored && stored->size > 0) || (!stored && stored.error().code != ErrorCode::NotFound))
            co_return !session->snapshot.isDirty();
        session->snapshot.saved = session->snapshot.changes - 1;
    }
    if (!session->kernelAlive() || session->snapshot.saving)
        co_return false;
    const bool written = co_await write(session, false);
    co_return written && !session->snapshot.isDirty();
}

QCoro::Task<Result<SnapshotFacts>> Snapshots::facts(SessionKey key, QString name)
{
    SnapshotStore *store = &m_store;
    const files::SnapshotKey which = keyOf(key, name);
    std::function<Result<SnapshotFacts>()> work = [store, which] { return store->facts(which); };
    Result<SnapshotFacts> found = co_await offload<SnapshotFacts>(std::move(work));
    co_return found;
}

QCoro::Task<Restored> Snapshots::restore(std::shared_ptr<LiveSession> session, files::SnapshotKey key, int lastCell, CancelToken cancel)
{
    using Opened = SnapshotStore::Opened;
    Restored restored;
    const files::SnapshotKey own = keyOf(session->key);
    const bool isOwn = key.name.isEmpty() && key.owner == own.owner && key.session == own.session;
    if (!isOn() && isOwn)
        co_return restored;
    SnapshotStore *store = &m_store;
    const QString python = m_host.zygoteReport().value(QStringLiteral("python")).toString();
    auto opened = std::make_shared<Opened>();
    std::function<Result<Done>()> look = [store, key, opened]() -> Result<Done> {
        auto found = store->open(key);
        if (!found)
            return Unexpected<Error>{found.error()};
        *opened = std::move(*found);
        return Done{};
    };
    const auto begun = std::chrono::steady_clock::now();
    const Result<Done> found = co_await offload<Done>(std::move(look));
    if (!found && found.error().code == ErrorCode::NotFound)
        co_return restored;
    restored.tried = true;
    QString trouble;
    if (!found && found.error().code != ErrorCode::Conflict) { // the disk or the database; the snapshot may be good
        log::warning("snapshot_not_read", {{QStringLiteral("session"), session->key.id}, {QStringLiteral("reason"), found.error().message}});
        restored.later = true;
        restored.text = found.error().message;
        restored.facts = {{QStringLiteral("ok"), false}, {QStringLiteral("reason"), restored.text}};
        co_return restored;
    }
    if (!found)
        trouble = found.error().message;
    else if (opened->facts.python.section(u'.', 0, 1) != python.section(u'.', 0, 1))
        trouble = QStringLiteral("the snapshot was made by Python %1, this server runs Python %2").arg(opened->facts.python, python);
    supervisor::RunOutcome outcome;
    if (trouble.isEmpty()) {
        supervisor::TaskRequest request;
        request.runId = newUuid();
        request.task = QStringLiteral("restore");
        request.arguments = {{QStringLiteral("offset"), opened->offset},
                             {QStringLiteral("size"), opened->facts.size},
                             {QStringLiteral("count"), std::max(lastCell, opened->facts.cell)},
                             {QStringLiteral("branch"), opened->facts.about.value(QStringLiteral("branch")).toBool()}};
        request.timeout = kRestoreTime;
        request.cancel = cancel;
        request.descriptor = opened->descriptor.get();
        outcome = co_await session->kernel->task(std::move(request));
        // By who called (however hard it had to be stopped), by a deletion, or because the server stops.
        if (outcome.status != supervisor::RunStatus::Ok && outcome.cause == u"cancelled") {
            restored.later = true;
            restored.text = QStringLiteral("cancelled");
            co_return restored;
        }
        if (outcome.status != supervisor::RunStatus::Ok)
            trouble = outcome.errorName.isEmpty() ? QStringLiteral("the kernel ended while it read the snapshot: ") + outcome.errorValue
                                                  : QStringLiteral("%1: %2").arg(outcome.errorName, outcome.errorValue.left(300));
    }
    if (!trouble.isEmpty()) {
        if (isOwn) {
            std::function<Result<Done>()> away = [store, key]() -> Result<Done> {
                store->setAside(key);
                return Done{};
            };
            const Result<Done> moved = co_await offload<Done>(std::move(away));
            Q_UNUSED(moved);
        }
        log::warning("snapshot_not_restored", {{QStringLiteral("session"), session->key.id}, {QStringLiteral("reason"), trouble}});
        restored.text = QStringLiteral("Its snapshot could not be restored: %1. Earlier variables are gone; files remain.").arg(trouble);
        restored.facts = {{QStringLiteral("ok"), false}, {QStringLiteral("reason"), trouble}};
        co_return restored;
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
    restored.ok = true;
    restored.cell = opened->facts.cell;
    const QJsonObject report = QJsonDocument::fromJson(outcome.payload).object();
    restored.variables = outcome.variables;
    restored.facts = restoredFacts(report, opened->facts, isOwn ? lastCell : 0, took); // going back loses nothing
    restored.text = restoredText(restored.facts);
    SnapshotState &state = session->snapshot;
    if (isOwn) {
        state.cell = opened->facts.cell;
        state.saved = state.changes;
    }
    log::info("session_restored", {{QStringLiteral("session"), session->key.id}, {QStringLiteral("cell"), restored.cell},
                                   {QStringLiteral("ms"), qint64(took.count())}});
    co_return restored;
}

} // namespace power::sessions
