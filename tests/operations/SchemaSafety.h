// What every client accepts in a tool list (names, schemas, descriptions); run it over any registry.
#pragma once
#include "operations/Operation.h"
#include <QJsonArray>
#include <QRegularExpression>
#include <QSet>

namespace power::test {

inline void collectUnsafe(const QString &where, const QJsonValue &value, QStringList &found)
{
    static const QSet<QString> forbidden{QStringLiteral("$ref"), QStringLiteral("$defs"), QStringLiteral("anyOf"),
                                         QStringLiteral("oneOf"), QStringLiteral("allOf"), QStringLiteral("not"),
                                         QStringLiteral("if"), QStringLiteral("format"), QStringLiteral("default")};
    if (!value.isObject())
        return;
    const QJsonObject schema = value.toObject();
    for (const QString &key : schema.keys()) {
        if (forbidden.contains(key))
            found << where + QStringLiteral(": ") + key;
    }
    if (!schema.value(QStringLiteral("type")).isString())
        found << where + QStringLiteral(": no type");
    if (schema.value(QStringLiteral("type")) == QJsonValue(QStringLiteral("array")) && !schema.value(QStringLiteral("items")).isObject())
        found << where + QStringLiteral(": array without items");
    const QJsonObject properties = schema.value(QStringLiteral("properties")).toObject();
    for (auto it = properties.begin(); it != properties.end(); ++it) {
        if (it.value()[QLatin1String("description")].toString().isEmpty())
            found << where + u'.' + it.key() + QStringLiteral(": no description");
        if (it.value()[QLatin1String("type")] == QJsonValue(QStringLiteral("object")))
            found << where + u'.' + it.key() + QStringLiteral(": nested object");
        collectUnsafe(where + u'.' + it.key(), it.value(), found);
    }
}

// Empty = safe. Reads the texts of the list, so that a failure names every place at once.
inline QStringList unsafeIn(const operations::Registry &registry)
{
    static const QRegularExpression name(QRegularExpression::anchoredPattern(QStringLiteral("[a-z][a-z0-9_]{0,39}")));
    QStringList found;
    QSet<QString> names;
    for (const operations::Operation &operation : registry.all()) {
        if (!name.match(operation.name).hasMatch() || names.contains(operation.name))
            found << operation.name + QStringLiteral(": name");
        names.insert(operation.name);
        if (operation.description.isEmpty() || operation.description.size() > 2000)
            found << operation.name + QStringLiteral(": description");
        if (!operation.method)
            found << operation.name + QStringLiteral(": no method");
        const QJsonObject schema = operations::inputSchema(operation);
        if (schema.value(QStringLiteral("type")) != QJsonValue(QStringLiteral("object"))
            || schema.value(QStringLiteral("additionalProperties")) != QJsonValue(false))
            found << operation.name + QStringLiteral(": root");
        collectUnsafe(operation.name, schema, found);
        if (!operations::checkArguments(operation, operations::exampleArguments(operation)).ok())
            found << operation.name + QStringLiteral(": its own example is refused");
    }
    return found;
}

} // namespace power::test
