// A private PostgreSQL and the server's way to it, with the SQL that tests ask for themselves.
#pragma once
#include "storage/Await.h"
#include "storage/ClusterFixture.h"
#include "storage/Database.h"
#include "storage/Sql.h"

namespace power::storage::test {

// TestDatabase: up between start() and stop() (or its end). Thread: the event loop's.
class TestDatabase
{
public:
    ~TestDatabase() { stop(); }

    // Empty, or why there is none.
    QString start()
    {
        m_cluster = std::make_unique<ClusterFixture>();
        const QString problem = m_cluster->start();
        if (!problem.isEmpty())
            return problem;
        Database::Config with;
        with.url = m_cluster->url();
        m_database = std::make_unique<Database>(with);
        const Result<Done> started = await(m_database->start());
        return started ? QString() : started.error().text();
    }
    void stop()
    {
        if (m_database)
            QCoro::waitFor(m_database->stop());
        m_database.reset();
        m_cluster.reset();
    }
    bool isUp() const { return m_database != nullptr; }
    QString url() const { return m_cluster->url(); }
    ClusterFixture &cluster() { return *m_cluster; }
    Database &operator*() { return *m_database; }
    Database *operator->() { return m_database.get(); }

    template <typename T>
    Result<T> ask(Job<T> job)
    {
        return await(m_database->run<T>(Lane::Short, std::chrono::seconds(10), std::move(job)));
    }
    Result<Rows> tryRows(const char *sql, const QVariantList &values = {})
    {
        return ask<Rows>([sql, values](QSqlDatabase &connection) { return query(connection, sql, values); });
    }
    Rows rows(const char *sql, const QVariantList &values = {})
    {
        Result<Rows> got = tryRows(sql, values);
        if (!got)
            qFatal("%s", qPrintable(got.error().text()));
        return std::move(*got);
    }
    // The first field, or how many rows were changed; -1: the database is away, or does not understand.
    qint64 number(const char *sql, const QVariantList &values = {})
    {
        const Result<Rows> got = tryRows(sql, values);
        if (!got)
            return -1;
        return got->isEmpty() ? got->affected() : got->number(0, 0);
    }

private:
    std::unique_ptr<ClusterFixture> m_cluster;
    std::unique_ptr<Database> m_database;
};

} // namespace power::storage::test
