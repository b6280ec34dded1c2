#include "operations/ArgumentCoercion.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <algorithm>
#include <cmath>

namespace power::operations {

namespace {
using Outcome = Coerced::Outcome;

Coerced taken(QJsonValue value, QString note = {})
{
    return {Outcome::Value, std::move(value), {}, std::move(note)};
}

Coerced refused(const char *type, QString text)
{
    return {Outcome::Problem, {}, QLatin1String(type), std::move(text)};
}

Coerced wrongType(const char *wanted, const QJsonValue &given)
{
    return refused("wrong_type", QStringLiteral("must be %1, got %2").arg(QLatin1String(wanted), shownValue(given)));
}

QString numberText(double number)
{
    return QString::number(number, 'g', QLocale::FloatingPointShortest);
}

// Whole numbers stay whole: JSON 5.0 and the text "5" both become 5.
std::optional<QJsonValue> numberFrom(const QJsonValue &given)
{
    if (given.isDouble())
        return given;
    if (!given.isString())
        return std::nullopt;
    const QString text = given.toString().trimmed();
    bool ok = false;
    if (const qlonglong whole = text.toLongLong(&ok); ok)
        return QJsonValue(qint64(whole));
    const double number = text.toDouble(&ok);
    if (!ok || !std::isfinite(number))
        return std::nullopt;
    return QJsonValue(number);
}

Coerced bounded(const Parameter &parameter, QJsonValue value)
{
    const double number = value.toDouble();
    const auto outside = [&](const QJsonValue &bound, const char *side) {
        if (!parameter.clamp)
            return refused("out_of_range", QStringLiteral("must be %1 %2, got %3")
                                               .arg(QLatin1String(side), numberText(bound.toDouble()), numberText(number)));
        return taken(bound, QStringLiteral("%1 %2 was changed to %3, the allowed %4.")
                                .arg(parameter.name, numberText(number), numberText(bound.toDouble()),
                                     QLatin1String(number < bound.toDouble() ? "minimum" : "maximum")));
    };
    if (parameter.minimum.isDouble() && number < parameter.minimum.toDouble())
        return outside(parameter.minimum, "at least");
    if (parameter.maximum.isDouble() && number > parameter.maximum.toDouble())
        return outside(parameter.maximum, "at most");
    return taken(std::move(value));
}

Coerced integerFrom(const Parameter &parameter, const QJsonValue &given)
{
    const auto number = numberFrom(given);
    if (!number)
        return wrongType("a whole number", given);
    constexpr double beyond = 9.2e18;
    const double real = number->toDouble();
    if (std::floor(real) != real)
        return wrongType("a whole number", given);
    if (std::abs(real) > beyond)
        return bounded(parameter, QJsonValue(qint64(real < 0 ? -beyond : beyond)));
    return bounded(parameter, QJsonValue(number->toInteger(qint64(real))));
}

Coerced booleanFrom(const QJsonValue &given)
{
    if (given.isBool())
        return taken(given);
    const QString word = given.isDouble() ? numberText(given.toDouble()) : given.toString().trimmed().toLower();
    for (const char *yes : {"true", "1", "yes", "on"}) {
        if (word == QLatin1String(yes))
            return taken(true);
    }
    for (const char *no : {"false", "0", "no", "off"}) {
        if (word == QLatin1String(no))
            return taken(false);
    }
    return wrongType("true or false", given);
}

Coerced stringFrom(const Parameter &parameter, const QJsonValue &given)
{
    if (given.isArray() || given.isObject())
        return wrongType("text", given);
    QString text = given.isString() ? given.toString()
                   : given.isBool() ? QString(given.toBool() ? QStringLiteral("true") : QStringLiteral("false"))
                   : given.toDouble() == double(given.toInteger()) ? QString::number(given.toInteger())
                                                                   : numberText(given.toDouble());
    if (text.isEmpty() && !parameter.required && !parameter.defaultValue.toString().isEmpty())
        return {Outcome::NotGiven, {}, {}, {}};
    if (!parameter.allowed.isEmpty()) {
        for (const QString &word : parameter.allowed) {
            if (word.compare(text.trimmed(), Qt::CaseInsensitive) == 0)
                return taken(word);
        }
        return refused("not_allowed", QStringLiteral("must be one of %1, got %2")
                                          .arg(parameter.allowed.join(QStringLiteral(", ")), shownValue(given)));
    }
    if (parameter.minimum.isDouble() && text.trimmed().size() < parameter.minimum.toInteger())
        return refused("blank", QStringLiteral("must not be blank"));
    if (parameter.maximum.isDouble() && text.size() > parameter.maximum.toInteger()) {
        const qint64 most = parameter.maximum.toInteger();
        if (!parameter.clamp)
            return refused("out_of_range", QStringLiteral("must have at most %1 characters, got %2").arg(most).arg(text.size()));
        const QString note = QStringLiteral("%1 was shortened from %2 to %3 characters.").arg(parameter.name).arg(text.size()).arg(most);
        if (text.at(most - 1).isHighSurrogate())
            text.truncate(most - 1);
        text.truncate(most);
        return taken(text, note);
    }
    if (const QString wrong = parameter.check ? parameter.check(text) : QString(); !wrong.isEmpty())
        return refused("invalid", wrong);
    return taken(text);
}

Coerced objectFrom(const QJsonValue &given)
{
    if (given.isObject())
        return taken(given);
    const QJsonDocument parsed = QJsonDocument::fromJson(given.toString().toUtf8());
    return parsed.isObject() ? taken(parsed.object()) : wrongType("an object", given);
}

Coerced listFrom(const QJsonValue &given)
{
    QJsonArray items = given.toArray();
    if (given.isString()) {
        const QJsonDocument parsed = QJsonDocument::fromJson(given.toString().toUtf8());
        items = parsed.isArray() ? parsed.array() : QJsonArray{given};
    } else if (given.isDouble() || given.isBool()) {
        items = {given};
    } else if (!given.isArray()) {
        return wrongType("a list of texts", given);
    }
    QJsonArray texts;
    for (const QJsonValue &item : std::as_const(items)) {
        if (item.isNull())
            continue;
        const Coerced text = stringFrom(Parameter(), item);
        if (text.outcome != Outcome::Value)
            return wrongType("a list of texts", given);
        texts.append(text.value);
    }
    return taken(texts);
}

bool saysNothing(const QString &text)
{
    const QString word = text.trimmed();
    return word.isEmpty() || word == u"null" || word == u"None" || word == u"undefined";
}

// Neither a file name, a database nor Python source can hold it.
bool hasNul(const QJsonValue &value)
{
    if (value.isString())
        return value.toString().contains(QChar(0));
    if (value.isArray()) {
        const QJsonArray items = value.toArray();
        return std::any_of(items.begin(), items.end(), [](const QJsonValue &item) { return hasNul(item); });
    }
    const QJsonObject object = value.toObject();
    for (auto it = object.begin(); it != object.end(); ++it) {
        if (it.key().contains(QChar(0)) || hasNul(it.value()))
            return true;
    }
    return false;
}

Coerced typed(const Parameter &parameter, const QJsonValue &given)
{
    switch (parameter.type) {
    case Parameter::Type::String: return stringFrom(parameter, given);
    case Parameter::Type::Integer: return integerFrom(parameter, given);
    case Parameter::Type::Number:
        if (const auto number = numberFrom(given))
            return bounded(parameter, *number);
        return wrongType("a number", given);
    case Parameter::Type::Boolean: return booleanFrom(given);
    case Parameter::Type::Object: return objectFrom(given);
    case Parameter::Type::StringList: break;
    }
    return listFrom(given);
}
} // namespace

QString shownValue(const QJsonValue &value)
{
    const QString text = QString::fromUtf8(QJsonDocument(QJsonArray{value}).toJson(QJsonDocument::Compact).mid(1).chopped(1));
    constexpr int most = 60;
    return text.size() <= most ? text : text.left(most) + QStringLiteral("...");
}

Coerced coerceArgument(const Parameter &parameter, const QJsonValue &given)
{
    if (given.isNull() || given.isUndefined())
        return {Outcome::NotGiven, {}, {}, {}};
    if (parameter.type != Parameter::Type::String && given.isString() && saysNothing(given.toString()))
        return {Outcome::NotGiven, {}, {}, {}};
    Coerced made = typed(parameter, given);
    if (made.outcome == Outcome::Value && hasNul(made.value))
        return refused("invalid", QStringLiteral("must not contain the NUL character (U+0000)"));
    return made;
}

} // namespace power::operations
