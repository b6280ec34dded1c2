// Requests of the server to a client (initialize era): sent on the stream of the call they belong to, answered by a
// message of its own.
#pragma once
#include "base/OneShot.h"
#include "mcp/Outlet.h"
#include <QHash>

namespace power::mcp {

// Asks: those without an answer yet. Thread: the event loop's.
class Asks
{
public:
    struct Ask {
        QString id;
        OneShot<QJsonObject> answer; // the whole response message
    };
    // Sends the request; `answer` resolves with the response. Give the id back with drop().
    Ask send(Outlet &outlet, const QString &principal, const QString &method, const QJsonObject &params);
    // False: nobody waits for it.
    bool answer(const QString &principal, const QJsonObject &response);
    void drop(const QString &id) { m_waiting.remove(id); }
    // Nobody will answer any more: every wait ends with Cancelled.
    void cancelAll();
    qsizetype count() const { return m_waiting.size(); }

private:
    struct Waiting {
        QString principal;
        OneShot<QJsonObject> shot;
    };
    QHash<QString, Waiting> m_waiting;
};

} // namespace power::mcp
