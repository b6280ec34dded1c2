// PostgreSQL from coroutines: lanes of worker threads with one QPSQL connection each (design decision 1).
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include "base/OneShot.h"
#include <QCoroTask>
#include <QObject>
#include <QSqlDatabase>
#include <any>
#include <chrono>
#include <functional>

namespace power::storage {

// Files: pieces of stored files, a megabyte or so at a time, apart from what somebody waits for and from long queries.
enum class Lane { Control, Listen, Short, Bulk, Files };

// A job runs in a worker's thread with that worker's open connection, inside one transaction that commits when
// the job returns a value and rolls back when it returns an error. It must not touch objects of other threads, and must
// own what it uses: a job that was given up may go on after run() has returned.
template <typename T>
using Job = std::function<Result<T>(QSqlDatabase &)>;

// Database: thread of construction = the event loop's; every method is called there.
class Database : public QObject
{
    Q_OBJECT
public:
    struct Config {
        QString url;                      // postgres:// or postgresql:// (also +asyncpg); never logged with its password
        int shortWorkers = 3;
        int bulkWorkers = 2;
        int fileWorkers = 2;
        std::chrono::milliseconds connectTimeout{5'000};
    };
    explicit Database(Config config, QObject *parent = nullptr);
    ~Database() override;

    // Before start() only: the address of a cluster that had to be started first.
    void setUrl(QString url);
    // Connects, creates the schema and runs the migrations. May be called again after an error: Unavailable, Internal (checksum
    // mismatch ...). Until it has succeeded there is no connection for anybody else.
    QCoro::Task<Result<Done>> start();
    QCoro::Task<> stop();

    bool isConnected() const;
    QString url() const;                  // with its password: for connections of other roles, never for a log
    QString lastProblem() const;          // one sentence without secrets; empty while connected
    QString serverVersion() const;

    // Ends by `deadline` whatever the backend does: PQcancel, then shutdown of the socket, then a new worker. A job
    // given up so is never committed; if its COMMIT was under way already, it gets 500 ms more and then fails with
    // details["outcome"] = "unknown". While the database is away it fails at once.
    // Errors: those of the job; Unavailable (no connection), Timeout, Cancelled, Conflict (unique violation).
    template <typename T>
    QCoro::Task<Result<T>> run(Lane lane, std::chrono::milliseconds deadline, Job<T> job, CancelToken token = {})
    {
        AnyJob erased = [job = std::move(job)](QSqlDatabase &connection) -> Result<std::any> {
            Result<T> got = job(connection);
            if (!got)
                return Unexpected<Error>{std::move(got).error()};
            return std::any(std::move(got).value());
        };
        OneShot<std::any> shot = post(lane, deadline, std::move(erased), token);
        const std::chrono::milliseconds forever{0};
        Result<std::any> got = co_await shot.wait(forever, token);
        if (!got)
            co_return Unexpected<Error>{std::move(got).error()};
        co_return std::any_cast<T>(std::move(got).value());
    }

    // LISTEN on a channel of the Listen lane, again after every reconnect. What was sent in between is lost; that it may
    // have been is told by notified() without a payload, as is the beginning.
    void listen(const QString &channel);

Q_SIGNALS:
    void connectedChanged(bool connected);
    void notified(const QString &channel, const QString &payload);

private:
    using AnyJob = std::function<Result<std::any>(QSqlDatabase &)>;
    OneShot<std::any> post(Lane lane, std::chrono::milliseconds deadline, AnyJob job, CancelToken token);

    class Private;
    std::unique_ptr<Private> d;
};

} // namespace power::storage
