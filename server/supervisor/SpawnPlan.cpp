// What a Spawn frame says: the plan of the sandbox (field names of sandbox/Plan.h) and the kernel's own facts.
#include "supervisor/Host.h"
#include <QJsonArray>
#include <unistd.h>

namespace power::supervisor {

QByteArrayList Host::zygoteEnvironment() const
{
    QByteArrayList environment = helperEnvironment();
    environment << "POWER_PYTHON_ENV=" + m_config.python.toLocal8Bit()
                << "OPENBLAS_NUM_THREADS=1" << "OMP_NUM_THREADS=1" << "MKL_NUM_THREADS=1" << "NUMEXPR_NUM_THREADS=1"
                << "MPLBACKEND=Agg" << "PYTHONDONTWRITEBYTECODE=1"
                << "JE_ARROW_MALLOC_CONF=background_thread:false" << "_RJEM_MALLOC_CONF=background_thread:false";
    if (!m_config.extraSite.isEmpty())
        environment << "POWER_EXTRA_SITE=" + m_config.extraSite.toLocal8Bit();
    if (!m_config.cacheDirectory.isEmpty())
        environment << "MPLCONFIGDIR=" + m_config.cacheDirectory.toLocal8Bit() + "/matplotlib"
                    << "XDG_CACHE_HOME=" + m_config.cacheDirectory.toLocal8Bit();
    // Process pools with semaphores need /dev/shm, which only `full` gives to a session of its own.
    if (m_tier.tier != u"full")
        environment << "JOBLIB_MULTIPROCESSING=0";
    return environment;
}

// Beside the kernel's program; LibreOffice needs it where a session has no /tmp of its own.
QString Host::officeHelper() const
{
    return m_config.kernelProgram.left(m_config.kernelProgram.lastIndexOf(u'/') + 1) + QStringLiteral("power-office.so");
}

QJsonObject Host::plan(const KernelSpec &spec, quint64 number) const
{
    const KernelLimits &limits = spec.limits;
    QJsonArray readOnly;
    for (const QString &path : {m_config.python, m_config.cacheDirectory, m_config.extraSite}) {
        if (!path.isEmpty())
            readOnly << path;
    }
    for (const QString &path : m_config.readOnlyPaths)
        readOnly << path;
    const bool renders = spec.runAs == u"render" || spec.runAs == u"view"; // a browser, or an office program
    if (renders)
        readOnly << QStringLiteral("/var/cache/fontconfig"); // else each browser reads all fonts anew
    if (spec.runAs == u"view") {
        readOnly << QStringLiteral("/etc/libreoffice") << QStringLiteral("/var/lib/libreoffice"); // links below /usr/lib lead there
        if (m_tier.tier != u"full")
            readOnly << officeHelper() << QStringLiteral("/var/spool/libreoffice"); // it stops where it sees but may not read that
    }
    // RLIMIT_DATA counts what the fork inherits too. Below the watchdog's limit by more than a fresh kernel uses
    // itself: MemoryError comes first, and the variables survive.
    const qint64 fresh = 40ll << 20;
    // Not for a browser, which reserves far more than it uses: the watchdog is its limit.
    const qint64 data = limits.memoryBytes > 0 && !renders
                            ? std::max(limits.memoryBytes / 100 * 88 - fresh, fresh) + m_baselineData
                            : 0;
    qint64 file = limits.fileBytes > 0 ? limits.fileBytes : limits.diskBytes;
    if (limits.diskBytes > 0)
        file = std::min(file, limits.diskBytes);
    const bool inUserNamespace = m_tier.layers.value(QStringLiteral("user_namespace")).toBool();
    const bool switches = (m_tier.tier == u"full" || m_tier.tier == u"container") && !inUserNamespace;
    return {{QStringLiteral("tier"), m_tier.tier},
            {QStringLiteral("userNamespace"), inUserNamespace},
            {QStringLiteral("landlockAbi"), m_tier.layers.value(QStringLiteral("landlock")).toInt()},
            {QStringLiteral("uid"), qint64(switches ? spec.uid : ::geteuid())},
            {QStringLiteral("gid"), qint64(switches ? spec.gid : ::getegid())},
            {QStringLiteral("workspace"), spec.workspace},
            {QStringLiteral("workspaceInside"), QStringLiteral("/app/sandbox_data/") + spec.sessionId},
            {QStringLiteral("scratch"), spec.scratch},
            {QStringLiteral("readOnly"), readOnly},
            {QStringLiteral("binds"), QJsonArray()},
            {QStringLiteral("memoryBytes"), data},
            {QStringLiteral("fileBytes"), file},
            {QStringLiteral("processes"), limits.processes + 2}, // two checkpoints for a moment, one else
            {QStringLiteral("openFiles"), limits.openFiles},
            {QStringLiteral("allowUnixSockets"), renders},
            {QStringLiteral("cgroup"), leafOf(number)}};
}

QJsonObject Host::kernelMeta(const KernelSpec &spec, const QByteArray &token) const
{
    // Only `full` has a root of its own, where the workspace and /tmp lie at their promised paths.
    const bool moved = m_tier.tier == u"full";
    const QString inside = moved ? QStringLiteral("/app/sandbox_data/") + spec.sessionId : spec.workspace;
    return {{QStringLiteral("session"), spec.sessionId},
            {QStringLiteral("token"), QString::fromLatin1(token)},
            {QStringLiteral("cwd"), inside},
            {QStringLiteral("home"), inside},
            {QStringLiteral("tmp"), moved ? QStringLiteral("/tmp") : spec.scratch},
            {QStringLiteral("cores"), spec.cores},
            {QStringLiteral("installs"), m_config.installsPackages},
            {QStringLiteral("office_helper"), moved ? QString() : officeHelper()},
            {QStringLiteral("run_as"), spec.runAs}};
}

} // namespace power::supervisor
