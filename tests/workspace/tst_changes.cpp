// Change detection: everything a cell can do to a file, told once, by events and by walking; and what it
// costs.
#include "workspace/Workspace.h"
#include <QElapsedTimer>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace power;
using namespace power::workspace;

class tst_changes : public QObject
{
    Q_OBJECT
    std::unique_ptr<QTemporaryDir> m_dir;
    std::unique_ptr<Workspaces> m_all;
    std::shared_ptr<Workspace> m_space;
    QByteArray m_here, m_tmp;

    void put(const QByteArray &path, const QByteArray &content, int flags = O_TRUNC)
    {
        const Descriptor file(::open(path.constData(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644));
        QVERIFY2(file.get() >= 0, path.constData());
        QCOMPARE(::write(file.get(), content.constData(), size_t(content.size())), ssize_t(content.size()));
    }
    QStringList written()
    {
        QStringList paths;
        for (const FileFacts &facts : m_space->takeChanges().written)
            paths << facts.path;
        return paths;
    }
    // Time stamps have the clock's tick: a cell that starts later than one tick after a write is another
    // tick.
    static void nextTick() { ::usleep(20'000); }

    // More directories than are watched: changes are found by walking.
    void makeManyDirectories()
    {
        for (int i = 0; i < 2100; ++i)
            QCOMPARE(::mkdir((m_here + "many" + QByteArray::number(i)).constData(), 0700), 0);
    }

    // As a kernel of that uid makes it; without own uids all have the same.
    void putAs(quint32 uid, const QByteArray &path, const QByteArray &content)
    {
        put(path, content);
        if (m_all->firstUid() != 0) QCOMPARE(::chown(path.constData(), uid, m_space->gid()), 0);
    }
    static QStringList pathsOf(const Workspace::Changes &changes)
    {
        QStringList paths;
        for (const FileFacts &facts : changes.written)
            paths << facts.path;
        return paths;
    }

private Q_SLOTS:
    void init()
    {
        m_dir = std::make_unique<QTemporaryDir>();
        m_all = Workspaces::open(m_dir->filePath(QStringLiteral("data"))).value();
        m_space = *m_all->openSession({}, QStringLiteral("s"));
        m_here = m_space->hostPath().toUtf8() + '/';
        m_tmp = m_space->scratchPath().toUtf8() + '/';
    }
    void cleanup()
    {
        m_space.reset();
        m_all.reset();
        m_dir.reset();
    }

    // A session and two jobs in its directory, at the same time: each file is told for its maker.
    void kernelsAtOnce_data() { everyWayToWrite_data(); }
    void kernelsAtOnce()
    {
        QFETCH(bool, byWalk);
        if (byWalk) makeManyDirectories();
        const bool ownUids = m_all->firstUid() != 0;
        const quint32 own = m_space->uid(), one = m_all->firstJobUid(), two = one + 1;
        for (const char *name : {"old", "rewritten", "read"})
            putAs(own, m_here + name, "old");
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());
        nextTick();

        m_space->beginChanges();
        auto first = m_space->apart(one);
        m_space->openToGroup();
        first->beginChanges();
        nextTick();
        putAs(one, m_here + "of-first", "x");
        putAs(own, m_here + "of-session", "x");
        QVERIFY(QFile(QString::fromUtf8(m_here + "read")).open(QIODevice::ReadOnly));
        auto second = m_space->apart(two); // its begin gives all files to the session
        m_space->openToGroup();
        second->beginChanges();
        nextTick();
        putAs(two, m_tmp + "of-second", "x");
        putAs(own, m_here + "later-of-session", "x");
        QStringList told = written();
        if (ownUids) {
            QCOMPARE(told, QStringList({QStringLiteral("later-of-session"), QStringLiteral("of-session")}));
        } else {
            QCOMPARE(told.size(), 4); // nothing tells whose they are
        }
        auto changes = first->takeChanges();
        if (ownUids) {
            QCOMPARE(pathsOf(changes), QStringList({QStringLiteral("of-first")}));
            QVERIFY(changes.written.first().isCertain);
        }
        m_space->disown(changes, !ownUids);
        first->openToGroup();
        first.reset();
        changes = second->takeChanges();
        if (ownUids) QCOMPARE(pathsOf(changes), QStringList({QStringLiteral("/tmp/of-second")}));
        m_space->disown(changes, !ownUids);
        second->openToGroup();
        second.reset();
        nextTick();
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());
        nextTick();
        m_space->beginChanges();
        put(m_here + "of-first", "changed"); // by the session: its own from then on
        QCOMPARE(written(), QStringList({QStringLiteral("of-first")}));
        nextTick();

        // A job while the session does nothing: also what it rewrote is not told again.
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());
        auto alone = m_space->apart(two);
        m_space->openToGroup();
        alone->beginChanges();
        nextTick();
        put(m_here + "rewritten", "new");
        ::unlink((m_here + "old").constData());
        changes = alone->takeChanges();
        QCOMPARE(pathsOf(changes), QStringList({QStringLiteral("rewritten")}));
        m_space->disown(changes, true);
        alone->openToGroup();
        alone.reset();
        m_space->beginChanges();
        const auto rest = m_space->takeChanges();
        QCOMPARE(pathsOf(rest), QStringList());
        QCOMPARE(rest.removed, QStringList());
    }

    void everyWayToWrite_data()
    {
        QTest::addColumn<bool>("byWalk");
        QTest::newRow("by events") << false;
        QTest::newRow("by walking") << true;
    }
    void everyWayToWrite()
    {
        QFETCH(bool, byWalk);
        if (byWalk) makeManyDirectories();
        QCOMPARE(::mkdir((m_here + "old").constData(), 0700), 0);
        for (const char *name : {"same", "mapped", "appended", "untouched", "read", "old/inside", "gone",
                                 "moved", "old/.hidden"})
            put(m_here + name, "12345678");
        nextTick();
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());
        nextTick();

        m_space->beginChanges();
        put(m_here + "plain", "x");
        put(m_here + ".dotfile", "x");
        put(m_tmp + "scratch", "x");
        struct stat before;
        ::stat((m_here + "same").constData(), &before);
        put(m_here + "same", "87654321");
        const timespec times[2] = {before.st_atim, before.st_mtim};
        QCOMPARE(::utimensat(AT_FDCWD, (m_here + "same").constData(), times, 0), 0);
        const Descriptor open(
            ::open((m_here + "unclosed").constData(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        QCOMPARE(::write(open.get(), "x", 1), ssize_t(1));
        const Descriptor mapped(::open((m_here + "mapped").constData(), O_RDWR | O_CLOEXEC));
        void *memory = ::mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, mapped.get(), 0);
        QVERIFY(memory != MAP_FAILED);
        static_cast<char *>(memory)[0] = 'M';
        put(m_here + "appended", "more", O_APPEND);
        put(m_here + "x.part", "x");
        QCOMPARE(::rename((m_here + "x.part").constData(), (m_here + "renamed").constData()), 0);
        QCOMPARE(::mkdir((m_here + "new").constData(), 0700), 0);
        QCOMPARE(::mkdir((m_here + "new/deep").constData(), 0700), 0);
        QCOMPARE(::mkdir((m_here + "__pycache__").constData(), 0700), 0);
        put(m_here + "__pycache__/x.pyc", "x");
        put(m_here + "new/deep/file", "x");
        put(m_here + "brief", "x");
        ::unlink((m_here + "brief").constData());
        ::unlink((m_here + "gone").constData());
        QCOMPARE(::symlink("plain", (m_here + "link").constData()), 0);
        QCOMPARE(::link((m_here + "plain").constData(), (m_here + "hard").constData()), 0);
        QCOMPARE(::mkfifo((m_here + "fifo").constData(), 0600), 0);
        put(m_tmp + "built", "x");
        QCOMPARE(::rename((m_tmp + "built").constData(), (m_here + "from_tmp").constData()), 0);
        {
            const Descriptor read(::open((m_here + "read").constData(), O_RDONLY | O_CLOEXEC));
            char byte;
            QCOMPARE(::read(read.get(), &byte, 1), ssize_t(1));
        }
        const Workspace::Changes changes = m_space->takeChanges();
        QStringList got;
        for (const FileFacts &facts : changes.written) {
            got << facts.path;
            QCOMPARE(facts.fromTmp, facts.path.startsWith(u'/'));
        }
        const QStringList want{QStringLiteral("/tmp/scratch"), QStringLiteral("appended"),
                               QStringLiteral("from_tmp"),     QStringLiteral("hard"),
                               QStringLiteral("mapped"),       QStringLiteral("new/deep/file"),
                               QStringLiteral("plain"),        QStringLiteral("renamed"),
                               QStringLiteral("same"),         QStringLiteral("unclosed")};
        QCOMPARE(got, want);
        QCOMPARE(changes.removed, QStringList{QStringLiteral("gone")});
        QVERIFY(!changes.truncated);
        nextTick();
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());

        // The next cell goes on with what is still open or mapped, moves a directory and writes where it was
        // made.
        nextTick();
        m_space->beginChanges();
        QCOMPARE(::write(open.get(), "y", 1), ssize_t(1));
        if (!byWalk) static_cast<char *>(memory)[1] = 'N';
        QCOMPARE(::rename((m_here + "old").constData(), (m_here + "newer").constData()), 0);
        put(m_here + "new/deep/second", "x");
        QStringList second{QStringLiteral("new/deep/second"), QStringLiteral("newer/inside"),
                           QStringLiteral("unclosed")};
        if (!byWalk) second.prepend(QStringLiteral("mapped"));
        QCOMPARE(written(), second);
        m_space->beginChanges();
        put(m_here + "newer/third", "x");
        QCOMPARE(written(), QStringList{QStringLiteral("newer/third")});
        ::munmap(memory, 8);
    }

    void ownWritesAreNoChanges()
    {
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());
        for (const char *name : {"a", "dir/b", "c"}) {
            auto writer = m_space->create(QLatin1String(name));
            QVERIFY((*writer)->write("x"));
            QVERIFY((*writer)->commit());
        }
        m_space->beginChanges();
        put(m_here + "c", "user's");
        QCOMPARE(written(), QStringList{QStringLiteral("c")});
        m_space->beginChanges();
        QVERIFY(m_space->remove(QStringLiteral("a")));
        const auto changes = m_space->takeChanges();
        QVERIFY(changes.written.isEmpty() && changes.removed.isEmpty());
    }

    void leftoversOfAnEarlierCellAreToldNext()
    {
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());
        put(m_here + "late", "x");
        m_space->beginChanges();
        QCOMPARE(written(), QStringList{QStringLiteral("late")});
    }

    void survivesAnOverflow()
    {
        put(m_here + "old", "x");
        m_space->beginChanges();
        QCOMPARE(written(), QStringList());
        nextTick();
        m_space->beginChanges();
        // More than max_queued_events (16,384) and more than a tracker remembers.
        const Descriptor directory(::open(m_here.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        for (int i = 0; i < 9000; ++i) {
            const QByteArray name = "n" + QByteArray::number(i % 100);
            const Descriptor file(
                ::openat(directory.get(), name.constData(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
            QVERIFY(file.get() >= 0);
        }
        QCOMPARE(::mkdir((m_here + "zlate").constData(), 0700), 0);
        put(m_here + "zlate/file", "x");
        const QStringList got = written();
        QCOMPARE(got.size(), 101);
        QVERIFY(got.contains(QStringLiteral("zlate/file")));
        QVERIFY(!got.contains(QStringLiteral("old")));
        m_space->beginChanges();
        put(m_here + "zlate/more", "x");
        QCOMPARE(written(), QStringList{QStringLiteral("zlate/more")});
    }

    void tellsAtMostFiveHundred()
    {
        m_space->beginChanges();
        for (int i = 0; i < 600; ++i)
            put(m_here + "f" + QByteArray::number(i), "x");
        const auto changes = m_space->takeChanges();
        QCOMPARE(changes.written.size(), 500);
        QVERIFY(changes.truncated);
        QCOMPARE(m_space->list(10'000).size(), 600);
    }

    void sessionsDoNotMix()
    {
        const auto other = *m_all->openSession({}, QStringLiteral("t"));
        m_space->beginChanges();
        other->beginChanges();
        put(m_here + "mine", "x");
        put(other->hostPath().toUtf8() + "/theirs", "x");
        QCOMPARE(written(), QStringList{QStringLiteral("mine")});
        QCOMPARE(other->takeChanges().written.size(), 1);
    }

    void costs()
    {
        for (int i = 0; i < 1000; ++i)
            put(m_here + "old" + QByteArray::number(i), "x");
        m_space->beginChanges();
        (void)m_space->takeChanges();
        QElapsedTimer time;
        time.start();
        const int rounds = 2000;
        for (int i = 0; i < rounds; ++i) {
            m_space->beginChanges();
            QVERIFY(m_space->takeChanges().written.isEmpty());
        }
        const double idle = double(time.nsecsElapsed()) / 1000 / rounds;
        qint64 busy = 0;
        for (int i = 0; i < 50; ++i) {
            time.start();
            m_space->beginChanges();
            busy += time.nsecsElapsed();
            for (int f = 0; f < 10; ++f)
                put(m_here + "new" + QByteArray::number(f), "x");
            time.start();
            QCOMPARE(m_space->takeChanges().written.size(), 10);
            busy += time.nsecsElapsed();
        }
        qInfo("begin+take: idle %.2f us, with 10 files written %.1f us (1,000 files lie in the workspace)",
              idle, double(busy) / 1000 / 50);
        QVERIFY2(idle < 1000, "an idle run must not pay for the files that lie there");
    }
};

QTEST_GUILESS_MAIN(tst_changes)
#include "tst_changes.moc"
