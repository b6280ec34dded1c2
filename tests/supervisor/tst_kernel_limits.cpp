// Every way a kernel can end badly gives a typed answer in time, while a neighbour notices nothing.
#include "HostRig.h"
#include "supervisor/TreeSampler.h"
#include <QCoroTimer>
#include <QElapsedTimer>
#include <QFile>
#include <csignal>

using namespace rig;

namespace {
// A neighbour that runs 1+1 again and again, and how long that took.
struct Neighbour {
    std::unique_ptr<Kernel> kernel;
    QList<qint64> times;
    int errors = 0;
    bool on = false;

    static QCoro::Task<> loop(std::shared_ptr<Neighbour> self)
    {
        const std::chrono::milliseconds pause{1};
        while (self->on) {
            QElapsedTimer clock;
            clock.start();
            RunRequest asked = request("1+1");
            const RunOutcome outcome = co_await self->kernel->run(std::move(asked));
            self->times << clock.nsecsElapsed() / 1000;
            self->errors += outcome.status == RunStatus::Ok && outcome.outputs.size() == 1 ? 0 : 1;
            co_await QCoro::sleepFor(pause);
        }
    }
    qint64 p99() const
    {
        QList<qint64> sorted = times;
        std::sort(sorted.begin(), sorted.end());
        return sorted.isEmpty() ? 0 : sorted[sorted.size() * 99 / 100];
    }
};
} // namespace

class TestKernelLimits : public QObject
{
    Q_OBJECT
    Rig m_rig;
    std::shared_ptr<Neighbour> m_neighbour;
    qint64 m_quiet = 0;

    static int livingOf(const KernelSpec &spec, qint64 pid, const QString &tier)
    {
        power::supervisor::TreeTarget target;
        target.pid = pid_t(pid);
        target.uid = spec.uid;
        target.ownUid = (tier == u"full" || tier == u"container") && ::geteuid() == 0;
        return int(power::supervisor::treeProcesses(target).size());
    }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY(m_rig.start());
        m_neighbour = std::make_shared<Neighbour>();
        m_neighbour->kernel = m_rig.spawn();
        QVERIFY(m_neighbour->kernel);
        m_neighbour->on = true;
        Neighbour::loop(m_neighbour);
        QTest::qWait(500);
        m_quiet = m_neighbour->p99();
    }
    void cleanupTestCase()
    {
        QVERIFY(m_neighbour && m_neighbour->kernel);
        qInfo("neighbour: quiet p99 %lld us, during all this p99 %lld us over %lld runs, %d errors", m_quiet,
              m_neighbour->p99(), qint64(m_neighbour->times.size()), m_neighbour->errors);
        QCOMPARE(m_neighbour->errors, 0);
        QVERIFY(m_neighbour->p99() <= std::max<qint64>(50'000, 5 * m_quiet));
        m_neighbour->on = false;
        QTest::qWait(50);
        m_neighbour->kernel.reset();
        m_rig.stop();
    }

    void endsTyped_data()
    {
        QTest::addColumn<QByteArray>("code");
        QTest::addColumn<QByteArray>("causes"); // any of these
        QTest::addColumn<int>("limitMs");       // when the limit is reached, at most
        QTest::newRow("os._exit") << QByteArray("import os; os._exit(3)") << QByteArray("exit") << 0;
        QTest::newRow("segfault") << QByteArray("import ctypes; ctypes.string_at(0)") << QByteArray("signal") << 0;
        QTest::newRow("abort") << QByteArray("import os; os.abort()") << QByteArray("signal") << 0;
        QTest::newRow("kill -9") << QByteArray("import os; os.kill(os.getpid(), 9); import time; time.sleep(9)")
                                 << QByteArray("signal|") << 0;
        QTest::newRow("memory bomb") << QByteArray("blocks = []\nwhile True: blocks.append(bytearray(b'x' * (8 << 20)))")
                                     << QByteArray("MemoryError|memory_limit") << 2000;
        QTest::newRow("memory bomb of many") << QByteArray("import os, time\n"
                                                           "for i in range(6):\n"
                                                           "    if os.fork() == 0:\n"
                                                           "        b = bytearray(b'x' * (80 << 20)); time.sleep(60); os._exit(0)\n"
                                                           "time.sleep(60)")
                                             << QByteArray("memory_limit") << 3000;
        QTest::newRow("fork bomb") << QByteArray("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass")
                                   << QByteArray("process_limit") << 2000;
        QTest::newRow("1 GB of output") << QByteArray("b = 'x' * 1000000\nfor i in range(1000): print(b)")
                                        << QByteArray("output_limit") << 1000;
        QTest::newRow("1 GB of C-level output") << QByteArray("import os\nb = b'x' * 1000000\nfor i in range(1000): os.write(2, b)")
                                                << QByteArray("output_limit") << 1000;
        QTest::newRow("full disk") << QByteArray("f = open('big', 'wb')\nfor n in range(20):\n    f = open(f'big{n}', 'wb')\n"
                                                 "    for i in range(40): f.write(b'x' * 1000000)\n    f.flush()\n"
                                                 "import time; time.sleep(60)")
                                   << QByteArray("disk_limit") << 3000;
        QTest::newRow("full disk, deep down") << QByteArray("import os, time\nfor n in range(100):\n    os.mkdir('d'); os.chdir('d')\n"
                                                            "for n in range(20):\n"
                                                            "    with open(f'big{n}', 'wb') as f:\n        for i in range(40): f.write(b'x' * 1000000)\n"
                                                            "time.sleep(60)")
                                              << QByteArray("disk_limit") << 3000;
        QTest::newRow("too deep") << QByteArray("import os, time\nfor n in range(300):\n    os.mkdir('d'); os.chdir('d')\ntime.sleep(60)")
                                  << QByteArray("disk_limit") << 3000;
        QTest::newRow("closed channel") << QByteArray("import os, time\nfor fd in range(3, 64):\n    try: os.close(fd)\n"
                                                      "    except OSError: pass\ntime.sleep(60)")
                                        << QByteArray("protocol") << 0;
        QTest::newRow("sleeping past the deadline") << QByteArray("import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, "
                                                                  "[signal.SIGINT, signal.SIGUSR2])\ntime.sleep(60)")
                                                    << QByteArray("timeout") << 10'000;
    }
    void endsTyped()
    {
        QFETCH(QByteArray, code);
        QFETCH(QByteArray, causes);
        QFETCH(int, limitMs);
        KernelSpec spec = m_rig.spec();
        spec.limits.memoryBytes = 256ll << 20; // both quickly reached on a busy machine too
        spec.limits.processes = 16;
        auto kernel = m_rig.spawn(spec);
        QVERIFY(kernel);
        const qint64 pid = kernel->pid();
        QElapsedTimer clock;
        clock.start();
        const RunOutcome outcome = run(*kernel, code, 10s);
        const qint64 took = clock.elapsed();
        const QList<QByteArray> wanted = causes.split('|');
        QVERIFY2(wanted.contains(outcome.cause.toUtf8()) || wanted.contains(outcome.errorName.toUtf8()), describe(outcome));
        QVERIFY2(took < limitMs + 5000, QByteArray::number(took));
        qInfo("%s after %lld ms", describe(outcome).left(200).constData(), took);
        if (!outcome.outputFile.isEmpty())
            QFile::remove(QFile::decodeName(outcome.outputFile));
        const bool lives = kernel->isAlive();
        QCOMPARE(lives, outcome.variablesSurvived);
        if (!lives)
            QVERIFY(!kernel->deathReason().isEmpty());
        await(kernel->stop());
        QCOMPARE(livingOf(spec, pid, m_rig.host->tier().tier), 0);
        if (!outcome.variablesSurvived) // the same identity works again
            QCOMPARE(story(run(*m_rig.spawn(spec), "2+2")), QByteArray("d:4"));
    }

    void deathBetweenRunsIsTold()
    {
        auto kernel = m_rig.spawn();
        bool told = false;
        kernel->onDeath([&told] { told = true; });
        ::kill(pid_t(kernel->pid()), SIGKILL);
        QTRY_VERIFY(told);
        QVERIFY(!kernel->isAlive());
        QVERIFY(kernel->deathReason().contains(QLatin1String("SIGKILL")) || kernel->deathReason().contains(QLatin1String("KILL")));
    }

    void killedZygoteLeavesKernelsAlive()
    {
        auto kernel = m_rig.spawn();
        run(*kernel, "x = 5");
        const qint64 zygote = qint64(m_rig.host->zygoteReport().value(QStringLiteral("pid")).toDouble());
        QVERIFY(zygote > 1);
        ::kill(pid_t(zygote), SIGKILL);
        QTRY_VERIFY(!m_rig.host->isReady());
        QCOMPARE(story(run(*kernel, "x")), QByteArray("d:5"));
        // A death without the zygote is still told.
        auto second = run(*kernel, "import os; os._exit(4)");
        QVERIFY2(second.status == RunStatus::Died, describe(second));
        auto next = m_rig.spawn(); // waits for the new zygote
        QVERIFY(next);
        QCOMPARE(story(run(*next, "1")), QByteArray("d:1"));
        QVERIFY(m_rig.host->isReady());
    }

    // All kernels of one zygote share its layout of memory: after so many another one takes its place, and nobody notices.
    void zygoteIsRenewed()
    {
        Rig rig;
        rig.nextUid = m_rig.nextUid + 700;
        HostConfig made = config(rig.directory.path());
        made.kernelsPerZygote = 2;
        QVERIFY(rig.start(made));
        const auto present = [&rig] { return qint64(rig.host->zygoteReport().value(QStringLiteral("pid")).toDouble()); };
        const QByteArray place = "id(None)"; // in the interpreter's own data
        auto one = rig.spawn();
        const qint64 first = present();
        auto two = rig.spawn();
        QVERIFY(one && two);
        run(*one, "x = 5");
        const QByteArray at = story(run(*one, place));
        QCOMPARE(story(run(*two, place)), at);
        QTRY_VERIFY_WITH_TIMEOUT(present() > 1 && present() != first, 60'000);
        auto three = rig.spawn();
        QVERIFY(three);
        QVERIFY(story(run(*three, place)) != at);
        QCOMPARE(story(run(*one, "x")), QByteArray("d:5"));
        QCOMPARE(::kill(pid_t(first), 0), 0);
        // The retired one still tells of its kernels' ends, and goes with the last.
        const RunOutcome ended = run(*two, "import os; os._exit(4)");
        QVERIFY2(ended.status == RunStatus::Died && ended.errorValue.contains(QStringLiteral("4")), describe(ended));
        two.reset();
        await(one->stop());
        one.reset();
        QTRY_VERIFY_WITH_TIMEOUT(::kill(pid_t(first), 0) != 0, 10'000);
        QCOMPARE(story(run(*three, "1")), QByteArray("d:1"));
        rig.stop();
    }

    // A crowd of new sessions does not share the processors with a zygote that warms up; but it does not put it off for ever.
    void zygoteIsRenewedInACalmMoment()
    {
        const auto zygotes = [] {
            int count = 0;
            for (const QString &task : QDir(QStringLiteral("/proc/self/task")).entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
                QFile children(QStringLiteral("/proc/self/task/%1/children").arg(task));
                const QByteArrayList pids = children.open(QIODevice::ReadOnly) ? children.readAll().simplified().split(' ') : QByteArrayList();
                for (const QByteArray &pid : pids) {
                    QFile command(QStringLiteral("/proc/%1/cmdline").arg(QLatin1String(pid)));
                    count += command.open(QIODevice::ReadOnly) && command.readAll().split('\0').value(1) == "zygote" ? 1 : 0;
                }
            }
            return count;
        };
        Rig rig;
        rig.nextUid = m_rig.nextUid + 800;
        HostConfig made = config(rig.directory.path());
        made.kernelsPerZygote = 2;
        const int before = zygotes();
        QVERIFY(rig.start(made));
        std::vector<std::unique_ptr<Kernel>> kernels;
        for (int birth = 1; birth < 8; ++birth) {
            kernels.push_back(rig.spawn());
            QCOMPARE(zygotes(), before + 1);
        }
        kernels.push_back(rig.spawn());
        QCOMPARE(zygotes(), before + 2);
        kernels.clear();
        rig.stop();
    }

    void globalBudgetEndsTheLargest()
    {
        Rig rig;
        rig.nextUid = m_rig.nextUid + 500;
        HostConfig made = config(rig.directory.path());
        made.totalMemoryBytes = 300ll << 20;
        QVERIFY(rig.start(made));
        auto small = rig.spawn();
        auto large = rig.spawn();
        auto waiting = small->run(request("import time; b = bytearray(b'x' * (60 << 20)); time.sleep(3); 1"));
        const RunOutcome outcome = run(*large, "import time; b = bytearray(b'x' * (280 << 20)); time.sleep(20)");
        QVERIFY2(outcome.cause == u"memory_limit" && outcome.limit.contains(QLatin1String("all sessions")), describe(outcome));
        QCOMPARE(int(await(std::move(waiting)).status), int(RunStatus::Ok));
        small.reset();
        large.reset();
        rig.stop();
    }

    void stopLeavesNoProcess()
    {
        Rig rig;
        rig.nextUid = m_rig.nextUid + 1000;
        QVERIFY(rig.start());
        const KernelSpec spec = rig.spec();
        auto kernel = rig.spawn(spec);
        const qint64 pid = kernel->pid();
        run(*kernel, "import subprocess; p = subprocess.Popen(['sleep', '1000'], start_new_session=True)");
        const QString tier = rig.host->tier().tier;
        rig.stop();
        QCOMPARE(livingOf(spec, pid, tier), 0);
    }
};

QTEST_GUILESS_MAIN(TestKernelLimits)
#include "tst_kernel_limits.moc"
