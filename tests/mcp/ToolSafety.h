// What every client accepts in an entry of tools/list, rule by rule (reference MCP 6); reads the entry as a client gets it.
#pragma once
#include <QJsonArray>
#include <QJsonObject>
#include <QRegularExpression>
#include <QSet>

namespace power::test {

// `place` names where; every broken rule adds a line to `found`.
inline void collectUnsafeSchema(const QString &place, const QJsonObject &schema, QStringList &found, int depth = 0)
{
    // Each of these makes some client drop the tool, or all tools.
    static const QSet<QString> known{QStringLiteral("type"), QStringLiteral("description"), QStringLiteral("properties"),
                                     QStringLiteral("required"), QStringLiteral("additionalProperties"), QStringLiteral("items"),
                                     QStringLiteral("enum"), QStringLiteral("minimum"), QStringLiteral("maximum")};
    for (const QString &key : schema.keys()) {
        if (!known.contains(key))
            found << place + QStringLiteral(": keyword ") + key;
    }
    static const QSet<QString> types{QStringLiteral("string"), QStringLiteral("integer"), QStringLiteral("number"),
                                     QStringLiteral("boolean"), QStringLiteral("array")};
    const QString type = schema.value(QStringLiteral("type")).toString();
    if (depth == 0 ? type != u"object" : !types.contains(type))
        found << place + QStringLiteral(": type ") + type;
    if (depth > 0 && schema.value(QStringLiteral("description")).toString().trimmed().isEmpty() && !place.endsWith(u']'))
        found << place + QStringLiteral(": no description");
    if (type == u"array") {
        if (schema.value(QStringLiteral("items")).isObject())
            collectUnsafeSchema(place + QStringLiteral("[]"), schema.value(QStringLiteral("items")).toObject(), found, depth + 1);
        else
            found << place + QStringLiteral(": array without items");
    }
    for (const QJsonValue &word : schema.value(QStringLiteral("enum")).toArray()) {
        if (type != u"string" || !word.isString() || word.toString().isEmpty())
            found << place + QStringLiteral(": enum of other things than texts");
    }
    if (depth == 0) {
        if (schema.value(QStringLiteral("additionalProperties")) != QJsonValue(false))
            found << place + QStringLiteral(": additional properties");
        const QJsonObject properties = schema.value(QStringLiteral("properties")).toObject();
        for (auto it = properties.begin(); it != properties.end(); ++it)
            collectUnsafeSchema(place + u'.' + it.key(), it.value().toObject(), found, depth + 1);
        for (const QJsonValue &name : schema.value(QStringLiteral("required")).toArray()) {
            if (!properties.contains(name.toString()))
                found << place + QStringLiteral(": requires unknown ") + name.toString();
        }
    }
}

// Empty = safe.
inline QStringList unsafeTool(const QJsonObject &tool)
{
    // snake_case, letters first, no dots or slashes, short enough for "mcp__server__tool" and Cursor's 60 characters.
    static const QRegularExpression name(QRegularExpression::anchoredPattern(QStringLiteral("[a-z][a-z0-9]*(_[a-z0-9]+)*")));
    const QString called = tool.value(QStringLiteral("name")).toString();
    QStringList found;
    if (!name.match(called).hasMatch() || called.size() > 40)
        found << called + QStringLiteral(": name");
    const QString description = tool.value(QStringLiteral("description")).toString();
    if (description.trimmed().isEmpty() || description.size() > 2000)
        found << called + QStringLiteral(": description");
    const QJsonObject annotations = tool.value(QStringLiteral("annotations")).toObject();
    for (const char *hint : {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}) {
        if (!annotations.value(QLatin1String(hint)).isBool())
            found << called + QStringLiteral(": no ") + QLatin1String(hint);
    }
    if (annotations.value(QStringLiteral("title")).toString().isEmpty() || tool.value(QStringLiteral("title")).toString().isEmpty())
        found << called + QStringLiteral(": no title");
    if (annotations.value(QStringLiteral("readOnlyHint")).toBool() && annotations.value(QStringLiteral("destructiveHint")).toBool())
        found << called + QStringLiteral(": read-only and destructive");
    // A tool with an output schema that once answers without structured content breaks clients.
    if (tool.contains(QStringLiteral("outputSchema")))
        found << called + QStringLiteral(": output schema");
    collectUnsafeSchema(called, tool.value(QStringLiteral("inputSchema")).toObject(), found);
    return found;
}

} // namespace power::test
