// The private PostgreSQL of a server without DATABASE_URL: made, started, adopted, supervised, stopped.
#pragma once
#include "base/Error.h"
#include <QCoroTask>
#include <QObject>
#include <memory>

namespace power::storage {

// ManagedCluster: data in <dataDirectory>/postgres/<major>/, Unix socket only, in a 0700 directory with a short path.
// Runs as `postgres` when we are root (or an own uid), as ourselves otherwise (nss_wrapper when our uid has no name).
// A postmaster that survived us is adopted; a stale postmaster.pid is removed only when provably ours (flock).
// Stop: SIGINT, then SIGQUIT; never SIGKILL. Thread: the event loop's.
class ManagedCluster : public QObject
{
    Q_OBJECT
public:
    explicit ManagedCluster(QString dataDirectory, QObject *parent = nullptr);
    ~ManagedCluster() override;

    // Resolves when it accepts connections. Errors: Unavailable with the reason and the log's last lines.
    QCoro::Task<Result<Done>> start();
    QCoro::Task<> stop();
    QString url() const;          // for Database::Config
    QString description() const;  // "managed PostgreSQL 15 in /data/postgres/15"
    bool isRunning() const;
    qint64 postmasterPid() const;

private:
    class Private;
    std::unique_ptr<Private> d;
};

} // namespace power::storage
