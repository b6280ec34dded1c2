#include "workspace/Glob.h"
#include <QElapsedTimer>
#include <QTest>

using namespace power::workspace;

class TestGlob : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void matches_data();
    void matches();
    void isNeverSlow();
    void refuses();
};

void TestGlob::matches_data()
{
    QTest::addColumn<QString>("pattern");
    QTest::addColumn<QString>("path");
    QTest::addColumn<bool>("fits");
    const auto row = [](const char *pattern, const char *path, bool fits) {
        QTest::addRow("%s on %s", pattern, path) << QString::fromUtf8(pattern) << QString::fromUtf8(path) << fits;
    };
    row("*.csv", "a.csv", true);
    row("*.csv", "out/deep/A.CSV", true);
    row("*.csv", "a.csv.gz", false);
    row("a?c", "abc", true);
    row("a?c", "ac", false);
    row("out/*.png", "out/a.png", true);
    row("out/*.png", "out/deep/a.png", false);
    row("out/**", "out/deep/a.png", true);
    row("out/**/*.png", "out/a.png", true);
    row("out/**/*.png", "out/deep/er/a.png", true);
    row("**/*.png", "a.png", true);
    row("/out/*", "out/x", true);
    row("{a,b}*.{csv,xlsx}", "b1.xlsx", true);
    row("{a,b}*.{csv,xlsx}", "c1.xlsx", false);
    row("chart_[0-9][0-9].png", "chart_07.png", true);
    row("chart_[!0-9]*.png", "chart_07.png", false);
    row("out/**/x.png", "out/foox.png", false);
    row("out/**/x.png", "out/foo/x.png", true);
    row("./a", "a", true);
    row("Übersicht*", "übersicht 1.csv", true);
    row("*", "anything", true);
    row("a{b", "a{b", true);
    row("", "a/b", true);
}

void TestGlob::matches()
{
    QFETCH(QString, pattern);
    QFETCH(QString, path);
    const auto glob = Glob::parse(pattern);
    QVERIFY(glob.ok());
    QTEST(glob->matches(path), "fits");
}

void TestGlob::isNeverSlow()
{
    const auto glob = Glob::parse(QStringLiteral("*a").repeated(99) + QStringLiteral("b"));
    QVERIFY(glob.ok());
    QElapsedTimer clock;
    clock.start();
    QVERIFY(!glob->matches(QString(3000, u'a')));
    QVERIFY(clock.elapsed() < 1000);
}

void TestGlob::refuses()
{
    QVERIFY(!Glob::parse(QString(201, u'*')));
    QVERIFY(!Glob::parse(QStringLiteral("{a,b}").repeated(8)));
    QVERIFY(!Glob::parse(QStringLiteral("[ab")));
    QVERIFY(!Glob::parse(QStringLiteral("a/../b")));
}

QTEST_APPLESS_MAIN(TestGlob)
#include "tst_glob.moc"
