// A server killed without a word leaves no kernel process behind, in any tier.
#include "app/ServerProcess.h"
#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QNetworkReply>
#include <QTest>
#include <csignal>

using namespace power::test;

namespace {
struct Seen {
    pid_t pid = 0, parent = 0;
    QByteArray started; // with the pid: this very process
    QByteArray command;
    bool living = false;
};

Seen look(pid_t pid)
{
    Seen seen;
    QFile stat(QStringLiteral("/proc/%1/stat").arg(pid)), command(QStringLiteral("/proc/%1/cmdline").arg(pid));
    if (!stat.open(QIODevice::ReadOnly))
        return seen;
    const QByteArray text = stat.readAll();
    const QList<QByteArray> fields = text.mid(text.lastIndexOf(')') + 2).split(' ');
    seen.pid = pid;
    seen.parent = fields.value(1).toInt();
    seen.started = fields.value(19);
    seen.living = fields.value(0) != "Z" && fields.value(0) != "X";
    if (command.open(QIODevice::ReadOnly))
        seen.command = command.readAll();
    return seen;
}

QList<Seen> everything()
{
    QList<Seen> all;
    for (const QString &name : QDir(QStringLiteral("/proc")).entryList(QDir::Dirs)) {
        const pid_t pid = name.toInt();
        if (pid <= 0)
            continue;
        const Seen seen = look(pid);
        if (seen.living)
            all << seen;
    }
    return all;
}

// What runs below the server, but for its database.
QList<Seen> familyOf(pid_t server)
{
    const QList<Seen> all = everything();
    QSet<pid_t> known{server};
    QList<Seen> family;
    for (qsizetype before = -1; before != family.size();) {
        before = family.size();
        for (const Seen &seen : all) {
            if (known.contains(seen.pid) || !known.contains(seen.parent) || seen.command.contains("postgres"))
                continue;
            known.insert(seen.pid);
            family << seen;
        }
    }
    return family;
}

int livingOf(const QList<Seen> &family)
{
    int living = 0;
    for (const Seen &seen : family) {
        const Seen now = look(seen.pid);
        living += now.living && now.started == seen.started ? 1 : 0;
    }
    return living;
}
} // namespace

class TestCrash : public QObject
{
    Q_OBJECT
private:
    QNetworkAccessManager m_network;

    // A session that computes for ever and has started a process in a session of its own; the family with both in it.
    QList<Seen> keepBusy(ServerProcess &server)
    {
        static int number = 47'000;
        const QByteArray mark = QByteArray::number(++number + int(::getpid()) * 100);
        const QString code = QStringLiteral("import subprocess\nsubprocess.Popen(['sleep', '%1'], start_new_session=True)\n"
                                            "while True: pass").arg(QString::fromLatin1(mark));
        QNetworkRequest request(QUrl(server.url().toString() + QStringLiteral("/api/execute")));
        request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
        QNetworkReply *reply = m_network.post(
            request, QJsonDocument(QJsonObject{{QStringLiteral("code"), code}, {QStringLiteral("timeout"), 300}}).toJson());
        connect(reply, &QNetworkReply::finished, reply, &QObject::deleteLater);
        QList<Seen> family;
        const auto hasMark = [&] {
            family = familyOf(pid_t(server.pid()));
            for (const Seen &seen : std::as_const(family)) {
                if (seen.command.contains("sleep") && seen.command.contains(mark))
                    return true;
            }
            return false;
        };
        if (!QTest::qWaitFor(hasMark, 30'000))
            family.clear();
        return family;
    }

private Q_SLOTS:
    void killedServerLeavesNothing_data()
    {
        QTest::addColumn<QString>("tier");
        QTest::addColumn<uint>("user");
        QTest::newRow("full") << QStringLiteral("full") << 0u;
        QTest::newRow("container") << QStringLiteral("container") << 0u;
        QTest::newRow("userns") << QStringLiteral("full") << 64123u;
        QTest::newRow("nonroot") << QStringLiteral("nonroot") << 64123u;
    }
    void killedServerLeavesNothing()
    {
        QFETCH(QString, tier);
        QFETCH(uint, user);
        ServerProcess server;
        if (user)
            server.runAs(user);
        const QStringList flags{QStringLiteral("--sandbox-tier"), tier};
        QVERIFY2(server.start(flags), server.output().constData());
        QVERIFY(!server.run(QStringLiteral("x = 1"), QStringLiteral("idle")).isError);
        const QList<Seen> family = keepBusy(server);
        // zygote, two kernels, the process of one, and in full two inits
        QVERIFY2(family.size() >= (tier == u"full" ? 6 : 4), QByteArray::number(family.size()));
        server.kill();
        QTRY_VERIFY_WITH_TIMEOUT(livingOf(family) == 0, 10'000);
        QVERIFY2(server.start(flags), server.output().constData()); // its database survived; this ends it properly
        QVERIFY(server.stop());
    }

    // With the zygote killed too, nobody is left to end the sessions of `container`: the next start does.
    void nextStartEndsWhatIsLeft()
    {
        ServerProcess server;
        const QStringList flags{QStringLiteral("--sandbox-tier"), QStringLiteral("container")};
        QVERIFY2(server.start(flags), server.output().constData());
        const QList<Seen> family = keepBusy(server);
        QVERIFY(!family.isEmpty());
        ::kill(pid_t(server.pid()), SIGSTOP); // it must not start another zygote in between
        for (const Seen &seen : family) {
            if (seen.command.contains("zygote") && seen.parent == server.pid())
                ::kill(seen.pid, SIGKILL);
        }
        server.kill();
        QVERIFY(livingOf(family) >= 2);
        QVERIFY2(server.start(flags), server.output().constData());
        QCOMPARE(livingOf(family), 0);
        QVERIFY(server.stop());
    }
};

QTEST_GUILESS_MAIN(TestCrash)
#include "tst_crash.moc"
