// A run as the history keeps it: its record on the way in, its row on the way out.
#pragma once
#include "sessions/Session.h"
#include <QJsonArray>

namespace power::sessions {

struct RunRow {
    QString id;
    qint64 number = 0;          // of the session, from 1
    QDateTime started;
    QString principal, door;
    QString code;               // at most 256 KiB; `facts.code_cut` when it was longer
    QString context;            // JSON of the variables set before it; empty = none
    QString status;             // ok | error | interrupted | killed | died
    QString cause;              // typed, as in the answer; empty = an exception, or none
    QString errorName, errorValue;
    qint64 durationMs = 0;
    int executionCount = 0;
    QJsonObject facts;          // stdout_bytes, stderr_bytes, peak_memory, queued_ms, limit, peak, code_sha256 ...
    QJsonArray inputs, files, calls;
    QJsonArray outputs;         // nbformat 4 outputs; empty in lists
};

// The record of a run for WriteBehind: plain JSON that the database takes whatever the code printed. Thread: any.
QJsonObject runRecord(const SessionKey &key, const RunReport &report, const QByteArray &code, const QJsonObject &context,
                      const QString &door, const QDateTime &ended);
QJsonArray inputFacts(const QList<ReadFile> &files);

// nbformat 4 outputs of a run, at most 512 KiB as JSON: streams lose their middle, and of a display the forms that do not
// fit (its text, at least a line about it, stays).
QJsonArray notebookOutputs(const supervisor::RunOutcome &outcome);

} // namespace power::sessions
