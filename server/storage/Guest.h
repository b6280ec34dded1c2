// One connection of a role with few rights, for the statements of somebody who is not trusted. It never blocks longer than
// its deadline and ends at once when it is told to, and nothing of it is left for the next one.
#pragma once
#include "base/Error.h"
#include <QByteArray>
#include <QList>
#include <QString>
#include <chrono>
#include <functional>
#include <libpq-fe.h>
#include <memory>
#include <optional>

namespace power::storage {

// Tells a guest to end. Thread: any.
class GuestStop
{
public:
    GuestStop();
    ~GuestStop();
    GuestStop(const GuestStop &) = delete;
    GuestStop &operator=(const GuestStop &) = delete;
    void stop();
    int descriptor() const { return m_event; } // readable once it was told

private:
    const int m_event;
};

// What PostgreSQL says of a statement that is not ours: its writer may know all of it.
struct StatementProblem {
    QByteArray state;        // SQLSTATE; empty: the connection is gone
    QString message, detail, hint;
    int position = 0;        // character of the statement, from 1; 0 = none
};

using GuestResult = std::shared_ptr<PGresult>;

// Guest: made, used and destroyed by one thread, which is not the event loop's. The deadline is of all of it together.
class Guest
{
public:
    struct Config {
        QString url;             // of the database; user and password in it are not used
        QString user, password;
        QByteArray options;      // "-c name=value ..."
        std::chrono::steady_clock::time_point until;
    };
    // Errors: Unavailable (refused says why, without secrets), Timeout, Cancelled.
    static Result<std::unique_ptr<Guest>> open(const Config &config, std::shared_ptr<GuestStop> stop);
    ~Guest();
    Guest(const Guest &) = delete;
    Guest &operator=(const Guest &) = delete;

    qint64 backendPid() const;
    // One statement each (extended protocol). Errors: Timeout, Cancelled, Unavailable, and InvalidArgument for what
    // PostgreSQL refuses; then problem() has it.
    Result<Done> prepare(const QByteArray &sql);     // the unnamed statement
    Result<GuestResult> describe();                  // of it
    using Values = QList<std::optional<QByteArray>>; // without a value: NULL
    Result<GuestResult> run(const QByteArray &sql, const Values &values = {});
    // Row by row: take() gets a result with one row; false ends it (the statement is cancelled).
    Result<Done> rows(const QByteArray &sql, const Values &values, const std::function<bool(PGresult *)> &take);
    const StatementProblem &problem() const { return m_problem; }

private:
    Guest(PGconn *connection, const Config &config, std::shared_ptr<GuestStop> stop);
    Result<Done> wait(short events);                 // of the connection's socket
    Result<Done> flush();
    Result<GuestResult> next();                      // null when the statement is over
    Result<GuestResult> whole();                     // the last result of a statement
    Unexpected<Error> refusal(const PGresult *result);
    void cancel();

    PGconn *m_connection;
    const std::chrono::steady_clock::time_point m_until;
    const std::shared_ptr<GuestStop> m_stop;
    StatementProblem m_problem;
};

} // namespace power::storage
