// SNAPSHOTS_TOTAL_MB: which kept states make room for a new one, that whose they were is told, and that nothing goes for one
// that does not fit all the same. On disk and in the database.
#include "base/Offload.h"
#include "files/SnapshotStore.h"
#include "storage/ClusterFixture.h"
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

    std::unique_ptr<storage::test::ClusterFixture> m_cluster;
    std::unique_ptr<storage::Database> m_database;
    QTemporaryDir m_place;
    std::unique_ptr<SnapshotStore> m_store;
    QDateTime m_clock = QDateTime::currentDateTimeUtc().addSecs(-3600);

    // The store blocks, so it is asked beside the event loop.
    template <typename T>
    Result<T> aside(std::function<Result<T>()> work)
    {
        return await(offload<T>(std::move(work)));
    }
    Result<Done> put(const SnapshotKey &key, qint64 size)
    {
        m_clock = m_clock.addSecs(1);
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
        if (m_database && fresh) {
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
            m_cluster = std::make_unique<storage::test::ClusterFixture>();
            const QString problem = m_cluster->start();
            QVERIFY2(problem.isEmpty(), qPrintable(problem));
            storage::Database::Config with;
            with.url = m_cluster->url();
            m_database = std::make_unique<storage::Database>(with);
            QVERIFY(await(m_database->start()).ok());
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
    void cleanupTestCase()
    {
        m_store.reset();
        if (m_database)
            QCoro::waitFor(m_database->stop());
        m_database.reset();
        m_cluster.reset();
    }
};

QTEST_GUILESS_MAIN(tst_SnapshotCap)
#include "tst_snapshot_cap.moc"
