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
// Stop: SIGINT, then SIGQUIT; never SIGKILL. A postmaster that dies is started again. Destroying without stop() leaves
// it running for the next server to adopt. Thread: the event loop's.
class ManagedCluster : public QObject
{
    Q_OBJECT
public:
    explicit ManagedCluster(QString dataDirectory, QObject *parent = nullptr);
    ~ManagedCluster() override;

    // Resolves when it accepts connections (recovery after a crash may take minutes). Errors: Unavailable with the
    // reason and the log's last lines; Conflict when another server uses the directory.
    QCoro::Task<Result<Done>> start();
    QCoro::Task<> stop();
    QString url() const;          // for Database::Config; holds the password, never log it
    QString description() const;  // "managed PostgreSQL 15 in /data/postgres/15"
    bool isRunning() const;
    bool wasAdopted() const;      // the last start found it running
    qint64 postmasterPid() const;

Q_SIGNALS:
    void runningChanged(bool running);

private:
    class Private;
    std::unique_ptr<Private> d;
};

} // namespace power::storage
