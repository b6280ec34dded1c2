#include "jobs/Cron.h"
#include <QHash>
#include <QStringList>

namespace power::jobs {

namespace {
constexpr int kYears = 5;

struct Field {
    const char *name;
    int least, most;
    QStringList words; // of least, least + 1 ...
};

// A value or a name; -1: neither.
int valueOf(const QString &text, const Field &field)
{
    bool isNumber = false;
    const int number = text.toInt(&isNumber);
    if (isNumber)
        return number;
    const qsizetype at = field.words.indexOf(text.left(3).toLower());
    return at < 0 || text.size() != 3 ? -1 : field.least + int(at);
}

template <std::size_t Size>
Result<bool> read(const QString &text, const Field &field, std::bitset<Size> &bits)
{
    const auto wrong = [&](const QString &part) {
        return fail(ErrorCode::InvalidArgument,
                    QStringLiteral("\"%1\" is no %2 of a cron expression (%3 to %4).").arg(part.left(40), QLatin1String(field.name)).arg(field.least).arg(field.most),
                    QStringLiteral("Five fields: minute hour day month weekday, for example \"30 6 * * mon-fri\"."));
    };
    for (const QString &part : text.split(u',')) {
        const QString range = part.section(u'/', 0, 0);
        bool hasStep = part.contains(u'/'), isStep = true;
        const int step = hasStep ? std::min(part.section(u'/', 1).toInt(&isStep), 100) : 1; // more is beyond every field
        int from = field.least, to = field.most;
        if (range != u"*") {
            from = valueOf(range.section(u'-', 0, 0), field);
            to = range.contains(u'-') ? valueOf(range.section(u'-', 1), field) : hasStep ? field.most : from;
        }
        if (!isStep || step < 1 || from < field.least || to > field.most || from > to)
            return wrong(part);
        for (int value = from; value <= to; value += step)
            bits.set(std::size_t(value));
    }
    return text != u"*";
}

// Versions of Qt differ in what a time of day is that occurs twice or not at all. Here: the first; and as much later as
// the clock was put forward.
QDateTime utcOf(const QDate &date, const QTime &time, const QTimeZone &zone)
{
    const QDateTime local(date, time, QTimeZone::utc());
    const int before = zone.offsetFromUtc(local.addDays(-1)), behind = zone.offsetFromUtc(local.addDays(1));
    const QDateTime early = local.addSecs(-before).toUTC(), late = local.addSecs(-behind).toUTC();
    const bool isLate = zone.offsetFromUtc(early) != before && zone.offsetFromUtc(late) == behind;
    return isLate ? late : early;
}

// Where a day's times that may come after `local` begin: around a change of clocks some of those before it do.
QTime firstOfToday(const QDateTime &local, const QTimeZone &zone)
{
    constexpr int mostShift = 3 * 3'600;
    const int now = zone.offsetFromUtc(local);
    const bool changes = zone.offsetFromUtc(local.addDays(-2)) != now || zone.offsetFromUtc(local.addDays(2)) != now;
    if (!changes)
        return local.time();
    return QTime(0, 0).addSecs(std::max(0, QTime(0, 0).secsTo(local.time()) - mostShift));
}
} // namespace

Result<Cron> Cron::parse(const QString &text)
{
    static const QHash<QString, QString> shortcuts{{QStringLiteral("@hourly"), QStringLiteral("0 * * * *")},
                                                   {QStringLiteral("@daily"), QStringLiteral("0 0 * * *")},
                                                   {QStringLiteral("@midnight"), QStringLiteral("0 0 * * *")},
                                                   {QStringLiteral("@weekly"), QStringLiteral("0 0 * * 0")},
                                                   {QStringLiteral("@monthly"), QStringLiteral("0 0 1 * *")},
                                                   {QStringLiteral("@yearly"), QStringLiteral("0 0 1 1 *")}};
    const QString plain = text.simplified().toLower();
    const QStringList fields = shortcuts.value(plain, plain).split(u' ');
    if (fields.size() != 5)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("A cron expression has five fields, this one has %1.").arg(plain.isEmpty() ? 0 : fields.size()),
                    QStringLiteral("Five fields: minute hour day month weekday, for example \"30 6 * * mon-fri\"."));
    static const QStringList months = QStringLiteral("jan feb mar apr may jun jul aug sep oct nov dec").split(u' ');
    static const QStringList days = QStringLiteral("sun mon tue wed thu fri sat").split(u' ');
    Cron cron;
    const Result<bool> minutes = read(fields[0], {"minute", 0, 59, {}}, cron.m_minutes);
    const Result<bool> hours = read(fields[1], {"hour", 0, 23, {}}, cron.m_hours);
    const Result<bool> dates = read(fields[2], {"day", 1, 31, {}}, cron.m_days);
    const Result<bool> monthsRead = read(fields[3], {"month", 1, 12, months}, cron.m_months);
    const Result<bool> weekdays = read(fields[4], {"weekday", 0, 7, days}, cron.m_weekdays);
    for (const Result<bool> *each : {&minutes, &hours, &dates, &monthsRead, &weekdays}) {
        if (!*each)
            return Unexpected<Error>{each->error()};
    }
    if (cron.m_weekdays.test(7))
        cron.m_weekdays.set(0);
    cron.m_anyDay = !*dates;
    cron.m_anyWeekday = !*weekdays;
    return cron;
}

bool Cron::matchesDay(const QDate &date) const
{
    if (!m_months.test(std::size_t(date.month())))
        return false;
    const bool day = m_days.test(std::size_t(date.day()));
    const bool weekday = m_weekdays.test(std::size_t(date.dayOfWeek() % 7));
    if (m_anyDay || m_anyWeekday)
        return day && weekday;
    return day || weekday;
}

// Every hour means every hour that passes: also the one that a clock put back shows twice.
QDateTime Cron::nextOfEveryHour(const QDate &date, const QDateTime &after, const QTimeZone &zone) const
{
    const QDateTime end = date.addDays(1).startOfDay(zone).toUTC();
    const QDateTime begin = std::max(date.startOfDay(zone).toUTC(), after.toUTC().addSecs(60 - after.toUTC().time().second()));
    for (QDateTime time = begin; time < end; time = time.addSecs(60)) {
        if (m_minutes.test(std::size_t(time.toTimeZone(zone).time().minute())))
            return time.addMSecs(-(time.time().msecsSinceStartOfDay() % 60'000));
    }
    return {};
}

QDateTime Cron::next(const QDateTime &after, const QTimeZone &zone) const
{
    const QDateTime local = after.toTimeZone(zone);
    const QDate last = local.date().addYears(kYears);
    for (QDate date = local.date(); date <= last; date = date.addDays(1)) {
        if (!matchesDay(date))
            continue;
        if (m_hours.all()) {
            const QDateTime time = nextOfEveryHour(date, after, zone);
            if (time.isValid())
                return time;
            continue;
        }
        const QTime from = date == local.date() ? firstOfToday(local, zone) : QTime(0, 0);
        for (std::size_t hour = std::size_t(from.hour()); hour < 24; ++hour) {
            if (!m_hours.test(hour))
                continue;
            for (std::size_t minute = hour == std::size_t(from.hour()) ? std::size_t(from.minute()) : 0; minute < 60; ++minute) {
                if (!m_minutes.test(minute))
                    continue;
                const QDateTime time = utcOf(date, QTime(int(hour), int(minute)), zone);
                if (time > after)
                    return time;
            }
        }
    }
    return {};
}

} // namespace power::jobs
