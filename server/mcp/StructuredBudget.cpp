#include "mcp/StructuredBudget.h"
#include "mcp/Rpc.h"
#include "mcp/TextBudget.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
qsizetype textLength(const QJsonValue &value)
{
    return QString::fromUtf8(jsonBytes(value)).size();
}

QJsonValue renamed(const QJsonValue &value, int depth)
{
    if (depth > 64)
        return value;
    if (value.isObject()) {
        QJsonObject out;
        const QJsonObject object = value.toObject();
        for (auto it = object.begin(); it != object.end(); ++it)
            out.insert(it.key() == QLatin1String("download_urls") ? QStringLiteral("links") : it.key(),
                       renamed(it.value(), depth + 1));
        return out;
    }
    if (value.isArray()) {
        QJsonArray out;
        for (const QJsonValue &item : value.toArray())
            out.append(renamed(item, depth + 1));
        return out;
    }
    return value;
}
} // namespace

QJsonObject withoutDownloadUrls(const QJsonObject &data)
{
    return renamed(data, 0).toObject();
}

bool fitJson(QJsonObject &data, qsizetype budget)
{
    const QString truncated = QStringLiteral("truncated");
    QJsonObject facts;
    for (int round = 0; round < 24; ++round) {
        const qsizetype excess = textLength(data) - budget;
        if (excess <= 0)
            return true;
        QString longest;
        qsizetype size = 0;
        for (auto it = data.begin(); it != data.end(); ++it) {
            const qsizetype length = it.value().isArray() || it.value().isString() ? textLength(it.value()) : 0;
            if (length > size && it.key() != truncated) {
                size = length;
                longest = it.key();
            }
        }
        if (size < 64)
            return false;
        const qsizetype wanted = std::max<qsizetype>(0, size - excess - 160);
        const QJsonValue value = data.value(longest);
        QJsonObject fact = facts.value(longest).toObject();
        if (value.isArray()) {
            QJsonArray list = value.toArray();
            const qsizetype before = list.size();
            if (!fact.contains(QLatin1String("of")))
                fact.insert(QStringLiteral("of"), before);
            qsizetype kept = 0, used = 2;
            while (kept < before) {
                used += textLength(list.at(kept)) + 1;
                if (used > wanted)
                    break;
                ++kept;
            }
            while (list.size() > kept)
                list.removeLast();
            if (before == 0)
                return false;
            fact.insert(QStringLiteral("shown"), list.size());
            data.insert(longest, list);
        } else {
            const QString text = value.toString();
            if (!fact.contains(QLatin1String("of")))
                fact.insert(QStringLiteral("of"), text.size());
            // JSON escapes make the text longer than its characters: cut in proportion.
            const QString cut = cutText(text, qsizetype(double(text.size()) * double(wanted) / double(size)));
            fact.insert(QStringLiteral("shown"), cut.size());
            data.insert(longest, cut);
        }
        facts.insert(longest, fact);
        data.insert(truncated, facts);
    }
    return textLength(data) <= budget;
}

} // namespace power::mcp
