// One managed cluster for a whole test program, in a temporary directory, stopped at its end.
#pragma once
#include "Await.h"
#include "storage/Database.h"
#include "storage/ManagedCluster.h"
#include <QCoroTask>
#include <QTemporaryDir>

namespace power::storage::test {

class ClusterFixture
{
public:
    ClusterFixture() : m_cluster(m_directory.path()) {}
    ~ClusterFixture() { QCoro::waitFor(m_cluster.stop()); }

    // Empty, or why it does not run.
    QString start()
    {
        const Result<Done> started = await(m_cluster.start());
        return started ? QString() : started.error().text();
    }
    ManagedCluster &cluster() { return m_cluster; }
    QString url() const { return m_cluster.url(); }
    QString path() const { return m_directory.path(); }

private:
    QTemporaryDir m_directory;
    ManagedCluster m_cluster;
};

} // namespace power::storage::test
