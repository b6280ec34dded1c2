#include "operations/Operation.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::operations {

namespace {
QString typeWord(Parameter::Type type)
{
    switch (type) {
    case Parameter::Type::Integer: return QStringLiteral("integer");
    case Parameter::Type::Number: return QStringLiteral("number");
    case Parameter::Type::Boolean: return QStringLiteral("boolean");
    case Parameter::Type::StringList: return QStringLiteral("array");
    case Parameter::Type::Object:
    case Parameter::Type::String: break;
    }
    return QStringLiteral("string");
}

QString compactText(const QJsonValue &value)
{
    if (value.isString())
        return value.toString();
    return QString::fromUtf8(QJsonDocument(QJsonArray{value}).toJson(QJsonDocument::Compact).mid(1).chopped(1));
}

// Bounds that are clamped stand only in the text: a client that checks schemas would refuse the call.
QString describe(const Parameter &p)
{
    QString text = p.description.trimmed();
    if (p.type == Parameter::Type::Object)
        text += QStringLiteral(" (JSON object as text)");
    QStringList facts;
    const bool emptyDefault = p.defaultValue.isNull() || (p.defaultValue.isString() && p.defaultValue.toString().isEmpty());
    if (!emptyDefault && !text.contains(QLatin1String("default"), Qt::CaseInsensitive))
        facts << QStringLiteral("default %1").arg(compactText(p.defaultValue));
    const bool number = p.type == Parameter::Type::Integer || p.type == Parameter::Type::Number;
    if (number && p.clamp && p.maximum.isDouble() && !text.contains(QLatin1String("max"), Qt::CaseInsensitive))
        facts << QStringLiteral("max %1").arg(compactText(p.maximum));
    if (!facts.isEmpty())
        text += QStringLiteral(" (%1)").arg(facts.join(QStringLiteral(", ")));
    return text.trimmed().isEmpty() ? p.name : text.trimmed();
}
} // namespace

QJsonObject inputSchema(const Operation &operation)
{
    if (!operation.rawInputSchema.isEmpty())
        return operation.rawInputSchema;
    QJsonObject properties;
    QJsonArray required;
    for (const Parameter &p : operation.parameters) {
        if (p.hidden)
            continue;
        QJsonObject property{{QStringLiteral("type"), typeWord(p.type)}, {QStringLiteral("description"), describe(p)}};
        if (p.type == Parameter::Type::StringList)
            property.insert(QStringLiteral("items"), QJsonObject{{QStringLiteral("type"), QStringLiteral("string")}});
        if (!p.allowed.isEmpty())
            property.insert(QStringLiteral("enum"), QJsonArray::fromStringList(p.allowed));
        const bool number = p.type == Parameter::Type::Integer || p.type == Parameter::Type::Number;
        if (number && !p.clamp && p.minimum.isDouble())
            property.insert(QStringLiteral("minimum"), p.minimum);
        if (number && !p.clamp && p.maximum.isDouble())
            property.insert(QStringLiteral("maximum"), p.maximum);
        properties.insert(p.name, property);
        if (p.required)
            required.append(p.name);
    }
    QJsonObject schema{{QStringLiteral("type"), QStringLiteral("object")}, {QStringLiteral("additionalProperties"), false}};
    if (!properties.isEmpty())
        schema.insert(QStringLiteral("properties"), properties);
    if (!required.isEmpty())
        schema.insert(QStringLiteral("required"), required);
    return schema;
}

} // namespace power::operations
