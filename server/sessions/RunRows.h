// The SQL of power.runs. Everything runs inside of a storage job, in a worker's thread.
#pragma once
#include "sessions/RunRow.h"
#include <QSqlDatabase>

namespace power::sessions {

// How much is kept. Older runs of a session go when it has more than `runs` or its records take more than `bytes`; those
// above `days` go with prune().
struct HistoryLimits {
    int runs = 1000;              // per session; 0 = no history
    qint64 bytes = 64ll << 20;    // per session
    int days = 90;                // 0 = for ever
};

namespace rows {

// Records of runRecord(), and {"kind": "inputs", "id", "inputs"}. Both may come twice.
Result<Done> insertRun(QSqlDatabase &connection, const QJsonObject &record, const HistoryLimits &limits);
Result<Done> setInputs(QSqlDatabase &connection, const QJsonObject &record);
Result<Done> removeRuns(QSqlDatabase &connection, const QString &principal, const QString &sessionId);
Result<Done> pruneRuns(QSqlDatabase &connection, int days);

struct Page {
    QList<RunRow> runs;           // newest first, without outputs
    qint64 total = 0;
};
Result<Page> listRuns(QSqlDatabase &connection, const SessionKey &key, int limit, qint64 offset);
// `run`: the number in the session or the id. No value: there is none.
Result<std::optional<RunRow>> findRun(QSqlDatabase &connection, const SessionKey &key, const QString &run);
// Oldest first, whole. When they have more than `mostBytes` of outputs, the oldest come without.
Result<QList<RunRow>> wholeHistory(QSqlDatabase &connection, const SessionKey &key, qint64 mostBytes);

} // namespace rows
} // namespace power::sessions
