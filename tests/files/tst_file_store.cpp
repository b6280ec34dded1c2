// The file store with a real PostgreSQL and a real disk: durability, versions, expiry, a lost database, old
// links.
#include "base/Ids.h"
#include "files/FileStore.h"
#include "storage/TestDatabase.h"
#include <QCryptographicHash>
#include <QDirIterator>
#include <QElapsedTimer>
#include <QTest>
#include <QDir>
#include <QJsonObject>
#include <QScopeGuard>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace power;
using namespace power::files;
using storage::test::await;

// The same for both places of the content: this file is built twice.
#ifdef POWER_STORE_IN_DATABASE
constexpr bool inDatabase = true;
#else
constexpr bool inDatabase = false;
#endif

class tst_file_store : public QObject
{
    Q_OBJECT
    storage::test::TestDatabase m_database;
    std::unique_ptr<QTemporaryDir> m_dir;
    std::unique_ptr<workspace::Workspaces> m_all;
    std::shared_ptr<workspace::Workspace> m_space;
    std::unique_ptr<FileStore> m_store;
    QString m_session;

    FileStore::Config config() const
    {
        FileStore::Config made;
        made.directory = m_dir->filePath(QStringLiteral("files"));
        made.homeFile = m_dir->filePath(QStringLiteral("home"));
        made.place = inDatabase ? FilePlace::Database : FilePlace::Disk;
        return made;
    }
    void openStore(const FileStore::Config &with)
    {
        m_store.reset();
        m_store = FileStore::create(with, *m_database);
        const auto started = await(m_store->start());
        QVERIFY2(started.ok(), started ? "" : qPrintable(started.error().text()));
    }
    void write(const QString &path, const QByteArray &content)
    {
        auto writer = m_space->create(path);
        QVERIFY(writer.ok() && (*writer)->write(content).ok() && (*writer)->commit().ok());
    }
    Result<StoredFile> stored(const QString &path, const QString &principal = QStringLiteral("owner"))
    {
        return await(m_store->store(principal, m_session, m_space, path));
    }
    StoredFile put(const QString &path, const QByteArray &content)
    {
        write(path, content);
        const auto got = stored(path);
        if (!got) qFatal("%s", qPrintable(got.error().text()));
        return *got;
    }
    static QByteArray content(const Result<OpenedFile> &opened)
    {
        if (!opened) return "(" + QByteArray(errorWord(opened.error().code)) + ")";
        if (!opened->onDisk()) {
            QByteArray read;
            while (read.size() < opened->file.size) {
                const auto piece = await(opened->reader->read(read.size(), 300'000));
                if (!piece || piece->isEmpty()) return "(unreadable)";
                read += *piece;
            }
            return read;
        }
        QByteArray all(qsizetype(opened->file.size), '\0');
        return ::pread(opened->descriptor.get(), all.data(), size_t(all.size()), 0) == all.size()
                   ? all
                   : QByteArray("(short)");
    }
    QByteArray get(const QString &id) { return content(await(m_store->open(id))); }
    int contents()
    {
        if (inDatabase) return int(sql("SELECT count(*) FROM power.contents WHERE whole"));
        int count = 0;
        for (QDirIterator each(config().directory, QDir::Files, QDirIterator::Subdirectories);
             each.hasNext();) {
            each.next();
            count += each.fileName().size() == 64;
        }
        return count;
    }
    // Runs SQL for the test itself.
    qint64 sql(const char *text, const QVariantList &values = {}) { return m_database.number(text, values); }

private Q_SLOTS:
    void initTestCase()
    {
        QCOMPARE(m_database.start(), QString());
    }
    void cleanupTestCase()
    {
        m_store.reset();
        m_database.stop();
    }
    void init()
    {
        m_dir = std::make_unique<QTemporaryDir>();
        m_all = workspace::Workspaces::open(m_dir->filePath(QStringLiteral("spaces"))).value();
        m_session = QStringLiteral("s") + shortId();
        m_space = *m_all->openSession({}, m_session);
        openStore(config());
        if (inDatabase) sql("DELETE FROM power.content_pieces"), sql("DELETE FROM power.contents");
    }
    void cleanup()
    {
        m_store.reset();
        m_space.reset();
        m_all.reset();
        m_dir.reset();
    }

    void storesAndOpens()
    {
        const StoredFile file = put(QStringLiteral("out/Über 表.csv"), "a,b\n1,2\n");
        QCOMPARE(get(file.id), QByteArray("a,b\n1,2\n"));
        QCOMPARE(file.mime, QStringLiteral("text/csv"));
        QCOMPARE(file.size, 8);
        QCOMPARE(file.sha256, QCryptographicHash::hash("a,b\n1,2\n", QCryptographicHash::Sha256).toHex());
        QCOMPARE(file.chartSlug, m_session);
        QVERIFY(file.expires > file.created.addSecs(71 * 3600));
        QCOMPARE(sql("SELECT count(*) FROM power.files WHERE id = $1::uuid AND content_location = $2 || sha256",
                     {file.id, inDatabase ? QStringLiteral("db:") : QStringLiteral("sha256:")}),
                 1);
        QCOMPARE(get(file.id.toUpper()), QByteArray("a,b\n1,2\n"));
        QCOMPARE(get(newUuid()), QByteArray("(not_found)"));
        for (const char *bad : {"x", "", "../../etc/passwd", "{00000000-0000-0000-0000-000000000001}",
                                "00000000-0000-0000-0000-000000000000"})
            QCOMPARE(get(QString::fromLatin1(bad)), QByteArray("(invalid_argument)"));
        struct stat facts;
        QCOMPARE(::stat(config().directory.toUtf8().constData(), &facts), 0);
        QCOMPARE(facts.st_mode & 0777, mode_t(0700));
    }

    void versionsAndSameness()
    {
        const StoredFile one = put(QStringLiteral("x.txt"), "one");
        const StoredFile again = put(QStringLiteral("x.txt"), "one");
        QCOMPARE(again.id, one.id);
        const StoredFile two = put(QStringLiteral("x.txt"), "two");
        QVERIFY(two.id != one.id);
        QCOMPARE(get(one.id), QByteArray("one"));
        QCOMPARE(get(two.id), QByteArray("two"));
        const StoredFile copy = put(QStringLiteral("y.txt"), "two");
        QVERIFY(copy.id != two.id);
        QCOMPARE(contents(), 2);
        auto listed = await(m_store->list(QStringLiteral("owner"), m_session));
        QCOMPARE(listed->size(), 2);
        QCOMPARE(listed->at(0).id, two.id);
        QCOMPARE(listed->at(1).id, copy.id);
        // Content handed out again is the newest again.
        QCOMPARE(put(QStringLiteral("x.txt"), "one").id, one.id);
        listed = await(m_store->list(QStringLiteral("owner"), m_session));
        QCOMPARE(listed->at(0).id, one.id);
        QVERIFY(await(m_store->list(QStringLiteral("other"), m_session))->isEmpty());
    }

    void charts()
    {
        QCOMPARE(content(await(m_store->openChart(m_session, QStringLiteral("chart.png")))),
                 QByteArray("(not_found)"));
        put(QStringLiteral("out/chart.png"), "nested");
        QCOMPARE(content(await(m_store->openChart(m_session, QStringLiteral("chart.png")))),
                 QByteArray("nested"));
        put(QStringLiteral("chart.png"), "old");
        put(QStringLiteral("chart.png"), "new");
        QCOMPARE(content(await(m_store->openChart(m_session, QStringLiteral("chart.png")))),
                 QByteArray("new"));
        QCOMPARE(content(await(m_store->openChart(m_session, QStringLiteral("out/chart.png")))),
                 QByteArray("nested"));
        QCOMPARE(content(await(m_store->openChart(QStringLiteral("another"), QStringLiteral("chart.png")))),
                 QByteArray("(not_found)"));
        const auto other = stored(QStringLiteral("chart.png"), QStringLiteral("someone"));
        QVERIFY(other->chartSlug.startsWith(QStringLiteral("s-")) && !other->chartSlug.contains(m_session));
        QCOMPARE(content(await(m_store->openChart(other->chartSlug, QStringLiteral("chart.png")))),
                 QByteArray("new"));
        write(QStringLiteral("secret.png"), "never handed out");
        QCOMPARE(content(await(m_store->openChart(m_session, QStringLiteral("secret.png")))),
                 QByteArray("(not_found)"));
    }

    void scratchFilesGetTheirBareName()
    {
        const StoredFile file = put(QStringLiteral("/tmp/sub/x.csv"), "1");
        QCOMPARE(file.name, QStringLiteral("x.csv"));
        QCOMPARE(get(file.id), QByteArray("1"));
    }

    void refusesWhatIsTooLargeOrNoFile()
    {
        FileStore::Config small = config();
        small.maxFileBytes = 1000;
        openStore(small);
        write(QStringLiteral("big"), QByteArray(1001, 'x'));
        const auto big = stored(QStringLiteral("big"));
        QVERIFY(!big);
        QCOMPARE(big.error().code, ErrorCode::TooLarge);
        QVERIFY(big.error().text().contains(QStringLiteral("stays in the session")));
        QVERIFY(put(QStringLiteral("fits"), QByteArray(1000, 'x')).size == 1000);
        QCOMPARE(
            ::symlink("/etc/passwd", (m_space->hostPath() + QStringLiteral("/link")).toUtf8().constData()),
            0);
        QCOMPARE(::mkfifo((m_space->hostPath() + QStringLiteral("/fifo")).toUtf8().constData(), 0666), 0);
        for (const char *bad : {"none", "link", "fifo", "../x"})
            QVERIFY(!stored(QString::fromLatin1(bad)));
    }

    void aFileChangingUnderneath()
    {
        write(QStringLiteral("busy"), QByteArray(8 << 20, 'a'));
        std::atomic<bool> stop = false;
        const QByteArray path = m_space->hostPath().toUtf8() + "/busy";
        std::thread writer([&] {
            const workspace::Descriptor file(::open(path.constData(), O_WRONLY | O_CLOEXEC));
            while (!stop) {
                (void)!::pwrite(file.get(), "b", 1, 0);
                ::usleep(200);
            }
        });
        const auto busy = stored(QStringLiteral("busy"));
        stop = true;
        writer.join();
        QVERIFY(!busy);
        QCOMPARE(busy.error().code, ErrorCode::Conflict);
        const auto calm = stored(QStringLiteral("busy"));
        QVERIFY(calm.ok());
        QCOMPARE(QCryptographicHash::hash(get(calm->id), QCryptographicHash::Sha256).toHex(), calm->sha256);
    }

    void expiresAndSweeps()
    {
        FileStore::Config now = config();
        now.contentGrace = std::chrono::seconds(0);
        openStore(now);
        const StoredFile old = put(QStringLiteral("old"), "shared");
        const StoredFile young = put(QStringLiteral("young"), "shared");
        const StoredFile alone = put(QStringLiteral("alone"), "alone");
        QCOMPARE(
            sql("UPDATE power.files SET expires_at = now() - interval '1 minute' WHERE id = ANY($1::uuid[])",
                {QStringList{old.id, alone.id}}),
            2);
        QCOMPARE(get(old.id), QByteArray("(gone)"));
        if (inDatabase) { // the session has its files, and so their contents
            QVERIFY(await(m_store->sweep()).ok());
            QCOMPARE(contents(), 2);
            QVERIFY(sql("UPDATE power.files SET content_location = 'db:' || sha256 WHERE content_location = ''") >= 2);
            QVERIFY(sql("DELETE FROM power.session_files") >= 3);
        }
        const auto swept = await(m_store->sweep());
        QVERIFY(swept.ok());
        QCOMPARE(*swept, 2);
        QCOMPARE(contents(), 1);
        QCOMPARE(get(young.id), QByteArray("shared"));
        QCOMPARE(get(alone.id), QByteArray("(gone)"));
        QVERIFY(put(QStringLiteral("old"), "shared").id != old.id);
        QVERIFY(put(QStringLiteral("alone"), "alone").id != alone.id);
        QCOMPARE(*await(m_store->sweep()), 0);
        QCOMPARE(sql("UPDATE power.files SET expires_at = now() - interval '31 days' WHERE id = $1::uuid",
                     {old.id}),
                 1);
        QVERIFY(await(m_store->sweep()).ok());
        QCOMPARE(get(old.id), QByteArray("(not_found)"));
        FileStore::Config forEver = config();
        forEver.timeToLive = std::chrono::hours(0);
        openStore(forEver);
        QVERIFY(!put(QStringLiteral("kept"), "kept").expires.isValid());
    }

    void forgets()
    {
        const StoredFile a = put(QStringLiteral("a"), "a");
        const StoredFile b = put(QStringLiteral("b"), "b");
        QVERIFY(await(m_store->forget(QStringLiteral("other"), m_session, {})).ok());
        QVERIFY(await(m_store->forget(QStringLiteral("owner"), m_session, QStringLiteral("a"))).ok());
        QCOMPARE(get(a.id), QByteArray("(not_found)"));
        QCOMPARE(get(b.id), QByteArray("b"));
        QVERIFY(await(m_store->forget(QStringLiteral("owner"), m_session, {})).ok());
        QCOMPARE(get(b.id), QByteArray("(not_found)"));
    }

    void countsDownloads()
    {
        const StoredFile file = put(QStringLiteral("a"), "a");
        for (int i = 0; i < 3; ++i)
            m_store->countDownload(file.id);
        QTRY_COMPARE(sql("SELECT downloads FROM power.files WHERE id = $1::uuid", {file.id}), 3);
    }

    void twoAtOnce()
    {
        write(QStringLiteral("one"), QByteArray(2 << 20, '1'));
        write(QStringLiteral("two"), QByteArray(2 << 20, '2'));
        int done = 0;
        const auto run = [this, &done](QString path) -> QCoro::Task<> {
            const QString owner = QStringLiteral("owner");
            auto got = co_await m_store->store(owner, m_session, m_space, path);
            done += got.ok();
        };
        std::vector<QCoro::Task<>> all;
        for (int i = 0; i < 8; ++i)
            all.push_back(run(i % 2 ? QStringLiteral("one") : QStringLiteral("two")));
        QTRY_COMPARE(done, 8);
        QCOMPARE(contents(), 2);
        const auto listed = await(m_store->list(QStringLiteral("owner"), m_session));
        QCOMPARE(listed->size(), 2);
        QCOMPARE(get(listed->at(0).id), QByteArray(2 << 20, '1'));
    }

    // What one waits for is not behind whole sessions and large files.
    void smallBeforeLarge()
    {
        const QByteArray large(24 << 20, 'l');
        std::vector<std::shared_ptr<workspace::Workspace>> spaces;
        for (int i = 0; i < 6; ++i) {
            spaces.push_back(*m_all->openSession({}, m_session + QString::number(i)));
            auto writer = spaces.back()->create(QStringLiteral("large"));
            QVERIFY(writer.ok() && (*writer)->write(large + QByteArray::number(i)).ok() && (*writer)->commit().ok());
        }
        write(QStringLiteral("small"), "small");
        int kept = 0, stored = 0, before = -1;
        const auto keepAll = [this, &kept, &stored](std::shared_ptr<workspace::Workspace> space, QString session) -> QCoro::Task<> {
            const QString owner = QStringLiteral("owner"), path = QStringLiteral("large");
            const auto link = co_await m_store->store(owner, session, space, path);
            stored += link.ok();
            const auto got = co_await m_store->keepSession(owner, session, space);
            kept += got.ok();
        };
        const auto one = [this, &before, &stored]() -> QCoro::Task<> {
            const QString owner = QStringLiteral("owner"), path = QStringLiteral("small");
            const auto got = co_await m_store->store(owner, m_session, m_space, path);
            before = got.ok() ? stored : -2;
        };
        std::vector<QCoro::Task<>> all;
        for (std::size_t i = 0; i < spaces.size(); ++i)
            all.push_back(keepAll(spaces[i], m_session + QString::number(i)));
        all.push_back(one());
        QTRY_COMPARE_WITH_TIMEOUT(kept, int(spaces.size()), 60'000);
        QCOMPARE(stored, int(spaces.size()));
        QVERIFY2(before >= 0 && before <= 1, QByteArray::number(before).constData());
    }

    void linksOfThePythonOriginal()
    {
        QCOMPARE(sql("CREATE TABLE IF NOT EXISTS public.sandbox_files (id uuid PRIMARY KEY, session_id "
                     "varchar(255), filename varchar(500),"
                     " mime_type varchar(255), file_size int, checksum varchar(64), content bytea, "
                     "created_at timestamp,"
                     " expires_at timestamp, download_count int)"),
                 0);
        const QString id = newUuid(), expired = newUuid();
        for (const auto &[which, until] :
             {std::pair{id, "interval '1 day'"}, std::pair{expired, "interval '-1 day'"}}) {
            const QByteArray insert =
                QByteArrayLiteral(
                    "INSERT INTO public.sandbox_files VALUES ($1::uuid, 'default', 'old.bin', "
                    "'application/octet-stream',"
                    " 4, 'x', '\\x00ff0a41', now() at time zone 'utc', now() at time zone 'utc' + ") +
                until + ", 0)";
            QCOMPARE(sql(insert.constData(), {which}), 1);
        }
        // Adoption happens at the start of a server.
        storage::Database::Config with;
        with.url = m_database.url();
        storage::Database again(with);
        QVERIFY(await(again.start()).ok());
        QCoro::waitFor(again.stop());
        const auto opened = await(m_store->open(id));
        QVERIFY2(opened.ok(), opened ? "" : qPrintable(opened.error().text()));
        QVERIFY(!opened->onDisk());
        QCOMPARE(content(opened), QByteArray("\x00\xff\x0a\x41", 4));
        QCOMPARE(opened->file.name, QStringLiteral("old.bin"));
        QCOMPARE(get(expired), QByteArray("(gone)"));
    }

    void throughput()
    {
        const int count = 10;
        const qint64 size = 20ll << 20;
        for (int i = 0; i < count; ++i)
            write(QStringLiteral("big%1").arg(i), QByteArray(size, char('a' + i)));
        QElapsedTimer time;
        time.start();
        for (int i = 0; i < count; ++i)
            QVERIFY(stored(QStringLiteral("big%1").arg(i)).ok());
        const double cold = double(count * size) / 1e6 / (double(time.nsecsElapsed()) / 1e9);
        time.start();
        for (int i = 0; i < count; ++i)
            QVERIFY(stored(QStringLiteral("big%1").arg(i)).ok());
        const double again = double(count * size) / 1e6 / (double(time.nsecsElapsed()) / 1e9);
        for (int i = 0; i < 50; ++i)
            write(QStringLiteral("small%1").arg(i), QByteArray::number(i));
        time.start();
        for (int i = 0; i < 50; ++i)
            QVERIFY(stored(QStringLiteral("small%1").arg(i)).ok());
        qInfo("store: %.0f MB/s new content (durable), %.0f MB/s known content, %.2f ms per small file", cold,
              again, double(time.nsecsElapsed()) / 1e6 / 50);
    }

    // Each gets the link of what it wrote, whoever was last.
    void twoWritersOneName()
    {
        const auto wrote = [this](const QByteArray &content) {
            auto writer = m_space->create(QStringLiteral("same.txt"));
            if (!writer || !(*writer)->write(content) || !(*writer)->commit()) qFatal("not written");
            return std::make_shared<workspace::Descriptor>(::dup((*writer)->descriptor()));
        };
        const auto first = wrote("first"), second = wrote("second");
        const auto from = [this](std::shared_ptr<workspace::Descriptor> content) {
            return await(m_store->storeFrom(QStringLiteral("owner"), m_session, m_space, QStringLiteral("same.txt"), content));
        };
        const auto later = from(second), earlier = from(first);
        QVERIFY(later.ok() && earlier.ok() && later->id != earlier->id);
        QCOMPARE(get(earlier->id), QByteArray("first"));
        QCOMPARE(get(later->id), QByteArray("second"));
        if (inDatabase) // what the directory has
            QCOMPARE(sql("SELECT count(*) FROM power.session_files WHERE path = 'same.txt' AND size = 6"), 1);
    }

    void quotaOfASession()
    {
        FileStore::Config small = config();
        small.maxSessionBytes = 10;
        openStore(small);
        const StoredFile one = put(QStringLiteral("x"), "11111"), two = put(QStringLiteral("x"), "22222"), three = put(QStringLiteral("x"), "33333");
        QCOMPARE(get(one.id), QByteArray("(gone)")); // the oldest replaced version
        QCOMPARE(get(two.id), QByteArray("22222"));
        QCOMPARE(get(three.id), QByteArray("33333"));
        put(QStringLiteral("y"), "44444");
        QCOMPARE(get(two.id), QByteArray("(gone)"));
        write(QStringLiteral("z"), "5");
        const auto refused = stored(QStringLiteral("z"));
        QVERIFY(!refused && refused.error().code == ErrorCode::TooLarge && refused.error().message.contains(u"MAX_SESSION_STORED_MB"));
        QCOMPARE(get(three.id), QByteArray("33333")); // none of the newest goes
        QVERIFY(await(m_store->forget(QStringLiteral("owner"), m_session, QStringLiteral("y"))).ok());
        QVERIFY(stored(QStringLiteral("z")).ok());
        QCOMPARE(put(QStringLiteral("x"), "33333").id, three.id); // the same again takes no room
        QCOMPARE(get(three.id), QByteArray("33333"));
    }

    void quotaOfTheStore()
    {
        FileStore::Config small = config();
        small.maxTotalBytes = 1000;
        openStore(small);
        put(QStringLiteral("a"), QByteArray(600, 'a'));
        write(QStringLiteral("b"), QByteArray(600, 'b'));
        const auto refused = stored(QStringLiteral("b"));
        QVERIFY(!refused && refused.error().code == ErrorCode::TooLarge && refused.error().message.contains(u"FILE_STORE_MAX_MB"));
        QCOMPARE(contents(), 1);
        put(QStringLiteral("c"), QByteArray(600, 'a')); // known content takes no room
        QCOMPARE(m_store->report().value(QStringLiteral("bytes")).toInteger(), 600);
        openStore(small);
        QCOMPARE(m_store->report().value(QStringLiteral("bytes")).toInteger(), 600);
    }

    // A disk that takes no more: by a limit on files, and on a small disk of its own where we may mount one.
    void aFullDisk()
    {
        if (inDatabase) return;
        const StoredFile before = put(QStringLiteral("before"), "before");
        write(QStringLiteral("big"), QByteArray(3 << 20, 'x'));
        ::signal(SIGXFSZ, SIG_IGN);
        struct rlimit old = {};
        ::getrlimit(RLIMIT_FSIZE, &old);
        struct rlimit low = old;
        low.rlim_cur = 1 << 20;
        ::setrlimit(RLIMIT_FSIZE, &low);
        const auto refused = stored(QStringLiteral("big"));
        ::setrlimit(RLIMIT_FSIZE, &old);
        QVERIFY(!refused);
        QVERIFY2(refused.error().code == ErrorCode::Unavailable && refused.error().text().contains(u"still in the session"), qPrintable(refused.error().text()));
        QCOMPARE(contents(), 1);
        QVERIFY(QDir(config().directory + QStringLiteral("/tmp")).isEmpty());
        QVERIFY(stored(QStringLiteral("big")).ok());
        if (::geteuid() != 0) return;
        const QByteArray place = m_dir->filePath(QStringLiteral("small")).toUtf8();
        QVERIFY(::mkdir(place.constData(), 0700) == 0);
        if (::mount("tmpfs", place.constData(), "tmpfs", 0, "size=2m") != 0) return; // not in a container
        const auto unmount = qScopeGuard([place] { ::umount2(place.constData(), MNT_DETACH); });
        FileStore::Config tiny = config();
        tiny.directory = QString::fromUtf8(place) + QStringLiteral("/files");
        openStore(tiny);
        const StoredFile fits = put(QStringLiteral("fits"), QByteArray(1 << 20, 'f'));
        const auto full = stored(QStringLiteral("big"));
        QVERIFY2(!full && full.error().text().contains(u"disk is full"), full ? "" : qPrintable(full.error().text()));
        QVERIFY(QDir(tiny.directory + QStringLiteral("/tmp")).isEmpty());
        QCOMPARE(get(fits.id), QByteArray(1 << 20, 'f'));
        QVERIFY(await(m_store->forget(QStringLiteral("owner"), m_session, QStringLiteral("fits"))).ok());
        m_store.reset();
        Q_UNUSED(before);
    }

    // What a killed server had begun is never found and goes; what one is just writing stays.
    void halfWrittenContents()
    {
        if (!inDatabase) return;
        for (const char *age : {"2 hours", "1 second"}) {
            const QString id = newUuid();
            QCOMPARE(sql((QByteArrayLiteral("INSERT INTO power.contents (id, sha256, size, touched_at) VALUES ($1::uuid, 'ab', 2000000, now() - interval '") + age + "')").constData(), {id}), 1);
            QCOMPARE(sql("INSERT INTO power.content_pieces SELECT $1::uuid, n, 'x' FROM generate_series(0, 600) n", {id}), 601);
        }
        QCOMPARE(contents(), 0);
        QVERIFY(await(m_store->sweep()).ok());
        QCOMPARE(sql("SELECT count(*) FROM power.contents"), 1);
        QCOMPARE(sql("SELECT count(*) FROM power.content_pieces"), 601);
    }

    // Large content goes in and comes back in pieces.
    void piecesOfLargeContents()
    {
        QByteArray data(5'300'001, Qt::Uninitialized);
        for (qsizetype i = 0; i < data.size(); ++i)
            data[i] = char(i * 2654435761u >> 13);
        const StoredFile file = put(QStringLiteral("large.bin"), data);
        QVERIFY(get(file.id) == data);
        QCOMPARE(put(QStringLiteral("empty"), {}).size, 0);
    }

    // Last: it takes the database away.
    void withoutTheContents(const StoredFile &before)
    {
        QCoro::waitFor(m_database.cluster().cluster().stop());
        QTRY_VERIFY_WITH_TIMEOUT(!m_database->isConnected() || sql("SELECT 1") < 0, 20'000);
        QCOMPARE(get(before.id), QByteArray("(unavailable)"));
        write(QStringLiteral("during"), "during");
        const auto during = stored(QStringLiteral("during"));
        QVERIFY(!during && during.error().code == ErrorCode::Unavailable);
        QVERIFY2(m_database.cluster().start().isEmpty(), "restart");
        QTRY_VERIFY_WITH_TIMEOUT(sql("SELECT 1") == 1, 30'000);
        QTRY_COMPARE_WITH_TIMEOUT(get(before.id), QByteArray("before"), 10'000); // each lane comes back by itself
        QCOMPARE(put(QStringLiteral("during"), "during").size, 6);
        QCOMPARE(sql("SELECT count(*) FROM power.files WHERE name = 'during'"), 1);
    }
    void theDatabaseIsLost()
    {
        const StoredFile before = put(QStringLiteral("before"), "before");
        if (inDatabase) return withoutTheContents(before);
        QCoro::waitFor(m_database.cluster().cluster().stop());
        QTRY_VERIFY_WITH_TIMEOUT(!m_database->isConnected() || sql("SELECT 1") < 0, 20'000);
        QCOMPARE(get(before.id), QByteArray("before"));
        const StoredFile during = put(QStringLiteral("during"), "during");
        QCOMPARE(get(during.id), QByteArray("during"));
        QCOMPARE(put(QStringLiteral("during"), "during").id, during.id);
        QCOMPARE(content(await(m_store->openChart(m_session, QStringLiteral("during")))),
                 QByteArray("during"));
        QCOMPARE(await(m_store->list(QStringLiteral("owner"), m_session))->size(), 2);
        QCOMPARE(get(newUuid()), QByteArray("(unavailable)"));
        const StoredFile deleted = put(QStringLiteral("deleted"), "deleted");
        QVERIFY(await(m_store->forget(QStringLiteral("owner"), m_session, QStringLiteral("deleted"))).ok());
        QVERIFY(get(deleted.id) != "deleted");
        const StoredFile anew = put(QStringLiteral("anew"), "old");
        QVERIFY(await(m_store->forget(QStringLiteral("owner"), m_session, QStringLiteral("anew"))).ok());

        // The server dies; the next one finds what was promised.
        openStore(config());
        QVERIFY2(m_database.cluster().start().isEmpty(), "restart");
        QTRY_VERIFY_WITH_TIMEOUT(m_database->isConnected(), 30'000);
        // At once, with the deletion still in the journal: what is stored now is not deleted by it.
        const StoredFile again = put(QStringLiteral("anew"), "new");
        QTRY_VERIFY_WITH_TIMEOUT(sql("SELECT 1") == 1, 30'000);
        QTRY_COMPARE_WITH_TIMEOUT(get(during.id), QByteArray("during"), 20'000);
        QCOMPARE(get(before.id), QByteArray("before"));
        QTRY_COMPARE_WITH_TIMEOUT(sql("SELECT count(*) FROM power.files WHERE name = 'deleted'"), 0, 10'000);
        QTRY_COMPARE_WITH_TIMEOUT(get(again.id), QByteArray("new"), 10'000);
        QCOMPARE(sql("SELECT count(*) FROM power.files WHERE name = 'anew'"), 1);
        QCOMPARE(sql("SELECT count(*) FROM power.files WHERE name = 'during'"), 1);
    }
};

QTEST_GUILESS_MAIN(tst_file_store)
#include "tst_file_store.moc"
