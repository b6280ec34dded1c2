// Where a managed cluster lies, who runs it, and what its files say. No process is started here.
#pragma once
#include "base/Error.h"
#include <QString>
#include <QStringList>
#include <optional>
#include <sys/types.h>

namespace power::storage {

// Installed programs of one major version.
struct PostgresPrograms {
    int major = 0;
    QString directory; // ".../15/bin"
};

// The newest installed version, or the one that made the data below `postgresDirectory`.
// Errors: Unavailable: nothing is installed, or data exist whose version is not installed.
Result<PostgresPrograms> findPrograms(const QString &postgresDirectory);

// Who the cluster runs as: ourselves, or as root `postgres` or, where there is no such user, uid 65433.
struct ClusterUser {
    uid_t uid = 0;
    gid_t gid = 0;
    bool hasName = true; // else nss_wrapper is needed
};
ClusterUser clusterUser();

// postmaster.pid, read line by line.
struct PostmasterFile {
    pid_t pid = 0;
    int port = 0;
    QString socketDirectory;
    bool isReady = false;
};
std::optional<PostmasterFile> readPostmasterFile(const QString &cluster);

// Processes whose working directory is the cluster: the postmaster and its backends, and nobody else's.
QList<pid_t> processesIn(const QString &cluster);

// A 0700 directory of `user` with a path short enough for a socket, the same one for the same cluster.
// Error: Unavailable when no candidate can be had safely.
Result<QString> socketDirectory(const QString &cluster, const ClusterUser &user);

// Variables for programs run as a user without a passwd entry: writes passwd and group files to `directory`.
// Error: Unavailable when libnss_wrapper.so is missing.
Result<QStringList> nssEnvironment(const QString &directory, const ClusterUser &user);

// The last six lines of a file, for error texts.
QString tailOf(const QString &file);

} // namespace power::storage
