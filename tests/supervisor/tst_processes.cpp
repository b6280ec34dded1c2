// Processes of /proc: what descends from a few, whoever else runs on the machine.
#include "supervisor/Processes.h"
#include <QMap>
#include <QTest>
#include <algorithm>
#include <csignal>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace power::supervisor;

namespace {
void waitToBeKilled()
{
    for (;;)
        ::pause();
}

void *forkOne(void *said)
{
    const pid_t pid = ::fork();
    if (pid == 0)
        waitToBeKilled();
    if (::write(*static_cast<int *>(said), &pid, sizeof pid) != sizeof pid)
        ::_exit(1);
    waitToBeKilled();
    return nullptr;
}

// A child that has made one process itself, in a session of its own, and one by a second thread.
void family(int said)
{
    const pid_t apart = ::fork();
    if (apart == 0) {
        ::setsid();
        waitToBeKilled();
    }
    if (::write(said, &apart, sizeof apart) != sizeof apart)
        ::_exit(1);
    pthread_t thread;
    pthread_create(&thread, nullptr, forkOne, &said);
    waitToBeKilled();
}
} // namespace

class TestProcesses : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void whatDescends()
    {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        int said[2];
        QCOMPARE(::pipe(said), 0);
        const pid_t other = ::fork();
        if (other == 0)
            waitToBeKilled();
        const pid_t root = ::fork();
        if (root == 0)
            family(said[1]);
        pid_t apart = 0, ofThread = 0;
        QCOMPARE(::read(said[0], &apart, sizeof apart), ssize_t(sizeof apart));
        QCOMPARE(::read(said[0], &ofThread, sizeof ofThread), ssize_t(sizeof ofThread));
        const QList<Process> found = processesBelow({root, 0, root, 0x3fffffff});
        const QList<Process> all = allProcesses();
        for (const pid_t pid : {root, other, apart, ofThread}) { // those of the family come here when it is gone
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
        ::close(said[0]);
        ::close(said[1]);

        QMap<pid_t, Process> byPid;
        for (const Process &process : found)
            byPid.insert(process.pid, process);
        QCOMPARE(found.size(), 3); // each once, and nobody else
        QVERIFY(byPid.contains(root) && byPid.contains(apart) && byPid.contains(ofThread));
        QCOMPARE(byPid[root].parent, ::getpid());
        QCOMPARE(byPid[root].tasks, 2);
        QCOMPARE(byPid[apart].parent, root);
        QCOMPARE(byPid[apart].uid, ::getuid());
        QCOMPARE(byPid[ofThread].parent, root);
        QVERIFY(byPid[root].resident > 0 && byPid[root].born > 0 && !byPid[root].zombie);
        for (const pid_t pid : {root, apart, ofThread, other, ::getpid()})
            QVERIFY(std::any_of(all.begin(), all.end(), [pid](const Process &process) { return process.pid == pid; }));
    }

    void theDeadHaveNone()
    {
        QVERIFY(processesBelow({0x3fffffff, 0, -1}).isEmpty());
        QVERIFY(readProcFile("/proc/1073741823/stat").isEmpty());
        QVERIFY(readProcFile("/proc/self/stat").endsWith('\n'));
    }
};

QTEST_GUILESS_MAIN(TestProcesses)
#include "tst_processes.moc"
