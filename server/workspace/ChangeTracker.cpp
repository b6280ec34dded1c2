#include "workspace/Beneath.h"
#include "workspace/ChangeHub.h"
#include "workspace/Walk.h"
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace power::workspace
{

namespace
{
constexpr quint32 watchMask =
    IN_CREATE | IN_MODIFY | IN_OPEN | IN_CLOSE | IN_MOVE | IN_DELETE | IN_ONLYDIR | IN_EXCL_UNLINK;
constexpr int mostDirectories = 2'000;
constexpr int mostSeen = 20'000;
constexpr int mostStillOpen = 64;
constexpr int mostWalked = 200'000;
constexpr int mostTold = 500;
constexpr int mostRead = 100;
const char scratchKey[] = "/tmp";

bool inScratch(const QByteArray &key)
{
    return key.startsWith('/');
}

QByteArray relativeOf(const QByteArray &key)
{
    return inScratch(key) ? key.mid(qsizetype(sizeof scratchKey)) : key;
}

QByteArray joinedKey(const QByteArray &directory, const QByteArray &name)
{
    return directory.isEmpty() ? name : directory + '/' + name;
}

// The clock the kernel stamps inodes with.
qint64 stampNow()
{
    timespec now;
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return nanoseconds(now);
}
} // namespace

ChangeTracker::ChangeTracker(std::shared_ptr<ChangeHub> hub, std::shared_ptr<const OpenPlaces> places, TrackedUids uids)
    : m_hub(std::move(hub)), m_places(std::move(places)), m_uids(uids)
{
    const std::lock_guard lock(m_hub->m_lock);
    m_hub->m_trackers.insert(this);
}

ChangeTracker::~ChangeTracker()
{
    const std::lock_guard lock(m_hub->m_lock);
    forgetWatches();
    m_hub->m_trackers.remove(this);
}

ChangeTracker::Facts ChangeTracker::factsOf(const struct stat &facts)
{
    return {quint64(facts.st_ino), qint64(facts.st_size), nanoseconds(facts.st_mtim),
            nanoseconds(facts.st_ctim), quint32(facts.st_uid)};
}

// But for an owner and a mode that openToGroup() gave it.
bool ChangeTracker::isSame(const Facts &before, const Facts &now) const
{
    return before == now || (before.inode == now.inode && before.size == now.size && before.modifiedNs == now.modifiedNs
                             && m_places->settled->isStamp(now.inode, now.changedNs));
}

// Another kernel in this directory made it: its uid says so, or said so before the file was given to the session. Files
// of the time before a job belong to the session's uid, whoever writes them, so of those only what was born since tells
// its maker. `facts.uid` is the maker's afterwards.
bool ChangeTracker::isOthers(const QByteArray &key, Facts &facts) const
{
    const bool isSessions = m_uids.uid == m_uids.session;
    if (facts.uid == m_uids.uid && !(isSessions && m_places->settled->hasMakers())) return false;
    qint64 born = 0;
    if (facts.uid == m_uids.session) {
        const Descriptor file(openBeneath(rootOf(inScratch(key)), relativeOf(key), O_PATH | O_NOFOLLOW));
        born = file.get() < 0 ? 0 : bornNs(file.get());
        if (const quint32 maker = m_places->settled->makerOf(facts.inode, born)) facts.uid = maker;
    }
    if (facts.uid == m_uids.uid || facts.uid == 0) return false;
    return facts.uid != m_uids.session || born > m_beganNs;
}

// false: there is no regular file of that name now.
bool ChangeTracker::look(const QByteArray &key, Facts *facts) const
{
    const Descriptor file(openBeneath(rootOf(inScratch(key)), relativeOf(key), O_PATH | O_NOFOLLOW));
    struct stat found;
    if (file.get() < 0 || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return false;
    *facts = factsOf(found);
    return true;
}

// A page of a mapping that is dirty already takes further writes without a new time stamp. Starting its
// write-back makes the next write fault, and the fault stamps the inode.
void ChangeTracker::flushMapped(const QByteArray &key) const
{
    const Descriptor file(
        openBeneath(rootOf(inScratch(key)), relativeOf(key), O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
    if (file.get() >= 0) ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

void ChangeTracker::watchAll()
{
    watchTree({}, false);
    watchTree(QByteArray(scratchKey), false);
}

void ChangeTracker::watchTree(const QByteArray &key, bool report)
{
    const bool scratch = inScratch(key);
    const auto keyFor = [scratch](const QByteArray &path) {
        if (!scratch) return path;
        return path.isEmpty() ? QByteArray(scratchKey) : scratchKey + ('/' + path);
    };
    WalkVisitor visitor;
    visitor.directory = [&](const QByteArray &path, int fd, const struct stat &facts) {
        const QByteArray directory = keyFor(path);
        const QByteArray link = "/proc/self/fd/" + QByteArray::number(fd);
        const int wd = m_directories.size() < mostDirectories && m_hub->m_fd >= 0
                           ? ::inotify_add_watch(m_hub->m_fd, link.constData(), watchMask)
                           : -1;
        if (wd < 0) {
            m_overflowed = true; // found again by time at the end of the run; by walking from then on
            return false;
        }
        m_hub->m_watches.insert(wd, {this, directory});
        m_directories.insert(directory, {wd, quint64(facts.st_ino)});
        return true;
    };
    visitor.file = [&](const QByteArray &path, const struct stat &) {
        if (!report) return true;
        Seen *seen = touch(keyFor(path));
        if (seen) {
            seen->fresh = !seen->removed;
            seen->written = true;
        }
        return seen != nullptr;
    };
    walk(rootOf(scratch), relativeOf(key), visitor);
}

void ChangeTracker::forgetTree(const QByteArray &key)
{
    const QByteArray below = key + '/';
    for (auto it = m_directories.begin(); it != m_directories.end();) {
        if (it.key() == key || it.key().startsWith(below)) {
            ::inotify_rm_watch(m_hub->m_fd, it->wd);
            m_hub->m_watches.remove(it->wd);
            it = m_directories.erase(it);
        } else {
            ++it;
        }
    }
}

void ChangeTracker::forgetWatches()
{
    for (const Directory &directory : std::as_const(m_directories)) {
        ::inotify_rm_watch(m_hub->m_fd, directory.wd);
        m_hub->m_watches.remove(directory.wd);
    }
    m_directories.clear();
}

ChangeTracker::Seen *ChangeTracker::touch(const QByteArray &key)
{
    const auto found = m_seen.find(key);
    if (found != m_seen.end()) return &*found;
    if (m_seen.size() >= mostSeen) {
        m_overflowed = true;
        return nullptr;
    }
    Seen seen;
    seen.open = m_told.value(key).open;
    return &*m_seen.insert(key, seen);
}

void ChangeTracker::handle(const QByteArray &directory, quint32 mask, const char *name)
{
    if (isHiddenName(name)) return;
    const QByteArray key = joinedKey(directory, name);
    if (mask & IN_ISDIR) {
        if (mask & (IN_DELETE | IN_MOVED_FROM)) forgetTree(key);
        if (mask & (IN_CREATE | IN_MOVED_TO)) watchTree(key, true);
        return;
    }
    Seen *seen = touch(key);
    if (!seen) return;
    if (mask & (IN_CREATE | IN_MOVED_TO)) {
        seen->fresh = (mask & IN_CREATE) && !seen->removed;
        seen->written = true;
        seen->removed = false;
    }
    if (mask & IN_MODIFY) seen->written = true;
    if (mask & IN_OPEN) {
        ++seen->open;
        seen->opened = true;
    }
    if (mask & IN_CLOSE) seen->open = qMax(0, seen->open - 1);
    if (mask & (IN_DELETE | IN_MOVED_FROM)) *seen = {false, seen->fresh, !seen->fresh, false, 0};
}

void ChangeTracker::ownWrite(const QByteArray &path, quint64 inode, qint64 changedNs)
{
    const std::lock_guard lock(m_hub->m_lock);
    if (m_started) m_own.insert(path, {inode, 0, 0, changedNs});
}

void ChangeTracker::disown(const Workspace::Changes &told, bool all)
{
    const std::lock_guard lock(m_hub->m_lock);
    if (!m_started) return;
    for (const FileFacts &file : told.written) {
        if (all || file.isCertain) m_own.insert(file.path.toUtf8(), {file.inode, file.size, file.modifiedNs, 0});
    }
    if (!all) return;
    for (const QString &path : told.removed)
        m_ownRemoved.insert(path.toUtf8());
}

void ChangeTracker::ownRemoval(const QByteArray &path)
{
    const std::lock_guard lock(m_hub->m_lock);
    if (m_started) m_ownRemoved.insert(path);
}

void ChangeTracker::begin()
{
    const std::lock_guard lock(m_hub->m_lock);
    m_beganNs = stampNow();
    if (m_byWalk) return; // compared with the end of the last run
    m_hub->drain();
    if (m_started && !m_overflowed) {
        for (auto it = m_seen.begin(); it != m_seen.end();) {
            it->opened = false;
            it = it->written || it->removed || it->open > 0 ? std::next(it) : m_seen.erase(it);
        }
        return;
    }
    m_started = true;
    m_overflowed = false;
    m_seen.clear();
    forgetWatches();
    watchAll();
    if (m_overflowed) {
        forgetWatches();
        m_overflowed = false;
        m_byWalk = true;
        m_before = snapshot();
    }
}

ChangeTracker::Collected ChangeTracker::snapshot() const
{
    Collected all;
    for (const bool scratch : {false, true}) {
        WalkVisitor visitor;
        visitor.file = [&](const QByteArray &path, const struct stat &facts) {
            all.insert(scratch ? scratchKey + ('/' + path) : path, factsOf(facts));
            return all.size() < mostWalked;
        };
        walk(rootOf(scratch), {}, visitor);
    }
    return all;
}

// After an overflow: every file whose change time is of this run, and everything in directories not known
// before.
void ChangeTracker::searchByTime(Collected &written)
{
    const QHash<QByteArray, Directory> known = m_directories;
    forgetWatches();
    for (const bool scratch : {false, true}) {
        bool unknown = false;
        WalkVisitor visitor;
        const auto keyFor = [scratch](const QByteArray &path) {
            return !scratch ? path : path.isEmpty() ? QByteArray(scratchKey) : scratchKey + ('/' + path);
        };
        visitor.directory = [&](const QByteArray &path, int, const struct stat &facts) {
            unknown = known.value(keyFor(path)).inode != quint64(facts.st_ino);
            return true;
        };
        visitor.file = [&](const QByteArray &path, const struct stat &facts) {
            const Facts now = factsOf(facts);
            const bool stamped = now.changedNs >= m_beganNs && !isSame(m_last.value(keyFor(path)), now)
                                 && !m_places->settled->isStamp(now.inode, now.changedNs);
            if (unknown || stamped) written.insert(keyFor(path), factsOf(facts));
            return true;
        };
        walk(rootOf(scratch), {}, visitor);
    }
    m_overflowed = false;
    watchAll();
    if (m_overflowed) {
        m_overflowed = false;
        forgetWatches();
        m_byWalk = true;
        m_before = snapshot();
    }
}

void ChangeTracker::takeSeen(Collected &written, Collected &read, QStringList &removed)
{
    QHash<QByteArray, Told> stillOpen;
    for (auto it = m_seen.cbegin(); it != m_seen.cend(); ++it) {
        Facts facts;
        if (!look(it.key(), &facts)) {
            if (it->removed && !m_ownRemoved.contains(it.key())) removed << QString::fromUtf8(it.key());
            m_told.remove(it.key());
            continue;
        }
        const auto told = m_told.constFind(it.key());
        const bool again = told != m_told.constEnd() && !isSame(told->facts, facts);
        // A stamp of this very tick may be older than begin(): not told again when nothing changed since it
        // was told.
        const bool stamped = facts.changedNs >= m_beganNs && !isSame(m_last.value(it.key()), facts)
                             && !m_places->settled->isStamp(facts.inode, facts.changedNs);
        if (it->written || again || stamped)
            written.insert(it.key(), facts);
        else if (it->opened && read.size() < mostRead)
            read.insert(it.key(), facts);
        m_told.remove(it.key());
        if (it->open > 0 && m_told.size() + stillOpen.size() < mostStillOpen) {
            stillOpen.insert(it.key(), {facts, it->open});
            flushMapped(it.key());
        }
    }
    m_told.insert(stillOpen);
    m_seen.clear();
}

void ChangeTracker::takeStillOpen(Collected &written)
{
    for (auto it = m_told.begin(); it != m_told.end();) {
        Facts facts;
        if (!look(it.key(), &facts)) {
            it = m_told.erase(it);
            continue;
        }
        if (!isSame(it->facts, facts)) {
            written.insert(it.key(), facts);
            it->facts = facts;
            flushMapped(it.key());
        }
        ++it;
    }
}

void ChangeTracker::takeByWalk(Collected now, Collected &written, QStringList &removed)
{
    for (auto it = now.cbegin(); it != now.cend(); ++it) {
        const auto before = m_before.constFind(it.key());
        if (before == m_before.constEnd() || !isSame(*before, *it)) written.insert(it.key(), *it);
    }
    for (auto it = m_before.cbegin(); it != m_before.cend(); ++it) {
        if (!now.contains(it.key()) && !m_ownRemoved.contains(it.key()))
            removed << QString::fromUtf8(it.key());
    }
    m_before = std::move(now);
}

Workspace::Changes ChangeTracker::take()
{
    Workspace::Changes changes;
    std::unique_lock lock(m_hub->m_lock);
    if (!m_started) return changes;
    Collected written, read;
    m_hub->drain();
    if (m_byWalk) {
        // A big tree takes a second: the other sessions need the lock meanwhile.
        lock.unlock();
        Collected now = snapshot();
        lock.lock();
        takeByWalk(std::move(now), written, changes.removed);
    } else {
        takeStillOpen(written);
        takeSeen(written, read, changes.removed);
        if (m_overflowed) searchByTime(written);
    }
    for (auto it = read.cbegin(); it != read.cend(); ++it) {
        if (!written.contains(it.key()))
            changes.read << FileFacts{QString::fromUtf8(it.key()), it->size, it->modifiedNs, inScratch(it.key())};
    }
    for (auto own = m_own.cbegin(); own != m_own.cend(); ++own) {
        const auto found = written.constFind(own.key());
        if (found == written.constEnd() || found->inode != own->inode) continue;
        if (own->changedNs ? found->changedNs == own->changedNs : found->size == own->size && found->modifiedNs == own->modifiedNs)
            written.erase(found);
    }
    if (m_uids.uid != 0) {
        for (auto it = written.begin(); it != written.end();)
            it = isOthers(it.key(), *it) ? written.erase(it) : std::next(it);
    }
    m_last = written;
    m_own.clear();
    m_ownRemoved.clear();
    for (auto it = written.cbegin(); it != written.cend(); ++it) {
        if (changes.written.size() == mostTold) {
            changes.truncated = true;
            break;
        }
        changes.written << FileFacts{QString::fromUtf8(it.key()), it->size, it->modifiedNs, inScratch(it.key()),
                                     it->inode, m_uids.uid != m_uids.session && it->uid == m_uids.uid};
    }
    changes.removed.sort();
    return changes;
}

} // namespace power::workspace
