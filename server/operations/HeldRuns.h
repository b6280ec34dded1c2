// Runs whose cell waits in input() while the client asks its user: kept between the call that ended with the question and
// the one that brings the answer.
#pragma once
#include "operations/Operation.h"
#include "sessions/SessionService.h"
#include <QTimer>

namespace power::operations {

// One run that may ask. The cell runs on beside the calls; at most one call attends it at a time.
struct HeldRun {
    QString id, principal, sessionId;
    CancelSource cancel;
    std::optional<supervisor::InputQuestion> question; // waits now
    int asked = 0;                                     // questions so far
    std::optional<Result<sessions::RunReport>> report; // it is over
    OneShot<Done> news;                                // resolved with the next question or the end
    std::function<void(const QString &text)> progress; // of the attending call
    bool attended = false;
    QTimer patience;
};
using HeldRunPtr = std::shared_ptr<HeldRun>;

// HeldRuns: a question nobody answers within `patience` is refused, and the run is given up: its cell goes on with an
// EOFError, its result is only in the history. A run that ended while its question waited is kept no longer either. Thread: the event loop's.
class HeldRuns
{
public:
    std::chrono::milliseconds patience{600'000};
    using Start = std::function<QCoro::Task<Result<sessions::RunReport>>(sessions::RunCall)>;

    // Starts the run of `call` (its cancel, progress and onInput are set here).
    HeldRunPtr begin(const Start &start, sessions::RunCall call);
    // The run that waits under that id; null when it is over, or of another principal.
    HeldRunPtr find(const QString &id, const QString &principal) const;
    // Resolves when the run is over or asks; cancelled by `caller` it is interrupted, and ends.
    QCoro::Task<> attend(HeldRunPtr run, Caller caller);
    // The client's response to question `number`. False: that question is not the one that waits, or there is no answer in it.
    static bool answer(const HeldRunPtr &run, int number, const QJsonObject &response);
    // What to ask the client; the run waits from now on.
    InputNeed need(const HeldRunPtr &run);
    void forget(const HeldRunPtr &run);
    qsizetype count() const { return m_runs.size(); }

private:
    static QCoro::Task<> follow(QCoro::Task<Result<sessions::RunReport>> running, HeldRunPtr run);
    static void refuse(const std::weak_ptr<HeldRun> &run, const QString &why);

    QHash<QString, HeldRunPtr> m_runs;
};

// Whether the code of this call may ask its user: the client shows forms, and questions reach it.
bool canElicit(const Caller &caller);

} // namespace power::operations
