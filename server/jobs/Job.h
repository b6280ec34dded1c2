// A job as services and operations see it.
#pragma once
#include "sessions/Session.h"
#include <QDateTime>
#include <QJsonArray>
#include <QJsonObject>

namespace power::jobs {

// States are words, as in the database: queued, running, then one of succeeded, failed, cancelled, timed_out, interrupted
// (its server ended or died) for ever.
namespace state {
inline const QString queued = QStringLiteral("queued"), running = QStringLiteral("running"),
                     succeeded = QStringLiteral("succeeded"), failed = QStringLiteral("failed"),
                     cancelled = QStringLiteral("cancelled"), timedOut = QStringLiteral("timed_out"),
                     interrupted = QStringLiteral("interrupted");
}
bool isFinal(const QString &state);
// The word of the original: pending, running, completed, failed, cancelled.
QString statusOf(const QString &state);
// States that a filter word means; either vocabulary. Empty: no such word.
QStringList statesOf(const QString &word);

// Whom to tell when it has ended.
struct Webhook {
    QString url, secret;
};

struct Order {
    sessions::SessionKey key;
    QString kind = QStringLiteral("job"); // "run": a call in the session's own kernel that is followed like a job
    QByteArray code;
    QJsonObject context, metadata;
    QJsonObject options;              // what the adapters' side needs again: base_url, scopes
    QString door;
    int timeoutSeconds = 1800;
    int priority = 0;                 // -100 .. 100, higher first
    int maxAttempts = 1;              // runs in all when it fails
    bool requeueIfLost = false;       // when its server dies: again, or interrupted
    bool inherit = false;             // begins with the session's variables of now
    QString idempotencyKey;           // the same key: the same job
    QDateTime notBefore;              // invalid: at once
    Webhook webhook;
    QString scheduleId;               // of the schedule that made it, and the time it was made for
    QDateTime scheduledFor;
};

// From the arguments of submit_job (checked, with defaults) and "options"; not inherit and idempotency_key.
Order orderOf(const QJsonObject &arguments);

struct Job {
    QString id;
    sessions::SessionKey key;
    QString kind, state;
    QByteArray code;
    QJsonObject context, metadata, inherited, options;
    QString door;
    int timeoutSeconds = 0, priority = 0, maxAttempts = 1, attempts = 0;
    bool requeueIfLost = false, inherit = false, cancelRequested = false;
    QString home, node;
    qint64 fence = 0;
    QDateTime submitted, notBefore, started, completed;
    QDateTime now;                    // the database's clock when it was read
    QString tail;                     // end of the output so far
    qint64 outputBytes = 0;
    QJsonObject progress;             // done, total, text: what the code told last
    QString cause;                    // typed; empty = none, or an exception
    QString errorMessage, errorTraceback;
    qint64 executionMs = -1, peakMemory = -1;
    bool hasResult = false;
    // Only when asked for:
    QJsonObject result;               // the answer for programs; links begin with kLinkBase
    QJsonArray blocks;                // the answer for models, likewise

    qint64 elapsedMs() const;         // of the run; since submission while it waits
};

// Stands for the base of links in stored answers.
inline constexpr char kLinkBase[] = "power-base:";

// How an attempt ended.
struct Ending {
    QString state;
    QString cause, message, traceback;
    qint64 executionMs = 0, peakMemory = 0;
    QJsonObject result;
    QJsonArray blocks;
    QString tail;
    qint64 outputBytes = 0;
    bool notStarted = false;          // no code has run: it is put back and the attempt is not counted
};

// What the adapters' side makes of a run for storage.
struct Shaped {
    QJsonObject data;
    QJsonArray blocks;
};

struct Filter {
    QString principal, sessionId;     // empty session: all
    QStringList states;               // empty: all
    int limit = 50;
    bool runsToo = false;             // also calls that became tasks
};

} // namespace power::jobs
