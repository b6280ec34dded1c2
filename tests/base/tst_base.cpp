// Ids, Expected, cancellation and the one awaitable everything else waits with.
#include "base/Ids.h"
#include "base/OneShot.h"
#include <QTest>

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
};

QTEST_GUILESS_MAIN(TestBase)
#include "tst_base.moc"
