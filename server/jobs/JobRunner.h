// The jobs that run on this server: claimed from the queue all servers share, held by leases, ended under fences.
#pragma once
#include "jobs/JobTable.h"
#include "jobs/Running.h"
#include "sessions/SessionService.h"
#include "storage/Database.h"
#include <QElapsedTimer>
#include <QTimer>

namespace power::jobs {

struct RunnerConfig {
    QString node;            // of this DATA_DIR
    int atOnce = 4;
    int cores = 1;           // threads of the pools of numeric libraries in a job
    quint32 firstUid = 0;    // Workspaces::jobUids from here on; 0: no own uids
    int leaseSeconds = 15;   // a server that was not heard of for that long has lost its jobs
    bool alone = false;      // no other server can reach the database: a job goes on while it is away
};

// JobRunner: a lease is prolonged seven times while it lasts. A server that cannot do so ends its jobs before the lease does, so that no
// job runs twice at a time. Thread: the event loop's.
class JobRunner : public QObject
{
    Q_OBJECT
public:
    // What the code of a job may call.
    using Tools = std::function<supervisor::CellCall(const Job &)>;
    JobRunner(RunnerConfig config, storage::Database &database, sessions::SessionService &sessions,
              supervisor::KernelHost &kernels, Shaper shape, Tools tools, QObject *parent = nullptr);

    void start();
    // What runs is ended: it waits again or is interrupted, as its submitter chose. Takes at most ten seconds.
    QCoro::Task<> stop();
    // There may be something to do.
    void wake();
    void cancel(const QString &id);
    // Null: it does not run here.
    RunningPtr find(const QString &id) const { return m_running.value(id); }
    int count() const { return int(m_running.size()); }
    const QString &node() const { return m_config.node; }

    // A run that somebody else does, followed as the job `id` under `fence` until settle() writes its end. `cancel` of it
    // fires when it must end.
    RunningPtr follow(Job job);
    QCoro::Task<> settle(RunningPtr running, Ending ending);

Q_SIGNALS:
    void begun(const QString &id);
    // `kind`: stdout, stderr, display; `offset`: bytes of output before this piece.
    void output(const QString &id, const QString &kind, const QString &text, qint64 offset);
    void progressed(const QString &id);
    // Its attempt is over and in the database (or belongs to somebody else now).
    void ended(const QString &id);

private:
    QCoro::Task<> claim();
    void giveBack(const RunningPtr &running);
    QCoro::Task<> execute(RunningPtr running);
    QCoro::Task<> beat();
    void heard(const QList<table::Beat> &sent, const table::Pulse &pulse);
    int freePlaces() const;
    int takeUidPlace();
    sessions::ApartCall callFor(const RunningPtr &running);

    RunnerConfig m_config;
    storage::Database &m_database;
    sessions::SessionService &m_sessions;
    supervisor::KernelHost &m_kernels;
    Shaper m_shape;
    Tools m_tools;
    QString m_instance;
    QHash<QString, RunningPtr> m_running;
    QSet<int> m_uidPlaces;
    int m_nextUidPlace = 0;
    QTimer m_tick;
    QElapsedTimer m_heard;       // since the database last confirmed the leases
    bool m_beating = false, m_claiming = false, m_claimAgain = false, m_stopping = false, m_started = false;
};

} // namespace power::jobs
