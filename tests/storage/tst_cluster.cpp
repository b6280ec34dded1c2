// The managed cluster as every kind of user, in awkward places, and after every kind of death.
#include "Await.h"
#include "storage/ClusterLayout.h"
#include "storage/Database.h"
#include "storage/ManagedCluster.h"
#include "storage/Sql.h"
#include <QDir>
#include <QDirIterator>
#include <QFileInfo>
#include <QProcess>
#include <QRegularExpression>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <csignal>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace power;
using namespace power::storage;
using namespace std::chrono_literals;

namespace {
constexpr uid_t namelessUid = 54'321;

// What a cluster-owner said.
struct Said {
    QString line;
    bool isReady() const { return line.startsWith(QStringLiteral("ready")); }
    qint64 value(const char *name) const
    {
        const QRegularExpression rule(QStringLiteral("\\b%1=(-?\\d+)").arg(QLatin1String(name)));
        const auto match = rule.match(line);
        return match.hasMatch() ? match.captured(1).toLongLong() : -1;
    }
};

// A dead process that nobody has waited for has no working directory any more.
bool isAlive(pid_t pid)
{
    return !QFile(QStringLiteral("/proc/%1/cwd").arg(pid)).symLinkTarget().isEmpty();
}
} // namespace

class TestCluster : public QObject
{
    Q_OBJECT
    QTemporaryDir m_root;
    QString m_owner; // a copy of the program where every user can run it

    // Starts a cluster-owner as `uid`, waits for its line.
    Said start(QProcess &process, const QString &data, const char *mode, uid_t uid = geteuid())
    {
        QStringList command{m_owner, data, QLatin1String(mode)};
        if (uid != geteuid()) {
            const QString id = QString::number(uid);
            command = QStringList{QStringLiteral("setpriv"), QStringLiteral("--reuid"), id, QStringLiteral("--regid"), id,
                                  QStringLiteral("--clear-groups"), QStringLiteral("--")} + command;
        }
        const QString program = command.takeFirst();
        process.setStandardOutputFile(QProcess::nullDevice());
        process.setReadChannel(QProcess::StandardError);
        process.start(program, command);
        while (process.waitForReadyRead(60'000)) {
            while (process.canReadLine()) {
                const Said said{QString::fromUtf8(process.readLine()).trimmed()};
                if (said.isReady() || said.line.startsWith(QStringLiteral("failed")))
                    return said;
            }
        }
        return {QStringLiteral("nothing said: ") + process.errorString()};
    }

    Said startAndStop(const QString &data, uid_t uid = geteuid())
    {
        QProcess process;
        const Said said = start(process, data, "stop", uid);
        process.waitForFinished(40'000);
        return said;
    }

    QString newDirectory(const QString &name, uid_t uid = geteuid())
    {
        const QString path = m_root.path() + u'/' + name;
        QDir().mkpath(path);
        if (uid != geteuid() && ::chown(qPrintable(path), uid, gid_t(uid)) != 0)
            return {};
        return path;
    }

    static QString clusterIn(const QString &data)
    {
        for (const QString &major : QDir(data + QStringLiteral("/postgres")).entryList(QDir::Dirs | QDir::NoDotAndDotDot))
            return data + QStringLiteral("/postgres/") + major;
        return {};
    }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY(m_root.isValid());
        QVERIFY(QFile::setPermissions(m_root.path(), QFile::Permissions(0x7055)));
        m_owner = m_root.filePath(QStringLiteral("cluster-owner"));
        QVERIFY(QFile::copy(QCoreApplication::applicationDirPath() + QStringLiteral("/../bin/cluster-owner"), m_owner));
        QVERIFY(QFile::setPermissions(m_owner, QFile::Permissions(0x7055)));
    }

    void cleanupTestCase()
    {
        // What a failed case left running.
        QDirIterator entries(m_root.path(), {QStringLiteral("PG_VERSION")}, QDir::Files, QDirIterator::Subdirectories);
        while (entries.hasNext()) {
            for (const pid_t pid : processesIn(QFileInfo(entries.next()).path()))
                ::kill(pid, SIGQUIT);
        }
    }

    void startsStopsAndKeepsItsData()
    {
        const QString data = newDirectory(QStringLiteral("plain"));
        const Said first = startAndStop(data);
        QVERIFY2(first.isReady(), qPrintable(first.line));
        QVERIFY(!isAlive(pid_t(first.value("pid"))));
        struct stat info{};
        QCOMPARE(::stat(qPrintable(clusterIn(data)), &info), 0);
        QCOMPARE(info.st_mode & 0777, 0700u);
        if (geteuid() == 0)
            QVERIFY2(info.st_uid != 0, "the cluster must not belong to root");
        const Said second = startAndStop(data);
        QVERIFY2(second.isReady(), qPrintable(second.line));
        QCOMPARE(second.value("rows"), 2);
        qInfo("fresh cluster %lld ms, started again %lld ms", first.value("ms"), second.value("ms"));
    }

    void asAPlainUser()
    {
        if (geteuid() != 0)
            QSKIP("needs root to change users");
        const uid_t nobody = getpwnam("nobody")->pw_uid;
        const QString data = newDirectory(QStringLiteral("nobody"), nobody);
        const Said said = startAndStop(data, nobody);
        QVERIFY2(said.isReady(), qPrintable(said.line));
    }

    void asAUserWithoutAName()
    {
        if (geteuid() != 0)
            QSKIP("needs root to change users");
        QVERIFY(!getpwuid(namelessUid));
        const QString data = newDirectory(QStringLiteral("nameless"), namelessUid);
        const Said said = startAndStop(data, namelessUid);
        QVERIFY2(said.isReady(), qPrintable(said.line));
    }

    void inALongPath()
    {
        QString name;
        while (m_root.path().size() + 1 + name.size() < 150)
            name += name.size() % 40 == 39 ? u'/' : u'x';
        const Said said = startAndStop(newDirectory(name));
        QVERIFY2(said.isReady(), qPrintable(said.line));
    }

    void belowADirectoryOnlyWeCanEnter()
    {
        const QString outer = newDirectory(QStringLiteral("closed"));
        QVERIFY(QFile::setPermissions(outer, QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner));
        const Said said = startAndStop(newDirectory(QStringLiteral("closed/inner")));
        QVERIFY2(said.isReady(), qPrintable(said.line));
    }

    void aKilledServerLeavesAClusterToAdopt()
    {
        const QString data = newDirectory(QStringLiteral("adopt"));
        QProcess first;
        const Said before = start(first, data, "hold");
        QVERIFY2(before.isReady(), qPrintable(before.line));
        // A second server must not share it.
        const Said refused = startAndStop(data);
        QVERIFY2(refused.line.contains(QStringLiteral("Another server uses the database")), qPrintable(refused.line));
        ::kill(pid_t(first.processId()), SIGKILL);
        QVERIFY(first.waitForFinished());
        const Said after = startAndStop(data);
        QVERIFY2(after.isReady(), qPrintable(after.line));
        QCOMPARE(after.value("adopted"), 1);
        QCOMPARE(after.value("pid"), before.value("pid"));
        QCOMPARE(after.value("rows"), 2);
        QVERIFY(!isAlive(pid_t(before.value("pid"))));
        qInfo("adopted start %lld ms", after.value("ms"));
    }

    void bothKilledRecover()
    {
        const QString data = newDirectory(QStringLiteral("both"));
        QProcess first;
        const Said before = start(first, data, "hold");
        QVERIFY2(before.isReady(), qPrintable(before.line));
        ::kill(pid_t(first.processId()), SIGKILL);
        ::kill(pid_t(before.value("pid")), SIGKILL);
        QVERIFY(first.waitForFinished());
        const Said after = startAndStop(data);
        QVERIFY2(after.isReady(), qPrintable(after.line));
        QCOMPARE(after.value("adopted"), 0);
        QCOMPARE(after.value("rows"), 2);
        qInfo("start after kill -9 of both %lld ms", after.value("ms"));
    }

    void aReusedProcessIdDoesNotStopTheStart()
    {
        const QString data = newDirectory(QStringLiteral("reused"));
        QVERIFY(startAndStop(data).isReady());
        // The number in the file now belongs to a process of the same user that is no postmaster.
        QProcess other;
        struct stat info{};
        QCOMPARE(::stat(qPrintable(clusterIn(data)), &info), 0);
        if (geteuid() == 0)
            other.start(QStringLiteral("setpriv"), {QStringLiteral("--reuid"), QString::number(info.st_uid), QStringLiteral("--clear-groups"),
                                                    QStringLiteral("sleep"), QStringLiteral("60")});
        else
            other.start(QStringLiteral("sleep"), {QStringLiteral("60")});
        QVERIFY(other.waitForStarted());
        QFile file(clusterIn(data) + QStringLiteral("/postmaster.pid"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(QByteArray::number(other.processId()) + "\n/elsewhere\n1\n5432\n/tmp\n\n  123 456\nready\n");
        file.close();
        const Said after = startAndStop(data);
        other.kill();
        other.waitForFinished();
        QVERIFY2(after.isReady(), qPrintable(after.line));
        QCOMPARE(after.value("adopted"), 0);
    }

    void aDeadPostmasterIsStartedAgain()
    {
        const QString data = newDirectory(QStringLiteral("again"));
        ManagedCluster cluster(data);
        const auto started = test::await(cluster.start());
        QVERIFY2(started, started ? "" : qPrintable(started.error().text()));
        QVERIFY(!cluster.description().contains(QStringLiteral("postgresql://")));
        Database database(Database::Config{cluster.url()});
        QVERIFY(test::await(database.start()));
        QSignalSpy changes(&database, &Database::connectedChanged);
        const qint64 before = cluster.postmasterPid();
        ::kill(pid_t(before), SIGKILL);
        QTRY_VERIFY_WITH_TIMEOUT(!database.isConnected(), 10'000);
        QVERIFY(!database.lastProblem().isEmpty());
        Job<Done> job = [](QSqlDatabase &connection) { return script(connection, "SELECT 1"); };
        const auto refused = test::await(database.run<Done>(Lane::Short, 10s, job));
        QVERIFY(refused || refused.error().code == ErrorCode::Unavailable);
        QTRY_VERIFY_WITH_TIMEOUT(cluster.isRunning() && database.isConnected(), 30'000);
        QVERIFY(cluster.postmasterPid() != before);
        QVERIFY(test::await(database.run<Done>(Lane::Short, 10s, job)));
        QVERIFY(changes.size() >= 2);
        QCoro::waitFor(database.stop());
        QCoro::waitFor(cluster.stop());
        QVERIFY(processesIn(clusterIn(data)).isEmpty());
    }

    void aMissingVersionIsNamed()
    {
        const QString data = newDirectory(QStringLiteral("older/postgres/9"));
        QFile version(data + QStringLiteral("/PG_VERSION"));
        QVERIFY(version.open(QIODevice::WriteOnly));
        version.close();
        ManagedCluster cluster(m_root.filePath(QStringLiteral("older")));
        const auto started = test::await(cluster.start());
        QVERIFY(!started && started.error().text().contains(QStringLiteral("Install postgresql-9")));
    }
};

QTEST_GUILESS_MAIN(TestCluster)
#include "tst_cluster.moc"
