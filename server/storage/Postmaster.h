// How initdb and the postmaster of a managed cluster are called.
#pragma once
#include "storage/ClusterLayout.h"
#include "storage/Spawn.h"

namespace power::storage {

// What both calls need. `directory` is an open descriptor of the cluster: as root the programs reach their data
// through it, because the path may lead through directories only root can enter.
struct PostmasterCall {
    PostgresPrograms programs;
    ClusterUser user;
    QString cluster, socketDirectory;
    QStringList nssVariables;
    int directory = -1;
    int log = -1;
};

SpawnPlan initdbPlan(const PostmasterCall &call, const QString &passwordFile);
SpawnPlan serverPlan(const PostmasterCall &call);

} // namespace power::storage
