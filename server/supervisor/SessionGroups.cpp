#include "supervisor/SessionGroups.h"
#include <QDir>
#include <QFile>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr char kPrefix[] = "power-sessions.";
constexpr int kRemovePasses = 100; // 10 ms apart
constexpr qint64 kTotalHeadroom = 256ll << 20;
constexpr char kShareOfAll[] = "50"; // all sessions together against the server's leaf, which has 100
constexpr int kMoreTasks = 4;        // checkpoints and the writer of a snapshot, above what RLIMIT_NPROC allows
constexpr quint64 kTrial = 0;        // the number of no session

bool removeSoon(const QByteArray &directory)
{
    for (int pass = 0; pass < kRemovePasses; ++pass) {
        if (groups::remove(directory))
            return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

Fd lockOf(const QByteArray &directory)
{
    Fd lock(::open(directory.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        lock.reset();
    return lock;
}

// Directories of servers that live are locked.
void removeLeftOvers(const QByteArray &place)
{
    const QStringList found = QDir(QFile::decodeName(place)).entryList({QString::fromLatin1(kPrefix) + u'*'}, QDir::Dirs);
    for (const QString &each : found) {
        const QByteArray directory = place + '/' + QFile::encodeName(each);
        if (const Fd lock = lockOf(directory))
            removeSoon(directory);
    }
}

Unexpected<Error> groupError(const QByteArray &path, int error)
{
    return fail(ErrorCode::Unavailable, QStringLiteral("%1: %2").arg(QString::fromLocal8Bit(path), QString::fromLocal8Bit(std::strerror(error))));
}
} // namespace

SessionGroups::SessionGroups(QByteArray directory, Fd lock, QByteArrayList controllers)
    : m_directory(std::move(directory)), m_lock(std::move(lock)), m_controllers(std::move(controllers))
{
}

SessionGroups::~SessionGroups()
{
    removeSoon(m_directory);
}

Result<std::shared_ptr<SessionGroups>> SessionGroups::open(const GroupPlace &place, qint64 totalBytes)
{
    removeLeftOvers(place.directory);
    QByteArray directory = place.directory + '/' + kPrefix + "XXXXXX";
    if (!::mkdtemp(directory.data()))
        return groupError(place.directory, errno);
    Fd lock = lockOf(directory);
    const std::shared_ptr<SessionGroups> made(new SessionGroups(directory, std::move(lock), place.controllers));
    for (const QByteArray &controller : place.controllers) {
        if (const int error = groups::write(directory + "/cgroup.subtree_control", '+' + controller))
            return groupError(directory + "/cgroup.subtree_control", error);
    }
    if (place.controllers.contains("cpu"))
        groups::write(directory + "/cpu.weight", kShareOfAll);
    if (place.controllers.contains("memory") && totalBytes > 0) {
        groups::write(directory + "/memory.swap.max", "0"); // absent without swap
        if (const int error = groups::write(directory + "/memory.max", QByteArray::number(totalBytes + kTotalHeadroom)))
            return groupError(directory + "/memory.max", error);
    }
    const Result<Done> tried = made->tryOut();
    if (!tried)
        return Unexpected<Error>{tried.error()};
    return made;
}

// A child enters a leaf as a kernel does, and a leaf can be ended as a whole.
Result<Done> SessionGroups::tryOut() const
{
    Result<Done> made = make(kTrial, {kHeadroom, 1, 0});
    if (!made)
        return made;
    const QByteArray procs = leaf(kTrial, 0) + "/cgroup.procs";
    const pid_t child = ::fork();
    if (child == 0) { // one thread of several lives on here: system calls only
        const int file = ::open(procs.constData(), O_WRONLY | O_CLOEXEC);
        const int error = file < 0 || ::write(file, "0", 1) != 1 ? errno : 0;
        ::_exit(error);
    }
    int status = 0;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const bool removed = removeSoon(group(kTrial));
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return groupError(procs, child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN);
    return removed ? Result<Done>(Done{}) : groupError(group(kTrial), EBUSY);
}

Result<Done> SessionGroups::make(quint64 session, const GroupLimits &limits) const
{
    const QByteArray own = group(session);
    const bool memory = m_controllers.contains("memory");
    for (const QByteArray &directory : {own, leaf(session, 0), leaf(session, 1)}) {
        if (::mkdir(directory.constData(), 0755) != 0 && errno != EEXIST)
            return groupError(directory, errno);
        if (directory != own || !memory)
            continue;
        if (const int error = groups::write(own + "/cgroup.subtree_control", "+memory"))
            return groupError(own + "/cgroup.subtree_control", error);
    }
    if (memory) {
        for (int side = 0; side < 2; ++side) {
            if (const int error = groups::write(leaf(session, side) + "/memory.oom.group", "1"))
                return groupError(leaf(session, side) + "/memory.oom.group", error);
        }
        groups::write(own + "/memory.swap.max", "0"); // absent without swap
        if (limits.memoryBytes > 0) {
            if (const int error = groups::write(own + "/memory.max", QByteArray::number(memoryMax(limits))))
                return groupError(own + "/memory.max", error);
        }
    }
    if (m_controllers.contains("pids") && limits.processes > 0) {
        if (const int error = groups::write(own + "/pids.max", QByteArray::number(limits.processes + kMoreTasks)))
            return groupError(own + "/pids.max", error);
    }
    if (m_controllers.contains("cpu"))
        groups::write(own + "/cpu.weight.nice", QByteArray::number(limits.nice));
    return Done{};
}

void SessionGroups::end(quint64 session) const
{
    groups::write(group(session) + "/cgroup.kill", "1");
}

bool SessionGroups::remove(quint64 session) const
{
    return groups::remove(group(session));
}

qint64 SessionGroups::endedForMemory(quint64 session, int side) const
{
    return groups::count(leaf(session, side) + "/memory.events", "oom_kill");
}

bool SessionGroups::isAtOwnLimit(quint64 session) const
{
    return groups::count(group(session) + "/memory.events.local", "oom") > 0;
}

qint64 SessionGroups::peak(quint64 session) const
{
    return groups::read(group(session) + "/memory.peak").toLongLong();
}

} // namespace power::supervisor
