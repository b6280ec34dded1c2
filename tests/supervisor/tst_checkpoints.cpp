// Sessions whose kernels die go on from their checkpoints: real kernels, in the best tier of this machine.
#include "HostRig.h"
#include "supervisor/CheckpointPacer.h"
#include <QSignalSpy>
#include <csignal>

using namespace rig;

class TestCheckpoints : public QObject
{
    Q_OBJECT

    Rig m_rig;

    qint64 count(const char *what) const { return qint64(m_rig.host->checkpointReport().value(QLatin1String(what)).toDouble()); }
    // Runs until the session's state is protected.
    bool protect(Kernel &kernel, const QByteArray &code)
    {
        const qint64 before = count("taken");
        const RunOutcome outcome = run(kernel, code);
        return outcome.status == RunStatus::Ok && QTest::qWaitFor([&] { return count("taken") > before; }, 15'000);
    }
    QByteArray result(Kernel &kernel, const QByteArray &code)
    {
        const RunOutcome outcome = run(kernel, code);
        return outcome.status == RunStatus::Ok && !outcome.outputs.isEmpty() ? outcome.outputs.last().parts.value(0).data : describe(outcome);
    }

private Q_SLOTS:
    void initTestCase() { QVERIFY(m_rig.start()); }
    void cleanupTestCase() { m_rig.stop(); }

    void worth()
    {
        CheckpointNeed need;
        need.idle = 5s;
        need.cells = 1;
        QCOMPARE(checkpointWorth(need), 0.0); // not possible
        need.possible = true;
        QVERIFY(checkpointWorth(need) > 0);
        need.idle = 200ms;
        QCOMPARE(checkpointWorth(need), 0.0); // too little to lose for a session in full run
        need.runTime = 5s;
        const double work = checkpointWorth(need);
        QVERIFY(work > 0);
        need.growth = 1 << 30;
        QVERIFY(checkpointWorth(need) > work);
        need.idle = 5ms;
        QCOMPARE(checkpointWorth(need), 0.0); // not even a pause
        need.price = 1s;
        need.idle = 200ms;
        QCOMPARE(checkpointWorth(need), 0.0); // the copy costs more
        need.urgent = true;
        QVERIFY(checkpointWorth(need) > 1e9);
    }

    void endings_data()
    {
        QTest::addColumn<QByteArray>("code");
        QTest::addColumn<QString>("cause");
        QTest::addColumn<int>("seconds");
        QTest::newRow("exit") << QByteArray("y = 2\nx.append(9)\nimport os\nos._exit(3)") << QStringLiteral("exit") << 30;
        QTest::newRow("segfault") << QByteArray("y = 2\nx.append(9)\nimport ctypes\nctypes.string_at(0)") << QStringLiteral("signal") << 30;
        QTest::newRow("abort") << QByteArray("y = 2\nx.append(9)\nimport os\nos.abort()") << QStringLiteral("signal") << 30;
        QTest::newRow("C loop") << QByteArray("y = 2\nx.append(9)\nsum(range(10**12))") << QStringLiteral("timeout") << 1;
        QTest::newRow("channel closed") << QByteArray("y = 2\nx.append(9)\nimport os\nos.closerange(3, 200)") << QStringLiteral("exit") << 30;
        QTest::newRow("memory") << QByteArray("y = 2\nx.append(9)\nimport os\nl = []\n"
                                              "for i in range(8):\n    if os.fork() == 0: break\n"
                                              "while True: l.append(b'x' * (1 << 24))") << QStringLiteral("memory_limit") << 60;
    }
    void endings()
    {
        QFETCH(QByteArray, code);
        QFETCH(QString, cause);
        QFETCH(int, seconds);
        auto kernel = m_rig.spawn();
        QVERIFY(kernel);
        QVERIFY(protect(*kernel, "x = [1]\nimport subprocess\np = subprocess.Popen(['sleep', '300'])"));
        const RunOutcome outcome = run(*kernel, code, std::chrono::seconds(seconds));
        QVERIFY2(outcome.cause == cause, describe(outcome));
        QVERIFY(outcome.status == RunStatus::Died || outcome.status == RunStatus::Killed);
        QVERIFY2(outcome.restored && outcome.variablesSurvived, describe(outcome));
        QCOMPARE(outcome.restored->cell, 1);
        QCOMPARE(outcome.restored->lastLost, 2);
        QCOMPARE(outcome.restored->older, QStringList{QStringLiteral("x")});
        QVERIFY(outcome.restored->gone.contains(QStringLiteral("y")));
        QVERIFY(outcome.restored->text().startsWith(QStringLiteral("The session is restored to after cell 1; cell 2 is lost (no longer there: y")));
        qInfo("%s: able to run %.1f ms after the death", QTest::currentDataTag(), double(outcome.restored->took.count()) / 1000);
        QVERIFY(kernel->isAlive());
        QCOMPARE(result(*kernel, "x, 'y' in globals()"), QByteArray("([1], False)"));
        const RunOutcome next = run(*kernel, "print('fine')");
        QCOMPARE(story(next), QByteArray("o:fine\n"));
        QCOMPARE(next.executionCount, 3);
    }

    void twoDeathsInARow()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 1"));
        for (int i = 0; i < 3; ++i) { // at once, without a pause for the pacer
            const RunOutcome outcome = run(*kernel, "import os\nos._exit(1)");
            QVERIFY2(outcome.restored.has_value(), describe(outcome));
            QCOMPARE(outcome.restored->cell, 1);
        }
        QCOMPARE(result(*kernel, "x"), QByteArray("1"));
    }

    void killedFromOutsideWhileIdle()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 1"));
        QVERIFY(run(*kernel, "y = 1").status == RunStatus::Ok);
        bool died = false;
        kernel->onDeath([&died] { died = true; });
        const qint64 pid = kernel->pid();
        const qint64 restored = count("restored");
        QCOMPARE(::kill(pid_t(pid), SIGKILL), 0);
        QTRY_COMPARE(count("restored"), restored + 1);
        QVERIFY(kernel->isAlive() && kernel->pid() != pid && !died);
        const auto told = kernel->takeRestoration();
        QVERIFY(told && told->cell == 1 && told->lastLost == 2);
        QCOMPARE(told->gone, QStringList{QStringLiteral("y")});
        QVERIFY(!kernel->takeRestoration());
        QCOMPARE(result(*kernel, "x"), QByteArray("1"));
    }

    // The next call comes while the session is going back: its answer is the one that tells. A copy may have answered before
    // anybody looks; then the case is begun again.
    void calledWhileItGoesBack()
    {
        std::unique_ptr<Kernel> kernel;
        bool inTheMiddle = false;
        for (int attempt = 0; attempt < 20 && !inTheMiddle; ++attempt) {
            kernel = m_rig.spawn();
            QVERIFY(protect(*kernel, "x = 1"));
            QVERIFY(run(*kernel, "y = 1").status == RunStatus::Ok);
            const qint64 pid = kernel->pid();
            QCOMPARE(::kill(pid_t(pid), SIGKILL), 0);
            while (kernel->pid() == pid) // in the middle: the copy is chosen, it has not answered
                QCoreApplication::processEvents(QEventLoop::AllEvents | QEventLoop::WaitForMoreEvents, 1);
            inTheMiddle = !kernel->takeRestoration();
        }
        QVERIFY(inTheMiddle);
        const RunOutcome outcome = run(*kernel, "'y' in globals()");
        QVERIFY2(outcome.status == RunStatus::Ok && !outcome.restored, describe(outcome));
        const auto told = kernel->takeRestoration();
        QVERIFY(told && told->cell == 1 && told->lastLost == 2);
    }

    // Nobody called between them: what the first one cost is not forgotten with the second.
    void twoDeathsUntold()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 1"));
        QVERIFY(run(*kernel, "y = 1").status == RunStatus::Ok);
        for (int i = 0; i < 2; ++i) {
            const qint64 restored = count("restored"), taken = count("taken");
            QCOMPARE(::kill(pid_t(kernel->pid()), SIGKILL), 0);
            QTRY_COMPARE(count("restored"), restored + 1);
            QTRY_VERIFY(count("taken") > taken);
        }
        const auto told = kernel->takeRestoration();
        QVERIFY(told && told->cell == 1 && told->lastLost == 2);
        QCOMPARE(told->gone, QStringList{QStringLiteral("y")});
    }

    // The next call is sent before anybody has seen the death.
    void killedJustBeforeACall()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 5"));
        QCOMPARE(::kill(pid_t(kernel->pid()), SIGKILL), 0);
        const RunOutcome outcome = run(*kernel, "x");
        QVERIFY2(outcome.status == RunStatus::Ok || outcome.restored, describe(outcome));
        QCOMPARE(result(*kernel, "x"), QByteArray("5"));
    }

    // A task that waits for the fork of what was just restored has its descriptor all the same.
    void taskBehindARestoration()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 41"));
        QFile file(m_rig.directory.filePath(QStringLiteral("state")));
        QVERIFY(file.open(QIODevice::ReadWrite));
        SnapshotOrder order;
        order.take = [&file](QByteArrayView bytes) -> Result<Done> {
            file.write(bytes.data(), bytes.size());
            return Done{};
        };
        const Result<SnapshotSummary> summary = await(kernel->snapshot(std::move(order)));
        QVERIFY(summary && file.flush());
        for (int round = 0; round < 3; ++round) {
            QVERIFY(protect(*kernel, "x = 1"));
            QVERIFY(run(*kernel, "import os\nos._exit(1)").restored.has_value());
            TaskRequest request;
            request.runId = QStringLiteral("behind%1").arg(round);
            request.task = QStringLiteral("restore");
            request.arguments = {{QStringLiteral("offset"), 0}, {QStringLiteral("size"), file.size()},
                                 {QStringLiteral("count"), 1}, {QStringLiteral("branch"), false}};
            request.descriptor = ::dup(file.handle());
            auto task = kernel->task(std::move(request)); // the caller's own is closed while the task waits
            ::close(request.descriptor);
            const RunOutcome outcome = await(std::move(task));
            QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
            QCOMPARE(result(*kernel, "x"), QByteArray("41"));
        }
    }

    void codeThatKillsItsCheckpoint()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 1"));
        const qint64 lost = count("lost"), taken = count("taken");
        // Every process of the session but itself: in some tiers the limit of signals ends it too.
        run(*kernel, "import os, signal\ntry:\n    os.kill(-1, signal.SIGKILL)\nexcept OSError: pass");
        QTRY_COMPARE(count("lost"), lost + 1);
        QTRY_VERIFY_WITH_TIMEOUT(count("taken") > taken, 15'000); // and another one is made
        QVERIFY(protect(*kernel, "x = 2"));
        QVERIFY(run(*kernel, "import os\nos._exit(1)").restored.has_value());
        QCOMPARE(result(*kernel, "x"), QByteArray("2"));
        // Both at once: nothing is left, and that is said.
        QVERIFY(protect(*kernel, "x = 3"));
        const RunOutcome outcome = run(*kernel, "import os\ntry:\n    os.kill(-1, 9)\nexcept OSError: pass\nos._exit(1)");
        QVERIFY2(!outcome.restored && !outcome.variablesSurvived, describe(outcome));
        QTRY_VERIFY(!kernel->isAlive());
    }

    void nothingToLoseCostsNothing()
    {
        auto kernel = m_rig.spawn();
        const qint64 taken = count("taken");
        QVERIFY(run(*kernel, "1 + 1").status == RunStatus::Ok);
        auto other = m_rig.spawn(); // by the time that its copy is made the first one has had its turn
        QVERIFY(protect(*other, "import time\ntime.sleep(1.5)\nx = 1"));
        QCOMPARE(count("taken"), taken + 1);
        QVERIFY(protect(*kernel, "import time\ntime.sleep(0.3)")); // no variables, but time to lose
    }

    void threadsAreSkippedAndCounted()
    {
        auto kernel = m_rig.spawn();
        const qint64 taken = count("taken");
        QVERIFY(run(*kernel, "import threading, time\npump = threading.Thread(target=time.sleep, args=[300], daemon=True, name='pump')\npump.start()").status == RunStatus::Ok);
        const auto skipped = [this] {
            double all = 0;
            const QJsonObject reasons = m_rig.host->checkpointReport().value(QLatin1String("skipped")).toObject();
            for (const QJsonValue &each : reasons)
                all += each.toDouble();
            return all;
        };
        QTRY_VERIFY_WITH_TIMEOUT(skipped() >= 1, 15'000);
        QCOMPARE(count("taken"), taken);
        const RunOutcome outcome = run(*kernel, "import os\nos._exit(1)"); // as without checkpoints
        QVERIFY(!outcome.restored && !outcome.variablesSurvived);
    }

    void aCallWaitsForTheForkAtMost()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "d = np.full(1 << 23, 1.5)"));
        std::chrono::microseconds longest{0};
        const qint64 before = count("taken");
        for (int i = 0; i < 400 && count("taken") < before + 2; ++i) {
            QTest::qWait(40);
            longest = std::max(longest, run(*kernel, "sum(range(100000))").duration);
        }
        QVERIFY(count("taken") >= before + 2);
        qInfo("longest call beside checkpoints of 64 MB: %.1f ms", double(longest.count()) / 1000);
    }

    void figuresAndHistoryGoOn()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "lines = plt.plot([1]); plt.show()\n7"));
        const RunOutcome lost = run(*kernel, "plt.plot([2]); plt.show()\nimport os\nos._exit(1)");
        QVERIFY(lost.restored.has_value());
        const RunOutcome outcome = run(*kernel, "plt.plot([3]); plt.show()\n_ + len(In)");
        QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
        QStringList names;
        for (const OutputEvent &event : outcome.outputs)
            names << event.fileName;
        QVERIFY2(names.contains(QStringLiteral("chart_003.png")), qPrintable(names.join(u' '))); // 002 is kept
        QCOMPARE(outcome.executionCount, 2);
    }

    void stopEndsTheCheckpointToo()
    {
        auto spec = m_rig.spec();
        auto kernel = m_rig.spawn(spec);
        QVERIFY(protect(*kernel, "x = 1"));
        await(kernel->stop());
        QVERIFY(!kernel->isAlive());
        kernel = m_rig.spawn(spec);
        QVERIFY(kernel && run(*kernel, "x").errorName == u"NameError");
    }

    // What both together hold counts; above the limit the copy goes, not the kernel.
    void aCopyAboveTheLimitGoes()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "d = np.full(70 << 20, 1.5)")); // 560 of 1024 MB
        const RunOutcome outcome = run(*kernel, "d += 1\nimport time\ntime.sleep(1.5)");
        QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
        const QJsonObject skipped = m_rig.host->checkpointReport().value(QLatin1String("skipped")).toObject();
        QCOMPARE(skipped.value(QLatin1String("dropped for memory")).toInt(), 1);
        QCOMPARE(result(*kernel, "d[-1]"), QByteArray("np.float64(2.5)"));
    }

    // Its kernels have nobody left who could tell how they end; their copies take over all the same.
    void zygoteIsGone()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 1"));
        const auto zygote = pid_t(m_rig.host->zygoteReport().value(QLatin1String("pid")).toInt());
        QVERIFY(zygote > 1);
        QSignalSpy again(m_rig.host.get(), &KernelHost::ready);
        QCOMPARE(::kill(zygote, SIGKILL), 0);
        QVERIFY(again.wait(60'000));
        const qint64 taken = count("taken");
        const RunOutcome outcome = run(*kernel, "import os\nos._exit(1)");
        QVERIFY2(outcome.restored.has_value(), describe(outcome));
        QCOMPARE(result(*kernel, "x"), QByteArray("1"));
        QTRY_VERIFY_WITH_TIMEOUT(count("taken") > taken, 15'000); // the one that is made at once
        QVERIFY(protect(*kernel, "x = 2"));
        QVERIFY(run(*kernel, "import os\nos.abort()").restored.has_value());
        QCOMPARE(result(*kernel, "x"), QByteArray("2"));
    }

    void signalsToTheCopyAreForgotten()
    {
        auto kernel = m_rig.spawn();
        QVERIFY(protect(*kernel, "x = 1"));
        const RunOutcome outcome = run(*kernel, "import os, signal, time\nfor n in (signal.SIGTERM, signal.SIGHUP, signal.SIGSTOP):\n"
                                                "    try: os.kill(-1, n)\n    except OSError: pass\n"
                                                "os.killpg(0, signal.SIGKILL)");
        QVERIFY2(outcome.restored.has_value(), describe(outcome));
        QCOMPARE(result(*kernel, "x"), QByteArray("1"));
    }

    void jobsNeedNone()
    {
        auto spec = m_rig.spec();
        spec.checkpoints = false;
        auto kernel = m_rig.spawn(spec);
        run(*kernel, "x = 1");
        QTest::qWait(1500);
        QVERIFY(!run(*kernel, "import os\nos._exit(1)").restored.has_value());
    }

    // One at a time for all sessions together, the costliest first.
    void pacedCostliestFirst()
    {
        Rig other;
        other.nextUid = m_rig.nextUid + 50;
        HostConfig made = config(other.directory.path());
        made.checkpointsPerSecond = 2;
        QVERIFY(other.start(made));
        const auto taken = [&other] { return other.host->checkpointReport().value(QLatin1String("taken")).toInt(); };
        std::vector<std::unique_ptr<Kernel>> cheap;
        for (int i = 0; i < 3; ++i)
            cheap.push_back(other.spawn());
        auto costly = other.spawn();
        QVERIFY(costly);
        // All have just ended a cell when the first tick comes that finds them at rest for a second.
        auto waiting = costly->run(request("import time\ntime.sleep(1)\nx = 1"));
        QTest::qWait(900);
        for (const auto &kernel : cheap)
            run(*kernel, "x = 1");
        QVERIFY(await(std::move(waiting)).status == RunStatus::Ok);
        QTRY_VERIFY_WITH_TIMEOUT(taken() == 1, 10'000);
        QElapsedTimer clock;
        clock.start();
        QVERIFY(run(*costly, "import os\nos._exit(1)").restored.has_value()); // its second copy is urgent, not paced
        QTRY_VERIFY_WITH_TIMEOUT(taken() == 5, 10'000);
        QVERIFY2(clock.elapsed() >= 1000, QByteArray::number(clock.elapsed()));
        for (const auto &kernel : cheap)
            QVERIFY(run(*kernel, "import os\nos._exit(1)").restored.has_value());
        cheap.clear();
        costly.reset();
        other.stop();
    }

    void offMeansNone()
    {
        Rig other;
        HostConfig made = config(other.directory.path());
        made.checkpointsPerSecond = 0;
        QVERIFY(other.start(made));
        auto kernel = other.spawn();
        run(*kernel, "x = 1");
        QTest::qWait(1500);
        QVERIFY(!run(*kernel, "import os\nos._exit(1)").restored.has_value());
        kernel.reset();
        other.stop();
    }
};

QTEST_GUILESS_MAIN(TestCheckpoints)
#include "tst_checkpoints.moc"
