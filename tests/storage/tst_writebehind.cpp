// Records keep their order through a database that goes away and comes back.
#include "../base/FailSync.h"
#include "ClusterFixture.h"
#include "storage/Sql.h"
#include "storage/WriteBehind.h"
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QSignalSpy>
#include <QTest>

using namespace power;
using namespace power::storage;
using namespace std::chrono_literals;

namespace {
QJsonObject numbered(int number)
{
    return {{QStringLiteral("n"), number}};
}

Result<Done> insertAll(QSqlDatabase &connection, const QList<QJsonObject> &records)
{
    for (const QJsonObject &record : records) {
        const int number = record.value(QStringLiteral("n")).toInt();
        if (number < 0)
            return fail(ErrorCode::InvalidArgument, QStringLiteral("a record that can never be stored"));
        const auto done = query(connection, "INSERT INTO probe (n) VALUES ($1) ON CONFLICT DO NOTHING", {number});
        if (!done)
            return Unexpected<Error>{done.error()};
    }
    return Done{};
}
} // namespace

class TestWriteBehind : public QObject
{
    Q_OBJECT
    test::ClusterFixture m_fixture;
    std::unique_ptr<Database> m_database;

    QString spool() const { return m_fixture.path() + QStringLiteral("/spool"); }
    // The numbers in the order in which they were stored.
    QString stored()
    {
        Job<QString> job = [](QSqlDatabase &connection) -> Result<QString> {
            const auto rows = query(connection, "SELECT coalesce(string_agg(n::text, ',' ORDER BY position), '') FROM probe");
            if (!rows)
                return Unexpected<Error>{rows.error()};
            return rows->text(0, 0);
        };
        const auto got = test::await(m_database->run<QString>(Lane::Short, 5s, job));
        return got ? *got : got.error().text();
    }
    static QString numbers(int from, int to)
    {
        QStringList list;
        for (int number = from; number <= to; ++number)
            list += QString::number(number);
        return list.join(u',');
    }
    void empty()
    {
        Job<Done> job = [](QSqlDatabase &connection) { return script(connection, "TRUNCATE probe"); };
        QVERIFY(test::await(m_database->run<Done>(Lane::Short, 5s, job)));
    }

private Q_SLOTS:
    void initTestCase()
    {
        const QString problem = m_fixture.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        m_database = std::make_unique<Database>(Database::Config{m_fixture.url()});
        QVERIFY(test::await(m_database->start()));
        Job<Done> job = [](QSqlDatabase &connection) {
            return script(connection, "CREATE TABLE power.probe (position serial, n int PRIMARY KEY)");
        };
        QVERIFY(test::await(m_database->run<Done>(Lane::Short, 5s, job)));
    }
    void cleanupTestCase()
    {
        QCoro::waitFor(m_database->stop());
        m_database.reset();
    }
    void init()
    {
        empty();
        QFile::remove(spool());
    }

    void recordsArriveSoonAndInOrder()
    {
        WriteBehind writer(*m_database, spool(), insertAll);
        QElapsedTimer clock;
        clock.start();
        for (int number = 1; number <= 1200; ++number)
            writer.append(numbered(number));
        QVERIFY(clock.elapsed() < 50);
        QTRY_COMPARE_WITH_TIMEOUT(writer.pending(), 0, 5000);
        QCOMPARE(stored(), numbers(1, 1200));
        writer.append(numbered(1201));
        QVERIFY(test::await(writer.flush()));
        QCOMPARE(stored(), numbers(1, 1201));
        QCOMPARE(writer.dropped(), 0);
    }

    void aLostDatabaseSpoolsAndReplaysInOrder()
    {
        {
            WriteBehind writer(*m_database, spool(), insertAll);
            for (int number = 1; number <= 10; ++number)
                writer.append(numbered(number));
            QVERIFY(test::await(writer.flush()));
            QCoro::waitFor(m_fixture.cluster().stop());
            QTRY_VERIFY_WITH_TIMEOUT(!m_database->isConnected(), 10'000);
            for (int number = 11; number <= 700; ++number)
                writer.append(numbered(number));
            QVERIFY(test::await(writer.flush()));
            QCOMPARE(writer.pending(), 690);
            QVERIFY(QFile(spool()).size() > 690);
            for (int number = 701; number <= 710; ++number)
                writer.append(numbered(number));
        } // the server ends while the database is away
        {
            QFile file(spool());
            QVERIFY(file.open(QIODevice::Append));
            file.write("{\"n\":99"); // cut by a power failure
        }
        WriteBehind writer(*m_database, spool(), insertAll);
        QCOMPARE(writer.pending(), 700);
        writer.append(numbered(711));
        const QString problem = m_fixture.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        QTRY_VERIFY_WITH_TIMEOUT(m_database->isConnected(), 20'000);
        writer.append(numbered(712));
        QTRY_COMPARE_WITH_TIMEOUT(writer.pending(), 0, 20'000);
        QCOMPARE(stored(), numbers(1, 712));
        QCOMPARE(QFile(spool()).size(), 0);
        QCOMPARE(writer.dropped(), 0);
    }

    void aRecordThatCannotBeStoredHoldsNobodyUp()
    {
        WriteBehind writer(*m_database, spool(), insertAll);
        for (const int number : {1, 2, -1, 3})
            writer.append(numbered(number));
        QVERIFY(test::await(writer.flush()));
        QCOMPARE(stored(), numbers(1, 3));
        QCOMPARE(writer.dropped(), 1);
    }

    // As without a descriptor to open it with: it is tried again, and nothing of it is cut off.
    void aSpoolThatCannotBeReadIsKept()
    {
        const QString path = m_fixture.path() + QStringLiteral("/unread"), aside = path + QStringLiteral(".aside");
        {
            Database away(Database::Config{QStringLiteral("postgres://nobody@127.0.0.1:1/none")});
            WriteBehind writer(away, path, insertAll);
            writer.append(numbered(5));
            QVERIFY(test::await(writer.flush()));
        }
        WriteBehind writer(*m_database, path, insertAll);
        QCOMPARE(writer.pending(), 1);
        QVERIFY(QFile::rename(path, aside) && QDir().mkdir(path));
        QVERIFY(test::await(writer.flush())); // a round in which it cannot be read
        QCOMPARE(writer.pending(), 1);
        QVERIFY(QDir().rmdir(path) && QFile::rename(aside, path));
        QTRY_COMPARE_WITH_TIMEOUT(writer.pending(), 0, 10'000);
        QCOMPARE(stored(), numbers(5, 5));
    }

    // The server makes no directory for it, and is killed before the database is back.
    // A sync that failed proves nothing when it is repeated: the lines are written anew, once, and acknowledged then only.
    void aDiskThatDoesNotTakeItOnce()
    {
        FailSync disk;
        Database away({QStringLiteral("postgresql://nobody@127.0.0.1:1/none")});
        for (const QByteArray &place : {QFile::encodeName(spool()), QFile::encodeName(m_fixture.path())}) { // the file; a new one's name
            QFile::remove(spool());
            WriteBehind writer(away, spool(), insertAll);
            if (place.endsWith("/spool")) {
                writer.append(numbered(1));
                QVERIFY(test::await(writer.flush()));
            }
            QVERIFY(disk.next("fsync", place));
            writer.append(numbered(2));
            const auto failed = test::await(writer.flush());
            QVERIFY(disk.isDone());
            QVERIFY(!failed && failed.error().code == ErrorCode::Unavailable);
            QCOMPARE(QFile::exists(spool()), place.endsWith("/spool")); // without its name it is not there to be added to
            writer.append(numbered(3));
            QVERIFY(test::await(writer.flush()));
            QFile file(spool());
            QVERIFY(file.open(QIODevice::ReadOnly));
            QCOMPARE(file.readAll(), QByteArray(place.endsWith("/spool") ? "{\"n\":1}\n" : "") + "{\"n\":2}\n{\"n\":3}\n");
        }
    }

    void theSpoolMakesItsDirectory()
    {
        const QString path = m_fixture.path() + QStringLiteral("/not/there/yet");
        Database away(Database::Config{QStringLiteral("postgres://nobody@127.0.0.1:1/none")});
        WriteBehind writer(away, path, insertAll);
        writer.append(numbered(1));
        QVERIFY(test::await(writer.flush()));
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly) && file.readAll().contains("1"));
        QCOMPARE(QFileInfo(path).permission(QFile::ReadOther | QFile::ReadGroup), false);
    }

    void neitherDatabaseNorDiskIsNotDurable()
    {
        Database away(Database::Config{QStringLiteral("postgres://nobody@127.0.0.1:1/none")});
        WriteBehind writer(away, QStringLiteral("/proc/none/spool"), insertAll);
        writer.append(numbered(1));
        const Result<Done> durable = test::await(writer.flush());
        QVERIFY(!durable && durable.error().code == ErrorCode::Unavailable);
        QCOMPARE(writer.pending(), 1);
    }

    void neitherDatabaseNorDiskDropsTheNewest()
    {
        Database away(Database::Config{QStringLiteral("postgres://nobody@127.0.0.1:1/none")});
        WriteBehind writer(away, QStringLiteral("/proc/none/spool"), insertAll);
        for (int number = 1; number <= 50'010; ++number)
            writer.append(numbered(number));
        QCOMPARE(writer.pending(), 50'000);
        QCOMPARE(writer.dropped(), 10);
    }
};

QTEST_GUILESS_MAIN(TestWriteBehind)
#include "tst_writebehind.moc"
