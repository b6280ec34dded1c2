#include "config/Declaration.h"

namespace power::config {

namespace {
QString word(const char *text) { return QString::fromUtf8(text); }

struct Table {
    std::vector<Declaration> rows;
    QString group;

    Declaration &add(const char *name, Form form, Declaration::Field field, const char *standard, const char *help)
    {
        rows.push_back({group, word(name), form, field, word(standard), word(help)});
        return rows.back();
    }
    void number(const char *name, qint64 Settings::*field, const char *standard, qint64 least, qint64 most,
                const char *help, const char *standardText = "")
    {
        Declaration &row = add(name, Form::Number, field, standard, help);
        row.least = least;
        row.most = most;
        row.standardText = word(standardText);
    }
    void choice(const char *name, QString Settings::*field, const char *standard, const char *choices, const char *help)
    {
        add(name, Form::Choice, field, standard, help).choices = word(choices).split(u'|');
    }
};

std::vector<Declaration> build()
{
    constexpr qint64 megabytes = 64ll << 20; // 64 TiB
    Table t;
    t.group = word("Network");
    t.add("HOST", Form::Host, &Settings::host, "", "Address to listen on.").standardText =
        word("127.0.0.1 without API_KEY, 0.0.0.0 with it");
    t.number("PORT", &Settings::port, "8000", 0, 65535, "HTTP port; 0 takes a free one.");
    t.add("STDIO", Form::Switch, &Settings::stdio, "false",
          "Speak MCP on standard input and output too, for clients that start the server; the log goes to stderr, PORT is 0 unless set.");
    t.add("PUBLIC_URL", Form::HttpUrl, &Settings::publicUrl, "",
          "Base of the links in answers, for example https://power.example.org.")
        .standardText = word("RAILWAY_PUBLIC_DOMAIN, else the request's Host");
    t.add("RAILWAY_PUBLIC_DOMAIN", Form::Text, &Settings::railwayPublicDomain, "",
          "Host name Railway gives the service; base of links when PUBLIC_URL is unset.");
    t.add("TLS_CERT_FILE", Form::Path, &Settings::tlsCertFile, "",
          "PEM certificate chain; together with TLS_KEY_FILE the server speaks HTTPS.");
    t.add("TLS_KEY_FILE", Form::Path, &Settings::tlsKeyFile, "", "PEM private key of TLS_CERT_FILE.");
    t.add("ALLOWED_HOSTS", Form::List, &Settings::allowedHosts, "",
          "Host headers accepted besides loopback and the public link's (comma list; guards against DNS rebinding).");
    t.add("ALLOWED_ORIGINS", Form::Origins, &Settings::allowedOrigins, "",
          "Browser origins that may call the server (comma list, or *).");

    t.group = word("Access");
    t.add("API_KEY", Form::Text, &Settings::apiKey, "", "Key for /api (header X-API-Key); unset, only loopback is served.")
        .secrecy = Secrecy::Secret;
    t.choice("MCP_AUTH", &Settings::mcpAuth, "none", "none|api-key|oauth", "What /mcp asks for.");
    t.add("ALLOW_INSECURE", Form::Switch, &Settings::allowInsecure, "false",
          "Allow a public HOST without API_KEY: anybody who reaches the port can run code.");
    t.add("CHARTS_PUBLIC", Form::Switch, &Settings::chartsPublic, "true",
          "Answer /charts/{session}/{file} without a key, for files that were handed out.");

    t.group = word("Storage");
    t.add("DATA_DIR", Form::Path, &Settings::dataDir, "", "Directory of everything that must survive a restart.")
        .standardText = word("/app/data in a container where /app is writable, else ./data");
    Declaration &sandboxDir = t.add("SANDBOX_DIR", Form::Path, &Settings::sandboxDir, "",
                                    "Root of the session directories on the host; code always sees it as "
                                    "/app/sandbox_data/{session_id}.");
    sandboxDir.aliases = {word("SANDBOX_DATA_DIR")};
    sandboxDir.standardText = word("/app/sandbox_data beside /app/data, else sandbox_data in DATA_DIR");
    Declaration &database = t.add("DATABASE_URL", Form::PostgresUrl, &Settings::databaseUrl, "",
                                  "postgres:// or postgresql:// address of a database.");
    database.secrecy = Secrecy::UrlPassword;
    database.standardText = word("a private PostgreSQL in DATA_DIR");
    t.add("FILE_STORE", Form::Choice, &Settings::fileStore, "",
          "Where stored files, the files of sessions and their snapshots outlive the server: disk = in DATA_DIR and SANDBOX_DIR; "
          "postgres = in the database, so that a new server with an empty disk has them again.").choices = {word("disk"), word("postgres")};
    t.rows.back().standardText = word("postgres with DATABASE_URL, else disk");
    t.number("FILE_STORE_MAX_MB", &Settings::fileStoreMaxMb, "51200", 0, megabytes, "All stored content together, in MB; 0 = no limit.");
    t.number("MAX_SESSION_STORED_MB", &Settings::maxSessionStoredMb, "4096", 0, megabytes,
             "Files stored for download for one session, older versions included, in MB; above it the oldest replaced versions expire early; 0 = no limit.");
    t.number("SESSION_TTL_HOURS", &Settings::sessionTtlHours, "0", 0, 876'000,
             "Hours after its last use at which a session is deleted with its files; 0 = never.");

    t.group = word("Execution");
    t.number("MAX_EXECUTION_TIME", &Settings::maxExecutionTime, "300", 1, 86'400, "Longest synchronous run, in seconds.");
    t.number("MAX_MEMORY_MB", &Settings::maxMemoryMb, "16384", 64, megabytes, "Memory of one execution, in MB.");
    t.number("TOTAL_MEMORY_MB", &Settings::totalMemoryMb, "0", 0, megabytes, "Memory of all kernels together, in MB.",
             "by the machine (cgroup or RAM, less a reserve)");
    t.number("MAX_SESSIONS", &Settings::maxSessions, "0", 0, 100'000, "Live kernels at a time.", "by memory");
    t.number("SESSION_IDLE_MINUTES", &Settings::sessionIdleMinutes, "240", 0, 525'600,
             "Minutes after which an idle session's kernel is retired; 0 = never.");
    t.number("SNAPSHOT_MAX_MB", &Settings::snapshotMaxMb, "1024", 0, megabytes,
             "Largest state of a session that is kept on disk for restarts, in MB; what does not fit is named; 0 = none is kept.");
    t.number("SNAPSHOTS_TOTAL_MB", &Settings::snapshotsTotalMb, "20480", 0, megabytes,
             "The kept states of all sessions together, in MB; above it the oldest make room, and their sessions are told; 0 = no limit.");
    t.number("CHECKPOINTS_PER_SECOND", &Settings::checkpointsPerSecond, "10", 0, 100,
             "Copies of idle kernels that are made in all, for sessions to go on from when a kernel dies; 0 = none.");
    t.number("MAX_SESSION_DISK_MB", &Settings::maxSessionDiskMb, "2048", 1, megabytes, "Disk space of one session, in MB.");
    t.number("MAX_SESSION_PROCESSES", &Settings::maxSessionProcesses, "64", 1, 32'768,
             "Processes and threads of one session.");
    t.number("MAX_RUN_OUTPUT_MB", &Settings::maxRunOutputMb, "64", 1, 65'536,
             "Output of one run, in MB; a run that writes more is stopped.");
    t.number("MAX_CONCURRENT_JOBS", &Settings::maxConcurrentJobs, "4", 1, 1'024, "Jobs that run at a time.");
    t.number("JOB_TIMEOUT", &Settings::jobTimeout, "1800", 1, 2'592'000, "Default and longest time of a job, in seconds.");
    t.number("JOB_CLEANUP_HOURS", &Settings::jobCleanupHours, "24", 1, 87'600, "Hours after which finished jobs are deleted.");
    t.number("JOB_LEASE_SECONDS", &Settings::jobLeaseSeconds, "15", 3, 3'600,
             "Seconds without a word after which the other servers on the database take the jobs of one.");
    t.add("ENABLE_SCHEDULES", Form::Switch, &Settings::enableSchedules, "false", "Jobs may run by the clock (schedule_job, run_at).");
    t.add("WEBHOOK_SECRET", Form::Text, &Settings::webhookSecret, "",
          "Signs the webhooks of jobs whose submitter gave no secret.").secrecy = Secrecy::Secret;
    t.choice("SANDBOX_REQUIRE", &Settings::sandboxRequire, "nonroot", "full|container|nonroot|none",
             "Lowest sandbox tier that may run code; \"none\" switches the refusal off.");
    t.choice("SANDBOX_TIER", &Settings::sandboxTier, "auto", "auto|full|container|nonroot|none",
             "Force a sandbox tier in place of the best one the machine allows.");
    t.choice("SANDBOX_CGROUP", &Settings::sandboxCgroup, "auto", "auto|off",
             "A control group (cgroup v2) for each session, with limits that the system holds, where the machine lets the server make them.");
    t.number("SANDBOX_LANDLOCK_ABI", &Settings::sandboxLandlockAbi, "-1", -1, 64,
             "Highest Landlock ABI to use; 0 = no Landlock.", "what the kernel offers");
    t.add("PYTHON_ENV", Form::Path, &Settings::pythonEnv, "", "Prefix of the virtual environment with the Python stack.")
        .standardText = word("the distribution's packages");
    t.add("EXTRA_REQUIREMENTS", Form::Path, &Settings::extraRequirements, "",
          "Requirements file of packages (wheels) that sessions get besides the environment's, installed behind the start.");
    t.add("ALLOW_INSTALL", Form::Switch, &Settings::allowInstall, "false",
          "Offer the tool install_package: sessions may add packages (wheels) for themselves, fetched by the server.");
    t.number("PACKAGE_MAX_MB", &Settings::packageMaxMb, "200", 1, megabytes, "Largest package with what it needs that install_package fetches, in MB.");
    t.add("PACKAGE_INDEX", Form::Text, &Settings::packageIndex, "",
          "Where packages come from: URL of an index, or a directory of wheels.").secrecy = Secrecy::UrlPassword;
    t.add("KERNEL_PROGRAM", Form::Path, &Settings::kernelProgram, "", "Path of power-kernel.").standardText =
        word("beside the server");
    t.add("INIT_PROGRAM", Form::Path, &Settings::initProgram, "", "Path of power-init.").standardText =
        word("beside the server");

    t.group = word("Files and answers");
    t.number("SANDBOX_FILE_MAX_MB", &Settings::sandboxFileMaxMb, "50", 1, megabytes,
             "Largest file that gets a download link, in MB.");
    t.number("SANDBOX_FILE_TTL_HOURS", &Settings::sandboxFileTtlHours, "72", 0, 876'000,
             "Hours a file stored for download lives; 0 = for ever. The session's own file stays with its session.");
    t.number("LINK_TTL_HOURS", &Settings::linkTtlHours, "0", 0, 876'000,
             "Hours a signed download link lives; 0 = links are not signed: whoever has one may download until the file expires.");
    t.number("HISTORY_RUNS", &Settings::historyRuns, "1000", 0, 1'000'000,
             "Runs of one session kept in the history, with code and outputs; 0 = no history.");
    t.number("HISTORY_MB", &Settings::historyMb, "64", 1, megabytes, "Size of one session's history, in MB.");
    t.number("HISTORY_DAYS", &Settings::historyDays, "90", 0, 36'500, "Days a run stays in the history; 0 = for ever.");
    t.number("MAX_UPLOAD_MB", &Settings::maxUploadMb, "500", 1, megabytes, "Largest upload, in MB.");
    t.number("MAX_FETCH_SIZE_MB", &Settings::maxFetchSizeMb, "500", 1, megabytes, "Largest fetch_from_url, in MB.");
    t.add("FETCH_ALLOW_ORIGINS", Form::Origins, &Settings::fetchAllowOrigins, "",
          "Origins fetch_from_url may use although they are not public, for example http://127.0.0.1:9000 (comma list).");
    t.number("MAX_OUTPUT_SIZE", &Settings::maxOutputSize, "1048576", 1'024, 1ll << 30,
             "Characters of stdout and stderr kept per run.");
    t.number("MCP_RESPONSE_MAX_CHARS", &Settings::mcpResponseMaxChars, "50000", 1'000, 10'000'000,
             "Text budget of one MCP answer, in characters.");
    t.add("TOOL_PROFILE", Form::Text, &Settings::toolProfile, "",
          "Tools listed to clients that select none (comma list of toolsets and tool names, or all; see Tools).")
        .standardText = word("core,files,jobs,data,microsoft");
    t.add("MCP_READ_ONLY", Form::Switch, &Settings::mcpReadOnly, "false",
          "Offer MCP clients only tools that change nothing; code cannot be run then.");
    t.add("IMAGE_BASE64", Form::Switch, &Settings::imageBase64, "true", "Send images as MCP image blocks besides their links.");

    t.group = word("Microsoft");
    t.add("AZURE_TENANT_ID", Form::Text, &Settings::azureTenantId, "",
          "Tenant; with AZURE_CLIENT_ID switches OneDrive and SharePoint on.");
    t.add("AZURE_CLIENT_ID", Form::Text, &Settings::azureClientId, "", "Application (client) id of the app registration.");
    t.add("AZURE_CLIENT_SECRET", Form::Text, &Settings::azureClientSecret, "", "Client secret; optional, recommended.").secrecy =
        Secrecy::Secret;

    t.group = word("Log");
    t.choice("LOG_LEVEL", &Settings::logLevel, "INFO", "DEBUG|INFO|WARNING|ERROR|CRITICAL", "Least level that is logged.");
    t.choice("LOG_FORMAT", &Settings::logFormat, "text", "text|json", "Form of the log lines on stdout.");
    t.add("SUPERVISE", Form::Switch, &Settings::supervise, "false",
          "Run the server as a child process that is started again when it dies.");
    t.add("BENCH_ECHO", Form::Switch, &Settings::benchEcho, "false",
          "Add POST /bench/echo, the bare route that tests/bench compares with.");
    return std::move(t.rows);
}
} // namespace

QString Declaration::flag() const
{
    return QStringLiteral("--") + name.toLower().replace(u'_', u'-');
}

QString Declaration::shownStandard() const
{
    if (!standardText.isEmpty())
        return standardText;
    return standard.isEmpty() ? QStringLiteral("unset") : standard;
}

const std::vector<Declaration> &declarations()
{
    static const std::vector<Declaration> table = build();
    return table;
}

const std::vector<UnusedName> &unusedNames()
{
    static const std::vector<UnusedName> table = [] {
        const QString local = QStringLiteral("is not needed: kernels are local processes of this server");
        const QString inData = QStringLiteral("is not needed: everything lies in DATA_DIR");
        std::vector<UnusedName> names{
            {QStringLiteral("EXECUTOR_URL"), local},
            {QStringLiteral("API_BASE_URL"), QStringLiteral("is not needed: MCP tools call no REST door")},
            {QStringLiteral("PUBLIC_BASE_URL"), QStringLiteral("is not used; set PUBLIC_URL")},
            {QStringLiteral("UPLOAD_DIR"), inData},
            {QStringLiteral("TEMP_DIR"), inData},
            {QStringLiteral("LOG_DIR"), QStringLiteral("is not needed: the log goes to stdout")},
            {QStringLiteral("MAX_FILE_SIZE_MB"), QStringLiteral("was never used; MAX_UPLOAD_MB and SANDBOX_FILE_MAX_MB are")},
        };
        for (const char *prefix : {"MS_", "MICROSOFT_"})
            for (const char *rest : {"TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"})
                names.push_back({word(prefix) + word(rest), QStringLiteral("is not used; set AZURE_") + word(rest)});
        return names;
    }();
    return table;
}

} // namespace power::config
