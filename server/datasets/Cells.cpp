#include "datasets/Cells.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <cmath>

namespace power::datasets {

namespace {
constexpr qint64 kExact = 1ll << 53; // beyond it readers of JSON round

QJsonValue integerCell(QByteArrayView text)
{
    bool good = false;
    const qint64 value = text.toByteArray().toLongLong(&good);
    if (good && value >= -kExact && value <= kExact)
        return value;
    return QString::fromLatin1(text);
}

QJsonValue floatCell(QByteArrayView text)
{
    bool good = false;
    const double value = text.toByteArray().toDouble(&good);
    if (good && std::isfinite(value))
        return value;
    return QString::fromLatin1(text); // NaN, Infinity
}

// A number when its digits are all there again after the way through a double.
QJsonValue numericCell(QByteArrayView text)
{
    if (!text.contains('.'))
        return integerCell(text);
    qsizetype digits = 0;
    for (const char c : text)
        digits += c >= '0' && c <= '9';
    return digits <= 15 ? floatCell(text) : QJsonValue(QString::fromLatin1(text));
}

// 2026-01-02 03:04:05.5+00 -> 2026-01-02T03:04:05.5+00:00; others (infinity, years BC) as they are.
QString timeText(QByteArrayView text)
{
    QString time = QString::fromLatin1(text);
    const bool plain = time.size() >= 19 && time[4] == u'-' && time[10] == u' ' && !time.endsWith(QLatin1String("BC"));
    if (!plain)
        return time;
    time[10] = u'T';
    const qsizetype zone = std::max(time.indexOf(u'+', 19), time.indexOf(u'-', 19));
    if (zone > 0 && time.size() - zone == 3)
        time += QStringLiteral(":00");
    return time;
}

QJsonValue jsonCell(QByteArrayView text)
{
    QJsonParseError problem;
    const QJsonDocument document = QJsonDocument::fromJson('[' + text.toByteArray() + ']', &problem);
    if (problem.error == QJsonParseError::NoError)
        return document.array().at(0);
    return QString::fromUtf8(text);
}
} // namespace

QJsonValue cellOf(QByteArrayView text, const QString &type)
{
    if (type == u"bigint" || type == u"integer" || type == u"smallint" || type == u"oid")
        return integerCell(text);
    if (type == u"double precision" || type == u"real")
        return floatCell(text);
    if (type == u"numeric")
        return numericCell(text);
    if (type == u"boolean")
        return text == "t";
    if (type == u"timestamp without time zone" || type == u"timestamp with time zone")
        return timeText(text);
    if (type == u"json" || type == u"jsonb")
        return jsonCell(text);
    return QString::fromUtf8(text);
}

} // namespace power::datasets
