// Runs in a real kernel: results, exact order, interrupts, retention, output limits.
#include "HostRig.h"
#include <QElapsedTimer>
#include <QTimer>
#include <QFile>

using namespace rig;

class TestKernelRuns : public QObject
{
    Q_OBJECT
    Rig m_rig;
    std::unique_ptr<Kernel> m_kernel;

    static QCoro::Task<> closedLoop(Kernel *kernel, std::shared_ptr<int> counter, std::shared_ptr<bool> on)
    {
        while (*on) {
            RunRequest asked = request("1+1");
            const RunOutcome outcome = co_await kernel->run(std::move(asked));
            *counter += outcome.status == RunStatus::Ok ? 1 : 0;
        }
    }

private Q_SLOTS:
    void initTestCase()
    {
        HostConfig made = config(m_rig.directory.path());
        made.checkpointsPerSecond = 0; // what a dead kernel means without one
        QVERIFY(m_rig.start(made));
        m_kernel = m_rig.spawn();
        QVERIFY(m_kernel);
        qInfo("tier %s", qPrintable(m_rig.host->tier().tier));
    }
    void cleanupTestCase()
    {
        m_kernel.reset();
        m_rig.stop();
    }
    void init()
    {
        if (!m_kernel->isAlive())
            m_kernel = m_rig.spawn();
        QVERIFY(m_kernel);
    }

    void resultsAndVariables()
    {
        QCOMPARE(story(run(*m_kernel, "x = 41")), QByteArray());
        const RunOutcome outcome = run(*m_kernel, "print('a')\nx + 1");
        QCOMPARE(int(outcome.status), int(RunStatus::Ok));
        QCOMPARE(story(outcome), QByteArray("o:a\n|d:42"));
        QCOMPARE(outcome.stdoutBytes, 2);
        const RunOutcome error = run(*m_kernel, "1/0");
        QCOMPARE(int(error.status), int(RunStatus::Error));
        QCOMPARE(error.errorName, QStringLiteral("ZeroDivisionError"));
        QVERIFY(error.variablesSurvived && error.traceback.contains(QLatin1String("1/0")));
    }

    // A cell that asks: the limit stands still while a person thinks, a refusal is an EOFError, silence is no answer.
    void inputIsAnswered()
    {
        RunRequest asked = request("a = input('Name? ')\nb = input()\nprint(a.upper(), repr(b))");
        asked.timeout = std::chrono::milliseconds(700);
        QStringList prompts;
        asked.onInput = [&prompts](const InputQuestion &question) {
            prompts << question.prompt;
            QTimer::singleShot(1'000, qApp, [answer = question.answer, second = prompts.size() > 1] {
                answer.resolve(second ? QString() : QStringLiteral("Zo\u00eb"));
            });
        };
        const RunOutcome outcome = await(m_kernel->run(std::move(asked)));
        QCOMPARE(int(outcome.status), int(RunStatus::Ok));
        QCOMPARE(prompts, (QStringList{QStringLiteral("Name? "), QString()}));
        QCOMPARE(story(outcome), QByteArray("o:Name? Zo\xc3\xab\n\nZO\xc3\x8b ''\n"));
    }
    void inputIsRefused()
    {
        RunRequest asked = request("try:\n    input('? ')\nexcept EOFError as e:\n    print(e)");
        asked.onInput = [](const InputQuestion &question) {
            question.answer.resolve(power::fail(power::ErrorCode::Unavailable, QStringLiteral("The user declined.")));
        };
        const QByteArray refused = story(await(m_kernel->run(std::move(asked))));
        QVERIFY2(refused.contains("The user declined."), refused.constData());
        // Nobody is there in this run; nothing is left of the one before.
        const RunOutcome alone = run(*m_kernel, "input('? ')");
        QCOMPARE(alone.errorName, QStringLiteral("EOFError"));
        QVERIFY(alone.errorValue.contains(u"nobody is at a keyboard"));
    }
    void inputCanBeInterrupted()
    {
        RunRequest asked = request("input('? ')");
        power::CancelSource cancel;
        asked.cancel = cancel.token();
        asked.onInput = [&cancel](const InputQuestion &) { QTimer::singleShot(100, qApp, [&cancel] { cancel.cancel(); }); };
        const RunOutcome outcome = await(m_kernel->run(std::move(asked)));
        QCOMPARE(int(outcome.status), int(RunStatus::Interrupted));
        QVERIFY(outcome.variablesSurvived);
        // The limit of the next run is its own.
        QCOMPARE(story(run(*m_kernel, "print(1)")), QByteArray("o:1\n"));
    }

    void orderOfEverything()
    {
        const QByteArray code = "import os, sys, ctypes\n"
                                "libc = ctypes.CDLL(None)\n"
                                "for i in range(300):\n"
                                "    print(f'o{i}', end=' ')\n"
                                "    print(f'e{i}', end=' ', file=sys.stderr)\n"
                                "    display(f'd{i}')\n"
                                "    print(f'p{i}', end=' '); os.write(1, b'c%d ' % i)\n";
        QByteArray expected;
        for (int i = 0; i < 300; ++i) {
            const QByteArray n = QByteArray::number(i);
            expected += "o:o" + n + " |e:e" + n + " |d:'d" + n + "'|o:p" + n + " c" + n + " |";
        }
        expected.chop(1);
        // The p of one turn and the o of the next are neighbours.
        for (int i = 0; i < 299; ++i)
            expected.replace("c" + QByteArray::number(i) + " |o:", "c" + QByteArray::number(i) + " ");
        QTimer busy; // a server with much else to do
        connect(&busy, &QTimer::timeout, this, [] {
            QElapsedTimer clock;
            clock.start();
            while (clock.nsecsElapsed() < 2'000'000) {
            }
        });
        busy.start(0);
        KernelSpec spec = m_rig.spec();
        const auto kernel = m_rig.spawn(spec);
        QByteArray live;
        RunRequest asked = request(code);
        asked.onOutput = [&live](const OutputEvent &event) {
            live += event.parts.isEmpty() ? event.text : event.parts.last().data;
        };
        const RunOutcome outcome = await(kernel->run(std::move(asked)));
        QCOMPARE(int(outcome.status), int(RunStatus::Ok));
        QCOMPARE(story(outcome), expected);
        QVERIFY(live.startsWith("o0 e0 'd0'p0 c0 o1 "));
        QVERIFY(live.endsWith("e299 'd299'p299 c299 "));
    }

    void timeoutLeavesTheVariables()
    {
        run(*m_kernel, "x = 7");
        const RunOutcome outcome = run(*m_kernel, "print('before', flush=True)\nwhile True: pass", 500ms);
        QCOMPARE(int(outcome.status), int(RunStatus::Interrupted));
        QCOMPARE(outcome.cause, QStringLiteral("timeout"));
        QCOMPARE(outcome.limit, QStringLiteral("500 ms"));
        QVERIFY(outcome.variablesSurvived && !outcome.hardInterrupt);
        QVERIFY(story(outcome).contains("before"));
        QCOMPARE(story(run(*m_kernel, "x")), QByteArray("d:7"));
    }

    void stubbornLoopIsEndedByTheHardInterrupt()
    {
        run(*m_kernel, "x = 8");
        const RunOutcome outcome = run(*m_kernel,
                                       "i = 0\n"
                                       "while True:\n"
                                       "    try:\n"
                                       "        for i in range(1000): pass\n"
                                       "    except BaseException: pass\n",
                                       300ms);
        QVERIFY2(outcome.status == RunStatus::Interrupted, describe(outcome));
        QVERIFY2(outcome.hardInterrupt && outcome.variablesSurvived,
                 describe(outcome) + QByteArray::number(qint64(outcome.duration.count())));
        QVERIFY(outcome.duration < 3s);
        QCOMPARE(story(run(*m_kernel, "x")), QByteArray("d:8"));
    }

    void cLoopIsKilled()
    {
        const RunOutcome outcome = run(*m_kernel, "sum(range(10**11))", 300ms);
        QCOMPARE(int(outcome.status), int(RunStatus::Killed));
        QCOMPARE(outcome.cause, QStringLiteral("timeout"));
        QVERIFY(!outcome.variablesSurvived);
        QVERIFY(outcome.duration < 5s);
        QTRY_VERIFY(!m_kernel->isAlive());
        QVERIFY(!m_kernel->deathReason().isEmpty());
        const RunOutcome after = run(*m_kernel, "1");
        QCOMPARE(int(after.status), int(RunStatus::Died));
    }

    void cancelInterrupts()
    {
        CancelSource source;
        RunRequest asked = request("import time; time.sleep(60)");
        asked.cancel = source.token();
        QTimer::singleShot(200ms, this, [&source] { source.cancel(); });
        const RunOutcome outcome = await(m_kernel->run(std::move(asked)));
        QCOMPARE(int(outcome.status), int(RunStatus::Interrupted));
        QCOMPARE(outcome.cause, QStringLiteral("cancelled"));
    }

    void oneRunAtATime()
    {
        auto first = m_kernel->run(request("import time; time.sleep(0.3); 5"));
        const RunOutcome second = run(*m_kernel, "1");
        QCOMPARE(second.errorName, QStringLiteral("Busy"));
        QCOMPARE(story(await(std::move(first))), QByteArray("d:5"));
    }

    void longOutputKeepsHeadAndTail()
    {
        const RunOutcome outcome = run(*m_kernel, "for i in range(100000): print(f'line {i} äöü')");
        QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
        QVERIFY(outcome.outputCut);
        const QByteArray text = outcome.outputs.value(0).text;
        QVERIFY(text.size() < (1 << 20) + 100'000);
        QVERIFY(text.startsWith("line 0 äöü\nline 1 äöü\n"));
        QVERIFY(text.endsWith("line 99999 äöü\n"));
        QVERIFY(text.contains("left out here"));
        QCOMPARE(QString::fromUtf8(text).toUtf8(), text);
        QFile whole(QFile::decodeName(outcome.outputFile));
        QVERIFY(whole.open(QIODevice::ReadOnly));
        QCOMPARE(whole.size(), outcome.stdoutBytes);
        const QByteArray all = whole.readAll();
        QCOMPARE(all.count('\n'), 100'000);
        QVERIFY(all.contains("line 50000 äöü\n"));
        QVERIFY(whole.remove());
    }

    void outputLimitInterrupts()
    {
        run(*m_kernel, "x = 9");
        QElapsedTimer clock;
        clock.start();
        const RunOutcome outcome = run(*m_kernel, "block = 'x' * 1000000 + chr(10)\nfor i in range(1100): print(block)");
        QVERIFY2(outcome.status == RunStatus::Interrupted, describe(outcome));
        QCOMPARE(outcome.cause, QStringLiteral("output_limit"));
        QCOMPARE(outcome.limit, QStringLiteral("64 MB"));
        QVERIFY(clock.elapsed() < 5000);
        qInfo("interrupted after %lld ms with %s", clock.elapsed(), qPrintable(outcome.peak));
        QVERIFY(QFile::remove(QFile::decodeName(outcome.outputFile)));
        QCOMPARE(story(run(*m_kernel, "x")), QByteArray("d:9"));
    }

    void throughput()
    {
        KernelSpec spec = m_rig.spec();
        spec.limits.outputBytes = 2ll << 30;
        const auto kernel = m_rig.spawn(spec);
        QElapsedTimer clock;
        clock.start();
        const RunOutcome outcome = run(*kernel, "block = 'x' * 999999\nfor i in range(300): print(block)");
        QCOMPARE(outcome.stdoutBytes, 300'000'000);
        qInfo("output %.0f MB/s (spooled)", 300.0 * 1000 / double(clock.elapsed()));
        QFile::remove(QFile::decodeName(outcome.outputFile));
    }

    void exitEndsTheCell()
    {
        run(*m_kernel, "x = 10");
        const RunOutcome outcome = run(*m_kernel, "exit()");
        QCOMPARE(outcome.cause, QStringLiteral("exit"));
        QVERIFY(outcome.variablesSurvived);
        QCOMPARE(story(run(*m_kernel, "x")), QByteArray("d:10"));
    }

    void largeContextIsRefused()
    {
        RunRequest asked = request("v");
        asked.context = {{QStringLiteral("v"), QString(100'000, u'x')}};
        const RunOutcome outcome = await(m_kernel->run(std::move(asked)));
        QCOMPARE(int(outcome.status), int(RunStatus::Error));
        RunRequest small = request("v");
        small.context = {{QStringLiteral("v"), 3}};
        QCOMPARE(story(await(m_kernel->run(std::move(small)))), QByteArray("d:3"));
    }

    void spawnTimes()
    {
        QList<qint64> times;
        std::vector<std::unique_ptr<Kernel>> kernels;
        for (int i = 0; i < 64; ++i) {
            const KernelSpec spec = m_rig.spec();
            QElapsedTimer clock;
            clock.start();
            kernels.push_back(m_rig.spawn(spec));
            QVERIFY(kernels.back());
            times << clock.nsecsElapsed() / 1000;
        }
        std::sort(times.begin(), times.end());
        qInfo("spawn p50 %lld us, p95 %lld us", times[32], times[60]);
        // All of them at once, each as fast as it can.
        const auto counter = std::make_shared<int>(0);
        const auto on = std::make_shared<bool>(true);
        for (const auto &kernel : kernels)
            closedLoop(kernel.get(), counter, on);
        QTest::qWait(3000);
        qInfo("64 kernels closed loop: %d runs/s", *counter / 3);
        *on = false;
        QTest::qWait(500);
        QVERIFY(*counter > 100);
    }

    void roundTrip()
    {
        QList<qint64> times;
        for (int i = 0; i < 2000; ++i) {
            QElapsedTimer clock;
            clock.start();
            const RunOutcome outcome = run(*m_kernel, "1+1");
            QCOMPARE(outcome.outputs.size(), 1);
            times << clock.nsecsElapsed() / 1000;
        }
        std::sort(times.begin(), times.end());
        qInfo("1+1 round trip p50 %lld us, p95 %lld us", times[1000], times[1900]);
    }
};

QTEST_GUILESS_MAIN(TestKernelRuns)
#include "tst_kernel_runs.moc"
