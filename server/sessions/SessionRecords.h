// The rows of sessions and runs: what is known of them after a restart. All SQL of this folder is here.
#pragma once
#include "sessions/Session.h"
#include "storage/Database.h"
#include "storage/WriteBehind.h"
#include <QCoroTask>

namespace power::sessions {

// SessionRecords: explicit changes are durable when they resolve (in the database, or in the spool on disk while
// the database is away); use of a session and the history of runs are written behind. Thread: the event loop's.
class SessionRecords : public QObject
{
    Q_OBJECT
public:
    SessionRecords(storage::Database &database, QString spoolFile, QObject *parent = nullptr);
    ~SessionRecords() override;

    QCoro::Task<Result<Done>> save(SessionInfo info);
    QCoro::Task<Result<Done>> remove(SessionKey key);
    // Newest use first. Errors: Unavailable while the database is away.
    QCoro::Task<Result<QList<SessionInfo>>> list(QString principal);
    // Null when there is no such row.
    QCoro::Task<Result<std::optional<SessionInfo>>> get(SessionKey key);

    // Written behind.
    void noteUse(const SessionKey &key);
    void noteRun(const SessionKey &key, const RunReport &report, const QByteArray &code);
    QCoro::Task<> flush();
    int pending() const { return m_writer.pending(); }

private:
    storage::Database &m_database;
    storage::WriteBehind m_writer;
    QHash<QString, qint64> m_lastNote; // session -> seconds since the epoch of the last noted use
};

} // namespace power::sessions
