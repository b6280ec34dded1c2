// The rows of sessions and runs: what is known of them after a restart. All SQL of this folder is here.
#pragma once
#include "sessions/RunRows.h"
#include "storage/Database.h"
#include "storage/WriteBehind.h"
#include <QCoroTask>
#include <QTimer>

namespace power::sessions {

// SessionRecords: explicit changes are durable when they resolve (in the database, or in the spool on disk while
// the database is away); use of a session and the history of runs are written behind. Thread: the event loop's.
class SessionRecords : public QObject
{
    Q_OBJECT
public:
    SessionRecords(storage::Database &database, QString spoolFile, HistoryLimits limits = {}, QObject *parent = nullptr);
    ~SessionRecords() override; // what was noted goes to the spool

    QCoro::Task<Result<Done>> save(SessionInfo info);
    QCoro::Task<Result<Done>> remove(SessionKey key);
    // Newest use first. Errors: Unavailable while the database is away.
    QCoro::Task<Result<QList<SessionInfo>>> list(QString principal);
    // Of all principals; at most 500. Errors: Unavailable.
    QCoro::Task<Result<QList<SessionInfo>>> unusedSince(QDateTime time);
    // The highest execution count among the runs that began after `since`; 0 when there is none. Errors: Unavailable.
    QCoro::Task<Result<int>> lastCell(SessionKey key, QDateTime since);
    // Null when there is no such row.
    QCoro::Task<Result<std::optional<SessionInfo>>> get(SessionKey key);

    // Written behind.
    void noteUse(const SessionKey &key);
    // The record itself is made some milliseconds later, behind the answer of the run.
    void noteRun(const RunCall &call, const RunReport &report);
    // What the files a run read contained, when that took longer to find out.
    void noteInputs(const QString &runId, const QList<ReadFile> &files);
    QCoro::Task<> flush();

    // The history of a session; what was noted before is in it. Errors: Unavailable while the database is away.
    QCoro::Task<Result<rows::Page>> runs(SessionKey key, int limit, qint64 offset);
    QCoro::Task<Result<std::optional<RunRow>>> run(SessionKey key, QString run);
    QCoro::Task<Result<QList<RunRow>>> history(SessionKey key, qint64 mostBytes);
    // Removes runs above the age; once an hour.
    QCoro::Task<> prune();
    int pending() const { return m_writer.pending() + int(m_noted.size()); }

private:
    struct Noted {
        RunCall call;
        RunReport report;
        QDateTime ended;
    };
    void writeNoted();
    template <typename T>
    QCoro::Task<Result<T>> read(storage::Lane lane, std::chrono::milliseconds limit, storage::Job<T> job);

    storage::Database &m_database;
    HistoryLimits m_limits;
    storage::WriteBehind m_writer;
    QList<Noted> m_noted;
    QTimer m_noteTimer;
    QHash<QString, qint64> m_lastNote; // session -> seconds since the epoch of the last noted use
};

} // namespace power::sessions
