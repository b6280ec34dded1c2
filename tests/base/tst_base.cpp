// Ids, Expected, cancellation and the one awaitable everything else waits with.
#include "FailSync.h"
#include "base/DiskUse.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include "base/OneShot.h"
#include <QDir>
#include <QTemporaryDir>
#include <QTest>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace power;
using namespace std::chrono_literals;

class TestBase : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void sessionIds_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<bool>("valid");
        QTest::addColumn<QString>("made");
        QTest::newRow("plain") << QStringLiteral("default") << true << QStringLiteral("default");
        QTest::newRow("uuid") << QStringLiteral("0b0e7c1e-8a52-4c2b-9a94-0f3f0a1b2c3d") << true
                              << QStringLiteral("0b0e7c1e-8a52-4c2b-9a94-0f3f0a1b2c3d");
        QTest::newRow("spaces") << QStringLiteral("Q3 Report!") << false << QStringLiteral("Q3-Report");
        QTest::newRow("traversal") << QStringLiteral("../x") << false << QStringLiteral("x");
        QTest::newRow("accent") << QStringLiteral("Überblick") << false << QStringLiteral("Uberblick");
        QTest::newRow("newline") << QStringLiteral("a\n") << false << QStringLiteral("a");
    }
    void sessionIds()
    {
        QFETCH(QString, text);
        QFETCH(bool, valid);
        QFETCH(QString, made);
        QCOMPARE(validSessionId(text).ok(), valid);
        QCOMPARE(sessionIdFromText(text), made);
        QVERIFY(validSessionId(sessionIdFromText(text)).ok());
    }
    void sessionIdOfNothingIsStillValid() { QVERIFY(validSessionId(sessionIdFromText(QStringLiteral("???"))).ok()); }

    void oneShotDeliversTimesOutAndCancels()
    {
        QString seen;
        auto waiting = [](OneShot<int> shot, CancelToken token, QString &out) -> QCoro::Task<> {
            const std::chrono::milliseconds limit = 30ms;
            const Result<int> got = co_await shot.wait(limit, token);
            out = got ? QString::number(*got) : QLatin1String(errorWord(got.error().code));
        };
        OneShot<int> first;
        auto a = waiting(first, {}, seen);
        first.resolve(7);
        first.resolve(8);
        QCOMPARE(seen, QStringLiteral("7"));

        auto b = waiting(OneShot<int>(), {}, seen);
        QTRY_COMPARE_WITH_TIMEOUT(seen, QStringLiteral("timeout"), 2000);

        CancelSource source;
        auto c = waiting(OneShot<int>(), source.token(), seen);
        source.cancel();
        QCOMPARE(seen, QStringLiteral("cancelled"));
        auto d = waiting(OneShot<int>(), source.token(), seen = QString());
        QCOMPARE(seen, QStringLiteral("cancelled"));
    }

    // What the disk did not take is not there; the file before is, and nothing else.
    void writesDurably()
    {
        QTemporaryDir place;
        FailSync disk;
        const QString path = place.filePath(QStringLiteral("small"));
        const auto content = [&path] {
            QFile file(path);
            return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray("none");
        };
        QVERIFY(writeDurably(path, "first"));
        QCOMPARE(QFileInfo(path).permissions() & (QFile::ReadGroup | QFile::ReadOther), QFile::Permissions());
        const QByteArray directory = QFile::encodeName(place.path()) + '$';
        for (const bool ofDirectory : {false, true}) {
            QVERIFY(disk.next("fsync", ofDirectory ? directory : QByteArray("small")));
            const Result<Done> failed = writeDurably(path, "second");
            QVERIFY(disk.isDone() && !failed && failed.error().code == ErrorCode::Unavailable);
            QVERIFY2(failed.error().message.contains(QStringLiteral("Input/output error")), qPrintable(failed.error().message));
            QCOMPARE(content(), ofDirectory ? QByteArray("second") : QByteArray("first")); // it is in its place already
        }
        // Where there was none, none is found that nothing has confirmed.
        QVERIFY(disk.next("fsync", directory));
        QVERIFY(!writeDurably(place.filePath(QStringLiteral("new")), "x") && disk.isDone());
        QVERIFY(!QFile::exists(place.filePath(QStringLiteral("new"))));
        QVERIFY(writeDurably(path, "third"));
        QCOMPARE(content(), QByteArray("third"));
        QCOMPARE(QDir(place.path()).entryList(QDir::Files | QDir::Hidden), QStringList{QStringLiteral("small")});
        QVERIFY(!writeDurably(place.filePath(QStringLiteral("no/directory")), "x"));
    }

    // Nor does it hide that its user closes it to himself, where the server is of the same user.
    void closedTree()
    {
        QTemporaryDir place;
        const QByteArray path = QFile::encodeName(place.path()), inner = path + "/inner";
        QCOMPARE(::mkdir(inner.constData(), 0700), 0);
        const auto useOf = [](const QByteArray &tree) { // 1 closed, 2 failed, by one without rights above others
            const pid_t child = ::fork();
            if (child == 0) {
                if (::getuid() == 0 && ::setresuid(64'321, 64'321, 64'321) != 0)
                    ::_exit(100);
                DiskUse use;
                use.add(AT_FDCWD, tree.constData());
                ::_exit((use.closed ? 1 : 0) + (use.failed ? 2 : 0) + (use.isWhole() ? 4 : 0));
            }
            int status = 0;
            ::waitpid(child, &status, 0);
            return WEXITSTATUS(status);
        };
        for (const QByteArray &each : {path, inner}) {
            if (::getuid() == 0)
                QCOMPARE(::chown(each.constData(), 64'321, 64'321), 0);
        }
        QCOMPARE(useOf(path), 4);
        QCOMPARE(::chmod(inner.constData(), 0300), 0);
        QCOMPARE(useOf(path), 1);
        QCOMPARE(::chmod(path.constData(), 0300), 0);
        QCOMPARE(useOf(path), 1);
        QCOMPARE(::chmod(path.constData(), 0700), 0);
        QCOMPARE(::chmod(inner.constData(), 0700), 0);
        // A shortage of the server's is none of its user's doing.
        rlimit before{};
        QCOMPARE(::getrlimit(RLIMIT_NOFILE, &before), 0);
        const rlimit none{3, before.rlim_max};
        QCOMPARE(::setrlimit(RLIMIT_NOFILE, &none), 0);
        const int hindered = useOf(path);
        QCOMPARE(::setrlimit(RLIMIT_NOFILE, &before), 0);
        QCOMPARE(hindered, 2 + 4);
        QCOMPARE(useOf(path + "/gone"), 4);
    }

    // Neither depth nor number hides what a tree takes.
    void diskUse()
    {
        QTemporaryDir place;
        const auto nest = [](int at, int levels) { // by steps, because a path this long cannot be named
            int inner = ::dup(at);
            for (int i = 0; i < levels; ++i) {
                const bool made = ::mkdirat(inner, "d", 0700) == 0;
                const int next = ::openat(inner, "d", O_RDONLY | O_DIRECTORY);
                ::close(inner);
                inner = next;
                if (!made)
                    break;
            }
            return inner;
        };
        const auto use = [&place] {
            DiskUse made;
            made.add(AT_FDCWD, place.path().toLocal8Bit().constData());
            return made;
        };
        const int top = ::open(place.path().toLocal8Bit().constData(), O_RDONLY | O_DIRECTORY);
        const int deep = nest(top, 200);
        const int file = ::openat(deep, "file", O_WRONLY | O_CREAT, 0600);
        const QByteArray megabytes(4 << 20, 'x');
        QCOMPARE(::write(file, megabytes.constData(), size_t(megabytes.size())), ssize_t(megabytes.size()));
        QVERIFY(::linkat(deep, "file", top, "again", 0) == 0); // one file
        for (int i = 0; i < 60'000; ++i)
            QVERIFY(::symlinkat("x", top, QByteArray::number(i).constData()) == 0);
        DiskUse counted = use();
        QVERIFY(counted.isWhole());
        QCOMPARE(counted.entries, 200 + 2 + 60'000);
        QVERIFY2(counted.bytes >= 4 << 20 && counted.bytes < 8 << 20, QByteArray::number(counted.bytes).constData());
        const int deeper = nest(deep, 100);
        counted = use();
        QVERIFY(counted.tooDeep && !counted.isWhole());
        QCOMPARE(counted.limitInWords(), QStringLiteral("256 levels of directories"));
        for (const int each : {file, deeper, deep, top})
            ::close(each);
    }
};

QTEST_GUILESS_MAIN(TestBase)
#include "tst_base.moc"
