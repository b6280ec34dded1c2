// The state of resumable uploads without a server: durable, expiring, exclusive, and what a start makes of leftovers.
#include "../base/FailSync.h"
#include "../storage/Await.h"
#include "base/Durable.h"
#include "uploads/TusHeaders.h"
#include "uploads/TusUploads.h"
#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <limits>

using namespace power;
using namespace power::uploads;

namespace {
TusUpload sample(qint64 length)
{
    TusUpload upload;
    upload.principal = QStringLiteral("owner");
    upload.sessionId = QStringLiteral("default");
    upload.name = QStringLiteral("a.bin");
    upload.length = length;
    return upload;
}
} // namespace

class TestTusState : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void survives();
    void leftovers();
    void expires();
    void exclusive();
    void handedToNobody();
    void manyDelivered();
    void shares();
    void room();
    void lost();
    void headers();

private:
    TusUploads::Config config(const QTemporaryDir &directory) const
    {
        TusUploads::Config made;
        made.directory = directory.filePath(QStringLiteral("uploads"));
        return made;
    }
    TusTurnPtr made(TusUploads &uploads, qint64 length)
    {
        auto turn = storage::test::await(uploads.create(sample(length)));
        return turn ? *turn : nullptr;
    }
    Result<TusTurnPtr> again(TusUploads &uploads, const QString &id, const QString &principal = QStringLiteral("owner"))
    {
        return storage::test::await(uploads.turn(id, principal));
    }
};

void TestTusState::survives()
{
    QTemporaryDir directory;
    QString id, done;
    {
        TusUploads uploads(config(directory));
        QVERIFY(uploads.start().ok());
        TusTurnPtr turn = made(uploads, 10);
        QVERIFY(turn);
        id = turn->upload().id;
        QVERIFY(turn->file()->append(QByteArray("abc")).ok());
        QVERIFY(storage::test::await(uploads.settle(turn)).ok());
        TusTurnPtr whole = made(uploads, 0);
        done = whole->upload().id;
        QVERIFY(storage::test::await(uploads.delivered(whole, {{QStringLiteral("filename"), QStringLiteral("a.bin")}})).ok());
    }
    TusUploads uploads(config(directory));
    QVERIFY(uploads.start().ok());
    QVERIFY(!again(uploads, id, QStringLiteral("somebody")));
    const Result<TusTurnPtr> turn = again(uploads, id);
    QVERIFY(turn.ok());
    QCOMPARE((*turn)->offset(), 3);
    QCOMPARE((*turn)->upload().length, 10);
    QCOMPARE((*turn)->upload().name, QStringLiteral("a.bin"));
    const Result<TusTurnPtr> whole = again(uploads, done);
    QVERIFY(whole.ok() && (*whole)->upload().delivered && !(*whole)->file());
    QCOMPARE((*whole)->upload().file.value(QStringLiteral("filename")).toString(), QStringLiteral("a.bin"));
    QVERIFY(storage::test::await(uploads.remove(*turn)).ok());
    QVERIFY(!again(uploads, id));
    QCOMPARE(QDir(uploads.directory()).entryList(QDir::Files | QDir::Hidden), QStringList{done + QStringLiteral(".json")});
}

void TestTusState::leftovers()
{
    QTemporaryDir directory;
    const TusUploads::Config where = config(directory);
    QVERIFY(QDir().mkpath(where.directory));
    for (const char *name : {"form.part", "x.json", "y.json.abcdef", ".hidden", "empty.json"}) {
        QFile file(where.directory + u'/' + QLatin1String(name));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(qstrcmp(name, "x.json") == 0 ? "{\"id\":\"other\",\"length\":3}" : "");
    }
    TusUploads uploads(where);
    QVERIFY(uploads.start().ok());
    QCOMPARE(QDir(where.directory).entryList(QDir::Files | QDir::Hidden), QStringList());
}

void TestTusState::expires()
{
    QTemporaryDir directory;
    TusUploads::Config short1 = config(directory);
    short1.life = std::chrono::seconds(1);
    TusUploads uploads(short1);
    QVERIFY(uploads.start().ok());
    TusTurnPtr turn = made(uploads, 10);
    const QString id = turn->upload().id;
    const QDateTime end = uploads.expiry(*turn);
    uploads.sweep(); // in use: stays
    turn.reset();
    QVERIFY(again(uploads, id).ok());
    QTRY_VERIFY_WITH_TIMEOUT(QDateTime::currentDateTimeUtc() > end.addSecs(1), 5000);
    const Result<TusTurnPtr> late = again(uploads, id);
    QVERIFY(!late && late.error().code == ErrorCode::Gone);
    QTRY_COMPARE(QDir(uploads.directory()).entryList(QDir::Files), QStringList());
}

// Records of delivered uploads are a kindness to clients that missed an answer; they do not stand in the way of new ones.
void TestTusState::manyDelivered()
{
    QTemporaryDir directory;
    TusUploads::Config few = config(directory);
    few.mostKept = 3;
    TusUploads uploads(few);
    QVERIFY(uploads.start().ok());
    QStringList ids;
    for (int i = 0; i < 5; ++i) {
        TusTurnPtr turn = made(uploads, 0);
        QVERIFY2(turn, QByteArray::number(i));
        ids << turn->upload().id;
        QVERIFY(storage::test::await(uploads.delivered(turn, {})).ok());
        QTest::qWait(2); // the next one is younger
    }
    QVERIFY(!again(uploads, ids.first()));
    QVERIFY(again(uploads, ids.last()).ok());
    const TusTurnPtr a = made(uploads, 1), b = made(uploads, 1), c = made(uploads, 1);
    QVERIFY(a && b && c);
    const Result<TusTurnPtr> none = storage::test::await(uploads.create(sample(1)));
    QVERIFY(!none && none.error().message.startsWith(u"3 uploads"));
}

// One caller leaves places to the others.
void TestTusState::shares()
{
    QTemporaryDir directory;
    TusUploads::Config limits = config(directory);
    limits.mostOpen = 5;
    limits.mostOfOne = 3;
    TusUploads uploads(limits);
    QVERIFY(uploads.start().ok());
    const auto begin = [&uploads](const char *who) {
        TusUpload upload = sample(10);
        upload.principal = QLatin1String(who);
        return storage::test::await(uploads.create(upload));
    };
    for (int i = 0; i < 3; ++i)
        QVERIFY(begin("one").ok());
    const auto fourth = begin("one");
    QVERIFY(!fourth && fourth.error().code == ErrorCode::Busy && fourth.error().message.contains(u"3 of your uploads"));
    QVERIFY(begin("two").ok() && begin("two").ok());
    const auto sixth = begin("three"); // of all together
    QVERIFY(!sixth && sixth.error().code == ErrorCode::Busy);
}

// Resumable uploads and forms leave the same reserve.
void TestTusState::room()
{
    QTemporaryDir directory;
    TusUploads::Config limits = config(directory);
    {
        TusUploads uploads(limits);
        QVERIFY(uploads.start().ok() && uploads.roomFor(1).ok());
    }
    limits.freeReserve = std::numeric_limits<qint64>::max() / 2;
    TusUploads uploads(limits);
    QVERIFY(uploads.start().ok());
    QVERIFY(!uploads.roomFor(1));
    QVERIFY(!made(uploads, 1));
}

void TestTusState::exclusive()
{
    QTemporaryDir directory;
    TusUploads uploads(config(directory));
    QVERIFY(uploads.start().ok());
    TusTurnPtr first = made(uploads, 10);
    const QString id = first->upload().id;
    int got = 0;
    TusTurnPtr second;
    auto wait = [](TusUploads &all, QString name, int *count, TusTurnPtr *into) -> QCoro::Task<> {
        const QString owner = QStringLiteral("owner");
        Result<TusTurnPtr> turn = co_await all.turn(name, owner);
        if (turn)
            *into = *turn;
        ++*count;
    };
    wait(uploads, id, &got, &second);
    QVERIFY(first->interrupted().isCancelled());
    QCoreApplication::processEvents();
    QCOMPARE(got, 0);
    first.reset();
    QTRY_COMPARE(got, 1);
    QVERIFY(second && !second->interrupted().isCancelled());
}

// Who waited gave up in the very moment in which it was given the turn: the next one gets it.
void TestTusState::handedToNobody()
{
    QTemporaryDir directory;
    TusUploads uploads(config(directory));
    QVERIFY(uploads.start().ok());
    TusTurnPtr turn = made(uploads, 10);
    const QString id = turn->upload().id;
    const std::shared_ptr<TusTurn::Entry> entry = turn->entry();
    const OneShot<Done> impatient;
    entry->waiting.push_back(impatient);
    turn.reset();
    impatient.resolve(fail(ErrorCode::Timeout, QStringLiteral("waited long enough")));
    QTRY_VERIFY(!entry->taken);
    QVERIFY(again(uploads, id).ok());
}

// A sync that failed succeeds when it is repeated, although the bytes are lost: nothing of such an upload is acknowledged.
void TestTusState::lost()
{
    QTemporaryDir directory;
    FailSync disk;
    TusUploads::Config limits = config(directory);
    limits.mostOpen = 1;
    TusUploads uploads(limits);
    QVERIFY(uploads.start().ok());
    TusTurnPtr turn = made(uploads, 9);
    const QString id = turn->upload().id;
    QVERIFY(turn->file()->append(QByteArray("abc")).ok());
    QVERIFY(storage::test::await(uploads.settle(turn)).ok());
    QVERIFY(turn->file()->append(QByteArray("def")).ok());
    const std::shared_ptr<SpoolFile> file = turn->file();
    QVERIFY(disk.next("fdatasync", id.toLatin1()));
    const Result<Done> failed = storage::test::await(uploads.settle(turn));
    QVERIFY(disk.isDone() && !failed && failed.error().code == ErrorCode::Unavailable);
    QCOMPARE(failed.error().details.value(QStringLiteral("cause")).toString(), QLatin1String(notDurable));
    QVERIFY(!file->sync() && !file->append(QByteArray("g"))); // although the disk would say yes now
    QVERIFY(!turn->file());
    turn.reset();
    const Result<TusTurnPtr> later = again(uploads, id);
    QVERIFY(!later && later.error().code == ErrorCode::Gone);
    QVERIFY2(later.error().message.contains(QStringLiteral("disk did not take")), qPrintable(later.error().message));
    QCOMPARE(QDir(limits.directory).entryList(QDir::Files | QDir::Hidden), QStringList());
    QVERIFY(made(uploads, 1)); // it takes no place from others
    // The record of a new one: it is not begun.
    limits.mostOpen = 10;
    TusUploads others(limits);
    QVERIFY(others.start().ok());
    const QStringList before = QDir(limits.directory).entryList(QDir::Files | QDir::Hidden);
    QVERIFY(disk.next("fsync", ".json"));
    QVERIFY(!made(others, 5) && disk.isDone());
    QTRY_COMPARE(QDir(limits.directory).entryList(QDir::Files | QDir::Hidden), before);
}

void TestTusState::headers()
{
    const auto pairs = readMetadata("filename w5wuY3N2, is_confidential,session_id YQ==");
    QVERIFY(pairs.ok());
    QCOMPARE(pairs->value("filename"), QByteArray("\xc3\x9c.csv"));
    QVERIFY(pairs->contains("is_confidential"));
    QVERIFY(!readMetadata("a b!c") && !readMetadata(",") && !readMetadata("a YQ==,a YQ=="));
    QVERIFY(readCount("500", "x").ok() && !readCount("-1", "x") && !readCount("", "x") && !readCount("9999999999999999999", "x") && !readCount("1e3", "x"));
    const auto ids = readPartIds("final;/api/uploads/a https://host/api/uploads/b?x=1");
    QVERIFY(ids.ok());
    QCOMPARE(*ids, (QList<QByteArray>{"a", "b"}));
    QVERIFY(!readPartIds("final;") && !readPartIds("final;/a/"));
    const auto sum = Checksum::read("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=");
    QVERIFY(sum.ok());
    (*sum)->add("hello ");
    (*sum)->add("world");
    QVERIFY((*sum)->matches());
    QVERIFY(!Checksum::read("crc99 AAAA") && !Checksum::read("sha1 AAAA") && !Checksum::read("sha1"));
}

QTEST_GUILESS_MAIN(TestTusState)
#include "tst_tus_state.moc"
