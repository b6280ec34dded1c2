// Every setting of the server, read once at start: defaults < environment < command-line flags.
// The names, types, limits and help texts stand in Declaration.cpp and nowhere else.
#pragma once
#include "base/Error.h"
#include <QProcessEnvironment>
#include <QString>
#include <QStringList>

namespace power::config {

// Settings: a plain value, immutable by convention after load(). Any thread may read a copy.
class Settings
{
public:
    // Network
    QString host;                 // resolved bind address
    qint64 port = 0;
    bool stdio = false;           // MCP on standard input and output as well
    QString publicUrl;            // PUBLIC_URL or https://RAILWAY_PUBLIC_DOMAIN without a trailing slash; empty = request Host
    QString railwayPublicDomain;
    QString tlsCertFile, tlsKeyFile; // both or neither
    QStringList allowedHosts, allowedOrigins;
    // Access
    QString apiKey;               // secret; empty = loopback only
    QString mcpAuth;              // "none", "api-key", "oauth"
    bool allowInsecure = false;
    bool chartsPublic = true;
    // Storage
    QString dataDir;              // absolute
    QString sandboxDir;           // absolute; the host's side of /app/sandbox_data
    QString databaseUrl;          // secret in part; empty = managed cluster
    QString fileStore;            // "disk" or "postgres"
    qint64 fileStoreMaxMb = 0;    // of all content; 0 = no limit
    qint64 maxSessionStoredMb = 0; // stored for download for one session; 0 = no limit
    qint64 sessionTtlHours = 0;   // unused sessions are deleted; 0 = never
    // Execution
    qint64 maxExecutionTime = 0;  // s
    qint64 maxMemoryMb = 0;       // per run
    qint64 totalMemoryMb = 0;     // of all kernels; 0 = by machine
    qint64 maxSessions = 0;       // 0 = by memory
    qint64 sessionIdleMinutes = 0; // 0 = never
    qint64 snapshotMaxMb = 0;     // of one session; 0 = no snapshots
    qint64 snapshotsTotalMb = 0;  // of all sessions; 0 = no limit
    qint64 checkpointsPerSecond = 0; // of all sessions together; 0 = none are taken
    qint64 maxSessionDiskMb = 0, maxSessionProcesses = 0, maxRunOutputMb = 0;
    qint64 maxConcurrentJobs = 0, jobTimeout = 0 /* s */, jobCleanupHours = 0, jobLeaseSeconds = 0;
    bool enableSchedules = false;
    QString webhookSecret;        // secret
    QString sandboxRequire;       // lowest tier that may run user code: "full", "container", "nonroot", "none"
    QString sandboxCgroup;        // "auto" or "off"
    QString sandboxTier;          // "auto" or a tier to force
    qint64 sandboxLandlockAbi = 0; // highest Landlock ABI to use; -1 = what the kernel offers
    QString extraRequirements;    // file; empty = none
    QString packageIndex;         // URL or directory of wheels; empty = as pip is configured
    QString pythonEnv;            // prefix of a venv; empty = the distribution's packages
    QString kernelProgram, initProgram; // empty = beside the server's executable
    // Files and answers
    qint64 historyRuns = 0 /* per session; 0 = no history */, historyMb = 0 /* per session */, historyDays = 0 /* 0 = for ever */;
    qint64 sandboxFileMaxMb = 0, sandboxFileTtlHours = 0 /* 0 = never */, linkTtlHours = 0 /* 0 = not signed */;
    qint64 maxUploadMb = 0, maxFetchSizeMb = 0;
    QStringList fetchAllowOrigins; // origins fetch_from_url may reach although they are not public
    qint64 maxOutputSize = 0;     // characters of stdout/stderr kept
    qint64 mcpResponseMaxChars = 0;
    QString toolProfile;          // toolsets and tools listed to clients that select none; empty = the default list
    bool mcpReadOnly = false;     // only tools that change nothing
    bool imageBase64 = true;
    // Microsoft
    QString azureTenantId, azureClientId, azureClientSecret; // secret; the first two switch Microsoft on
    // Log
    QString logLevel;             // "DEBUG", "INFO", "WARNING", "ERROR"
    QString logFormat;            // "text", "json"
    bool allowInstall = false;    // the tool install_package
    qint64 packageMaxMb = 200;
    bool supervise = false;       // started again when it dies
    bool benchEcho = false;       // POST /bench/echo exists

    bool helpAsked = false, versionAsked = false; // then nothing else was read
    QStringList notes;            // to log once at start: names accepted without use here
    QStringList warnings;         // to log prominently, and to show in /health

    bool hasMicrosoft() const { return !azureTenantId.isEmpty() && !azureClientId.isEmpty(); }
    bool isPublic() const;        // host is not a loopback address

    // args: without the program's name and without the subcommand. Flags: --max-memory-mb 64, --max-memory-mb=64,
    // --MAX_MEMORY_MB=64; a boolean flag may stand alone. An empty environment value counts as unset.
    // Error: InvalidArgument that lists every problem, one per line, also in details["problems"].
    static Result<Settings> load(const QStringList &args, const QProcessEnvironment &environment);

    static QString helpText();      // for --help
    static QString markdownTable(); // for the README
    // Every value as it would be written in the environment, secrets redacted; for the log and `doctor`.
    QJsonObject redacted() const;
};

// postgres://user:secret@host/db?password=secret -> both secrets shown as ***.
QString redactedUrl(const QString &url);

} // namespace power::config
