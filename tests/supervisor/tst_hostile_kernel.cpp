// A kernel may send anything: the server kills it, names the cause, and goes on.
#include "HostRig.h"
#include "supervisor/KernelFrames.h"
#include "supervisor/OutputLog.h"
#include "supervisor/ProcMemory.h"
#include "supervisor/TierProbe.h"
#include <QElapsedTimer>
#include <QFile>
#include <random>

using namespace rig;

class TestHostileKernel : public QObject
{
    Q_OBJECT
    Rig m_rig;

    static HostConfig hostile(const Rig &rig)
    {
        HostConfig made = config(rig.directory.path());
        made.kernelProgram = QCoreApplication::applicationDirPath() + QStringLiteral("/hostile-kernel");
        made.forcedTier = QStringLiteral("none");
        made.requiredTier.clear();
        return made;
    }
    std::unique_ptr<Kernel> spawnAs(const char *behaviour)
    {
        KernelSpec spec = m_rig.spec();
        spec.sessionId = QLatin1String(behaviour);
        spec.limits.displayBytes = 1 << 20;
        return m_rig.spawn(spec);
    }

private Q_SLOTS:
    void initTestCase() { QVERIFY(m_rig.start(hostile(m_rig))); }
    void cleanupTestCase() { m_rig.stop(); }

    void isKilled_data()
    {
        QTest::addColumn<QString>("cause");
        QTest::newRow("server") << QStringLiteral("protocol");
        QTest::newRow("huge") << QStringLiteral("protocol");
        QTest::newRow("silent") << QStringLiteral("timeout");
        QTest::newRow("displays") << QStringLiteral("timeout");
        QTest::newRow("flood") << QStringLiteral("output_limit");
    }
    void isKilled()
    {
        QFETCH(QString, cause);
        const auto kernel = spawnAs(QTest::currentDataTag());
        QVERIFY(kernel);
        const auto other = spawnAs("polite");
        int turns = 0;
        QTimer loop;
        connect(&loop, &QTimer::timeout, this, [&turns] { ++turns; });
        loop.start(1);
        QElapsedTimer clock;
        clock.start();
        // Its time is not what ends the flood, however slowly a busy machine reads it.
        const auto limit = cause == u"output_limit" ? 30s : 1s;
        auto waiting = kernel->run(request("x", limit));
        for (int i = 0; i < 20; ++i)
            QCOMPARE(int(run(*other, "y").status), int(RunStatus::Ok));
        const RunOutcome outcome = await(std::move(waiting));
        QCOMPARE(outcome.cause, cause);
        QCOMPARE(int(outcome.status), int(RunStatus::Killed));
        QVERIFY(clock.elapsed() < (limit + 5s) / 1ms);
        QTRY_VERIFY(!kernel->isAlive());
        if (!outcome.outputFile.isEmpty())
            QFile::remove(QFile::decodeName(outcome.outputFile));
    }

    // Copies that do not take over: it ends as without one, and within bounds.
    void falseCopies_data()
    {
        QTest::addColumn<int>("taken");
        QTest::newRow("deaf copy") << 1;
        QTest::newRow("lying copy") << 1;
        QTest::newRow("no copy") << 0;
    }
    void falseCopies()
    {
        QFETCH(int, taken);
        const auto count = [this] { return m_rig.host->checkpointReport().value(QLatin1String("taken")).toInt(); };
        const int before = count();
        const auto kernel = spawnAs(QTest::currentDataTag());
        QVERIFY(kernel && run(*kernel, "x").status == RunStatus::Ok);
        if (taken > 0)
            QTRY_COMPARE_WITH_TIMEOUT(count(), before + 1, 10'000);
        else
            QTRY_VERIFY_WITH_TIMEOUT(!kernel->isAlive(), 10'000); // it sent what is not a kernel's
        const RunOutcome outcome = run(*kernel, "die", 20s);
        QVERIFY2(outcome.status == RunStatus::Died || outcome.status == RunStatus::Killed, describe(outcome));
        QTRY_VERIFY_WITH_TIMEOUT(!kernel->isAlive(), 10'000);
        QCOMPARE(count(), before + taken);
    }

    // Nobody wants it any more before the zygote has told its number.
    void spawnsThatAreGivenUp()
    {
        QVERIFY(spawnAs("polite")); // there is a zygote
        QTRY_COMPARE(m_rig.host->kernelCount(), 0);
        CancelSource stop;
        auto waiting = m_rig.host->spawn(m_rig.spec(), stop.token());
        stop.cancel();
        QVERIFY(!await(std::move(waiting)));
        const auto next = spawnAs("polite"); // the other one was born before it
        QVERIFY(next);
        QTRY_COMPARE_WITH_TIMEOUT(m_rig.host->kernelCount(), 1, 3'000);
    }

    void startsThatTakeTooLong()
    {
        Rig rig;
        HostConfig made = hostile(rig);
        made.kernelStart = 300ms;
        QVERIFY(rig.start(made));
        KernelSpec spec = rig.spec();
        spec.sessionId = QStringLiteral("unready");
        const auto none = await(rig.host->spawn(spec, {}));
        QVERIFY(!none && none.error().code == ErrorCode::Timeout);
        QVERIFY2(none.error().message.contains(u"did not start within 300 ms") && !none.error().nextStep.isEmpty(), qPrintable(none.error().text()));
        rig.stop();
    }

    // What a server that was killed had not moved yet.
    void outputsOfALostServer()
    {
        Rig rig;
        HostConfig made = hostile(rig);
        made.spoolDirectory = rig.directory.filePath(QStringLiteral("a/outputs"));
        QVERIFY(QDir().mkpath(made.spoolDirectory));
        QFile left(made.spoolDirectory + QStringLiteral("/power-output-abcdef"));
        QVERIFY(left.open(QIODevice::WriteOnly));
        QVERIFY(rig.start(made));
        QVERIFY(!left.exists());
        rig.stop();
    }

    // A dead kernel's child holds its channel and writes faster than the server reads.
    void childThatTalksOn()
    {
        const auto kernel = spawnAs("heir");
        QVERIFY(kernel);
        QElapsedTimer turn;
        qint64 longest = 0;
        QTimer loop;
        connect(&loop, &QTimer::timeout, this, [&] { longest = std::max(longest, turn.restart()); });
        loop.start(1);
        turn.start();
        const RunOutcome outcome = run(*kernel, "x");
        QCOMPARE(int(outcome.status), int(RunStatus::Died));
        QCOMPARE(outcome.cause, QStringLiteral("exit"));
        QTest::qWait(1);
        QVERIFY2(longest < 4000, QByteArray::number(longest)); // they talk for 6 s
    }

    // Displays that wait for a marker which does not come are memory of the server.
    void displaysOfTheFuture()
    {
        const auto kernel = spawnAs("future");
        QVERIFY(kernel);
        const auto resident = [] { return procMemory(::getpid()).own; };
        const qint64 before = resident();
        qint64 most = 0;
        QTimer look;
        connect(&look, &QTimer::timeout, this, [&] { most = std::max(most, resident()); });
        look.start(20);
        const RunOutcome outcome = run(*kernel, "x");
        QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
        QVERIFY2(most - before < 150ll << 20, QByteArray::number((most - before) >> 20) + " MB");
    }

    // A call is cancelled while its kernel goes back to a checkpoint: the next call is not what was meant.
    void cancelledWhileRestored()
    {
        const auto taken = [this] { return m_rig.host->checkpointReport().value(QLatin1String("taken")).toInt(); };
        const int before = taken();
        const auto kernel = spawnAs("slow copy");
        QVERIFY(kernel && run(*kernel, "x").status == RunStatus::Ok);
        QTRY_COMPARE_WITH_TIMEOUT(taken(), before + 1, 10'000);
        CancelSource stop;
        RunRequest dying = request("die");
        dying.cancel = stop.token();
        auto waiting = kernel->run(std::move(dying));
        QTimer::singleShot(100, this, [stop]() mutable { stop.cancel(); }); // it is dead, and its copy takes 150 ms
        const RunOutcome died = await(std::move(waiting));
        QVERIFY2(died.status == RunStatus::Died && died.restored, describe(died));
        const RunOutcome next = run(*kernel, "slow");
        QVERIFY2(next.status == RunStatus::Ok && next.notes.isEmpty(), describe(next));
    }

    // What is printed while a task runs is nobody's: it leaves no file behind.
    void outputOfTasks()
    {
        const auto kernel = spawnAs("spill");
        QVERIFY(kernel);
        TaskRequest task;
        task.runId = QStringLiteral("task");
        task.task = QStringLiteral("any");
        const RunOutcome outcome = await(kernel->task(std::move(task)));
        QVERIFY2(outcome.status == RunStatus::Ok && outcome.stdoutBytes > 1 << 20, describe(outcome));
        QCOMPARE(QDir(m_rig.directory.path()).entryList({QStringLiteral("power-output-*")}), QStringList());
    }

    void forgedMarkersAndAnswers()
    {
        const auto kernel = spawnAs("forge");
        QByteArray text;
        for (int i = 0; i < 3; ++i) {
            const RunOutcome outcome = run(*kernel, "x");
            QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
            text += story(outcome);
        }
        // What follows a marker of the future may come with the next run: such a kernel disorders its own output, and loses none.
        QVERIFY2(text.count("before") == 3 && text.count("after") >= 2, text);
    }

    void poisonedFrames()
    {
        int alive = 0;
        for (int i = 0; i < 150; ++i) {
            const auto kernel = spawnAs("poison");
            QVERIFY(kernel);
            const RunOutcome outcome = run(*kernel, QByteArray::number(i), 20ms);
            alive += kernel->isAlive() ? 1 : 0;
            QVERIFY2(outcome.status == RunStatus::Ok || outcome.cause == u"protocol" || outcome.cause == u"timeout",
                     describe(outcome));
            if (!outcome.outputFile.isEmpty())
                QFile::remove(QFile::decodeName(outcome.outputFile));
        }
        QVERIFY(alive < 150);
    }

    void poisonedMeta()
    {
        std::mt19937 random(20261122);
        const std::string good = "{\"run\":\"r\",\"epoch\":3,\"kind\":\"display\",\"parts\":[{\"mime\":\"text/plain\",\"size\":4}],"
                                 "\"name\":\"a/b.png\",\"status\":\"ok\",\"count\":1,\"error\":{\"name\":\"E\"},\"notes\":[\"n\"]}";
        int readable = 0;
        for (int i = 0; i < 10'000; ++i) {
            power::wire::Frame frame;
            frame.meta = good;
            frame.blob = "blob";
            for (unsigned n = random() % 4; n > 0; --n)
                frame.meta[random() % frame.meta.size()] = "0123456789-{}[]\",:.e/\x80\xff az"[random() % 26];
            Result<DisplayFrame> shown = readDisplay(frame);
            if (shown) {
                ++readable;
                qsizetype sum = 0;
                for (const DisplayPart &part : std::as_const(shown->event.parts))
                    sum += part.data.size();
                QCOMPARE(sum, 4);
                QVERIFY(!shown->event.fileName.split(u'/').contains(QLatin1String("..")));
            }
            const Result<DoneFrame> done = readDone(frame);
            QVERIFY(done || !done.error().message.isEmpty());
        }
        QVERIFY(readable > 1000);
    }

    void namesThatLeadOutAreRefused()
    {
        for (const char *name : {"/etc/passwd", "../x", "a/../../x", "a\\u0000b"}) {
            power::wire::Frame frame;
            frame.meta = "{\"run\":\"r\",\"epoch\":1,\"kind\":\"figure\",\"parts\":[],\"name\":\"" + std::string(name) + "\"}";
            QVERIFY(!readDisplay(frame));
        }
    }

    void utf8Cuts()
    {
        const QByteArray text = "aäö\xe2\x82\xac\xf0\x9f\x98\x80z";
        for (qsizetype most = 0; most <= text.size(); ++most) {
            const QByteArray head = text.left(utf8Prefix(text, most));
            QCOMPARE(QString::fromUtf8(head).toUtf8(), head);
            QVERIFY(most - head.size() < 4);
            const QByteArray tail = text.mid(utf8Start(text, most));
            QCOMPARE(QString::fromUtf8(tail).toUtf8(), tail);
        }
        QCOMPARE(utf8Prefix(QByteArray(10, '\x80'), 10), 10); // not UTF-8: nothing is held back for ever
    }

    void headAndTail()
    {
        KernelLimits limits;
        limits.keptOutputBytes = 64 * 1024;
        OutputLog log(limits, m_rig.directory.path(), {});
        QByteArray whole;
        for (int i = 0; i < 20'000; ++i) {
            const QByteArray line = "zeile " + QByteArray::number(i) + " \xc3\xa4\n";
            log.text(i % 3 ? Pipe::Out : Pipe::Err, line);
            whole += line;
        }
        RunOutcome outcome;
        log.finish(outcome);
        QVERIFY(outcome.outputCut);
        qsizetype kept = 0;
        for (const OutputEvent &event : std::as_const(outcome.outputs)) {
            kept += event.text.size();
            QCOMPARE(QString::fromUtf8(event.text).toUtf8(), event.text);
        }
        QVERIFY(kept < 2 * (64 + 40) * 1024);
        QCOMPARE(outcome.outputs.first().text.left(8), QByteArray("zeile 0 "));
        QVERIFY(outcome.outputs.last().text.endsWith("zeile 19999 \xc3\xa4\n"));
        QFile file(QFile::decodeName(outcome.outputFile));
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.readAll(), whole);
        QVERIFY(file.remove());
    }

    // The file is begun in the middle of a piece that the limit falls into.
    void wholeOutputInLargePieces()
    {
        KernelLimits limits;
        limits.keptOutputBytes = 64 * 1024;
        OutputLog log(limits, m_rig.directory.path(), {});
        QByteArray whole;
        for (int i = 0; i < 6; ++i) {
            const QByteArray piece(65'000 + i, char('a' + i));
            log.text(Pipe::Out, piece);
            whole += piece;
        }
        RunOutcome outcome;
        log.finish(outcome);
        QFile file(QFile::decodeName(outcome.outputFile));
        QVERIFY(file.open(QIODevice::ReadOnly));
        QVERIFY(file.readAll() == whole);
        QVERIFY(file.remove());
    }

    void tiersFailClosed()
    {
        const auto decide = [](const char *found, const char *required, const char *forced) {
            HostConfig made;
            made.requiredTier = QLatin1String(required);
            made.forcedTier = QLatin1String(forced);
            return decideTier(made, {{QStringLiteral("tier"), QLatin1String(found)}});
        };
        QVERIFY(decide("full", "", ""));
        QVERIFY(decide("nonroot", "", "")->safe);
        QVERIFY(!decide("none", "", ""));
        QVERIFY(!decide("", "", ""));
        QVERIFY(!decide("garbage", "", ""));
        QVERIFY(!decide("container", "full", ""));
        QVERIFY(decide("container", "container", ""));
        QVERIFY(!decide("full", "sure", ""));
        QVERIFY(!decide("none", "", "container"));
        QVERIFY(!decide("none", "full", "none"));
        QVERIFY(decide("none", "none", ""));
        QVERIFY(!decide("none", "none", "")->safe);
        QCOMPARE(decide("full", "", "none")->tier, QStringLiteral("none"));
    }
};

QTEST_GUILESS_MAIN(TestHostileKernel)
#include "tst_hostile_kernel.moc"
