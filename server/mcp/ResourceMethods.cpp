#include "mcp/Methods.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
constexpr qsizetype kMostSubscribed = 1'000; // by one session

void insertTexts(QJsonObject &object, std::initializer_list<std::pair<QLatin1String, QString>> members)
{
    for (const auto &[name, text] : members) {
        if (!text.isEmpty())
            object.insert(name, text);
    }
}

void insertFacts(QJsonObject &object, const QJsonObject &annotations, const QJsonObject &meta)
{
    if (!annotations.isEmpty())
        object.insert(QStringLiteral("annotations"), annotations);
    if (!meta.isEmpty())
        object.insert(QStringLiteral("_meta"), meta);
}

RpcError resourceMissing(const Inbound &inbound, const QString &uri)
{
    return {inbound.world == Modern ? InvalidParams : ResourceNotFound,
            QStringLiteral("Resource not found: %1").arg(uri.left(200)), {{QStringLiteral("uri"), uri.left(2'000)}}};
}

QJsonObject described(const ResourceInfo &info)
{
    QJsonObject entry{{QStringLiteral("uri"), info.uri}, {QStringLiteral("name"), info.name}};
    insertTexts(entry, {{QLatin1String("title"), info.title},
                        {QLatin1String("description"), info.description},
                        {QLatin1String("mimeType"), info.mimeType}});
    if (info.size >= 0)
        entry.insert(QStringLiteral("size"), info.size);
    insertFacts(entry, info.annotations, info.meta);
    return entry;
}

QJsonObject described(const ResourceContent &content)
{
    QJsonObject entry{{QStringLiteral("uri"), content.uri}};
    insertTexts(entry, {{QLatin1String("mimeType"), content.mimeType}});
    if (content.isBlob)
        entry.insert(QStringLiteral("blob"), QString::fromLatin1(content.blob.toBase64()));
    else
        entry.insert(QStringLiteral("text"), content.text);
    insertFacts(entry, {}, content.meta);
    return entry;
}
} // namespace

QCoro::Task<Outcome> listResources(CorePtr core, CallPtr call)
{
    QJsonArray all;
    for (const auto &provider : core->features().resources) {
        operations::Caller caller = call->caller;
        QCoro::Task<Result<QList<ResourceInfo>>> listing = provider->list(std::move(caller));
        const Result<QList<ResourceInfo>> found = co_await listing;
        if (!found)
            co_return protocolError(found.error());
        for (const ResourceInfo &info : *found)
            all.append(described(info));
    }
    co_return pageOf(call->inbound, QStringLiteral("resources"), all, core->features().pageSize);
}

Outcome listResourceTemplates(Core &core, Call &call)
{
    QJsonArray all;
    for (const auto &provider : core.features().resources) {
        for (const ResourceTemplate &pattern : provider->templates()) {
            QJsonObject entry{{QStringLiteral("uriTemplate"), pattern.uriTemplate}, {QStringLiteral("name"), pattern.name}};
            insertTexts(entry, {{QLatin1String("title"), pattern.title},
                                {QLatin1String("description"), pattern.description},
                                {QLatin1String("mimeType"), pattern.mimeType}});
            insertFacts(entry, pattern.annotations, pattern.meta);
            all.append(entry);
        }
    }
    return pageOf(call.inbound, QStringLiteral("resourceTemplates"), all, core.features().pageSize);
}

QCoro::Task<Outcome> readResource(CorePtr core, CallPtr call)
{
    const QString uri = call->inbound.params.value(QLatin1String("uri")).toString();
    if (uri.isEmpty())
        co_return RpcError{InvalidParams, QStringLiteral("params.uri must be a text.")};
    const auto provider = providerOf(core->features(), uri);
    if (!provider)
        co_return resourceMissing(call->inbound, uri);
    operations::Caller caller = call->caller;
    QCoro::Task<Result<ResourceRead>> reading = provider->read(std::move(caller), uri);
    const Result<ResourceRead> read = co_await reading;
    if (!read && read.error().code != ErrorCode::NotFound)
        co_return protocolError(read.error());
    if (read && read->need)
        co_return *read->need;
    if (!read || read->contents.isEmpty())
        co_return resourceMissing(call->inbound, uri);
    QJsonArray contents;
    for (const ResourceContent &content : read->contents)
        contents.append(described(content));
    co_return QJsonObject{{QStringLiteral("contents"), contents}};
}

Outcome subscribeResource(Core &core, Call &call)
{
    const QString uri = call.inbound.params.value(QLatin1String("uri")).toString();
    if (uri.isEmpty())
        return RpcError{InvalidParams, QStringLiteral("params.uri must be a text.")};
    if (call.from.session && call.from.session->watched.contains(uri))
        return QJsonObject();
    if (call.from.session && call.from.session->watched.size() >= kMostSubscribed)
        return RpcError{InvalidParams, QStringLiteral("This session watches %1 resources already; unsubscribe from some.").arg(kMostSubscribed)};
    const auto watch = core.watches.add(call.caller, uri);
    if (!watch)
        return watch.error().code == ErrorCode::NotFound ? resourceMissing(call.inbound, uri) : protocolError(watch.error());
    if (call.from.session)
        call.from.session->watched.insert(uri, *watch);
    return QJsonObject();
}

Outcome unsubscribeResource(Core &, Call &call)
{
    if (call.from.session)
        call.from.session->watched.remove(call.inbound.params.value(QLatin1String("uri")).toString());
    return QJsonObject();
}

} // namespace power::mcp
