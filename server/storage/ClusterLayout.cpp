#include "storage/ClusterLayout.h"
#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QRandomGenerator>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::storage {

namespace {
constexpr uid_t ownUid = 65'433; // without a passwd entry: of no other program on purpose
constexpr qsizetype longestSocketDirectory = 80; // sun_path holds 107 characters, "/.s.PGSQL.5432" takes 14

bool hasPasswdEntry(uid_t uid)
{
    passwd entry{}, *found = nullptr;
    QByteArray buffer(16'384, Qt::Uninitialized);
    return getpwuid_r(uid, &entry, buffer.data(), size_t(buffer.size()), &found) == 0 && found;
}

bool isOurs(const QByteArray &path, const ClusterUser &user)
{
    struct stat info{};
    return ::lstat(path.constData(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == user.uid && (info.st_mode & 0777) == 0700;
}

// Creates `path` 0700 for `user`, or accepts it when it is exactly that already.
bool takeDirectory(const QString &path, const ClusterUser &user)
{
    const QByteArray name = QFile::encodeName(path);
    if (::mkdir(name.constData(), 0700) == 0 && geteuid() == 0 && ::chown(name.constData(), user.uid, user.gid) != 0)
        return false;
    return isOurs(name, user);
}
} // namespace

Result<PostgresPrograms> findPrograms(const QString &postgresDirectory)
{
    QList<PostgresPrograms> installed;
    const QDir root(QStringLiteral("/usr/lib/postgresql"));
    for (const QString &version : root.entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
        const QString bin = root.filePath(version + QStringLiteral("/bin"));
        if (QFileInfo(bin + QStringLiteral("/postgres")).isExecutable() && QFileInfo(bin + QStringLiteral("/initdb")).isExecutable())
            installed += PostgresPrograms{version.toInt(), bin};
    }
    std::sort(installed.begin(), installed.end(), [](const auto &a, const auto &b) { return a.major > b.major; });
    int newestData = 0;
    for (const QString &version : QDir(postgresDirectory).entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
        const QString cluster = postgresDirectory + u'/' + version;
        if (QFileInfo::exists(cluster + QStringLiteral("/PG_VERSION")))
            newestData = std::max(newestData, version.toInt());
    }
    for (const PostgresPrograms &programs : installed) {
        if (newestData == 0 || programs.major == newestData)
            return programs;
    }
    if (newestData != 0)
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("%1/%2 holds data of PostgreSQL %2, which is not installed.").arg(postgresDirectory).arg(newestData),
                    QStringLiteral("Install postgresql-%1, or set DATABASE_URL.").arg(newestData));
    return fail(ErrorCode::Unavailable, QStringLiteral("PostgreSQL is not installed (nothing below /usr/lib/postgresql)."),
                QStringLiteral("Install the package postgresql, or set DATABASE_URL."));
}

ClusterUser clusterUser()
{
    if (geteuid() != 0)
        return {geteuid(), getegid(), hasPasswdEntry(geteuid())};
    passwd entry{}, *found = nullptr;
    QByteArray buffer(16'384, Qt::Uninitialized);
    if (getpwnam_r("postgres", &entry, buffer.data(), size_t(buffer.size()), &found) == 0 && found && entry.pw_uid != 0)
        return {entry.pw_uid, entry.pw_gid, true};
    return {ownUid, ownUid, hasPasswdEntry(ownUid)};
}

std::optional<PostmasterFile> readPostmasterFile(const QString &cluster)
{
    QFile file(cluster + QStringLiteral("/postmaster.pid"));
    if (!file.open(QIODevice::ReadOnly))
        return {};
    const QList<QByteArray> lines = file.read(4'096).split('\n');
    PostmasterFile found;
    found.pid = pid_t(lines.value(0).trimmed().toInt());
    found.port = lines.value(3).trimmed().toInt();
    found.socketDirectory = QFile::decodeName(lines.value(4).trimmed());
    found.isReady = lines.value(7).trimmed() == "ready";
    return found;
}

QList<pid_t> processesIn(const QString &cluster)
{
    struct stat wanted{}, seen{};
    QList<pid_t> found;
    if (::stat(QFile::encodeName(cluster).constData(), &wanted) != 0)
        return found;
    for (const QString &name : QDir(QStringLiteral("/proc")).entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
        bool isNumber = false;
        const pid_t pid = name.toInt(&isNumber);
        if (!isNumber)
            continue;
        const QByteArray process = "/proc/" + name.toLatin1();
        if (::stat((process + "/cwd").constData(), &seen) != 0 || seen.st_dev != wanted.st_dev || seen.st_ino != wanted.st_ino)
            continue;
        // An administrator's shell may stand here too.
        QFile comm(QString::fromLatin1(process) + QStringLiteral("/comm"));
        const QByteArray program = comm.open(QIODevice::ReadOnly) ? comm.readAll().trimmed() : QByteArray();
        if (program == "postgres" || program == "initdb")
            found += pid;
    }
    return found;
}

Result<QString> socketDirectory(const QString &cluster, const ClusterUser &user)
{
    const QByteArray key = QFile::encodeName(QFileInfo(cluster).absoluteFilePath()) + '\0' + QByteArray::number(user.uid);
    const QString tag = QString::fromLatin1(QCryptographicHash::hash(key, QCryptographicHash::Sha256).toHex().left(12));
    QStringList bases;
    if (geteuid() == 0)
        bases += QStringLiteral("/run");
    else if (const QString runtime = qEnvironmentVariable("XDG_RUNTIME_DIR"); runtime.startsWith(u'/'))
        bases += runtime;
    bases += {QStringLiteral("/tmp"), QStringLiteral("/var/tmp"), QFileInfo(cluster).absolutePath()};
    for (const QString &base : bases) {
        // Somebody may sit on the guessable name in a public directory; a second, unguessable one gets around that.
        for (const QString &path : {base + QStringLiteral("/power-pg-") + tag,
                                    base + QStringLiteral("/power-pg-%1-%2").arg(tag).arg(QRandomGenerator::system()->generate(), 8, 16, QLatin1Char('0'))}) {
            if (path.size() <= longestSocketDirectory && takeDirectory(path, user))
                return path;
        }
    }
    return fail(ErrorCode::Unavailable, QStringLiteral("There is no place for the database's socket: none of %1 could be written.")
                                            .arg(bases.join(QStringLiteral(", "))),
                QStringLiteral("Make /tmp writable, or set DATABASE_URL."));
}

Result<QStringList> nssEnvironment(const QString &directory, const ClusterUser &user)
{
    QString library;
    for (const QString &triplet : QDir(QStringLiteral("/usr/lib")).entryList({QStringLiteral("*-linux-gnu")}, QDir::Dirs)) {
        const QString candidate = QStringLiteral("/usr/lib/") + triplet + QStringLiteral("/libnss_wrapper.so");
        if (QFileInfo::exists(candidate))
            library = candidate;
    }
    if (library.isEmpty())
        return fail(ErrorCode::Unavailable, QStringLiteral("User id %1 has no passwd entry, and PostgreSQL needs one.").arg(user.uid),
                    QStringLiteral("Install libnss-wrapper, add the entry, or set DATABASE_URL."));
    const auto write = [&](const QString &name, const QByteArray &line) {
        const QString path = directory + u'/' + name;
        QFile file(path);
        const bool done = file.open(QIODevice::WriteOnly) && file.write(line) == line.size();
        file.close();
        // Root writes it, the cluster's user reads it.
        return done && (geteuid() != 0 || ::chown(QFile::encodeName(path).constData(), user.uid, user.gid) == 0);
    };
    const QByteArray uid = QByteArray::number(user.uid), gid = QByteArray::number(user.gid);
    if (!write(QStringLiteral("passwd"), "power:x:" + uid + ':' + gid + "::/nonexistent:/usr/sbin/nologin\n")
        || !write(QStringLiteral("group"), "power:x:" + gid + ":\n"))
        return fail(ErrorCode::Unavailable, QStringLiteral("%1 cannot be written.").arg(directory));
    return QStringList{QStringLiteral("LD_PRELOAD=") + library, QStringLiteral("NSS_WRAPPER_PASSWD=%1/passwd").arg(directory),
                       QStringLiteral("NSS_WRAPPER_GROUP=%1/group").arg(directory)};
}

QString tailOf(const QString &name)
{
    QFile file(name);
    if (!file.open(QIODevice::ReadOnly))
        return {};
    file.seek(std::max<qint64>(0, file.size() - 1'500));
    const QStringList lines = QString::fromUtf8(file.readAll()).trimmed().split(u'\n');
    return lines.mid(std::max<qsizetype>(0, lines.size() - 6)).join(u'\n');
}

} // namespace power::storage
