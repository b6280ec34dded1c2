// The identity of a server: it stays, and one the disk did not take is none.
#include "../base/FailSync.h"
#include "jobs/Node.h"
#include <QDir>
#include <QFileInfo>
#include <QTest>

using namespace power;

class tst_Node : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void itStays()
    {
        QTemporaryDir place;
        const QString file = place.filePath(QStringLiteral("node"));
        const Result<QString> first = jobs::nodeIdentity(file);
        QVERIFY(first && first->size() == 36);
        const Result<QString> again = jobs::nodeIdentity(file);
        QVERIFY(again && *again == *first);
        QCOMPARE(QFileInfo(file).permissions() & (QFile::ReadGroup | QFile::ReadOther), QFile::Permissions());
    }

    void oneTheDiskDidNotTakeIsNone()
    {
        QTemporaryDir place;
        FailSync disk;
        const QString file = place.filePath(QStringLiteral("node"));
        QVERIFY(disk.next("fsync", QFile::encodeName(file)));
        const Result<QString> lost = jobs::nodeIdentity(file);
        QVERIFY(disk.isDone());
        QVERIFY(!lost && lost.error().code == ErrorCode::Unavailable);
        QVERIFY2(lost.error().message.contains(file) && lost.error().message.contains(QStringLiteral("Input/output error")), qPrintable(lost.error().message));
        QVERIFY(QDir(place.path()).isEmpty());
        QVERIFY(jobs::nodeIdentity(file));
    }
};

QTEST_GUILESS_MAIN(tst_Node)
#include "tst_node.moc"
