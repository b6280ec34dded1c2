#include "storage/ManagedCluster.h"
#include "base/Durable.h"
#include "base/Log.h"
#include "storage/InThread.h"
#include "storage/Postmaster.h"
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QFileInfo>
#include <QPointer>
#include <QRandomGenerator>
#include <QUrl>
#include <csignal>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::storage {

namespace {
using namespace std::chrono_literals;
constexpr std::chrono::milliseconds pollStep = 20ms, initLimit = 120s, startLimit = 600s, interruptLimit = 20s, quitLimit = 10s;
constexpr qint64 longestLog = 8ll << 20;

Unexpected<Error> unavailable(const QString &message, const QString &next = {})
{
    return fail(ErrorCode::Unavailable, message, next);
}

class OwnedDescriptor
{
public:
    explicit OwnedDescriptor(int descriptor = -1) : m_descriptor(descriptor) {}
    ~OwnedDescriptor() { reset(-1); }
    OwnedDescriptor(const OwnedDescriptor &) = delete;
    OwnedDescriptor &operator=(const OwnedDescriptor &) = delete;
    int get() const { return m_descriptor; }
    void reset(int descriptor)
    {
        if (m_descriptor >= 0)
            ::close(m_descriptor);
        m_descriptor = descriptor;
    }

private:
    int m_descriptor;
};

// A pause that always ends.
QCoro::Task<> napFor(std::chrono::milliseconds time)
{
    const OneShot<Done> never;
    const Result<Done> waited = co_await never.wait(time);
    Q_UNUSED(waited)
}
} // namespace

class ManagedCluster::Private
{
public:
    ManagedCluster *q = nullptr;
    QString postgresDirectory, cluster, socket, password;
    PostgresPrograms programs;
    ClusterUser user;
    OwnedDescriptor lock;
    pid_t postmaster = 0;
    int port = 5432;
    bool running = false, stopping = false, adopted = false;
    QElapsedTimer since;

    QString logFile() const { return cluster + QStringLiteral(".log"); }
    QString passwordFile() const { return cluster + QStringLiteral(".password"); }
    Result<Done> takeLock();
    Result<PostmasterCall> call(const QString &directory);
    Result<Done> readPassword();
    QCoro::Task<Result<Done>> initialise();
    QCoro::Task<Result<bool>> adopt();
    QCoro::Task<Result<Done>> launch();
    QCoro::Task<> supervise();
    void setRunning(bool now);
};

Result<Done> ManagedCluster::Private::takeLock()
{
    if (lock.get() >= 0)
        return Done{};
    if (!QDir().mkpath(postgresDirectory))
        return unavailable(QStringLiteral("The directory %1 cannot be made.").arg(postgresDirectory),
                           QStringLiteral("Make DATA_DIR writable for this user, or set DATABASE_URL."));
    const QString path = postgresDirectory + QStringLiteral("/lock");
    const int descriptor = ::open(QFile::encodeName(path).constData(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return unavailable(QStringLiteral("%1 cannot be opened: %2.").arg(path, qt_error_string(errno)),
                           QStringLiteral("Make DATA_DIR writable for this user, or set DATABASE_URL."));
    lock.reset(descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        return Done{};
    lock.reset(-1);
    return fail(ErrorCode::Conflict, QStringLiteral("Another server uses the database in %1.").arg(postgresDirectory),
                QStringLiteral("Stop it, or give this one a DATA_DIR of its own."));
}

// Opens the cluster directory and the log, and finds the socket's place.
Result<PostmasterCall> ManagedCluster::Private::call(const QString &directory)
{
    const auto place = socketDirectory(cluster, user);
    if (!place)
        return Unexpected<Error>{place.error()};
    socket = *place;
    // Nobody works in the cluster now and the directory is its own, so a socket there is a dead one. Postgres itself
    // would believe its lock file as long as that number is any process, even an unreaped one.
    QFile::remove(socket + QStringLiteral("/.s.PGSQL.5432"));
    QFile::remove(socket + QStringLiteral("/.s.PGSQL.5432.lock"));
    PostmasterCall call{programs, user, directory, socket, {}, -1, -1};
    if (!user.hasName) {
        const auto variables = nssEnvironment(socket, user);
        if (!variables)
            return Unexpected<Error>{variables.error()};
        call.nssVariables = *variables;
    }
    if (QFileInfo(logFile()).size() > longestLog) {
        QFile::remove(logFile() + QStringLiteral(".1"));
        QFile::rename(logFile(), logFile() + QStringLiteral(".1"));
    }
    call.directory = ::open(QFile::encodeName(directory).constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    call.log = ::open(QFile::encodeName(logFile()).constData(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (call.directory >= 0 && call.log >= 0)
        return call;
    const QString reason = qt_error_string(errno);
    ::close(call.directory);
    ::close(call.log);
    return unavailable(QStringLiteral("%1 cannot be opened: %2.").arg(directory, reason));
}

Result<Done> ManagedCluster::Private::readPassword()
{
    QFile file(passwordFile());
    if (!file.open(QIODevice::ReadOnly))
        return unavailable(QStringLiteral("The password file %1 of the database cannot be read.").arg(passwordFile()),
                           QStringLiteral("Restore it from a backup, or set a new password: put \"local all all trust\" "
                                          "into pg_hba.conf, ALTER ROLE power PASSWORD, write it to that file, undo."));
    password = QString::fromLatin1(file.readAll().trimmed());
    return Done{};
}

// A new cluster is made beside its place and renamed there, so that a crash never leaves half a cluster.
QCoro::Task<Result<Done>> ManagedCluster::Private::initialise()
{
    const QPointer<ManagedCluster> alive(q);
    const QString fresh = cluster + QStringLiteral(".new");
    QElapsedTimer clock;
    clock.start();
    while (!processesIn(fresh).isEmpty()) { // of a server that was killed in its first second
        for (const pid_t pid : processesIn(fresh))
            ::kill(pid, SIGTERM);
        if (clock.elapsed() > initLimit.count())
            co_return unavailable(QStringLiteral("An interrupted initdb still runs in %1.").arg(fresh), QStringLiteral("End it, then start again."));
        co_await napFor(pollStep);
        if (!alive)
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
    }
    if (QFileInfo::exists(fresh) && !QDir(fresh).removeRecursively())
        co_return unavailable(QStringLiteral("The remains of an interrupted start, %1, cannot be removed.").arg(fresh));
    const QByteArray name = QFile::encodeName(fresh);
    if (::mkdir(name.constData(), 0700) != 0 || (geteuid() == 0 && ::chown(name.constData(), user.uid, user.gid) != 0))
        co_return unavailable(QStringLiteral("%1 cannot be made: %2.").arg(fresh, qt_error_string(errno)));

    // 32 characters from the system's generator; the file is this server's, initdb gets a copy beside the socket.
    QByteArray secret(16, Qt::Uninitialized);
    for (char &byte : secret)
        byte = char(QRandomGenerator::system()->bounded(256));
    secret = secret.toHex();
    const auto writeSecret = [&secret](const QString &path) {
        QFile::remove(path);
        const int descriptor = ::open(QFile::encodeName(path).constData(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        const bool done = descriptor >= 0 && ::write(descriptor, secret.constData(), size_t(secret.size())) == secret.size()
                          && ::fsync(descriptor) == 0;
        ::close(descriptor);
        return done;
    };
    const auto made = call(fresh);
    if (!made)
        co_return Unexpected<Error>{made.error()};
    const OwnedDescriptor directory(made->directory), log(made->log);
    const QString copy = socket + QStringLiteral("/init-password");
    if (!writeSecret(passwordFile()) || !writeSecret(copy)
        || (geteuid() == 0 && ::chown(QFile::encodeName(copy).constData(), user.uid, user.gid) != 0))
        co_return unavailable(QStringLiteral("The database's password cannot be written to %1.").arg(postgresDirectory));

    const SpawnPlan plan = initdbPlan(*made, copy);
    const auto started = spawn(plan);
    if (!started)
        co_return Unexpected<Error>{started.error()};
    const OneShot<int> ended = whenEnded(*started);
    const Result<int> status = co_await ended.wait(initLimit);
    QFile::remove(copy);
    if (!alive)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
    if (!status || *status != 0)
        co_return unavailable(QStringLiteral("The database could not be initialised. Its log says: %1").arg(tailOf(logFile())),
                              QStringLiteral("Check space and rights of DATA_DIR, or set DATABASE_URL."));
    // One sync of the file system in place of a thousand of single files, before the directory gets its name.
    const std::function<bool()> sync = [name] {
        const OwnedDescriptor root(::open(name.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        return ::syncfs(root.get()) == 0;
    };
    const OneShot<bool> syncing = inThread<bool>(sync);
    const Result<bool> synced = co_await syncing.wait(initLimit);
    if (!alive)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
    if (!synced || !*synced)
        co_return unavailable(QStringLiteral("The new database could not be written to disk."), QStringLiteral("Check the disk of DATA_DIR."));
    if (::rename(name.constData(), QFile::encodeName(cluster).constData()) != 0)
        co_return unavailable(QStringLiteral("%1 cannot be renamed: %2.").arg(fresh, qt_error_string(errno)));
    if (!syncDirectory(postgresDirectory)) {
        const int number = errno;
        ::rename(QFile::encodeName(cluster).constData(), name.constData()); // nothing is in it yet; the next start makes it anew
        co_return unavailable(QStringLiteral("The new database could not be written to disk: %1.").arg(qt_error_string(number)),
                              QStringLiteral("Check the disk of DATA_DIR."));
    }
    co_return Done{};
}

// true: a postmaster of this cluster runs and is now supervised. false: nothing runs here and one may be started.
// Only the holder of the lock comes here, so whoever works in the directory is a postmaster that outlived its server,
// or a backend that outlived its postmaster; both are told by their working directory, never by a bare process id.
QCoro::Task<Result<bool>> ManagedCluster::Private::adopt()
{
    const QPointer<ManagedCluster> alive(q);
    QElapsedTimer clock;
    clock.start();
    bool asked = false;
    for (;;) {
        const QList<pid_t> inside = processesIn(cluster);
        const auto file = readPostmasterFile(cluster);
        if (file && inside.contains(file->pid)) {
            if (file->isReady) {
                postmaster = file->pid;
                socket = file->socketDirectory;
                port = file->port;
                co_return true;
            }
        } else if (inside.isEmpty()) {
            // A number in the file that belongs to some other process now would make postgres refuse to start.
            if (file && file->pid > 0 && ::kill(file->pid, 0) == 0) {
                log::info("database_stale_pid_removed", {{QStringLiteral("pid"), int(file->pid)}});
                QFile::remove(cluster + QStringLiteral("/postmaster.pid"));
            }
            co_return false;
        } else if (clock.elapsed() > 10'000 && !asked) {
            // Backends without a postmaster end by themselves unless they are stuck in a statement.
            for (const pid_t pid : inside)
                ::kill(pid, SIGQUIT);
            asked = true;
        }
        if (clock.elapsed() > (asked ? 20'000 : startLimit.count()))
            co_return unavailable(QStringLiteral("Processes of an earlier database still work in %1.").arg(cluster),
                                  QStringLiteral("End them (kill -QUIT), then start again."));
        co_await napFor(pollStep);
        if (!alive)
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
    }
}

QCoro::Task<Result<Done>> ManagedCluster::Private::launch()
{
    const QPointer<ManagedCluster> alive(q);
    const Result<bool> found = co_await adopt();
    if (!alive)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
    if (!found)
        co_return Unexpected<Error>{found.error()};
    adopted = *found;
    if (!adopted) {
        const auto made = call(cluster);
        if (!made)
            co_return Unexpected<Error>{made.error()};
        const OwnedDescriptor directory(made->directory), log(made->log);
        const SpawnPlan plan = serverPlan(*made);
        const auto started = spawn(plan);
        if (!started)
            co_return Unexpected<Error>{started.error()};
        postmaster = *started;
        port = 5432;
        const OneShot<int> ended = whenEnded(postmaster);
        QElapsedTimer clock;
        clock.start();
        for (;;) {
            const auto file = readPostmasterFile(cluster);
            if (file && file->pid == postmaster && file->isReady)
                break;
            const bool late = clock.elapsed() > startLimit.count();
            if (ended.isResolved() || late)
                co_return unavailable(QStringLiteral("The database did not start. Its log says: %1").arg(tailOf(logFile())),
                                      QStringLiteral("Check space and rights of DATA_DIR, or set DATABASE_URL."));
            co_await napFor(pollStep);
            if (!alive)
                co_return fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping."));
        }
    }
    log::info("database_started", {{QStringLiteral("pid"), int(postmaster)}, {QStringLiteral("adopted"), adopted},
                                   {QStringLiteral("data"), cluster}});
    setRunning(true);
    supervise();
    co_return Done{};
}

// Waits for the postmaster's end and starts another one, unless the end was asked for.
QCoro::Task<> ManagedCluster::Private::supervise()
{
    const QPointer<ManagedCluster> alive(q);
    since.start();
    const OneShot<int> ended = whenEnded(postmaster);
    const std::chrono::milliseconds forever{0};
    const Result<int> status = co_await ended.wait(forever);
    Q_UNUSED(status)
    if (!alive)
        co_return;
    postmaster = 0;
    setRunning(false);
    std::chrono::milliseconds pause = since.elapsed() > 60'000 ? 0ms : 500ms;
    while (!stopping) {
        log::warning("database_died", {{QStringLiteral("restart_ms"), int(pause.count())}});
        co_await napFor(pause);
        if (!alive || stopping)
            co_return;
        const Result<Done> again = co_await launch();
        if (!alive || again)
            co_return;
        log::error("database_start_failed", {{QStringLiteral("reason"), again.error().message}});
        pause = std::min<std::chrono::milliseconds>(std::max<std::chrono::milliseconds>(pause * 2, 500ms), 30s);
    }
}

void ManagedCluster::Private::setRunning(bool now)
{
    if (running == now)
        return;
    running = now;
    QMetaObject::invokeMethod(q, [owner = q, now] { Q_EMIT owner->runningChanged(now); }, Qt::QueuedConnection);
}

ManagedCluster::ManagedCluster(QString dataDirectory, QObject *parent) : QObject(parent), d(std::make_unique<Private>())
{
    d->q = this;
    d->postgresDirectory = QFileInfo(dataDirectory).absoluteFilePath() + QStringLiteral("/postgres");
}

ManagedCluster::~ManagedCluster() = default;

QCoro::Task<Result<Done>> ManagedCluster::start()
{
    const QPointer<ManagedCluster> alive(this);
    if (d->running)
        co_return Done{};
    d->stopping = false;
    const auto programs = findPrograms(d->postgresDirectory);
    if (!programs)
        co_return Unexpected<Error>{programs.error()};
    d->programs = *programs;
    d->user = clusterUser();
    d->cluster = d->postgresDirectory + u'/' + QString::number(programs->major);
    if (const auto locked = d->takeLock(); !locked)
        co_return locked;
    if (!QFileInfo::exists(d->cluster + QStringLiteral("/PG_VERSION"))) {
        const Result<Done> made = co_await d->initialise();
        if (!made || !alive)
            co_return made;
    }
    if (const auto known = d->readPassword(); !known)
        co_return known;
    const Result<Done> launched = co_await d->launch();
    co_return launched;
}

QCoro::Task<> ManagedCluster::stop()
{
    const QPointer<ManagedCluster> alive(this);
    d->stopping = true;
    if (d->postmaster > 0) {
        const pid_t pid = d->postmaster;
        const OneShot<int> ended = whenEnded(pid);
        ::kill(pid, SIGINT); // fast: rolls back, checkpoints
        const Result<int> first = co_await ended.wait(interruptLimit);
        if (!first) {
            const OneShot<int> later = whenEnded(pid);
            ::kill(pid, SIGQUIT); // immediate: recovers at the next start
            const Result<int> second = co_await later.wait(quitLimit);
            if (!second)
                log::error("database_does_not_stop", {{QStringLiteral("pid"), int(pid)}});
        }
    }
    if (!alive)
        co_return;
    d->setRunning(false);
    // Only our own directories of that name: an adopted cluster may have its socket elsewhere.
    if (QFileInfo(d->socket).fileName().startsWith(QStringLiteral("power-pg-")) && processesIn(d->cluster).isEmpty())
        QDir(d->socket).removeRecursively();
    d->lock.reset(-1);
}

QString ManagedCluster::url() const
{
    return QStringLiteral("postgresql://power:%1@/postgres?host=%2&port=%3")
        .arg(d->password, QString::fromLatin1(QUrl::toPercentEncoding(d->socket)), QString::number(d->port));
}

QString ManagedCluster::description() const
{
    return QStringLiteral("managed PostgreSQL %1 in %2").arg(d->programs.major).arg(d->cluster);
}

bool ManagedCluster::isRunning() const { return d->running; }
bool ManagedCluster::wasAdopted() const { return d->adopted; }
qint64 ManagedCluster::postmasterPid() const { return d->postmaster; }

} // namespace power::storage
