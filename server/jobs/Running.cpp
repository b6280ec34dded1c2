#include "jobs/Running.h"

namespace power::jobs {

using supervisor::RunStatus;

namespace {
constexpr qint64 kMostSecondsUnstarted = 3'600; // then a job that finds no room fails

void interruptedBy(const Running &running, Ending &ending)
{
    if (running.why == Running::Why::Stopping) {
        ending.state = state::interrupted;
        ending.cause = QStringLiteral("server_stopped");
        ending.message = QStringLiteral("The server that ran this job was stopped.");
    } else {
        ending.state = state::cancelled;
        ending.cause = QStringLiteral("cancelled");
    }
}
} // namespace

void Tail::add(const QByteArray &text)
{
    m_bytes += text.size();
    m_kept += text.right(2 * kKept);
    if (m_kept.size() <= 2 * kKept)
        return;
    qsizetype from = m_kept.size() - kKept;
    while (from < m_kept.size() && (quint8(m_kept.at(from)) & 0xC0) == 0x80)
        ++from;
    m_kept.remove(0, from);
}

void Running::end(Why reason)
{
    if (why == Why::Lost || why == reason)
        return;
    why = reason;
    cancel.cancel();
}

Ending endingOf(const Running &running, const Result<sessions::RunReport> &report, const Shaper &shape)
{
    Ending ending;
    ending.state = state::failed;
    ending.tail = running.tail.text();
    ending.outputBytes = running.tail.bytes();
    if (!report) {
        const Error &error = report.error();
        ending.message = error.text();
        if (error.code == ErrorCode::Cancelled || (error.code == ErrorCode::Unavailable && running.why == Running::Why::Stopping)) {
            ending.message.clear();
            interruptedBy(running, ending);
        } else if (error.code == ErrorCode::NotFound) {
            ending.state = state::cancelled;
            ending.cause = QStringLiteral("session_deleted");
        } else {
            ending.cause = QLatin1String(errorWord(error.code));
            const bool noRoom = error.code == ErrorCode::Busy || error.code == ErrorCode::Unavailable || error.code == ErrorCode::Timeout;
            ending.notStarted = noRoom && running.job.submitted.secsTo(QDateTime::currentDateTimeUtc()) < kMostSecondsUnstarted;
        }
        return ending;
    }
    const supervisor::RunOutcome &outcome = report->outcome;
    const Shaped shaped = shape(*report);
    ending.result = shaped.data;
    ending.blocks = shaped.blocks;
    ending.message = shaped.data.value(QStringLiteral("error_message")).toString();
    ending.traceback = shaped.data.value(QStringLiteral("error_traceback")).toString();
    ending.executionMs = outcome.duration.count() / 1000;
    ending.peakMemory = outcome.peakMemoryBytes;
    ending.cause = outcome.cause;
    if (outcome.status == RunStatus::Ok)
        ending.state = state::succeeded;
    else if (outcome.cause == u"timeout")
        ending.state = state::timedOut;
    else if (running.why != Running::Why::None && outcome.status != RunStatus::Error)
        interruptedBy(running, ending);
    return ending;
}

} // namespace power::jobs
