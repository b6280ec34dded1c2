// A dead kernel's session goes on from its copy.
#include "base/Log.h"
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <csignal>
#include <sys/epoll.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kResumeWait = 5s;
constexpr int kMostNamesTold = 12;

QString cellsInWords(int first, int last)
{
    return first == last ? QStringLiteral("cell %1").arg(first) : QStringLiteral("cells %1 to %2").arg(first).arg(last);
}

QString listed(const QStringList &names)
{
    QString text = names.mid(0, kMostNamesTold).join(QStringLiteral(", "));
    if (names.size() > kMostNamesTold)
        text += QStringLiteral(" and %1 more").arg(names.size() - kMostNamesTold);
    return text;
}
// Of two deaths that nobody has been told of: the later state, and what both have cost.
Restoration joined(Restoration earlier, Restoration later)
{
    later.lastLost = std::max(earlier.lastLost, later.lastLost);
    later.gone = QStringList(earlier.gone + later.gone);
    later.gone.removeDuplicates();
    later.older = QStringList(earlier.older + later.older);
    later.older.removeDuplicates();
    return later;
}
} // namespace

QString Restoration::text() const
{
    QString said = QStringLiteral("The session is restored to after cell %1").arg(cell);
    if (lastLost > cell) {
        said += QStringLiteral("; %1 lost").arg(cellsInWords(cell + 1, lastLost) + (lastLost == cell + 1 ? QStringLiteral(" is") : QStringLiteral(" are")));
        QStringList parts;
        if (!gone.isEmpty())
            parts << QStringLiteral("no longer there: %1").arg(listed(gone));
        if (!older.isEmpty())
            parts << QStringLiteral("with their value of cell %1: %2").arg(QString::number(cell), listed(older));
        if (!parts.isEmpty())
            said += QStringLiteral(" (%1)").arg(parts.join(QStringLiteral("; ")));
    }
    return said + QStringLiteral("; files keep what was written.");
}

// Whether there is a copy that can take over.
bool KernelProcess::canRestore()
{
    if (m_final || !m_copy || !m_house)
        return false;
    if (!hasEnded(m_copy->pidfd))
        return true;
    onCopyGone();
    return false;
}

void KernelProcess::restore(Death death)
{
    const std::unique_ptr<KernelCopy> copy = std::exchange(m_copy, nullptr);
    Poller &poller = m_house->poller();
    poller.forget(std::exchange(copy->watch, 0));
    dropAsked();
    m_death = std::make_unique<Death>(std::move(death));
    m_death->clock.start();
    m_death->restoration.cell = copy->cell;
    m_death->restoration.lastLost = m_unprotected.isEmpty() ? copy->cell : m_unprotected.last().count;
    m_state = State::Restoring;
    m_channels.control = std::move(copy->control);
    m_pid = copy->pid;
    m_pidfd = std::move(copy->pidfd);
    m_house->carriesOn(*this);
    m_exited = false;
    m_answerDue = false;
    m_decoder = wire::Decoder(std::max<std::size_t>(wire::kDefaultMaxBlob, std::size_t(m_spec.limits.displayBytes)));
    m_controlWatch = poller.watch(m_channels.control.get(), EPOLLIN, [this](std::uint32_t events) { onControl(events); });
    m_pidWatch = poller.watch(m_pidfd.get(), EPOLLIN, [this](std::uint32_t) { onPidfd(); });
    QJsonArray sizes;
    QByteArray codes;
    for (const UnprotectedCell &cell : std::as_const(m_unprotected)) {
        sizes.append(cell.code.size());
        codes += cell.code;
    }
    const QByteArray meta = QJsonDocument(QJsonObject{{QStringLiteral("sizes"), sizes}}).toJson(QJsonDocument::Compact);
    m_sent = 0;
    m_handDown.clear();
    m_outgoing = QByteArray::fromStdString(wire::encode(wire::FrameType::Resume, {meta.constData(), std::size_t(meta.size())},
                                                        {codes.constData(), std::size_t(codes.size())}));
    signalPidfd(m_pidfd, SIGCONT); // user code may have stopped it
    m_step.start(kResumeWait);
    write();
}

void KernelProcess::onResumed(ResumedFrame frame)
{
    const std::unique_ptr<Death> death = std::exchange(m_death, nullptr);
    m_state = State::Living;
    m_step.stop();
    m_killCause.clear();
    m_killLimit.clear();
    m_killPeak.clear();
    m_deathReason.clear();
    m_unprotected.clear();
    m_unprotectedTime = 0ms;
    m_crowded = 0;
    m_restoredAt.start();
    m_cpuMs = -1; // the copy counts its own time
    m_count = death->restoration.cell;
    Restoration &told = death->restoration;
    told.reason = death->reason;
    told.gone = std::move(frame.gone);
    told.older = std::move(frame.older);
    told.variables = frame.variables;
    told.took = std::chrono::microseconds(death->clock.nsecsElapsed() / 1000);
    log::info("kernel_restored", {{QStringLiteral("session"), m_spec.sessionId}, {QStringLiteral("pid"), qint64(m_pid)},
                                  {QStringLiteral("cell"), told.cell}, {QStringLiteral("lost"), told.lastLost - told.cell},
                                  {QStringLiteral("us"), qint64(told.took.count())}});
    m_house->countCheckpoint(QStringLiteral("restored"), {});
    m_house->noteRestoration(told.took);
    m_variables = told.variables;
    m_restored = true;
    m_changed = true;
    if (!death->outcome) { // nobody ran it: the next call is told
        m_untold = m_untold ? joined(std::move(*m_untold), std::move(told)) : std::move(told);
        m_merger.finish();
    }
    // At once, so that a second death in a row finds a copy too; a call that comes meanwhile waits for the fork alone.
    if (!death->outcome) {
        if (m_house->takesCheckpoints())
            takeCheckpoint();
        return;
    }
    RunOutcome outcome = std::move(*death->outcome);
    outcome.executionCount = told.cell;
    outcome.variables = told.variables;
    outcome.variablesSurvived = true;
    outcome.restored = std::move(told);
    const bool again = m_house->takesCheckpoints();
    const OneShot<RunOutcome> shot = closeRun(outcome);
    if (again)
        takeCheckpoint();
    shot.resolve(std::move(outcome));
}

std::optional<Restoration> KernelProcess::takeRestoration()
{
    return std::exchange(m_untold, std::nullopt);
}

} // namespace power::supervisor
