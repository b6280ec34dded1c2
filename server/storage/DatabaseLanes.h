// The scheduler behind Database: places for workers in lanes, tickets queued for them, and what happens to a worker that
// hangs. Private to Database.cpp and DatabaseLanes.cpp; lives on the event loop.
#pragma once
#include "storage/Database.h"
#include "storage/Worker.h"
#include <QTimer>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

namespace power::storage {

// The error of every call while there is no connection.
Unexpected<Error> awayError(const QString &problem);

// Counts the worker threads that still live, so that a stop can wait for them.
struct ThreadCount {
    std::mutex mutex;
    std::condition_variable changed;
    int alive = 0;
};

// The event loop's side of one job.
struct Ticket {
    std::shared_ptr<Work> work;
    OneShot<std::any> shot;
    std::unique_ptr<QTimer> timer;
    CancelToken::Registration cancel;
    Lane lane = Lane::Short;
};

enum class SlotState { Opening, Ready, Busy, Away };

// One place in a lane; its worker is replaced when it hangs.
struct Slot {
    Lane lane = Lane::Short;
    std::shared_ptr<Worker> worker;
    SlotState state = SlotState::Opening;
    std::shared_ptr<Ticket> ticket;
};

// The receiver of the workers' reports: lives as long as any worker may post to it.
class DatabaseMailbox : public QObject
{
};

class Database::Private
{
public:
    Database *q = nullptr;
    Config config;
    std::shared_ptr<DatabaseMailbox> mailbox{new DatabaseMailbox, [](DatabaseMailbox *box) { box->deleteLater(); }};
    std::shared_ptr<ThreadCount> threads = std::make_shared<ThreadCount>();
    std::shared_ptr<Private *> self = std::make_shared<Private *>(this); // emptied by the destructor
    std::vector<Slot> slots;
    std::map<Lane, std::deque<std::shared_ptr<Ticket>>> queues;
    QStringList channels;
    QString problem, version;
    bool connected = false, stopping = false;
    bool prepared = false; // the schema is there: start() has succeeded
    int nextName = 0;
    QList<OneShot<Done>> firstContact;

    void makeSlots();
    void startWorker(Slot &slot);
    Slot *slotOf(const std::shared_ptr<Worker> &worker);
    bool laneAway(Lane lane) const;
    void setState(Slot &slot, SlotState state);
    void failQueue(Lane lane);
    void dispatch(Lane lane);
    // Resumes the waiter, which may destroy the database: the caller's last act.
    static void finish(const std::shared_ptr<Ticket> &ticket, Result<std::any> answer);
    void giveUp(const std::shared_ptr<Ticket> &ticket, Error error);
    void escalate(const std::shared_ptr<Ticket> &ticket);
    bool waitForThreads(std::chrono::milliseconds limit);
};

} // namespace power::storage
