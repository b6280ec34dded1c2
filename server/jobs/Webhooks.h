// Tells that a job has ended: a signed POST, tried again for about a quarter of an hour.
#pragma once
#include "jobs/AfterTable.h"
#include "net/Fetch.h"
#include "storage/Database.h"
#include <QCoroTask>
#include <QTimer>

namespace power::jobs {

// "t=<seconds since the epoch>,v1=<hex of HMAC-SHA256(secret, "<seconds>." + body)>"
QByteArray webhookSignature(const QByteArray &body, const QString &secret, qint64 seconds);

// Webhooks: shared by all servers; each takes what is due. Addresses are those that fetch_from_url may reach, redirects are
// not followed. Thread: the event loop's.
class Webhooks : public QObject
{
    Q_OBJECT
public:
    Webhooks(storage::Database &database, net::Fetcher &fetcher, QObject *parent = nullptr);
    void start();
    // One may be due.
    void wake();

private:
    QCoro::Task<> work();
    QCoro::Task<> deliver(table::Delivery delivery);

    storage::Database &m_database;
    net::Fetcher &m_fetcher;
    QTimer m_tick, m_soon;
    bool m_working = false;
};

} // namespace power::jobs
