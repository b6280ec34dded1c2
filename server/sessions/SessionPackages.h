// install_package: packages of one session, besides the environment's.
#pragma once
#include "sessions/PackageDownload.h"
#include "sessions/SessionService.h"

namespace power::sessions {

// SessionPackages: wheels are fetched by the server and unpacked by the session's kernel, inside its sandbox, below
// ".packages" of the workspace: they live, count and go as the session's files do; the sandbox keeps its closed network.
// Thread: the event loop's.
class SessionPackages
{
public:
    SessionPackages(PackageRules rules, SessionService &sessions, qint64 diskBytes)
        : m_rules(std::move(rules)), m_sessions(sessions), m_diskBytes(diskBytes) {}

    bool offered() const { return m_rules.offered; }
    // {"installed": [{name, version}], "already": text or null, "modules": [importable], "loaded": [modules loaded in another
    // version]}. Errors: those of downloadWheels; InvalidArgument (a wheel that cannot be unpacked); Conflict (the session's
    // disk is full); Busy (two others are being installed, or the session is busy).
    QCoro::Task<Result<QJsonObject>> install(SessionKey key, QString requirement, CancelToken cancel);

private:
    QCoro::Task<Result<QJsonObject>> fetchAndUnpack(SessionKey key, QString requirement, CancelToken cancel);

    PackageRules m_rules;
    SessionService &m_sessions;
    qint64 m_diskBytes;
    int m_running = 0;
};

} // namespace power::sessions
