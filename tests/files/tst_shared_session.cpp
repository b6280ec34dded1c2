// One session used through two stores, each with a disk of its own, on one database: what one deletes or writes is what the
// other one finds, whatever its own disk still has; and what is new on a disk is never lost.
#include "files/FileStore.h"
#include "storage/ClusterFixture.h"
#include "storage/Sql.h"
#include <QDir>
#include <QFile>
#include <QTest>
#include <fcntl.h>
#include <sys/stat.h>

using namespace power;
using namespace power::files;
using storage::test::await;

namespace
{
// A server, as far as files are concerned.
struct Side {
    QTemporaryDir disk;
    std::unique_ptr<workspace::Workspaces> all;
    std::shared_ptr<workspace::Workspace> space;
    std::unique_ptr<FileStore> store;
    QString session;
    QStringList moved; // sessions that others told of

    bool open(storage::Database &database, const QString &id)
    {
        session = id;
        all = workspace::Workspaces::open(disk.filePath(QStringLiteral("spaces"))).value();
        space = all->openSession({}, id).value();
        FileStore::Config config;
        config.directory = disk.filePath(QStringLiteral("files"));
        config.homeFile = disk.filePath(QStringLiteral("home"));
        config.place = FilePlace::Database;
        store = FileStore::create(config, database);
        store->whenMoved([this](const QString &, const QString &name, bool isDeleted) { moved << (isDeleted ? u'-' + name : name); });
        return await(store->start()).ok();
    }
    QString path(const QString &name) const { return space->hostPath() + u'/' + name; }
    void write(const QString &name, const QByteArray &content)
    {
        QDir().mkpath(QFileInfo(path(name)).path());
        QFile file(path(name));
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write(content) == content.size());
    }
    // "-" when it is not there.
    QByteArray read(const QString &name) const
    {
        QFile file(path(name));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray("-");
    }
    bool has(const QString &name) const { return QFileInfo::exists(path(name)); }
    void remove(const QString &name) { QVERIFY(QFile::remove(path(name))); }
    bool elsewhere() { return await(store->isElsewhere(QStringLiteral("owner"), session, true)).value(); }
    // What a call does before it uses the session, and what happens some seconds after it.
    void use()
    {
        if (elsewhere())
            QVERIFY(await(store->bringBack(QStringLiteral("owner"), session, space)).ok());
    }
    void keep() { QVERIFY(await(store->keepSession(QStringLiteral("owner"), session, space)).ok()); }
};
} // namespace

class tst_SharedSession : public QObject
{
    Q_OBJECT
    std::unique_ptr<storage::test::ClusterFixture> m_cluster;
    std::unique_ptr<storage::Database> m_database;
    std::unique_ptr<Side> m_a, m_b;
    int m_number = 0;

    qint64 sql(const char *text, const QVariantList &values = {})
    {
        storage::Job<qint64> job = [text, values](QSqlDatabase &connection) -> Result<qint64> {
            const auto rows = storage::query(connection, text, values);
            if (!rows) return Unexpected<Error>{rows.error()};
            return rows->isEmpty() ? rows->affected() : rows->number(0, 0);
        };
        const auto got = await(m_database->run<qint64>(storage::Lane::Short, std::chrono::seconds(10), std::move(job)));
        return got ? *got : -1;
    }
    qint64 rowsOf(const QString &path)
    {
        return sql("SELECT count(*) FROM power.session_files WHERE session_id = $1 AND path = $2", {m_a->session, path});
    }
    // Both have the same files, stored, and `last` is the one that used the session.
    void shared(const QList<std::pair<QString, QByteArray>> &files, Side &last)
    {
        Side &first = &last == m_a.get() ? *m_b : *m_a;
        for (const auto &[name, content] : files)
            first.write(name, content);
        first.keep();
        last.use();
        for (const auto &[name, content] : files)
            QCOMPARE(last.read(name), content);
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_cluster = std::make_unique<storage::test::ClusterFixture>();
        const QString problem = m_cluster->start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        storage::Database::Config with;
        with.url = m_cluster->url();
        m_database = std::make_unique<storage::Database>(with);
        QVERIFY(await(m_database->start()).ok());
    }
    void cleanupTestCase()
    {
        QCoro::waitFor(m_database->stop());
        m_database.reset();
        m_cluster.reset();
    }
    void init()
    {
        const QString session = QStringLiteral("s%1").arg(++m_number);
        m_a = std::make_unique<Side>();
        m_b = std::make_unique<Side>();
        QVERIFY(m_a->open(*m_database, session) && m_b->open(*m_database, session));
    }
    void cleanup()
    {
        m_a.reset();
        m_b.reset();
    }

    void deletedElsewhereIsGone()
    {
        shared({{QStringLiteral("stays"), "s"}, {QStringLiteral("goes"), "g"}, {QStringLiteral("d/e/goes"), "g"}}, *m_b);
        m_b->remove(QStringLiteral("goes"));
        m_b->remove(QStringLiteral("d/e/goes"));
        QDir(m_b->space->hostPath()).rmpath(QStringLiteral("d/e"));
        m_b->keep();
        m_a->use();
        QVERIFY(!m_a->has(QStringLiteral("goes")) && !m_a->has(QStringLiteral("d")));
        QCOMPARE(m_a->read(QStringLiteral("stays")), QByteArray("s"));
        m_a->keep();
        QCOMPARE(rowsOf(QStringLiteral("goes")), 0);
        QVERIFY(!m_a->elsewhere());
        m_b->use();
        QVERIFY(!m_b->has(QStringLiteral("goes")));
        QCOMPARE(sql("SELECT count(*) FROM power.session_copies WHERE session_id = $1 AND path LIKE '%goes'", {m_a->session}), 0);
    }

    // By delete_file, and by a run whose answer tells so: at once, not with the next keeping.
    void deletedAndAtOnceElsewhere()
    {
        shared({{QStringLiteral("tool"), "t"}, {QStringLiteral("run"), "r"}}, *m_b);
        QVERIFY(m_b->space->remove(QStringLiteral("tool")).ok());
        QVERIFY(await(m_b->store->forget(QStringLiteral("owner"), m_b->session, QStringLiteral("tool"))).ok());
        m_b->remove(QStringLiteral("run"));
        QVERIFY(await(m_b->store->dropFiles(QStringLiteral("owner"), m_b->session, {QStringLiteral("run")})).ok());
        m_a->use();
        QVERIFY(!m_a->has(QStringLiteral("tool")) && !m_a->has(QStringLiteral("run")));
    }

    // Also when its time of change is another one: a second name, or a new owner.
    void deletedElsewhereAfterALinkWasMade()
    {
        m_a->write(QStringLiteral("up"), "u");
        m_a->keep();
        QCOMPARE(::link(qPrintable(m_a->path(QStringLiteral("up"))), qPrintable(m_a->disk.filePath(QStringLiteral("second")))), 0);
        m_b->use();
        m_b->remove(QStringLiteral("up"));
        m_b->keep();
        m_a->use();
        QVERIFY(!m_a->has(QStringLiteral("up")));
    }

    void madeAgainAfterADeletion()
    {
        shared({{QStringLiteral("f"), "one"}}, *m_b);
        m_b->remove(QStringLiteral("f"));
        m_b->keep();
        m_b->write(QStringLiteral("f"), "two");
        m_b->keep();
        m_a->use();
        QCOMPARE(m_a->read(QStringLiteral("f")), QByteArray("two"));
    }

    void theNewerVersionWins_data()
    {
        QTest::addColumn<qint64>("modified"); // seconds from now
        QTest::newRow("as usual") << qint64(0);
        QTest::newRow("with an old time, as from an archive") << qint64(-1'000'000);
    }
    void theNewerVersionWins()
    {
        QFETCH(qint64, modified);
        shared({{QStringLiteral("f"), "one"}}, *m_b);
        m_b->write(QStringLiteral("f"), "two");
        const timespec times[2] = {{::time(nullptr) + modified, 0}, {::time(nullptr) + modified, 0}};
        QCOMPARE(::utimensat(AT_FDCWD, qPrintable(m_b->path(QStringLiteral("f"))), times, 0), 0);
        m_b->keep();
        m_a->use();
        QCOMPARE(m_a->read(QStringLiteral("f")), QByteArray("two"));
        m_a->keep();
        m_b->use();
        QCOMPARE(m_b->read(QStringLiteral("f")), QByteArray("two"));
    }

    // Server A died before it stored these; B went on meanwhile.
    void whatIsNewOnADiskStays()
    {
        shared({{QStringLiteral("same"), "1"}, {QStringLiteral("both"), "1"}, {QStringLiteral("gone"), "1"}}, *m_a);
        m_a->write(QStringLiteral("new"), "new");
        m_a->write(QStringLiteral("same"), "newer at a");
        m_a->write(QStringLiteral("gone"), "newer at a");
        m_a->write(QStringLiteral("both"), "earlier at a");
        m_b->use();
        QTest::qWait(20); // the clock of the file system
        m_b->write(QStringLiteral("both"), "later at b");
        m_b->remove(QStringLiteral("gone"));
        m_b->keep();
        m_a->use();
        QCOMPARE(m_a->read(QStringLiteral("new")), QByteArray("new"));
        QCOMPARE(m_a->read(QStringLiteral("same")), QByteArray("newer at a"));
        QCOMPARE(m_a->read(QStringLiteral("gone")), QByteArray("newer at a"));
        QCOMPARE(m_a->read(QStringLiteral("both")), QByteArray("later at b"));
        QVERIFY(!m_a->elsewhere());
        m_b->use();
        for (const char *name : {"new", "same", "gone", "both"})
            QCOMPARE(m_b->read(QLatin1String(name)), m_a->read(QLatin1String(name)));
    }

    // A run at A goes on while B takes the session over: A keeps what it wrote, and takes nothing of B's for deleted.
    void keptAfterTheSessionMoved()
    {
        shared({{QStringLiteral("old"), "old"}, {QStringLiteral("dropped"), "d"}}, *m_a);
        m_b->use();
        m_b->write(QStringLiteral("of-b"), "b");
        m_b->keep();
        m_a->write(QStringLiteral("of-a"), "a");
        m_a->remove(QStringLiteral("dropped"));
        m_a->keep();
        for (const char *name : {"old", "of-b", "of-a"})
            QCOMPARE(rowsOf(QLatin1String(name)), 1);
        QCOMPARE(rowsOf(QStringLiteral("dropped")), 0);
        // B is told, takes nothing of A's for deleted either, and has it with its next call.
        QTRY_VERIFY(m_b->moved.contains(m_b->session));
        m_b->keep();
        QCOMPARE(rowsOf(QStringLiteral("of-a")), 1);
        QVERIFY(m_b->elsewhere());
        m_b->use();
        QCOMPARE(m_b->read(QStringLiteral("of-a")), QByteArray("a"));
        QVERIFY(!m_b->has(QStringLiteral("dropped")));
        m_b->keep();
        QCOMPARE(rowsOf(QStringLiteral("dropped")), 0);
        m_a->use();
        QCOMPARE(m_a->read(QStringLiteral("of-b")), QByteArray("b"));
        QCOMPARE(m_a->read(QStringLiteral("old")), QByteArray("old"));
    }

    // What the other one had before does not come back with its late keeping.
    void lateKeepingBringsNothingBack()
    {
        shared({{QStringLiteral("goes"), "g"}, {QStringLiteral("changes"), "old"}}, *m_a);
        m_b->use();
        m_b->remove(QStringLiteral("goes"));
        m_b->write(QStringLiteral("changes"), "new");
        m_b->keep();
        m_a->keep();
        QCOMPARE(rowsOf(QStringLiteral("goes")), 0);
        m_b->use();
        QVERIFY(!m_b->has(QStringLiteral("goes")));
        QCOMPARE(m_b->read(QStringLiteral("changes")), QByteArray("new"));
    }

    void aDeletedSessionIsGoneEverywhere()
    {
        shared({{QStringLiteral("f"), "f"}, {QStringLiteral("d/g"), "g"}}, *m_b);
        m_a->moved.clear();
        QVERIFY(m_b->all->removeSession({}, m_b->session).ok());
        QVERIFY(await(m_b->store->forget(QStringLiteral("owner"), m_b->session)).ok());
        QTRY_VERIFY(m_a->moved.contains(u'-' + m_a->session));
        QVERIFY(m_a->elsewhere());
        m_a->use();
        QVERIFY(QDir(m_a->space->hostPath()).isEmpty());
        QVERIFY(!m_a->elsewhere());
        QVERIFY(!await(m_a->store->isElsewhere(QStringLiteral("owner"), m_a->session, false)).value()); // nobody knows it
        m_b->space = m_b->all->openSession({}, m_b->session).value();
        m_b->write(QStringLiteral("anew"), "n");
        m_b->keep();
        m_a->use();
        QVERIFY(!m_a->has(QStringLiteral("f")));
        QCOMPARE(m_a->read(QStringLiteral("anew")), QByteArray("n"));
    }

    // A disk whose session directory was lost deleted nothing.
    void aLostDirectoryDeletesNothing()
    {
        shared({{QStringLiteral("f"), "f"}}, *m_a);
        m_b->use();
        QVERIFY(m_a->all->removeSession({}, m_a->session).ok());
        m_a->space = m_a->all->openSession({}, m_a->session).value();
        m_a->use();
        QCOMPARE(m_a->read(QStringLiteral("f")), QByteArray("f"));
    }

    void emptyDirectoriesToo()
    {
        QVERIFY(QDir(m_a->space->hostPath()).mkpath(QStringLiteral("empty/here")));
        m_a->keep();
        m_b->use();
        QVERIFY(m_b->has(QStringLiteral("empty/here")));
        const QDir here(m_b->space->hostPath());
        QVERIFY(here.rmdir(QStringLiteral("empty/here")) && here.rmdir(QStringLiteral("empty")));
        m_b->keep();
        m_a->use();
        QVERIFY(!m_a->has(QStringLiteral("empty")));
    }
};

QTEST_GUILESS_MAIN(tst_SharedSession)
#include "tst_shared_session.moc"
