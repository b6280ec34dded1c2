// Cron expressions and what is made up for after a time without a server.
#include "jobs/Cron.h"
#include "jobs/Schedules.h"
#include "jobs/Webhooks.h"
#include <QElapsedTimer>
#include <QTest>

using namespace power;
using namespace power::jobs;

class TestCron : public QObject
{
    Q_OBJECT
    static QDateTime at(const char *text) { return QDateTime::fromString(QLatin1String(text), Qt::ISODate); }

private Q_SLOTS:
    void next_data()
    {
        QTest::addColumn<QString>("cron");
        QTest::addColumn<QString>("after");
        QTest::addColumn<QString>("expected");
        QTest::addColumn<QString>("zone");
        const auto row = [](const char *name, const char *cron, const char *after, const char *expected, const char *zone = "UTC") {
            QTest::newRow(name) << QString::fromLatin1(cron) << QString::fromLatin1(after) << QString::fromLatin1(expected) << QString::fromLatin1(zone);
        };
        row("every minute", "* * * * *", "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z");
        row("in the middle", "* * * * *", "2026-03-01T10:00:30Z", "2026-03-01T10:01:00Z");
        row("step", "*/15 * * * *", "2026-03-01T10:46:00Z", "2026-03-01T11:00:00Z");
        row("list and range", "5,10-12 3 * * *", "2026-03-01T03:10:00Z", "2026-03-01T03:11:00Z");
        row("weekdays by name", "30 6 * * mon-fri", "2026-03-06T07:00:00Z", "2026-03-09T06:30:00Z");
        row("sunday is 7", "0 0 * * 7", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z");
        row("day or weekday", "0 0 13 * fri", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00Z");
        row("month end", "0 0 31 * *", "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z");
        row("leap day", "0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z");
        row("never", "0 0 30 2 *", "2026-03-01T00:00:00Z", "");
        row("yearly", "@yearly", "2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z");
        row("zone", "0 9 * * *", "2026-01-15T00:00:00Z", "2026-01-15T08:00:00Z", "Europe/Vienna");
        // Clocks go from 02:00 to 03:00 on March 29, and from 03:00 back to 02:00 on October 25.
        row("in the hour that is left out", "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z", "Europe/Vienna");
        row("after the hour that is left out", "30 2 * * *", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z", "Europe/Vienna");
        row("in the hour that comes twice", "30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z", "Europe/Vienna");
        row("once in the hour that comes twice", "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "Europe/Vienna");
        row("every hour, twice in that hour", "30 * * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "Europe/Vienna");
        row("every hour, over the hour left out", "30 * * * *", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "Europe/Vienna");
        row("every half hour at the end of a day", "*/30 * * * *", "2026-07-15T21:30:00Z", "2026-07-15T22:00:00Z", "Europe/Vienna");
        row("zone, summer", "0 9 * * *", "2026-07-15T00:00:00Z", "2026-07-15T07:00:00Z", "Europe/Vienna");
    }
    void next()
    {
        QFETCH(QString, cron);
        QFETCH(QString, after);
        QFETCH(QString, expected);
        QFETCH(QString, zone);
        const auto parsed = Cron::parse(cron);
        QVERIFY(parsed);
        const QDateTime time = parsed->next(QDateTime::fromString(after, Qt::ISODate), QTimeZone(zone.toLatin1()));
        QCOMPARE(time.toUTC().toString(Qt::ISODate), expected);
    }

    void refused()
    {
        for (const char *text : {"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "5-1 * * * *", "*/0 * * * *", "* * * * * *", "* * 1/9999999999 * *"}) {
            const auto parsed = Cron::parse(QLatin1String(text));
            QVERIFY2(!parsed && parsed.error().code == ErrorCode::InvalidArgument, text);
        }
    }

    void aStepBeyondTheField()
    {
        const auto once = Cron::parse(QStringLiteral("0 0 31/2147483640 * *"));
        QVERIFY(once.ok());
        QCOMPARE(once->next(at("2026-03-01T00:00:00Z"), QTimeZone::utc()), at("2026-03-31T00:00:00Z"));
    }

    // In the transaction of all schedules, within its deadline.
    void aWeekWithoutAServer()
    {
        table::Schedule schedule;
        schedule.cron = QStringLiteral("* 0-22 * * *");
        schedule.zone = QStringLiteral("Europe/Vienna");
        schedule.next = at("2026-05-04T00:00:00Z");
        schedule.missed = QStringLiteral("all");
        QElapsedTimer clock;
        clock.start();
        const DueRuns due = dueRuns(schedule, at("2026-05-11T00:00:30Z"));
        QVERIFY2(clock.elapsed() < 5'000, qPrintable(QString::number(clock.elapsed())));
        QCOMPARE(due.times.size(), 50);
        QCOMPARE(due.times.last(), at("2026-05-11T00:00:00Z"));
        QCOMPARE(due.next, at("2026-05-11T00:01:00Z"));
    }

    void missedRuns()
    {
        table::Schedule schedule;
        schedule.cron = QStringLiteral("0 * * * *");
        schedule.zone = QStringLiteral("UTC");
        schedule.next = at("2026-03-01T10:00:00Z");
        const QDateTime now = at("2026-03-01T14:30:00Z");
        schedule.missed = QStringLiteral("skip");
        QCOMPARE(dueRuns(schedule, now).times.size(), 0);
        QCOMPARE(dueRuns(schedule, at("2026-03-01T10:00:01Z")).times.size(), 1);
        schedule.missed = QStringLiteral("once");
        QCOMPARE(dueRuns(schedule, now).times, QList<QDateTime>{at("2026-03-01T14:00:00Z")});
        schedule.missed = QStringLiteral("all");
        QCOMPARE(dueRuns(schedule, now).times.size(), 5);
        QCOMPARE(dueRuns(schedule, now).next, at("2026-03-01T15:00:00Z"));
        schedule.cron.clear(); // once
        QCOMPARE(dueRuns(schedule, now).times.size(), 1);
        QVERIFY(!dueRuns(schedule, now).next.isValid());
    }

    void signature()
    {
        // openssl: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        QCOMPARE(webhookSignature("{\"a\":1}", QStringLiteral("secret"), 1700000000),
                 QByteArray("t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"));
    }
};

QTEST_GUILESS_MAIN(TestCron)
#include "tst_cron.moc"
