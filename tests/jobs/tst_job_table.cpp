// The queue itself on a real PostgreSQL: order, homes, leases, fences.
#include "jobs/JobTable.h"
#include "storage/TestDatabase.h"
#include <QTest>
#include <QUuid>

using namespace power;
using namespace power::jobs;
using namespace std::chrono_literals;

class TestJobTable : public QObject
{
    Q_OBJECT
    storage::test::TestDatabase m_database;

    template <typename T, typename Work>
    T run(Work work)
    {
        Result<T> got = m_database.ask<T>(std::move(work));
        if (!got)
            qWarning() << got.error().message << got.error().details;
        return got ? *got : T();
    }
    QString add(const char *session, Order order = {}, const QString &home = {})
    {
        order.key = {QStringLiteral("owner"), {}, QLatin1String(session)};
        order.code = "1";
        table::Insertion insertion{QUuid::createUuid().toString(QUuid::WithoutBraces), home, {}, 15, order, {}};
        return run<table::Inserted>([insertion](QSqlDatabase &db) { return table::insert(db, insertion); }).id;
    }
    QStringList claim(const char *node, int most = 10)
    {
        const QList<Job> jobs = run<QList<Job>>([node, most](QSqlDatabase &db) { return table::claim(db, QLatin1String(node), most, 15); });
        QStringList ids;
        for (const Job &job : jobs) {
            ids << job.id;
            m_fences[job.id] = job.fence;
        }
        return ids;
    }
    table::Pulse beat(const char *node, const QList<table::Beat> &beats = {})
    {
        return run<table::Pulse>([node, beats](QSqlDatabase &db) { return table::beat(db, QLatin1String(node), QStringLiteral("i"), beats, 15); });
    }
    std::optional<QString> finish(const QString &id, qint64 fence, const QString &state, bool notStarted = false)
    {
        Ending ending;
        ending.state = state;
        ending.message = QStringLiteral("with \0 in it").left(4) + QChar(0);
        ending.notStarted = notStarted;
        return run<std::optional<QString>>([=](QSqlDatabase &db) { return table::finish(db, id, fence, ending); });
    }
    Job find(const QString &id)
    {
        return *run<std::optional<Job>>([id](QSqlDatabase &db) { return table::find(db, id, {}, table::Part::Answer); });
    }
    void sql(const QByteArray &text)
    {
        run<Done>([text](QSqlDatabase &db) { return storage::script(db, text); });
    }
    QHash<QString, qint64> m_fences;

private Q_SLOTS:
    void initTestCase()
    {
        QCOMPARE(m_database.start(), QString());
    }
    void cleanupTestCase()
    {
        m_database.stop();
    }
    void init() { sql("TRUNCATE power.jobs CASCADE; TRUNCATE power.nodes"); }

    void orderAndFences()
    {
        const QString low = add("s");
        Order urgent;
        urgent.priority = 5;
        const QString high = add("s", urgent);
        Order later;
        later.notBefore = QDateTime::currentDateTimeUtc().addSecs(60);
        add("s", later);
        QCOMPARE(claim("a", 1), QStringList{high});
        QCOMPARE(claim("b"), QStringList{low});
        QVERIFY(m_fences[low] > m_fences[high]);
        QVERIFY(claim("a").isEmpty());
        QVERIFY(!finish(low, m_fences[low] - 1, state::succeeded)); // another's fence
        QCOMPARE(finish(low, m_fences[low], state::succeeded).value_or(QString()), state::succeeded);
        QVERIFY(!finish(low, m_fences[low], state::failed)); // final is final
        QCOMPARE(find(low).state, state::succeeded);
        QCOMPARE(find(low).attempts, 1);
    }

    void homeIsWaitedFor()
    {
        beat("a");
        const QString id = add("s", {}, QStringLiteral("a"));
        QVERIFY(claim("b").isEmpty());
        sql("UPDATE power.nodes SET seen_at = now() - interval '2 minutes'");
        QCOMPARE(claim("b"), QStringList{id});
    }

    void lostLeases()
    {
        Order again;
        again.requeueIfLost = true;
        const QString one = add("s"), two = add("s", again), three = add("s");
        QCOMPARE(claim("a").size(), 3);
        run<table::Cancelling>([three](QSqlDatabase &db) { return table::cancel(db, three, QStringLiteral("owner")); });
        QList<table::Beat> beats{{one, QStringLiteral("so far"), m_fences[one], 6, {}, true}};
        QVERIFY(beat("a", beats).held.contains(one));
        QCOMPARE(find(one).tail, QStringLiteral("so far"));
        QVERIFY(beat("b").ended.isEmpty());
        sql("UPDATE power.jobs SET lease_until = now() - interval '1 second'");
        const table::Pulse pulse = beat("b");
        QCOMPARE(QSet<QString>(pulse.ended.cbegin(), pulse.ended.cend()), QSet<QString>({one, three}));
        QVERIFY(pulse.requeued);
        QCOMPARE(find(one).state, state::interrupted);
        QCOMPARE(find(one).cause, QStringLiteral("server_lost"));
        QCOMPARE(find(three).state, state::cancelled);
        QVERIFY(!finish(one, m_fences[one], state::succeeded));
        QVERIFY(!finish(two, m_fences[two], state::succeeded));
        QVERIFY(beat("a", beats).held.isEmpty());
        QCOMPARE(claim("b"), QStringList{two});
        QCOMPARE(finish(two, m_fences[two], state::succeeded).value_or(QString()), state::succeeded);
        QCOMPARE(find(two).attempts, 2);
        const QJsonArray attempts = run<QJsonArray>([two](QSqlDatabase &db) { return table::attempts(db, two); });
        QCOMPARE(attempts.at(0).toObject().value(QStringLiteral("ending")).toString(), QStringLiteral("requeued"));
        QCOMPARE(attempts.at(1).toObject().value(QStringLiteral("ending")).toString(), state::succeeded);
    }

    void againAndAgain()
    {
        Order order;
        order.maxAttempts = 2;
        const QString id = add("s", order);
        claim("a");
        QCOMPARE(finish(id, m_fences[id], state::failed, true).value_or(QString()), state::queued); // not begun: not counted
        QCOMPARE(find(id).attempts, 0);
        for (const QString &expected : {state::queued, state::failed}) {
            sql("UPDATE power.jobs SET not_before = now() - interval '1 second'");
            QCOMPARE(claim("a"), QStringList{id});
            QCOMPARE(finish(id, m_fences[id], state::failed).value_or(QString()), expected);
        }
        QCOMPARE(find(id).attempts, 2);
        const QString other = add("s", order);
        claim("a");
        QCOMPARE(finish(other, m_fences[other], state::timedOut).value_or(QString()), state::timedOut); // not what trying again would mend
    }

    void cancelling()
    {
        const auto cancel = [this](const QString &id, const char *who = "owner") {
            return run<table::Cancelling>([id, who](QSqlDatabase &db) { return table::cancel(db, id, QLatin1String(who)); });
        };
        const QString id = add("s");
        QVERIFY(cancel(id, "somebody") == table::Cancelling::NoSuchJob);
        QVERIFY(cancel(id) == table::Cancelling::Done);
        QVERIFY(cancel(id) == table::Cancelling::WasOver);
        QVERIFY(claim("a").isEmpty());
        const QString runs = add("s");
        claim("a");
        QVERIFY(cancel(runs) == table::Cancelling::Asked);
        QVERIFY(beat("a", {{runs, {}, m_fences[runs], 0, {}, false}}).held.value(runs)); // told to its server
    }

    void listAndPrune()
    {
        const QString id = add("one");
        add("two");
        claim("a", 1);
        finish(id, m_fences[id], state::timedOut);
        const auto list = [this](const Filter &filter) { return run<QList<Job>>([filter](QSqlDatabase &db) { return table::list(db, filter); }); };
        QCOMPARE(list({QStringLiteral("owner"), {}, {}, 50}).size(), 2);
        QCOMPARE(list({QStringLiteral("owner"), QStringLiteral("one"), {}, 50}).size(), 1);
        QCOMPARE(list({QStringLiteral("owner"), {}, statesOf(QStringLiteral("failed")), 50}).size(), 1);
        QCOMPARE(list({QStringLiteral("other"), {}, {}, 50, true}).size(), 0);
        sql("UPDATE power.jobs SET completed_at = now() - interval '2 days' WHERE completed_at IS NOT NULL");
        QCOMPARE(run<int>([](QSqlDatabase &db) { return table::prune(db, 24); }) >= 0, true);
        QCOMPARE(list({QStringLiteral("owner"), {}, {}, 50}).size(), 1);
    }
};

QTEST_GUILESS_MAIN(TestJobTable)
#include "tst_job_table.moc"
