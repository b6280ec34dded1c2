// Session directories on a real file system: names, what user code plants, owners, removal.
#include "../base/FailSync.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include "workspace/Beneath.h"
#include "workspace/Names.h"
#include "workspace/Workspace.h"
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QRandomGenerator>
#include <QTemporaryDir>
#include <QTest>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace power;
using namespace power::workspace;

class tst_workspace : public QObject
{
    Q_OBJECT
    std::unique_ptr<QTemporaryDir> m_dir;
    std::unique_ptr<Workspaces> m_all;

    std::shared_ptr<Workspace> session(const QString &id, const QString &slug = {})
    {
        auto got = m_all->openSession(slug, id);
        Q_ASSERT(got.ok());
        return got.value();
    }
    static bool put(Workspace &space, const QString &path, const QByteArray &content)
    {
        auto writer = space.create(path);
        return writer && (*writer)->write(content) && (*writer)->commit();
    }
    static QByteArray get(const Workspace &space, const QString &path)
    {
        auto file = space.openRead(path, nullptr);
        if (!file) return "(" + file.error().text().toUtf8() + ")";
        QByteArray all(1 << 16, '\0');
        all.resize(qMax<qsizetype>(0, ::read(file->get(), all.data(), size_t(all.size()))));
        return all;
    }

private Q_SLOTS:
    void init()
    {
        m_dir = std::make_unique<QTemporaryDir>();
        auto got = Workspaces::open(m_dir->filePath(QStringLiteral("data")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        m_all = std::move(*got);
    }
    void cleanup()
    {
        m_all.reset();
        m_dir.reset();
    }

    void placesAndOwners()
    {
        const auto a = session(QStringLiteral("a"));
        const auto b = session(QStringLiteral("b"), QStringLiteral("k7f"));
        QVERIFY(a->hostPath().endsWith(QStringLiteral("/data/a")));
        QVERIFY(b->hostPath().endsWith(QStringLiteral("/data/.k7f/b")));
        QVERIFY(b->scratchPath().endsWith(QStringLiteral("/data/.scratch/k7f/b")));
        QCOMPARE(a->insidePath(), QStringLiteral("/app/sandbox_data/a"));
        QVERIFY(m_all->exists({}, QStringLiteral("a")));
        QVERIFY(!m_all->exists({}, QStringLiteral("b")));
        QCOMPARE(session(QStringLiteral("a")), a);
        struct stat facts;
        for (const QString &path : {a->hostPath(), a->scratchPath()}) {
            QCOMPARE(::stat(path.toUtf8().constData(), &facts), 0);
            QCOMPARE(facts.st_mode & 07777, mode_t(0700));
            QCOMPARE(quint32(facts.st_uid), a->uid());
            QCOMPARE(quint32(facts.st_gid), a->gid());
        }
        for (const QString &path : {m_all->root(), m_all->root() + QStringLiteral("/.k7f"),
                                    m_all->root() + QStringLiteral("/.scratch")}) {
            QCOMPARE(::stat(path.toUtf8().constData(), &facts), 0);
            QCOMPARE(facts.st_mode & 07777, mode_t(0711));
        }
        if (::geteuid() == 0) {
            QVERIFY(a->uid() != b->uid());
            QVERIFY(a->uid() >= m_all->firstUid() && a->uid() < m_all->firstUid() + Workspaces::uidsPerRoot);
            QVERIFY(m_all->firstUid() >= 200'000);
        }
        QVERIFY(put(*a, QStringLiteral("out/x.csv"), "1"));
        QCOMPARE(::stat((a->hostPath() + QStringLiteral("/out/x.csv")).toUtf8().constData(), &facts), 0);
        QCOMPARE(quint32(facts.st_uid), a->uid());
        QCOMPARE(::stat((a->hostPath() + QStringLiteral("/out")).toUtf8().constData(), &facts), 0);
        QCOMPARE(quint32(facts.st_uid), a->uid());
    }

    void ownersSurviveARestartAndAreNotReused()
    {
        const quint32 first = session(QStringLiteral("a"))->uid();
        const quint32 second = session(QStringLiteral("b"))->uid();
        QVERIFY(m_all->removeSession({}, QStringLiteral("b")));
        m_all.reset();
        m_all = Workspaces::open(m_dir->filePath(QStringLiteral("data"))).value();
        QCOMPARE(session(QStringLiteral("a"))->uid(), first);
        if (::geteuid() == 0) QVERIFY(session(QStringLiteral("c"))->uid() > second);
    }

    void adoptsADirectoryOfAnotherOwner()
    {
        const QString path = m_all->root() + QStringLiteral("/old/deep");
        QVERIFY(QDir().mkpath(path));
        QFile file(path + QStringLiteral("/x"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        const auto space = session(QStringLiteral("old"));
        struct stat facts;
        QCOMPARE(::stat(file.fileName().toUtf8().constData(), &facts), 0);
        QCOMPARE(quint32(facts.st_uid), space->uid());
    }

    void refusesBadNames_data()
    {
        QTest::addColumn<QString>("slug");
        QTest::addColumn<QString>("id");
        QTest::newRow("traversal") << QString() << QStringLiteral("../x");
        QTest::newRow("hidden") << QString() << QStringLiteral(".trash");
        QTest::newRow("empty") << QString() << QString();
        QTest::newRow("slash") << QString() << QStringLiteral("a/b");
        QTest::newRow("slug traversal") << QStringLiteral("..") << QStringLiteral("a");
        QTest::newRow("slug scratch") << QStringLiteral("scratch") << QStringLiteral("a");
        QTest::newRow("slug uids") << QStringLiteral("uids") << QStringLiteral("a");
    }
    void refusesBadNames()
    {
        QFETCH(QString, slug);
        QFETCH(QString, id);
        QVERIFY(!m_all->openSession(slug, id));
        QVERIFY(!m_all->exists(slug, id));
        QVERIFY(!m_all->removeSession(slug, id));
    }

    void resolves_data()
    {
        QTest::addColumn<QString>("id");
        QTest::addColumn<QString>("given");
        QTest::addColumn<QString>("path"); // empty: refused
        QTest::addColumn<QString>("says"); // part of the error
        const QString q = QStringLiteral("q3"), d = QStringLiteral("default");
        const auto row = [](const char *name, const QString &id, const char *given, const char *path,
                            const char *says = "") {
            QTest::newRow(name) << id << QString::fromUtf8(given) << QString::fromUtf8(path)
                                << QString::fromUtf8(says);
        };
        row("bare", q, "data.xlsx", "data.xlsx");
        row("nested", q, "./out//a.csv", "out/a.csv");
        row("inside", q, "/app/sandbox_data/q3/out/a.csv", "out/a.csv");
        row("old root", d, "/app/sandbox_data/data.xlsx", "data.xlsx");
        row("old root, new form", d, "/app/sandbox_data/default/data.xlsx", "data.xlsx");
        row("old root, not default", q, "/app/sandbox_data/data.xlsx", "", "/app/sandbox_data/q3/data.xlsx");
        row("other session", q, "/app/sandbox_data/q4/data.xlsx", "", "session_id=\"q4\"");
        row("doubled prefix", q, "q3/data.xlsx", "data.xlsx");
        row("tripled prefix", q, "q3/q3/data.xlsx", "data.xlsx");
        row("relative root", q, "sandbox_data/q3/data.xlsx", "data.xlsx");
        row("tmp", q, "/tmp/x.png", "/tmp/x.png");
        row("tmp for a session file", q, "/tmp/data.xlsx", "data.xlsx");
        row("var tmp", q, "/var/tmp/x.png", "/tmp/x.png");
        row("unicode", q, "Übersicht 表.xlsx", "Übersicht 表.xlsx");
        row("client upload", q, "/home/ubuntu/uploads/tmp/permanent_files/report.csv", "",
            "\"report.csv\" in with fetch_from_url");
        row("client upload, present", q, "/home/ubuntu/uploads/data.xlsx", "",
            "is in this session: use that name");
        row("drive", q, "C:\\Users\\me\\a.csv", "", "\"a.csv\"");
        row("mnt data", q, "/mnt/data/a.csv", "", "cannot see");
        row("etc", q, "/etc/passwd", "", "cannot see");
        row("dots", q, "../q4/a", "", "\"..\"");
        row("dots inside", q, "out/../../a", "", "\"..\"");
        row("dots behind the root", q, "/app/sandbox_data/q3/../q4/a", "", "\"..\"");
        row("dots behind tmp", q, "/tmp/../etc/passwd", "", "\"..\"");
        row("empty", q, "", "", "empty");
        row("directory", q, "out/", "", "directory");
        row("root itself", q, "/app/sandbox_data/q3", "", "");
        QTest::newRow("nul") << q << QString(QStringLiteral("a") + QChar(0) + QStringLiteral("b"))
                             << QString() << QStringLiteral("NUL");
        QTest::newRow("lone surrogate")
            << q << QString(QChar(0xd800)) << QString() << QStringLiteral("broken");
        QTest::newRow("long") << q << QString(300, u'x') << QString() << QStringLiteral("255");
        QTest::newRow("deep") << q << QStringLiteral("xyz/").repeated(2000) + u'x' << QString()
                              << QStringLiteral("3,500");
    }
    void resolves()
    {
        QFETCH(QString, id);
        QFETCH(QString, given);
        QFETCH(QString, path);
        QFETCH(QString, says);
        const auto space = session(id);
        QVERIFY(put(*space, QStringLiteral("data.xlsx"), "1"));
        const Result<QString> got = space->resolve(given);
        if (path.isEmpty()) {
            QVERIFY(!got);
            QVERIFY2(got.error().text().contains(says), qPrintable(got.error().text()));
            QCOMPARE(got.error().code, ErrorCode::InvalidArgument);
        } else {
            QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
            QCOMPARE(*got, path);
        }
    }
    void keepsARealDirectoryNamedLikeTheSession()
    {
        const auto space = session(QStringLiteral("q3"));
        QVERIFY(put(*space, QStringLiteral("q3/a"), "1"));
        QCOMPARE(*space->resolve(QStringLiteral("q3/a")), QStringLiteral("q3/a"));
        QCOMPARE(*space->resolve(QStringLiteral("q3/new")), QStringLiteral("q3/new"));
    }

    void opensRegularFilesOnly_data()
    {
        QTest::addColumn<bool>("byComponents");
        QTest::newRow("openat2") << false;
        QTest::newRow("by components") << true;
    }
    void opensRegularFilesOnly()
    {
        QFETCH(bool, byComponents);
        const auto space = session(QStringLiteral("a"));
        const auto other = session(QStringLiteral("b"));
        QVERIFY(put(*other, QStringLiteral("secret"), "secret"));
        const QByteArray here = space->hostPath().toUtf8() + '/';
        QVERIFY(put(*space, QStringLiteral("dir/plain"), "plain"));
        QCOMPARE(::symlink("/etc/passwd", (here + "link").constData()), 0);
        QCOMPARE(::symlink("dir/plain", (here + "inner").constData()), 0);
        QCOMPARE(::symlink("/etc", (here + "etc").constData()), 0);
        QCOMPARE(::symlink("../b", (here + "up").constData()), 0);
        QCOMPARE(::symlink("/proc/self/root/etc", (here + "magic").constData()), 0);
        QCOMPARE(::mkfifo((here + "fifo").constData(), 0666), 0);
        QStringList refused{QStringLiteral("link"),
                            QStringLiteral("inner"),
                            QStringLiteral("etc/passwd"),
                            QStringLiteral("up/secret"),
                            QStringLiteral("magic/passwd"),
                            QStringLiteral("fifo"),
                            QStringLiteral("dir"),
                            QStringLiteral("../b/secret"),
                            QStringLiteral("/etc/passwd"),
                            QStringLiteral("dir/../../b/secret"),
                            QStringLiteral("."),
                            QString(),
                            QStringLiteral("/tmp/../a/dir/plain"),
                            QStringLiteral("dir/plain/x"),
                            QStringLiteral("none")};
        if (::geteuid() == 0) {
            QCOMPARE(::mknod((here + "null").constData(), S_IFCHR | 0666, makedev(1, 3)), 0);
            refused << QStringLiteral("null");
        }
        const Descriptor root(::open(here.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        for (const QString &path : std::as_const(refused)) {
            QElapsedTimer time;
            time.start();
            if (byComponents) {
                const int fd =
                    openByComponents(root.get(), path.toUtf8(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
                const Descriptor held(fd);
                struct stat facts;
                QVERIFY2(fd < 0 || (::fstat(fd, &facts) == 0 && !S_ISREG(facts.st_mode)), qPrintable(path));
            } else {
                const auto got = space->openRead(path, nullptr);
                QVERIFY2(!got.ok(), qPrintable(path));
                QVERIFY(!got.error().message.contains(QStringLiteral("/b/secret\" ")) ||
                        path.contains(QStringLiteral("b/secret")));
                QVERIFY(!space->remove(QStringLiteral("etc/passwd")));
                QVERIFY(!space->create(QStringLiteral("up/planted")));
            }
            QVERIFY2(time.elapsed() < 500, "an open must not hang");
        }
        QVERIFY(!QFile::exists(other->hostPath() + QStringLiteral("/planted")));
        QCOMPARE(get(*space, QStringLiteral("dir/plain")), QByteArray("plain"));
        const Descriptor plain(openByComponents(root.get(), "dir/plain", O_RDONLY));
        QVERIFY(plain.get() >= 0);
        // Writing over a link replaces the link.
        QVERIFY(put(*space, QStringLiteral("inner"), "new"));
        QCOMPARE(get(*space, QStringLiteral("inner")), QByteArray("new"));
        QCOMPARE(get(*space, QStringLiteral("dir/plain")), QByteArray("plain"));
        QVERIFY(!space->create(QStringLiteral("dir")).ok());
    }

    void writerIsAtomicAndLeavesNothing()
    {
        const auto space = session(QStringLiteral("a"));
        QVERIFY(put(*space, QStringLiteral("x"), "old"));
        {
            auto one = space->create(QStringLiteral("x"));
            auto two = space->create(QStringLiteral("x"));
            QVERIFY((*one)->write("one"));
            QVERIFY((*two)->write("two"));
            QCOMPARE(get(*space, QStringLiteral("x")), QByteArray("old"));
            QVERIFY((*two)->commit());
            QCOMPARE(get(*space, QStringLiteral("x")), QByteArray("two"));
            QVERIFY((*one)->commit());
            QCOMPARE(get(*space, QStringLiteral("x")), QByteArray("one"));
            auto three = space->create(QStringLiteral("x"));
            QVERIFY((*three)->write("three"));
        }
        QCOMPARE(QDir(space->hostPath()).entryList(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot),
                 QStringList{QStringLiteral("x")});
        QVERIFY(put(*space, QStringLiteral("/tmp/t"), "tmp"));
        QCOMPARE(get(*space, QStringLiteral("/tmp/t")), QByteArray("tmp"));
        QVERIFY(QFile::exists(space->scratchPath() + QStringLiteral("/t")));
        QVERIFY(space->remove(QStringLiteral("/tmp/t")));
        QVERIFY(!space->remove(QStringLiteral("/tmp/t")));
    }

    void uploadNames_data()
    {
        QTest::addColumn<QString>("given");
        QTest::addColumn<QString>("name"); // empty: file_<epoch>
        QTest::newRow("plain") << QStringLiteral("a.csv") << QStringLiteral("a.csv");
        QTest::newRow("path") << QStringLiteral("../../etc/a.csv") << QStringLiteral("a.csv");
        QTest::newRow("windows") << QStringLiteral("C:\\me\\a.csv") << QStringLiteral("a.csv");
        QTest::newRow("hidden") << QStringLiteral(".bashrc") << QString();
        QTest::newRow("dots") << QStringLiteral("..") << QString();
        QTest::newRow("empty") << QString() << QString();
        QTest::newRow("slash") << QStringLiteral("a/") << QString();
        QTest::newRow("control") << QStringLiteral("a\n\x01"
                                                   "b.csv")
                                 << QStringLiteral("ab.csv");
        QTest::newRow("long") << QString(300, QChar(0x8868)) + QStringLiteral(".xlsx")
                              << QString(83, QChar(0x8868)) + QStringLiteral(".xlsx");
    }
    void uploadNames()
    {
        QFETCH(QString, given);
        QFETCH(QString, name);
        const QString got = uploadName(given);
        if (name.isEmpty())
            QVERIFY(got.startsWith(QStringLiteral("file_1")) || got.startsWith(QStringLiteral("file_2")));
        else
            QCOMPARE(got, name);
    }

    void filesWithoutNamesAreDifferent()
    {
        QVERIFY(uploadName(QStringLiteral(".env")) != uploadName(QStringLiteral(".gitignore")));
    }

    // POWER_TEST_FULL=1: 10,000 names.
    void randomUnicodeNamesRoundTrip()
    {
        const auto space = session(QStringLiteral("a"));
        const int count = qEnvironmentVariableIsSet("POWER_TEST_FULL") ? 10'000 : 500;
        QRandomGenerator random(20261122);
        QMap<QString, QByteArray> want;
        const QByteArray here = space->hostPath().toUtf8() + '/';
        for (int i = 0; i < count; ++i) {
            QString text;
            const int length = 1 + int(random.bounded(40));
            while (text.size() < length) {
                const char32_t c = random.bounded(3) ? char32_t(random.bounded(0x20, 0x3000))
                                                     : char32_t(random.bounded(0x20, 0x110000));
                if ((c < 0xd800 || c > 0xdfff) && c != U'/' && c != U'\\') text += QString::fromUcs4(&c, 1);
            }
            const QString name = uploadName(text);
            const Result<QString> path = space->resolve(name);
            QVERIFY2(path.ok(), qPrintable(name));
            QCOMPARE(*path, name);
            const QByteArray content = QByteArray::number(i);
            if (i % 50 == 0) { // every fiftieth through the (slow, syncing) writer
                QVERIFY(put(*space, *path, content));
            } else {
                QFile file(QString::fromUtf8(here + path->toUtf8()));
                QVERIFY2(file.open(QIODevice::WriteOnly), qPrintable(name));
                file.write(content);
            }
            want.insert(*path, content);
        }
        const QList<FileFacts> listed = space->list(20'000);
        QCOMPARE(listed.size(), want.size());
        for (const FileFacts &facts : listed)
            QCOMPARE(get(*space, facts.path), want.value(facts.path));
    }

    void leftOut()
    {
        auto space = session(QStringLiteral("left"));
        const QString root = space->hostPath() + u'/';
        for (const char *name : {"b", "a/b", ".env", "a/.git/config", "a/.git/HEAD", "__pycache__/x"}) {
            QDir().mkpath((root + QLatin1String(name)).section(u'/', 0, -2));
            QFile file(root + QLatin1String(name));
            QVERIFY(file.open(QIODevice::WriteOnly));
        }
        QVERIFY(::symlink("b", (root + QStringLiteral("link")).toLocal8Bit().constData()) == 0);
        QCOMPARE(space->leftOut(50), (QStringList{QStringLiteral(".env"), QStringLiteral("a/.git/"), QStringLiteral("link")}));
        QCOMPARE(space->leftOut(2).size(), 2);
    }

    void listsAndMeasures()
    {
        const auto space = session(QStringLiteral("a"));
        for (const char *name : {"b", "a/z", "a/b", ".hidden", "__pycache__/x", ".dir/x"})
            QVERIFY(put(*space, QLatin1String(name), QByteArray(5000, 'x')));
        QStringList names;
        for (const FileFacts &facts : space->list(10))
            names << facts.path;
        QCOMPARE(names, (QStringList{QStringLiteral("a/b"), QStringLiteral("a/z"), QStringLiteral("b")}));
        QCOMPARE(space->list(2).size(), 2);
        QVERIFY(put(*space, QStringLiteral("/tmp/big"), QByteArray(100'000, 'x')));
        const QByteArray here = space->hostPath().toUtf8();
        QCOMPARE(::link((here + "/b").constData(), (here + "/b2").constData()), 0);
        const qint64 bytes = space->bytesOnDisk();
        QVERIFY2(bytes >= 130'000 && bytes < 200'000, qPrintable(QString::number(bytes)));
    }

    // Names like those that removal itself makes, in what user code left.
    void removesLookAlikes()
    {
        const QDir root(m_dir->path());
        for (int i = 0; i < 8; ++i)
            QVERIFY(root.mkpath(QStringLiteral("tree/.moved-%1-%2/x").arg(::getpid()).arg(i)));
        QVERIFY(root.mkpath(QStringLiteral("tree/a/b/c")));
        const Descriptor tree(::open(root.filePath(QStringLiteral("tree")).toUtf8().constData(), O_RDONLY | O_DIRECTORY));
        QCOMPARE(emptyDirectory(tree.get()), 0);
        QVERIFY(QDir(root.filePath(QStringLiteral("tree"))).isEmpty(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot));
    }

    // A server that is not root removes what its sessions closed to themselves.
    void removesClosedDirectories()
    {
        QTemporaryDir place;
        const QByteArray path = place.path().toUtf8();
        QCOMPARE(::chmod(path.constData(), 0777), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
            const QByteArray tree = path + "/tree";
            for (const char *name : {"", "/a", "/a/b", "/a/b/c", "/a/b/c/d"})
                if (::mkdir((tree + name).constData(), 0700) != 0) ::_exit(3);
            for (const char *name : {"/a/b/c/d", "/a/b/c", "/a/b", "/a"})
                ::chmod((tree + name).constData(), 0);
            const Descriptor open(::open(tree.constData(), O_RDONLY | O_DIRECTORY));
            if (emptyDirectory(open.get()) != 0) ::_exit(4);
            ::_exit(::rmdir(tree.constData()) == 0 ? 0 : 5);
        }
        int status = 0;
        QCOMPARE(::waitpid(child, &status, 0), child);
        QCOMPARE(WEXITSTATUS(status), 0);
    }

    // Another sync of what the disk did not take would succeed: so nothing of it is left to be synced again.
    void aFailedSyncLeavesNothing()
    {
        FailSync disk;
        const auto space = session(QStringLiteral("sync"));
        QVERIFY(put(*space, QStringLiteral("d/a.txt"), "first"));
        auto writer = space->create(QStringLiteral("d/a.txt"));
        QVERIFY(writer && (*writer)->write("second"));
        // Whatever was left by a server that is killed now is where the next start looks for it.
        QCOMPARE(QDir(space->hostPath()).entryList({QStringLiteral(".power-*")}, QDir::Files | QDir::Hidden).size(), 1);
        QVERIFY(disk.next("fsync", "/.power-"));
        const auto committed = (*writer)->commit();
        QVERIFY(disk.isDone() && !committed);
        QCOMPARE(committed.error().details.value(QStringLiteral("cause")).toString(), QLatin1String(notDurable));
        writer->reset();
        QFile file(space->hostPath() + QStringLiteral("/d/a.txt"));
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.readAll(), QByteArray("first"));
        QCOMPARE(QDir(space->hostPath()).entryList(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot), QStringList{QStringLiteral("d")});
        QCOMPARE(QDir(space->hostPath() + QStringLiteral("/d")).entryList(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot), QStringList{QStringLiteral("a.txt")});
        QVERIFY(disk.next("fsync", "/sync/d"));
        const auto removed = space->remove(QStringLiteral("d/a.txt"));
        QVERIFY(!removed && removed.error().message.contains(QStringLiteral("did not confirm")));
    }

    // What a killed server left half-written goes with the next start; nothing else of that kind of name does.
    void clearsHalfWrittenFiles()
    {
        const QString half = QStringLiteral("/.power-0b6ee0a4-9a52-4b8c-8f39-6a1b0a7d8b01"), own = QStringLiteral("/.power-notes");
        const auto mine = session(QStringLiteral("a"));
        const auto theirs = *m_all->openSession(QStringLiteral("abcdef"), QStringLiteral("b"));
        const QStringList places{mine->hostPath(), mine->scratchPath(), theirs->hostPath(), theirs->scratchPath()};
        for (const QString &place : places) {
            for (const QString &name : {half, own}) {
                QFile file(place + name);
                QVERIFY(file.open(QIODevice::WriteOnly) && file.write("x") == 1);
            }
        }
        const auto again = Workspaces::open(m_all->root());
        QVERIFY(again.ok());
        for (const QString &place : places)
            QVERIFY2(!QFile::exists(place + half) && QFile::exists(place + own), qPrintable(place));
    }

    void removesEverything()
    {
        const auto space = session(QStringLiteral("a"));
        const QByteArray here = space->hostPath().toUtf8();
        QCOMPARE(::symlink("/etc", (here + "/etc").constData()), 0);
        QVERIFY(put(*space, QStringLiteral("d/e/f"), "x"));
        // Deeper than any path can say.
        Descriptor at(::open(here.constData(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        for (int i = 0; i < 3000; ++i) {
            QCOMPARE(::mkdirat(at.get(), "deep", 0700), 0);
            at = Descriptor(::openat(at.get(), "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        }
        QCOMPARE(space->list(10).size(), 1);
        QCOMPARE(::chmod((here + "/d/e").constData(), 0), 0);
        const auto removed = m_all->removeSession({}, QStringLiteral("a"));
        QVERIFY2(removed.ok(), removed ? "" : qPrintable(removed.error().text()));
        QVERIFY(!QFile::exists(space->hostPath()));
        QVERIFY(!QFile::exists(space->scratchPath()));
        QVERIFY(QDir(m_all->root() + QStringLiteral("/.trash"))
                    .isEmpty(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot));
        QVERIFY(QFile::exists(QStringLiteral("/etc/passwd")));
        QVERIFY(m_all->removeSession({}, QStringLiteral("a")));
        QVERIFY(session(QStringLiteral("a")) != space);
    }
};

QTEST_GUILESS_MAIN(tst_workspace)
#include "tst_workspace.moc"
