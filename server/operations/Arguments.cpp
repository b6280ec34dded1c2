#include "operations/ArgumentCoercion.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::operations {

namespace {
// "sessionId", "session-id" and "session_id" are one name.
QString foldedName(const QString &name)
{
    QString folded;
    folded.reserve(name.size());
    for (const QChar c : name) {
        if (c != u'_' && c != u'-')
            folded += c.toLower();
    }
    return folded;
}

// The given value of a parameter and the keys that stand for it; the canonical name wins over aliases.
struct Found {
    QJsonValue value;
    QStringList keys;
};

Found valueOf(const Parameter &parameter, const QJsonObject &given)
{
    Found found;
    QStringList names{parameter.name};
    names += parameter.aliases;
    const auto take = [&](const QString &key, const QJsonValue &value) {
        if (found.keys.contains(key))
            return;
        found.keys << key;
        if (found.value.isNull())
            found.value = value;
    };
    for (const QString &name : std::as_const(names)) {
        if (const auto it = given.find(name); it != given.end())
            take(name, it.value());
    }
    for (auto it = given.begin(); it != given.end(); ++it) {
        for (const QString &name : std::as_const(names)) {
            if (foldedName(it.key()) == foldedName(name))
                take(it.key(), it.value());
        }
    }
    return found;
}

QString exampleText(const Operation &operation, const QJsonArray &problems = {})
{
    QStringList concerned;
    for (const QJsonValue &problem : problems)
        concerned << problem[QLatin1String("argument")].toString();
    return QString::fromUtf8(QJsonDocument(exampleArguments(operation, concerned)).toJson(QJsonDocument::Compact));
}

QString acceptedNames(const Operation &operation)
{
    QStringList names;
    for (const Parameter &parameter : operation.parameters) {
        if (!parameter.hidden)
            names << parameter.name;
    }
    return names.isEmpty() ? QStringLiteral("no arguments") : names.join(QStringLiteral(", "));
}

bool gaveNothing(const QJsonObject &given)
{
    for (const QJsonValue &value : given) {
        if (!value.isNull())
            return false;
    }
    return true;
}

Unexpected<Error> emptyArguments(const Operation &operation, const QJsonArray &problems)
{
    const QString text = operation.emptyArgumentsText.isEmpty()
        ? QStringLiteral("%1 was called without arguments, so nothing was done. Usually the arguments were lost because the "
                         "reply ran out of output tokens while writing them.").arg(operation.name)
        : operation.emptyArgumentsText;
    const QString next = operation.emptyArgumentsText.isEmpty()
        ? QStringLiteral("Do not repeat the same call; send it with its arguments, shorter if they are long. Example: %1")
              .arg(exampleText(operation))
        : QStringLiteral("Example: %1").arg(exampleText(operation));
    return fail(ErrorCode::InvalidArgument, text, next,
                {{QStringLiteral("cause"), QStringLiteral("empty_arguments")}, {QStringLiteral("problems"), problems}});
}

Unexpected<Error> badArguments(const Operation &operation, const QJsonArray &problems)
{
    QString text = QStringLiteral("%1 did not run: %2 with its arguments.")
                       .arg(operation.name, problems.size() == 1 ? QStringLiteral("one problem")
                                                                 : QStringLiteral("%1 problems").arg(problems.size()));
    for (const QJsonValue &problem : problems)
        text += QStringLiteral("\n- %1: %2.").arg(problem[QLatin1String("argument")].toString(),
                                                  problem[QLatin1String("message")].toString());
    return fail(ErrorCode::InvalidArgument, text,
                QStringLiteral("\nCorrect them and call again. Example: %1").arg(exampleText(operation, problems)),
                {{QStringLiteral("cause"), QStringLiteral("invalid_arguments")}, {QStringLiteral("problems"), problems}});
}

QString orList(const QStringList &names)
{
    return names.size() < 2 ? names.join(QString()) : names.mid(0, names.size() - 1).join(QStringLiteral(", ")) + QStringLiteral(" or ") + names.last();
}

// What an example shows beside the required arguments: those of `also`, but of every choice only the first.
QStringList chosenNames(const Operation &operation, QStringList also)
{
    for (const Choice &choice : operation.choices) {
        QStringList told;
        for (const QString &name : choice.names) {
            if (also.contains(name))
                told << name;
        }
        if (told.isEmpty() && choice.needed)
            also << choice.names.first();
        for (const QString &name : choice.single ? told.mid(1) : QStringList())
            also.removeAll(name);
    }
    return also;
}

// `refused`: arguments that were given, but are wrong.
QJsonArray choiceProblems(const Operation &operation, const QJsonObject &values, const QStringList &refused)
{
    QJsonArray problems;
    for (const Choice &choice : operation.choices) {
        QStringList given, filled;
        for (const QString &name : choice.names) {
            const QJsonValue value = values.value(name);
            if (!value.isUndefined() || refused.contains(name))
                given << name;
            if (!value.isUndefined() && value != QJsonValue(QString()))
                filled << name;
        }
        if (choice.needed && given.isEmpty())
            problems.append(QJsonObject{{QStringLiteral("argument"), orList(choice.names)}, {QStringLiteral("type"), QStringLiteral("missing")},
                                        {QStringLiteral("message"), QStringLiteral("one of them is required, but all are missing")}});
        else if (choice.single && filled.size() > 1)
            problems.append(QJsonObject{{QStringLiteral("argument"), filled.join(QStringLiteral(", "))}, {QStringLiteral("type"), QStringLiteral("invalid")},
                                        {QStringLiteral("message"), QStringLiteral("give only one of them")}});
    }
    return problems;
}
} // namespace

QJsonObject exampleArguments(const Operation &operation, const QStringList &also)
{
    static const QHash<QString, QJsonValue> known{
        {QStringLiteral("code"), QStringLiteral("print(1 + 1)")},
        {QStringLiteral("session_id"), QStringLiteral("default")},
        {QStringLiteral("filename"), QStringLiteral("data.csv")},
        {QStringLiteral("content_base64"), QStringLiteral("YSxiCjEsMgo=")},
        {QStringLiteral("text"), QStringLiteral("a,b\n1,2\n")},
        {QStringLiteral("cron"), QStringLiteral("30 6 * * mon-fri")},
        {QStringLiteral("at"), QStringLiteral("2027-01-31T06:30:00Z")},
        {QStringLiteral("url"), QStringLiteral("https://example.com/data.csv")},
        {QStringLiteral("query"), QStringLiteral("SELECT * FROM df LIMIT 10")},
        {QStringLiteral("dataset_name"), QStringLiteral("sales")},
    };
    QJsonObject example;
    const QStringList chosen = chosenNames(operation, also);
    for (const Parameter &p : operation.parameters) {
        if (!p.required && !chosen.contains(p.name))
            continue;
        QJsonValue value = p.example;
        if (value.isNull() && !p.allowed.isEmpty())
            value = p.allowed.first();
        if (value.isNull() && !p.required && !(p.defaultValue.isString() && p.defaultValue.toString().isEmpty()))
            value = p.defaultValue;
        if (value.isNull())
            value = known.value(p.name, QJsonValue());
        if (value.isNull()) {
            switch (p.type) {
            case Parameter::Type::String: value = p.name; break;
            case Parameter::Type::Integer:
            case Parameter::Type::Number: value = p.minimum.isDouble() ? p.minimum : QJsonValue(1); break;
            case Parameter::Type::Boolean: value = true; break;
            case Parameter::Type::Object: value = QJsonObject{{QStringLiteral("name"), 1}}; break;
            case Parameter::Type::StringList: value = QJsonArray{p.name}; break;
            }
        }
        example.insert(p.name, value);
    }
    return example;
}

Result<CheckedArguments> checkArguments(const Operation &operation, const QJsonObject &given)
{
    CheckedArguments checked;
    QJsonArray problems;
    QStringList known;
    for (const Parameter &parameter : operation.parameters) {
        const Found found = valueOf(parameter, given);
        known += found.keys;
        const Coerced made = coerceArgument(parameter, found.value);
        const auto report = [&](const QString &type, const QString &message) {
            problems.append(QJsonObject{{QStringLiteral("argument"), parameter.name},
                                        {QStringLiteral("type"), type},
                                        {QStringLiteral("message"), message}});
        };
        switch (made.outcome) {
        case Coerced::Outcome::Problem:
            report(made.problemType, made.text);
            break;
        case Coerced::Outcome::NotGiven:
            if (parameter.required)
                report(QStringLiteral("missing"), QStringLiteral("required, but missing"));
            else if (!parameter.defaultValue.isNull())
                checked.values.insert(parameter.name, parameter.defaultValue);
            break;
        case Coerced::Outcome::Value:
            checked.values.insert(parameter.name, made.value);
            if (!made.text.isEmpty())
                checked.notes << made.text;
            break;
        }
    }
    QStringList refused;
    for (const QJsonValue &problem : std::as_const(problems))
        refused << problem[QLatin1String("argument")].toString();
    for (const QJsonValue &problem : choiceProblems(operation, checked.values, refused))
        problems.append(problem);
    if (!problems.isEmpty())
        return gaveNothing(given) ? emptyArguments(operation, problems) : badArguments(operation, problems);

    QStringList unknown;
    for (auto it = given.begin(); it != given.end(); ++it) {
        if (!it.value().isNull() && !known.contains(it.key()))
            unknown << it.key().left(60);
    }
    if (!unknown.isEmpty()) {
        const qsizetype more = unknown.size() - 5;
        if (more > 0)
            unknown = unknown.mid(0, 5) << QStringLiteral("%1 more").arg(more);
        checked.notes << QStringLiteral("Ignored unknown arguments: %1. %2 takes %3.")
                             .arg(unknown.join(QStringLiteral(", ")), operation.name, acceptedNames(operation));
    }
    return checked;
}

} // namespace power::operations
