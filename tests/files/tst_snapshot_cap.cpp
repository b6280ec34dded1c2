// SNAPSHOTS_TOTAL_MB: which kept states make room for a new one, that whose they were is told, and that nothing goes for one
// that does not fit all the same. On disk and in the database.
#include "base/FailSync.h"
#include "base/Offload.h"
#include "files/SnapshotStore.h"
#include "storage/TestDatabase.h"
#include "workspace/Workspace.h"
#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <unistd.h>

using namespace power;
using namespace power::files;
using storage::test::await;

namespace {
constexpr qint64 kMb = 1 << 20;

QByteArray bytesOf(const SnapshotKey &key, qint64 size)
{
    const QByteArray word = (key.session + key.name + u' ').toUtf8();
    return word.repeated(int(size / word.size()) + 1).left(size);
}
} // namespace

class tst_SnapshotCap : public QObject
{
    Q_OBJECT

    storage::test::TestDatabase m_database;
    QTemporaryDir m_place;
    std::unique_ptr<SnapshotStore> m_store;
    QDateTime m_clock = QDateTime::currentDateTimeUtc().addSecs(-3600);

    // The store blocks, so it is asked beside the event loop.
    template <typename T>
    Result<T> aside(std::function<Result<T>()> work)
    {
        return await(offload<T>(std::move(work)));
    }
    Result<Done> put(const SnapshotKey &key, qint64 size, int secondsLater = 1)
    {
        m_clock = m_clock.addSecs(secondsLater);
        return aside<Done>([this, key, size]() -> Result<Done> {
            auto writer = m_store->create(key);
            if (!writer)
                return Unexpected<Error>{writer.error()};
            const Result<Done> written = (*writer)->write(bytesOf(key, size));
            SnapshotFacts facts;
            facts.cell = 1;
            facts.created = m_clock;
            return written ? (*writer)->commit(facts) : written;
        });
    }
    // "" when it is there whole, else why not. `fresh`: as a server with an empty disk would find it.
    QString look(const SnapshotKey &key, qint64 size, bool fresh = true)
    {
        QTemporaryDir empty;
        std::unique_ptr<SnapshotStore> other;
        SnapshotStore *store = m_store.get();
        if (m_database.isUp() && fresh) {
            other = SnapshotStore::inDatabase(empty.path(), *m_database, 10 * kMb);
            store = other.get();
        }
        const Result<Done> seen = aside<Done>([store, key, size]() -> Result<Done> {
            auto opened = store->open(key);
            if (!opened)
                return Unexpected<Error>{opened.error()};
            QByteArray bytes(size, '\0');
            if (::pread(opened->descriptor.get(), bytes.data(), size_t(size), opened->offset) != size || bytes != bytesOf(key, size))
                return fail(ErrorCode::Internal, QStringLiteral("other bytes"));
            return Done{};
        });
        if (!seen && seen.error().code != ErrorCode::Conflict && seen.error().code != ErrorCode::NotFound)
            return QStringLiteral("unexpected: ") + seen.error().text();
        return seen ? QString() : seen.error().message;
    }

private Q_SLOTS:
    void cap_data()
    {
        QTest::addColumn<bool>("database");
        QTest::newRow("disk") << false;
        QTest::newRow("database") << true;
    }
    void cap()
    {
        QFETCH(bool, database);
        if (database) {
            const QString problem = m_database.start();
            QVERIFY2(problem.isEmpty(), qPrintable(problem));
        }
        const QString directory = m_place.filePath(database ? QStringLiteral("copies") : QStringLiteral("disk"));
        m_store = database ? SnapshotStore::inDatabase(directory, *m_database, 10 * kMb) : SnapshotStore::onDisk(directory, 10 * kMb);
        const QString owner = QStringLiteral("owner");
        const SnapshotKey a{owner, QStringLiteral("a"), {}}, b{owner, QStringLiteral("b"), {}}, c{owner, QStringLiteral("c"), {}},
            d{owner, QStringLiteral("d"), {}}, e{owner, QStringLiteral("e"), {}}, named{owner, QStringLiteral("b"), QStringLiteral("good")},
            job{QStringLiteral(".jobs"), QStringLiteral("j"), {}};
        const qint64 size = 3 * kMb;

        // The oldest makes room, and says so.
        QVERIFY(put(a, size) && put(b, size) && put(c, size));
        QCOMPARE(look(a, size), QString());
        QVERIFY(put(a, size)); // in place of itself
        QVERIFY(put(d, size));
        const QString gone = look(b, size);
        QVERIFY2(gone.contains(u"make room") && gone.contains(u"SNAPSHOTS_TOTAL_MB"), qPrintable(gone));
        for (const SnapshotKey &key : {a, c, d})
            QCOMPARE(look(key, size), QString());

        // What fits nowhere takes nothing from others.
        const Result<Done> huge = put(e, 11 * kMb);
        QVERIFY(!huge);
        QCOMPARE(huge.error().code, ErrorCode::TooLarge);
        QVERIFY2(huge.error().text().contains(u"SNAPSHOTS_TOTAL_MB") && huge.error().text().contains(u"delete_session"), qPrintable(huge.error().text()));
        for (const SnapshotKey &key : {a, c, d})
            QCOMPARE(look(key, size), QString());

        // Checkpoints that somebody named, and states of jobs, never make room.
        QVERIFY(put(named, size)); // c goes
        QVERIFY(put(job, size));   // a goes
        QVERIFY(look(c, size).contains(u"make room"));
        QVERIFY(put(a, size)); // d goes
        QVERIFY(look(d, size).contains(u"make room"));
        const Result<Done> full = put(e, 5 * kMb);
        QVERIFY(!full && full.error().code == ErrorCode::TooLarge);
        for (const SnapshotKey &key : {named, job, a})
            QCOMPARE(look(key, size), QString());

        // Known without reading; and a dropped one can be written again.
        const Result<SnapshotFacts> facts = aside<SnapshotFacts>([this, d] { return m_store->facts(d); });
        QVERIFY(facts && (database || facts->size == 0));
        QVERIFY(put(d, size)); // a goes
        QCOMPARE(look(d, size), QString());
        QVERIFY(look(a, size).contains(u"make room"));

        // After a restart the same counts.
        m_store.reset();
        m_store = database ? SnapshotStore::inDatabase(directory, *m_database, 10 * kMb) : SnapshotStore::onDisk(directory, 10 * kMb);
        QVERIFY(put(c, size));
        QVERIFY(look(d, size).contains(u"make room"));
        QCOMPARE(look(named, size), QString());

        // Copies beside the database keep to the limit too; what the database lacks (e, which did not fit there) is no copy.
        if (database) {
            qint64 bytes = 0;
            for (const char *each : {"owner/a/latest", "owner/b/latest", "owner/c/latest", "owner/d/latest", "owner/b/named-good", ".jobs/j/latest"})
                bytes += QFile(directory + u'/' + QLatin1String(each) + QStringLiteral(".snapshot")).size();
            QVERIFY2(bytes <= 10 * kMb, qPrintable(QString::number(bytes)));
            QCOMPARE(look(e, 5 * kMb, false), QString());
        }
        m_store.reset();
    }

    // Which ones make room is told apart when they are of one instant.
    void ofOneInstant()
    {
        if (!m_database.isUp())
            QCOMPARE(m_database.start(), QString());
        m_database.number("DELETE FROM power.snapshots");
        m_store = SnapshotStore::inDatabase(m_place.filePath(QStringLiteral("instant")), *m_database, 10 * kMb);
        const auto key = [](const char *session) { return SnapshotKey{QStringLiteral("owner"), QLatin1String(session), {}}; };
        const qint64 size = 3 * kMb;
        QVERIFY(put(key("a"), size) && put(key("b"), size, 0) && put(key("c"), size, 0));
        const Result<Done> more = put(key("d"), size);
        QVERIFY2(more, more ? "" : qPrintable(more.error().text()));
        QVERIFY(look(key("a"), size).contains(u"make room"));
        for (const char *stays : {"b", "c", "d"})
            QCOMPARE(look(key(stays), size), QString());
        m_store.reset();
    }

    // A named one that fails, or that a crash ends, leaves the one before: its variables with its files.
    void bothOrNeither_data()
    {
        QTest::addColumn<bool>("inDatabase");
        QTest::newRow("disk") << false;
        QTest::newRow("database") << true;
    }
    void bothOrNeither()
    {
        QFETCH(bool, inDatabase);
        if (inDatabase && !m_database.isUp())
            QCOMPARE(m_database.start(), QString());
        QTemporaryDir place;
        const QString kept = place.filePath(QStringLiteral("kept"));
        const auto open = [&] {
            return inDatabase ? SnapshotStore::inDatabase(kept, *m_database, 0) : SnapshotStore::onDisk(kept, 0);
        };
        m_store = open();
        const auto all = workspace::Workspaces::open(place.filePath(QStringLiteral("spaces")));
        QVERIFY(all);
        const std::shared_ptr<workspace::Workspace> space = *(*all)->openSession({}, QStringLiteral("both"));
        const auto write = [&](const QByteArray &text) {
            QFile file(space->hostPath() + QStringLiteral("/a.txt"));
            return file.open(QIODevice::WriteOnly) && file.write(text) == text.size();
        };
        const SnapshotKey latest{QStringLiteral("owner"), QStringLiteral("both"), {}}, good{QStringLiteral("owner"), QStringLiteral("both"), QStringLiteral("good")};
        const auto keep = [&](const SnapshotKey &from, qint64 limit) {
            return aside<int>([&, from, limit] { return m_store->keep(from, good, *space, limit); });
        };
        const auto backIs = [&](const QByteArray &text) {
            const Result<QStringList> back = aside<QStringList>([&] { return m_store->putFilesBack(good, *space); });
            QFile file(space->hostPath() + QStringLiteral("/a.txt"));
            return back && back->size() == 1 && file.open(QIODevice::ReadOnly) && file.readAll() == text;
        };
        QVERIFY(put(latest, 1000) && write("first"));
        const Result<int> first = keep(latest, kMb);
        QVERIFY2(first && *first == 1, first ? "" : qPrintable(first.error().text()));
        const auto facts = aside<SnapshotFacts>([&] { return m_store->facts(good); });
        QVERIFY(facts && facts->about.value(QStringLiteral("files")).toInt() == 1);
        // No variables to go with the files; too much.
        QVERIFY(write("second"));
        QVERIFY(!keep({QStringLiteral("owner"), QStringLiteral("nobody"), {}}, kMb));
        QVERIFY(!keep(latest, 3));
        QVERIFY(backIs("first"));
        // What a crash left of another one goes.
        const QString left = kept + QStringLiteral("/owner/both/files-good~01234567");
        QVERIFY(QDir().mkpath(left));
        m_store.reset();
        m_store = open();
        QVERIFY(inDatabase || !QDir(left).exists());
        QVERIFY(backIs("first"));
        QVERIFY(write("second") && put(latest, 2000));
        QVERIFY(keep(latest, kMb));
        QVERIFY(backIs("second"));
        QVERIFY(aside<Done>([&]() -> Result<Done> {
            const auto opened = m_store->open(good);
            return opened && opened->facts.size == 2000 ? Result<Done>(Done{}) : fail(ErrorCode::Internal, QStringLiteral("other variables"));
        }));
        if (!inDatabase) { // the new variables are in place when only that is not confirmed: the new files belong to them
            FailSync disk;
            QVERIFY(write("third") && disk.next("fsync", "/owner/both$", 1)); // the first is of the files' own directory
            QVERIFY(!keep(latest, kMb) && disk.isDone());
            QVERIFY(backIs("third"));
        }
        QCOMPARE(QDir(kept + QStringLiteral("/owner/both")).entryList({QStringLiteral("files-*")}).size(), inDatabase ? (QDir(left).exists() ? 1 : 0) : 1);
        QVERIFY(aside<Done>([&]() -> Result<Done> {
            m_store->remove(good);
            return Done{};
        }));
        m_store.reset();
    }

    // All files of a session belong to what is kept of it.
    void manyFiles()
    {
        constexpr int files = 10'050; // more than a listing shows
        QTemporaryDir place;
        const auto all = workspace::Workspaces::open(place.filePath(QStringLiteral("spaces")));
        QVERIFY(all);
        const std::shared_ptr<workspace::Workspace> space = *(*all)->openSession({}, QStringLiteral("many"));
        for (int i = 0; i < files; ++i) {
            QFile file(space->hostPath() + QStringLiteral("/%1").arg(i));
            QVERIFY(file.open(QIODevice::WriteOnly));
        }
        m_store = SnapshotStore::onDisk(place.filePath(QStringLiteral("kept")), 0);
        const SnapshotKey latest{QStringLiteral("owner"), QStringLiteral("many"), {}};
        QVERIFY(put(latest, 1000));
        const Result<int> kept = m_store->keep(latest, {QStringLiteral("owner"), QStringLiteral("many"), QStringLiteral("good")}, *space, kMb);
        QVERIFY(kept);
        m_store.reset();
        QCOMPARE(*kept, files);
    }

    void cleanupTestCase()
    {
        m_store.reset();
        m_database.stop();
    }
};

QTEST_GUILESS_MAIN(tst_SnapshotCap)
#include "tst_snapshot_cap.moc"
