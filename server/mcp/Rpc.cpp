#include "mcp/Rpc.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::mcp {

const QStringList &modernVersions()
{
    static const QStringList versions{QStringLiteral("2026-07-28")};
    return versions;
}

const QStringList &legacyVersions()
{
    static const QStringList versions{QStringLiteral("2025-11-25"), QStringLiteral("2025-06-18"),
                                      QStringLiteral("2025-03-26"), QStringLiteral("2024-11-05"),
                                      QStringLiteral("2024-10-07")};
    return versions;
}

QByteArray jsonBytes(const QJsonValue &value)
{
    if (value.isObject())
        return QJsonDocument(value.toObject()).toJson(QJsonDocument::Compact);
    return QJsonDocument(QJsonArray{value}).toJson(QJsonDocument::Compact).mid(1).chopped(1);
}

QByteArray resultMessage(const QJsonValue &id, const QByteArray &result)
{
    return "{\"jsonrpc\":\"2.0\",\"id\":" + jsonBytes(id) + ",\"result\":" + result + '}';
}

QByteArray notificationMessage(const QString &method, const QJsonObject &params)
{
    QJsonObject message{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("method"), method}};
    if (!params.isEmpty())
        message.insert(QStringLiteral("params"), params);
    return jsonBytes(message);
}

QByteArray requestMessage(const QJsonValue &id, const QString &method, const QJsonObject &params)
{
    QJsonObject message{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                        {QStringLiteral("id"), id},
                        {QStringLiteral("method"), method}};
    if (!params.isEmpty())
        message.insert(QStringLiteral("params"), params);
    return jsonBytes(message);
}

QByteArray errorMessage(const QJsonValue &id, const RpcError &error)
{
    QJsonObject body{{QStringLiteral("code"), error.code}, {QStringLiteral("message"), error.message}};
    if (!error.data.isEmpty())
        body.insert(QStringLiteral("data"), error.data);
    const QJsonValue echoed = id.isString() || id.isDouble() ? id : QJsonValue();
    return "{\"jsonrpc\":\"2.0\",\"id\":" + jsonBytes(echoed) + ",\"error\":" + jsonBytes(body) + '}';
}

} // namespace power::mcp
