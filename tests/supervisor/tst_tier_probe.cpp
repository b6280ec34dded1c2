// What the probe found decides where user code may run; a probe that was killed is run again.
#include "HostRig.h"
#include "supervisor/TierProbe.h"
#include <QFile>

using namespace rig;

class TestTierProbe : public QObject
{
    Q_OBJECT
    QTemporaryDir m_directory;

    // A probe that is killed that many times before it answers.
    HostConfig probeThatDies(int times)
    {
        const QString count = m_directory.filePath(QStringLiteral("count"));
        QFile::remove(count);
        QFile script(m_directory.filePath(QStringLiteral("probe")));
        script.open(QIODevice::WriteOnly | QIODevice::Truncate);
        script.write("#!/bin/sh\necho x >> " + count.toLocal8Bit() + "\n[ $(wc -l < " + count.toLocal8Bit() + ") -le " + QByteArray::number(times)
                     + " ] && kill -9 $$\necho '{\"best\": \"nonroot\", \"reason\": \"as it is\"}'\n");
        script.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
        HostConfig made;
        made.kernelProgram = script.fileName();
        return made;
    }

private Q_SLOTS:
    void oneThatIsKilledRunsAgain()
    {
        const Result<TierReport> report = await(probeTier(probeThatDies(2)));
        QVERIFY2(report, qPrintable(report ? QString() : report.error().text()));
        QCOMPARE(report->tier, QStringLiteral("nonroot"));
        QVERIFY(report->safe);
    }
    void oneThatAlwaysDiesIsAnError()
    {
        const Result<TierReport> report = await(probeTier(probeThatDies(100)));
        QVERIFY(!report && report.error().code == ErrorCode::Unavailable);
    }
    void oneThatIsNotThereIsAnErrorAtOnce()
    {
        HostConfig none;
        none.kernelProgram = m_directory.filePath(QStringLiteral("missing"));
        const Result<TierReport> report = await(probeTier(none));
        QVERIFY(!report && report.error().message.contains(u"did not run"));
    }
};

QTEST_GUILESS_MAIN(TestTierProbe)
#include "tst_tier_probe.moc"
