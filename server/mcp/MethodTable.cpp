#include "mcp/MethodTable.h"
#include "mcp/Methods.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
constexpr int kListTtlMs = 300'000;
constexpr unsigned kAll = Modern | Legacy | Plain;
constexpr unsigned kBoth = Modern | Legacy;

const Method kMethods[] = {
    {"initialize", Legacy | Plain, Needs::Nothing, Caching::None, false, initialize, nullptr},
    {"ping", Legacy | Plain, Needs::Nothing, Caching::None, false, ping, nullptr},
    {"server/discover", Modern, Needs::Nothing, Caching::Private, false, discover, nullptr},
    {"logging/setLevel", Legacy, Needs::Nothing, Caching::None, false, setLogLevel, nullptr},
    {"tools/list", kAll, Needs::Nothing, Caching::Private, false, listTools, nullptr},
    {"tools/call", kAll, Needs::Nothing, Caching::None, true, nullptr, callTool},
    {"resources/list", kBoth, Needs::Resources, Caching::Fresh, false, nullptr, listResources},
    {"resources/templates/list", kBoth, Needs::Resources, Caching::Private, false, listResourceTemplates, nullptr},
    {"resources/read", kBoth, Needs::Resources, Caching::Fresh, true, nullptr, readResource},
    {"resources/subscribe", Legacy, Needs::Resources, Caching::None, false, subscribeResource, nullptr},
    {"resources/unsubscribe", Legacy, Needs::Resources, Caching::None, false, unsubscribeResource, nullptr},
    {"prompts/list", kBoth, Needs::Prompts, Caching::Private, false, listPrompts, nullptr},
    {"prompts/get", kBoth, Needs::Prompts, Caching::None, true, nullptr, getPrompt},
    {"completion/complete", kBoth, Needs::Completers, Caching::None, false, nullptr, complete},
    {"tasks/get", kBoth, Needs::Tasks, Caching::None, false, nullptr, getTask},
    {"tasks/update", Modern, Needs::Tasks, Caching::None, false, nullptr, updateTask},
    {"tasks/cancel", kBoth, Needs::Tasks, Caching::None, false, nullptr, cancelTask},
    {"tasks/result", Legacy, Needs::Tasks, Caching::None, false, nullptr, taskResult},
    {"tasks/list", Legacy, Needs::Tasks, Caching::None, false, nullptr, listTasks},
    {"subscriptions/listen", Modern, Needs::Nothing, Caching::None, false, nullptr, listenForChanges},
};

bool isOffered(const Method &method, World world, const Features &features)
{
    // Some clients ask for lists that were never declared; an error would only alarm their users.
    const bool alwaysAnswered = world == Legacy && QByteArrayView(method.name).endsWith("/list");
    switch (method.needs) {
    case Needs::Nothing: return true;
    case Needs::Resources: return alwaysAnswered || !features.resources.isEmpty();
    case Needs::Prompts: return alwaysAnswered || !features.prompts.isEmpty();
    case Needs::Completers: return !features.completers.isEmpty();
    case Needs::Tasks: return bool(features.tasks);
    }
    return false;
}
} // namespace

const Method *findMethod(const QString &name, World world, const Features &features)
{
    for (const Method &method : kMethods) {
        if ((method.worlds & world) && name == QLatin1String(method.name))
            return isOffered(method, world, features) ? &method : nullptr;
    }
    return nullptr;
}

QJsonObject serverInfo(const ServerFacts &facts)
{
    return {{QStringLiteral("name"), facts.name}, {QStringLiteral("version"), facts.version}};
}

QByteArray finalized(QJsonObject result, World world, const ServerFacts &facts, Caching caching)
{
    if (world == Modern) {
        const bool isWhole = !result.contains(QLatin1String("resultType"));
        if (isWhole)
            result.insert(QStringLiteral("resultType"), QStringLiteral("complete"));
        QJsonObject meta = result.value(QLatin1String("_meta")).toObject();
        meta.insert(QLatin1String(kMetaServerInfo), serverInfo(facts));
        result.insert(QStringLiteral("_meta"), meta);
        if (caching != Caching::None && isWhole) {
            result.insert(QStringLiteral("ttlMs"), caching == Caching::Private ? kListTtlMs : 0);
            result.insert(QStringLiteral("cacheScope"), QStringLiteral("private"));
        }
    }
    return jsonBytes(result);
}

Outcome pageOf(const Inbound &inbound, const QString &key, const QJsonArray &all, int pageSize)
{
    const QString cursor = inbound.params.value(QLatin1String("cursor")).toString();
    qsizetype start = 0;
    if (!cursor.isEmpty()) {
        const QByteArray place = QByteArray::fromBase64(cursor.toLatin1(), QByteArray::Base64UrlEncoding);
        bool isNumber = false;
        start = place.startsWith("at ") ? place.mid(3).toLongLong(&isNumber) : 0;
        if (!isNumber || start <= 0 || start % pageSize != 0)
            return RpcError{InvalidParams, QStringLiteral("Unknown cursor; begin again without one.")};
    }
    QJsonArray page;
    const qsizetype end = std::min<qsizetype>(all.size(), start + pageSize);
    for (qsizetype i = start; i < end; ++i)
        page.append(all.at(i));
    QJsonObject result{{key, page}};
    if (end < all.size())
        result.insert(QStringLiteral("nextCursor"),
                      QString::fromLatin1(("at " + QByteArray::number(end))
                                              .toBase64(QByteArray::Base64UrlEncoding | QByteArray::OmitTrailingEquals)));
    return result;
}

RpcError protocolError(const Error &error)
{
    QJsonObject data = error.details;
    data.insert(QStringLiteral("error"), QLatin1String(errorWord(error.code)));
    const bool callers = error.code == ErrorCode::InvalidArgument || error.code == ErrorCode::NotFound
                      || error.code == ErrorCode::TooLarge || error.code == ErrorCode::Forbidden;
    return {callers ? InvalidParams : InternalError, error.text(), data};
}

} // namespace power::mcp
