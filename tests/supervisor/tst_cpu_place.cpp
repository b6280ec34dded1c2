// A session that computes stands behind those that only answer, whatever it starts; and comes back.
#include "HostRig.h"
#include "supervisor/CpuPlace.h"
#include <QFile>
#include <csignal>
#include <sys/wait.h>

using namespace rig;

class TestCpuPlace : public QObject
{
    Q_OBJECT
    Rig m_rig;

    static int niceOf(qint64 pid)
    {
        QFile file(QStringLiteral("/proc/%1/autogroup").arg(pid));
        if (!file.open(QIODevice::ReadOnly))
            return -100;
        return file.readAll().trimmed().split(' ').last().toInt();
    }
    // Host pids of the living processes below a kernel that lead a session of their own.
    static QList<qint64> foreignSessions(const KernelSpec &spec, qint64 kernel)
    {
        TreeTarget target;
        target.pid = pid_t(kernel);
        target.uid = spec.uid;
        target.ownUid = true;
        QList<qint64> found;
        for (const pid_t pid : treeProcesses(target)) {
            if (pid != kernel && ::getsid(pid) == pid)
                found << pid;
        }
        return found;
    }

private Q_SLOTS:
    void place_data()
    {
        QTest::addColumn<int>("present");
        QTest::addColumn<int>("wanted");
        QTest::addColumn<int>("longest");
        QTest::addColumn<int>("nice");
        const int rest = kAtRestNice, computing = kComputingNice;
        QTest::newRow("asleep") << rest << 0 << 0 << rest;
        QTest::newRow("asleep after work") << computing << 0 << 0 << rest;
        QTest::newRow("a long run") << rest << 900 << 5000 << computing;
        QTest::newRow("a long run that waits for the disk") << rest << 50 << 5000 << rest;
        QTest::newRow("many short runs") << rest << 800 << 20 << rest;
        QTest::newRow("many short runs after work") << computing << 800 << 20 << rest;
        QTest::newRow("left-over threads") << rest << 900 << 0 << computing;
        QTest::newRow("in between stays") << computing << 200 << 5000 << computing;
        QTest::newRow("in between stays at rest") << rest << 200 << 5000 << rest;
    }
    void place()
    {
        QFETCH(int, present);
        QFETCH(int, wanted);
        QFETCH(int, longest);
        QTEST(niceFor(present, {wanted, 1000, longest}), "nice");
        QCOMPARE(niceFor(present, {wanted, 0, longest}), present); // no time has passed
    }

    void manySessionsShareOnePlace()
    {
        QCOMPARE(niceOfEach(5, 1), 5);
        QCOMPARE(niceOfEach(5, 2), 9);
        QCOMPARE(niceOfEach(13, 3), 18);
        QCOMPARE(niceOfEach(13, 64), 19);
    }

    // ns; 0 where the system does not say.
    static qint64 sliceOf(qint64 pid)
    {
        QFile file(QStringLiteral("/proc/%1/sched").arg(pid));
        if (!file.open(QIODevice::ReadOnly))
            return 0;
        for (const QByteArray &line : file.readAll().split('\n')) {
            if (line.startsWith("se.slice"))
                return line.split(':').last().trimmed().toLongLong();
        }
        return 0;
    }

    // What this thread starts afterwards has turns of the usual length.
    void shortTurnsAreNotInherited()
    {
        const qint64 before = sliceOf(::getpid());
        const bool taken = takeShortTurns();
        const pid_t child = ::fork();
        if (child == 0) {
            ::pause();
            ::_exit(0);
        }
        const qint64 own = sliceOf(::getpid()), childs = sliceOf(child);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        if (before != 0) {
            QCOMPARE(own, taken ? 100'000 : before);
            QCOMPARE(childs, before);
        }
    }

    void inTheSystem()
    {
        QFile on(QStringLiteral("/proc/sys/kernel/sched_autogroup_enabled"));
        if (::geteuid() != 0 || !on.open(QIODevice::ReadOnly) || on.readAll().trimmed() != "1")
            QSKIP("needs root and a system with autogroups");
        QVERIFY(m_rig.start());
        const KernelSpec spec = m_rig.spec();
        auto kernel = m_rig.spawn(spec);
        auto neighbour = m_rig.spawn();
        QVERIFY(kernel && neighbour);
        QCOMPARE(niceOf(kernel->pid()), kAtRestNice);

        // A process with a session, and so an autogroup, of its own; and the cell itself.
        RunRequest computing = request("import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True)\n"
                                       "while True: pass", 6s);
        const auto running = kernel->run(std::move(computing));
        QTRY_VERIFY(niceOf(kernel->pid()) >= kComputingNice);
        QTRY_COMPARE(foreignSessions(spec, kernel->pid()).size(), 1);
        const qint64 own = foreignSessions(spec, kernel->pid()).first();
        QTRY_COMPARE(niceOf(own), niceOfEach(kComputingNice, 2));
        QCOMPARE(niceOf(neighbour->pid()), kAtRestNice);

        // The cell ends, what it left behind goes on; then that ends too.
        QTRY_VERIFY_WITH_TIMEOUT(running.isReady(), 15'000);
        QCOMPARE(niceOf(own), niceOfEach(kComputingNice, 2));
        QVERIFY(run(*kernel, "p.kill(); p.wait()").status == RunStatus::Ok);
        QTRY_COMPARE_WITH_TIMEOUT(niceOf(kernel->pid()), kAtRestNice, 15'000);
        m_rig.stop();
    }
};

QTEST_GUILESS_MAIN(TestCpuPlace)
#include "tst_cpu_place.moc"
