// Control groups of sessions: where the machine has a cgroup v2 tree that may be divided, with the memory controller for most.
#include "HostRig.h"
#include "supervisor/SessionGroups.h"
#include <QProcess>
#include <csignal>

using namespace rig;

namespace {
// Takes memory that neither RLIMIT_DATA nor the watchdog counts: what was written into sockets and is not read.
const QByteArray kUnseen = "import socket\n"
                           "kept = []\n"
                           "for i in range(480):\n"
                           "    pair = socket.socketpair()\n"
                           "    kept.append(pair)\n"
                           "    for end in pair:\n"
                           "        end.setblocking(False)\n"
                           "        try:\n"
                           "            while True: end.send(bytes(65536))\n"
                           "        except BlockingIOError: pass\n"
                           "print('all of it')\n";
constexpr qint64 kLimit = 128ll << 20;

QByteArray ownTree()
{
    return groupDirectory(groups::read("/proc/self/mountinfo"), groups::read("/proc/self/cgroup"));
}

// The group of a session: its kernel is in one of two leaves below it.
QByteArray groupOf(qint64 pid)
{
    const QByteArray own = groups::read("/proc/" + QByteArray::number(pid) + "/cgroup");
    const QByteArray leaf = groupDirectory(groups::read("/proc/self/mountinfo"), own);
    return leaf.left(leaf.lastIndexOf('/'));
}

bool exists(const QByteArray &path)
{
    return ::access(path.constData(), F_OK) == 0;
}
} // namespace

class TestSessionGroups : public QObject
{
    Q_OBJECT
    std::unique_ptr<Rig> m_rig;

    bool hasGroups() const { return m_rig->host->tier().layers.value(QStringLiteral("cgroup")).toBool(); }
    int parked() const { return m_rig->host->checkpointReport().value(QStringLiteral("parked")).toInt(); }
    KernelSpec small()
    {
        KernelSpec spec = m_rig->spec();
        spec.limits.memoryBytes = kLimit;
        return spec;
    }

private Q_SLOTS:
    void place_data()
    {
        QTest::addColumn<QByteArray>("mounts");
        QTest::addColumn<QByteArray>("own");
        QTest::addColumn<QByteArray>("directory");
        const QByteArray unified = "26 23 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        const QByteArray hybrid = "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                  "31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        QTest::newRow("service") << unified << QByteArray("0::/system.slice/power.service\n") << QByteArray("/sys/fs/cgroup/system.slice/power.service");
        QTest::newRow("moved before") << unified << QByteArray("0::/system.slice/power.service/power-server")
                                      << QByteArray("/sys/fs/cgroup/system.slice/power.service");
        QTest::newRow("container") << unified << QByteArray("0::/\n") << QByteArray("/sys/fs/cgroup");
        QTest::newRow("moved in a container") << unified << QByteArray("0::/power-server\n") << QByteArray("/sys/fs/cgroup");
        QTest::newRow("hybrid") << hybrid << QByteArray("4:memory:/a\n0::/b\n") << QByteArray("/sys/fs/cgroup/unified/b");
        QTest::newRow("bound subtree") << QByteArray("26 23 0:22 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
                                       << QByteArray("0::/docker/x\n") << QByteArray("/sys/fs/cgroup");
        QTest::newRow("another subtree") << QByteArray("26 23 0:22 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
                                         << QByteArray("0::/docker/xy\n") << QByteArray();
        QTest::newRow("outside of its namespace") << unified << QByteArray("0::/../other\n") << QByteArray();
        QTest::newRow("version 1 alone") << QByteArray("30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
                                         << QByteArray("4:memory:/a\n") << QByteArray();
    }
    void place()
    {
        QFETCH(QByteArray, mounts);
        QFETCH(QByteArray, own);
        QTEST(groupDirectory(mounts, own), "directory");
    }

    void refusals()
    {
        const Result<GroupPlace> none = prepareGroups({});
        QVERIFY(!none && none.error().message.contains(u"no cgroup v2 tree"));
        const QTemporaryDir directory;
        const Result<GroupPlace> plain = prepareGroups(directory.path().toLocal8Bit());
        QVERIFY(!plain && plain.error().message.contains(u"no memory controller"));
    }

    // Without any controller: who is in a group, its end, and what a dead server leaves.
    void membersAndLeftOvers()
    {
        const QByteArray tree = ownTree();
        if (tree.isEmpty() || ::access(tree.constData(), W_OK) != 0)
            QSKIP("needs a cgroup v2 tree that can be written");
        QProcess ours, left;
        for (QProcess *each : {&ours, &left}) {
            each->start(QStringLiteral("sleep"), {QStringLiteral("60")});
            QVERIFY(each->waitForStarted());
        }
        // A directory that nobody holds, with a process in it.
        QByteArray dead = tree + "/power-sessions.XXXXXX";
        QVERIFY(::mkdtemp(dead.data()));
        QVERIFY(::mkdir((dead + "/7").constData(), 0755) == 0);
        QCOMPARE(groups::write(dead + "/7/cgroup.procs", QByteArray::number(left.processId())), 0);
        Result<std::shared_ptr<SessionGroups>> first = SessionGroups::open({tree, {}}, 0);
        QVERIFY2(first, first ? "" : qPrintable(first.error().message));
        QVERIFY(!exists(dead));
        QVERIFY(left.waitForFinished(5000) && left.exitStatus() == QProcess::CrashExit);

        QVERIFY((*first)->make(3, {kLimit, 8, 5}));
        QCOMPARE(groups::write((*first)->leaf(3, 0) + "/cgroup.procs", QByteArray::number(ours.processId())), 0);
        QCOMPARE(groupOf(ours.processId()), (*first)->group(3));
        { // another server of the same place leaves it alone
            const Result<std::shared_ptr<SessionGroups>> second = SessionGroups::open({tree, {}}, 0);
            QVERIFY(second);
            QVERIFY(exists((*first)->leaf(3, 1)));
        }
        QCOMPARE(ours.state(), QProcess::Running);
        (*first)->end(3);
        QVERIFY(ours.waitForFinished(5000) && ours.exitStatus() == QProcess::CrashExit);
        QTRY_VERIFY((*first)->remove(3));
        const QByteArray directory = (*first)->group(3).chopped(2);
        QVERIFY(exists(directory));
        *first = {};
        QVERIFY(!exists(directory));
    }

    void startsAHost()
    {
        m_rig = std::make_unique<Rig>();
        QVERIFY(m_rig->start());
        const QJsonObject &layers = m_rig->host->tier().layers;
        QVERIFY(layers.value(QStringLiteral("cgroup")).isBool());
        QVERIFY(layers.contains(hasGroups() ? QStringLiteral("cgroup_controllers") : QStringLiteral("cgroup_reason")));
        QVERIFY(QTest::qWaitFor([this] { return m_rig->host->isReady(); }, 200'000)); // in an emulated machine it takes its time
        const std::unique_ptr<Kernel> kernel = m_rig->spawn();
        QVERIFY(kernel && run(*kernel, "1").status == RunStatus::Ok);
        if (!hasGroups())
            QSKIP(qPrintable(QStringLiteral("no memory controller for sessions: ") + layers.value(QStringLiteral("cgroup_reason")).toString()));
    }

    void limitsAreSet()
    {
        if (!hasGroups())
            QSKIP("needs a cgroup v2 memory controller");
        const std::unique_ptr<Kernel> kernel = m_rig->spawn(small());
        QVERIFY(kernel);
        const QByteArray group = groupOf(kernel->pid());
        QVERIFY2(group.contains("/power-sessions."), group.constData());
        QCOMPARE(groups::read(group + "/memory.max").toLongLong(), SessionGroups::memoryMax({kLimit, 0, 0}));
        QCOMPARE(groups::read(group + "/a/memory.oom.group"), QByteArray("1"));
        if (exists(group + "/memory.swap.max"))
            QCOMPARE(groups::read(group + "/memory.swap.max"), QByteArray("0"));
        const QString controllers = m_rig->host->tier().layers.value(QStringLiteral("cgroup_controllers")).toString();
        if (controllers.contains(u"pids"))
            QCOMPARE(groups::read(group + "/pids.max"), QByteArray("68"));
        if (controllers.contains(u"cpu"))
            QCOMPARE(groups::read(group + "/cpu.weight.nice"), QByteArray("5"));
        // A child of the cell is in it too.
        const RunOutcome child = run(*kernel, "import subprocess\nprint(subprocess.run(['cat', '/proc/self/cgroup'], capture_output=True, text=True).stdout)");
        QCOMPARE(child.status, RunStatus::Ok);
        qInfo("%s, as the session sees it: %s", group.constData(), story(child).constData());
    }

    // Nothing of the tree can be written from inside.
    void outOfReach()
    {
        if (!hasGroups())
            QSKIP("needs a cgroup v2 memory controller");
        const std::unique_ptr<Kernel> kernel = m_rig->spawn(small());
        QVERIFY(kernel);
        const QByteArray group = groupOf(kernel->pid());
        const RunOutcome tried = run(*kernel, "import os\n"
                                              "done = []\n"
                                              "def attempt(path, text):\n"
                                              "    try:\n"
                                              "        with open(path, 'w') as file: file.write(text)\n"
                                              "        done.append(path)\n"
                                              "    except OSError: pass\n"
                                              "group = '" + group + "'\n"
                                              "for path, text in [(group + '/memory.max', 'max'), (group + '/../memory.max', 'max'), (group + '/pids.max', 'max'),\n"
                                              "                   (group + '/a/memory.oom.group', '0'), ('/sys/fs/cgroup/cgroup.procs', '0'),\n"
                                              "                   (group + '/../../cgroup.procs', '0'), (group + '/../../power-server/cgroup.procs', '0')]:\n"
                                              "    attempt(path, text)\n"
                                              "for top, _, files in os.walk('/sys/fs/cgroup'):\n"
                                              "    done += [top + '/' + name for name in files if name == 'cgroup.procs' and os.access(top + '/' + name, os.W_OK) and not attempt(top + '/' + name, '0')]\n"
                                              "    try: os.mkdir(top + '/mine'); done.append(top)\n"
                                              "    except OSError: pass\n"
                                              "print(done)");
        QCOMPARE(story(tried), QByteArray("o:[]\n"));
        QCOMPARE(groupOf(kernel->pid()), group);
    }

    void memoryThatNothingElseCounts()
    {
        if (!hasGroups())
            QSKIP("needs a cgroup v2 memory controller");
        const std::unique_ptr<Kernel> neighbour = m_rig->spawn(small());
        KernelSpec spec = small();
        spec.checkpoints = false;
        const std::unique_ptr<Kernel> kernel = m_rig->spawn(std::move(spec));
        QVERIFY(neighbour && kernel);
        QCOMPARE(run(*neighbour, "x = 41").status, RunStatus::Ok);
        const QByteArray group = groupOf(kernel->pid());
        const RunOutcome ended = run(*kernel, kUnseen, 120s);
        qInfo("%s", describe(ended).constData());
        QCOMPARE(ended.status, RunStatus::Killed);
        QCOMPARE(ended.cause, QStringLiteral("memory_limit"));
        QCOMPARE(ended.limit, QStringLiteral("128 MB"));
        QCOMPARE(ended.peak, QStringLiteral("208 MB")); // where the system ends it: memoryMax()
        QVERIFY(ended.errorValue.contains(u"ended by the system"));
        QVERIFY(!ended.variablesSurvived);
        QVERIFY(!kernel->isAlive());
        QTRY_VERIFY_WITH_TIMEOUT(!exists(group), 10'000);
        QCOMPARE(story(run(*neighbour, "x + 1")), QByteArray("d:42"));
    }

    // In one leaf the session, in the other its checkpoint; when that takes over they change roles: twice, so both ways.
    void goesOnFromItsCheckpoint()
    {
        if (!hasGroups())
            QSKIP("needs a cgroup v2 memory controller");
        const std::unique_ptr<Kernel> kernel = m_rig->spawn(small());
        QVERIFY(kernel);
        QCOMPARE(run(*kernel, "x = 41; import time; time.sleep(1)").status, RunStatus::Ok);
        for (int round = 0; round < 3; ++round) {
            QTRY_VERIFY_WITH_TIMEOUT(parked() > 0, 30'000);
            const QByteArray leaf = groups::read("/proc/" + QByteArray::number(kernel->pid()) + "/cgroup").trimmed();
            const QByteArray group = groupOf(kernel->pid());
            const QByteArray other = group + (leaf.endsWith("/a") ? "/b" : "/a");
            QTRY_VERIFY(!groups::read(other + "/cgroup.procs").isEmpty());
            const RunOutcome ended = run(*kernel, kUnseen, 120s);
            qInfo("%s", describe(ended).constData());
            QCOMPARE(ended.cause, QStringLiteral("memory_limit"));
            QVERIFY(ended.restored && ended.variablesSurvived);
            QCOMPARE(groupOf(kernel->pid()), group);
            QVERIFY(!groups::read("/proc/" + QByteArray::number(kernel->pid()) + "/cgroup").endsWith(leaf.right(2)));
            QCOMPARE(story(run(*kernel, "x + 1")), QByteArray("d:42"));
        }
        // Its own signal is no want of memory.
        const RunOutcome signal = run(*kernel, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)");
        QCOMPARE(signal.cause, QStringLiteral("signal"));
    }

    // Many processes that each stay below RLIMIT_DATA; the watchdog or the group, whichever is first, tells the same.
    void burstOfProcesses()
    {
        if (!hasGroups())
            QSKIP("needs a cgroup v2 memory controller");
        KernelSpec spec = small();
        spec.checkpoints = false;
        const std::unique_ptr<Kernel> kernel = m_rig->spawn(std::move(spec));
        QVERIFY(kernel);
        const RunOutcome ended = run(*kernel, "import mmap, os, time\n"
                                              "area = mmap.mmap(-1, 1 << 30)\n"
                                              "for n in range(8):\n"
                                              "    if os.fork() == 0:\n"
                                              "        for at in range(n << 27, (n + 1) << 27, 4096): area[at] = 1\n"
                                              "        time.sleep(60)\n"
                                              "time.sleep(60)\n", 90s);
        qInfo("%s", describe(ended).constData());
        QCOMPARE(ended.cause, QStringLiteral("memory_limit"));
        QCOMPARE(ended.limit, QStringLiteral("128 MB"));
    }

    void stopsAHost()
    {
        if (!m_rig)
            return;
        const std::unique_ptr<Kernel> kernel = m_rig->spawn();
        QVERIFY(kernel);
        const QByteArray group = hasGroups() ? groupOf(kernel->pid()) : QByteArray();
        m_rig->stop();
        QVERIFY(group.isEmpty() || !exists(group.left(group.lastIndexOf('/'))));
        m_rig.reset();
    }
};

QTEST_GUILESS_MAIN(TestSessionGroups)
#include "tst_session_groups.moc"
