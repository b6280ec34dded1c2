// Cron expressions: five fields (minute hour day month weekday) with lists, ranges, steps and names, as in crontab(5).
#pragma once
#include "base/Error.h"
#include <QDateTime>
#include <QTimeZone>
#include <bitset>

namespace power::jobs {

// Cron: a day matches when day of month and weekday do; when both are restricted, when one of them does.
class Cron
{
public:
    // Also @hourly @daily @weekly @monthly @yearly. Error: InvalidArgument naming the field.
    static Result<Cron> parse(const QString &text);
    // The first matching minute after `after`, in that zone. A time of day happens once a day: one that a change of clocks
    // leaves out as much later, one that it shows twice at the first. "*" hours pass as time does. Invalid when there is none within five years (30 February).
    QDateTime next(const QDateTime &after, const QTimeZone &zone) const;

private:
    bool matchesDay(const QDate &date) const;
    QDateTime nextOfEveryHour(const QDate &date, const QDateTime &after, const QTimeZone &zone) const;

    std::bitset<60> m_minutes;
    std::bitset<24> m_hours;
    std::bitset<32> m_days;
    std::bitset<13> m_months;
    std::bitset<8> m_weekdays; // 0 = Sunday
    bool m_anyDay = true, m_anyWeekday = true;
};

} // namespace power::jobs
