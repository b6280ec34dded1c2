#include "app/ExtraPackages.h"
#include "base/Log.h"
#include "sessions/PackageDownload.h"
#include <QCryptographicHash>
#include <QDir>
#include <QFile>

namespace power::app {

using namespace std::chrono_literals;

namespace {
constexpr auto kInstallLimit = 15min;

QByteArray contentOf(const QString &path)
{
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}
} // namespace

ExtraPackages::ExtraPackages(QString requirements, QString index, QString pythonEnv, QString directory, QObject *parent)
    : QObject(parent)
    , m_requirements(std::move(requirements))
    , m_index(std::move(index))
    , m_python(sessions::pipPython(pythonEnv))
    , m_directory(std::move(directory))
{
    if (isConfigured())
        QDir().mkpath(site());
    connect(&m_process, &QProcess::finished, this, [this](int code) { finished(code); });
    connect(&m_process, &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
        if (error == QProcess::FailedToStart)
            finished(-1);
    });
    m_limit.setSingleShot(true);
    connect(&m_limit, &QTimer::timeout, &m_process, &QProcess::kill);
}

ExtraPackages::~ExtraPackages()
{
    m_process.disconnect(this);
    m_process.kill();
    m_process.waitForFinished(2000);
}

QString ExtraPackages::site() const
{
    return m_directory + QStringLiteral("/site");
}

void ExtraPackages::start()
{
    if (!isConfigured())
        return;
    const QByteArray wanted = contentOf(m_requirements);
    if (wanted.isEmpty()) {
        m_state = QStringLiteral("failed: %1 cannot be read or is empty").arg(m_requirements);
        log::error("extra_packages_failed", {{QStringLiteral("reason"), m_state}});
        return;
    }
    const QByteArray stamp = QCryptographicHash::hash(wanted + '\n' + m_index.toUtf8() + '\n' + m_python.toUtf8(), QCryptographicHash::Sha256).toHex();
    if (contentOf(m_directory + QStringLiteral("/stamp")) == stamp) {
        m_state = QStringLiteral("installed");
        return;
    }
    m_state = QStringLiteral("being installed");
    m_process.setProcessEnvironment(sessions::pipEnvironment());
    m_process.start(m_python, {QStringLiteral("-I"), QStringLiteral("-c"), QString::fromUtf8(contentOf(QStringLiteral(":/power/packages/install.py"))),
                               m_requirements, m_directory, m_index, QString::fromLatin1(stamp)});
    m_limit.start(kInstallLimit);
}

void ExtraPackages::finished(int code)
{
    m_limit.stop();
    const bool good = code == 0 && m_process.exitStatus() == QProcess::NormalExit;
    const QString said = QString::fromUtf8(good ? m_process.readAllStandardOutput() : m_process.readAllStandardError()).trimmed();
    const QString line = said.section(u'\n', -1).left(1000);
    m_state = (good ? QStringLiteral("installed: ") : QStringLiteral("failed: "))
            + (line.isEmpty() ? QStringLiteral("it took too long or could not be started") : line);
    if (good)
        log::info("extra_packages_installed", {{QStringLiteral("packages"), line}});
    else
        log::error("extra_packages_failed", {{QStringLiteral("reason"), m_state}});
}

} // namespace power::app
