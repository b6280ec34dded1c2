// The key of the texts that clients carry: it stays, and one the disk did not take is none.
#include "../base/FailSync.h"
#include "mcp/Sealer.h"
#include <QDir>
#include <QFileInfo>
#include <QTest>

using namespace power;
using mcp::Sealer;

class tst_Sealer : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void itStays()
    {
        QTemporaryDir place;
        const QString file = place.filePath(QStringLiteral("keys/mcp"));
        const Result<Sealer> first = Sealer::fromFile(file);
        QVERIFY(first);
        const Result<Sealer> again = Sealer::fromFile(file);
        QVERIFY(again);
        QCOMPARE(again->open("p", first->seal("p", "text")), QByteArray("text"));
        const QFile::Permissions others = QFile::ReadGroup | QFile::ReadOther | QFile::ExeOther;
        for (const QString &path : {file, QFileInfo(file).path()})
            QCOMPARE(QFileInfo(path).permissions() & others, QFile::Permissions());
    }

    // Neither the file nor the name of its directory; the key before stays where there was one.
    void oneTheDiskDidNotTakeIsNone()
    {
        QTemporaryDir place;
        FailSync disk;
        const QString file = place.filePath(QStringLiteral("keys/mcp"));
        for (const QByteArray &what : {QByteArray(), QByteArray("keys/mcp")}) {
            QVERIFY(disk.next("fsync", QFile::encodeName(place.path()) + (what.isEmpty() ? what : '/' + what)));
            const Result<Sealer> lost = Sealer::fromFile(file);
            QVERIFY(disk.isDone());
            QVERIFY(!lost && lost.error().code == ErrorCode::Unavailable);
            QVERIFY2(lost.error().message.contains(QStringLiteral("Input/output error")), qPrintable(lost.error().message));
            QVERIFY(!QFile::exists(file));
        }
        const Result<Sealer> kept = Sealer::fromFile(file);
        QVERIFY(kept);
        QVERIFY(disk.next("fsync", "keys/mcp"));
        const Result<Done> replaced = Sealer().keepIn(file);
        QVERIFY(disk.isDone() && !replaced);
        const Result<Sealer> still = Sealer::fromFile(file);
        QVERIFY(still && still->key() == kept->key());
        QCOMPARE(QDir(QFileInfo(file).path()).entryList(QDir::Files | QDir::Hidden), QStringList{QStringLiteral("mcp")});
    }
};

QTEST_GUILESS_MAIN(tst_Sealer)
#include "tst_sealer.moc"
