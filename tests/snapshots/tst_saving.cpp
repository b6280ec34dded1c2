// Which states are written when: slow ones among others, and at the end of the server.
#include "HostRig.h"
#include "sessions/LastSaving.h"
#include "sessions/LiveSession.h"
#include <QElapsedTimer>

using namespace rig;
using namespace power::sessions;

class tst_Saving : public QObject
{
    Q_OBJECT

    using Live = std::shared_ptr<LiveSession>;
    std::unique_ptr<Rig> m_rig;
    std::unique_ptr<files::SnapshotStore> m_store;
    std::unique_ptr<Snapshots> m_snapshots;
    QList<Live> m_sessions;
    int m_made = 0;

    // Writing it takes a minute.
    static QByteArray slow() { return "import time\nclass Slow:\n    def __reduce__(self): time.sleep(60); return (int, ())\nslow = Slow()"; }

    // One whose first run has ended.
    Live session(const QByteArray &code)
    {
        const auto made = std::make_shared<LiveSession>();
        made->key = {QStringLiteral("owner"), {}, QStringLiteral("s%1").arg(++m_made)};
        made->kernel = m_rig->spawn();
        run(*made->kernel, code);
        m_snapshots->noteRun(made);
        m_sessions << made;
        return made;
    }
    int storedCell(const Live &session) const
    {
        const auto facts = m_store->facts(Snapshots::keyOf(session->key));
        return facts ? facts->cell : -1;
    }
    static QString reasonOf(const QList<LastSaving::Lost> &lost, const Live &session)
    {
        for (const LastSaving::Lost &one : lost) {
            if (one.session == session)
                return one.reason;
        }
        return {};
    }
    // As a call does: its session's turn until the run has ended.
    static QCoro::Task<> runInTurn(Live session, RunRequest wanted, Snapshots *snapshots)
    {
        const std::chrono::milliseconds patience{1000};
        const CancelToken none;
        const auto turn = co_await session->queue.enter(patience, none);
        co_await session->kernel->run(std::move(wanted));
        snapshots->noteRun(session);
    }
    static QCoro::Task<> keepTurn(Live session, std::chrono::milliseconds time)
    {
        const std::chrono::milliseconds patience{1000};
        const CancelToken none;
        const auto turn = co_await session->queue.enter(patience, none);
        const OneShot<Done> end;
        const Result<Done> ended = co_await end.wait(time, none);
        Q_UNUSED(ended);
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_rig = std::make_unique<Rig>();
        QVERIFY(m_rig->start());
        m_store = files::SnapshotStore::onDisk(m_rig->directory.filePath(QStringLiteral("snapshots")));
        m_snapshots = std::make_unique<Snapshots>(Snapshots::Config{}, *m_store, *m_rig->host);
    }
    void cleanup()
    {
        for (const Live &each : std::as_const(m_sessions)) {
            each->deleted = true;
            await(each->kernel->stop());
        }
        for (const Live &each : std::as_const(m_sessions))
            QTRY_VERIFY(!each->snapshot.saving);
        m_sessions.clear();
    }
    void cleanupTestCase()
    {
        m_snapshots.reset();
        m_store.reset();
        m_rig->stop();
        m_rig.reset();
    }

    // As many slow ones as one principal may have; the others still come to theirs, and a further slow one waits.
    void slowOnesOfOneHoldUpNobody()
    {
        for (int i = 0; i < 12; ++i)
            m_snapshots->save(session(slow()));
        for (const Live &each : std::as_const(m_sessions))
            QTRY_VERIFY_WITH_TIMEOUT(Snapshots::isSlow(*each), 10'000);
        const Live oneMore = session(slow());
        QTRY_VERIFY_WITH_TIMEOUT(oneMore->snapshot.saving, 10'000);
        const Live quick = session("kept = 1");
        QTRY_COMPARE_WITH_TIMEOUT(storedCell(quick), 1, 10'000);
        // Its end may be heard of after the quick one is written.
        QTRY_VERIFY(!oneMore->snapshot.saving && oneMore->snapshot.knownSlow && oneMore->snapshot.isDirty());
        QVERIFY(m_snapshots->problemOf(*oneMore).isEmpty());
        for (int i = 0; i < 12; ++i)
            QVERIFY(m_sessions.at(i)->snapshot.saving);
        QTest::qWait(1000);
        QVERIFY(!oneMore->snapshot.saving);
        m_sessions.first()->deleted = true;
        await(m_sessions.first()->kernel->stop());
        QTRY_VERIFY_WITH_TIMEOUT(oneMore->snapshot.saving, 10'000);
        run(*quick->kernel, "kept = 2");
        m_snapshots->noteRun(quick);
        QTRY_COMPARE_WITH_TIMEOUT(storedCell(quick), 2, 10'000);
    }

    // As many slow ones as are begun at once, and one behind them.
    void theLastOneIsSavedBehindSlowOnes()
    {
        for (int i = 0; i < 9; ++i)
            session(slow());
        const Live quick = session("kept = 1");
        QElapsedTimer clock;
        clock.start();
        LastSaving saving(*m_snapshots, 6s);
        const QList<LastSaving::Lost> lost = await(saving.run(m_sessions));
        QVERIFY2(clock.elapsed() < 9'000, qPrintable(QString::number(clock.elapsed())));
        QCOMPARE(storedCell(quick), 1);
        QCOMPARE(lost.size(), 9);
        for (int i = 0; i < 9; ++i)
            QCOMPARE(reasonOf(lost, m_sessions.at(i)), QStringLiteral("it was not written within 6 s"));
    }

    // A run is unwinding when the server ends: its state is saved behind it, if it ends in time.
    void runsThatUnwindAreWaitedFor()
    {
        const Live unwinding = session("kept = 1"), stuck = session("kept = 1"), dead = session("kept = 1");
        keepTurn(unwinding, 1s);
        keepTurn(stuck, 5s);
        await(dead->kernel->stop());
        dead->lossReason = QStringLiteral("it was killed");
        const Live running = session("kept = 1");
        RunRequest endless = request("import time\nwhile True: time.sleep(1)", 100s);
        runInTurn(running, std::move(endless), m_snapshots.get());
        QTest::qWait(300);
        LastSaving saving(*m_snapshots, 3s);
        const QList<LastSaving::Lost> lost = await(saving.run(m_sessions));
        QCOMPARE(storedCell(unwinding), 1);
        QCOMPARE(storedCell(running), 2);
        QCOMPARE(lost.size(), 2);
        QCOMPARE(reasonOf(lost, stuck), QStringLiteral("what ran in the session did not end within 3 s"));
        QCOMPARE(reasonOf(lost, dead), QStringLiteral("it was killed"));
        QTest::qWait(3'000); // what is left over ends without consequence
        QVERIFY(!stuck->queue.isBusy());
    }

    void withNothingToSaveItEndsAtOnce()
    {
        LastSaving saving(*m_snapshots, 3s);
        const QList<LastSaving::Lost> lost = await(saving.run({}));
        QVERIFY(lost.isEmpty());
    }
};

QTEST_GUILESS_MAIN(tst_Saving)
#include "tst_saving.moc"
