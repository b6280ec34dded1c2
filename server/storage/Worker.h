// The thread side of a lane: one thread, one connection, one job at a time.
#pragma once
#include "base/Error.h"
#include <QSqlDatabase>
#include <QString>
#include <QStringList>
#include <any>
#include <atomic>
#include <chrono>
#include <functional>
#include <libpq-fe.h>
#include <memory>
#include <mutex>
#include <optional>

namespace power::storage {

using AnyJob = std::function<Result<std::any>(QSqlDatabase &)>;

// Work: a job as both threads see it. The phase decides who has the last word: the worker may only commit after
// Running -> Committing, the event loop may only give up after Queued/Running -> Abandoned. So a job that was
// given up in time is never committed.
struct Work {
    enum Phase { Queued, Running, Committing, Abandoned };
    std::atomic<int> phase{Queued};
    AnyJob job;

    bool advance(Phase from, Phase to)
    {
        int expected = from;
        return phase.compare_exchange_strong(expected, to);
    }
};

// Worker: shared by the event loop and its own thread. The thread is never waited for by the event loop; it ends by
// itself after quit(), or is left behind when it hangs outside libpq.
class Worker : public std::enable_shared_from_this<Worker>
{
public:
    // Called in the worker's thread; implementations hand over to the event loop.
    struct Reports {
        std::function<void(std::shared_ptr<Worker>, QString serverVersion)> opened;
        std::function<void(std::shared_ptr<Worker>, QString problem)> away; // a connection attempt failed
        std::function<void(std::shared_ptr<Worker>, Result<std::any>, bool isOpen)> finished;
        std::function<void(std::shared_ptr<Worker>)> lost; // noticed while idle
        std::function<void(QString channel, QString payload)> notified;
        std::function<void()> ended;
    };
    Worker(QString name, QString url, std::chrono::milliseconds connectTimeout, Reports reports);
    ~Worker();
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

    void start();
    // One at a time: only after `opened` or `finished`.
    void give(std::shared_ptr<Work> work);
    void listen(const QString &channel);
    void quit();
    // Asks the backend to stop; in a thread of its own because PQcancel may block.
    void cancelStatement();
    // Ends whatever libpq waits for on this connection.
    void shutSocket();

private:
    void loop();
    bool open(QSqlDatabase &connection);
    void adopt(const QSqlDatabase &connection);
    void subscribe(QSqlDatabase &connection);
    void close(QSqlDatabase &connection);
    Result<std::any> execute(QSqlDatabase &connection, Work &work);
    bool readNotifications(QSqlDatabase &connection);
    void wake();
    void waitForWake(int socket, int milliseconds);

    const QString m_name, m_url;
    const std::chrono::milliseconds m_connectTimeout;
    const Reports m_reports;
    const int m_wake; // eventfd

    std::mutex m_mutex; // guards what follows; held for moments only
    std::shared_ptr<Work> m_inbox;
    QStringList m_channels;
    bool m_quit = false;
    bool m_listenAgain = false;
    int m_socket = -1;
    std::shared_ptr<PGcancel> m_cancel;
};

} // namespace power::storage
