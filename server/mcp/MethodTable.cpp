#include "mcp/MethodTable.h"
#include "mcp/ToolList.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
constexpr int kListTtlMs = 300'000;

QJsonObject serverInfo(const ServerFacts &facts)
{
    return {{QStringLiteral("name"), facts.name}, {QStringLiteral("version"), facts.version}};
}

QJsonObject capabilities()
{
    return {{QStringLiteral("tools"), QJsonObject{{QStringLiteral("listChanged"), false}}}};
}

MethodAnswer initialize(const Inbound &inbound, const ServerFacts &facts, const ToolList &)
{
    const QString wanted = inbound.params.value(QLatin1String("protocolVersion")).toString();
    const QLatin1String fallback(inbound.world == Plain ? kFirstLegacy : kLatestLegacy);
    QJsonObject result{
        {QStringLiteral("protocolVersion"), legacyVersions().contains(wanted) ? wanted : QString(fallback)},
        {QStringLiteral("capabilities"), capabilities()},
        {QStringLiteral("serverInfo"), serverInfo(facts)},
    };
    if (!facts.instructions.isEmpty())
        result.insert(QStringLiteral("instructions"), facts.instructions);
    return finalized(result, inbound.world, facts);
}

MethodAnswer discover(const Inbound &inbound, const ServerFacts &facts, const ToolList &)
{
    QJsonObject result{
        {QStringLiteral("supportedVersions"), QJsonArray::fromStringList(modernVersions())},
        {QStringLiteral("capabilities"), capabilities()},
    };
    if (!facts.instructions.isEmpty())
        result.insert(QStringLiteral("instructions"), facts.instructions);
    return finalized(result, inbound.world, facts, Caching::Private);
}

MethodAnswer emptyObject(const Inbound &inbound, const ServerFacts &facts, const ToolList &)
{
    return finalized({}, inbound.world, facts);
}

std::optional<RpcError> cursorProblem(const Inbound &inbound)
{
    // Every list is one page, so no cursor was ever handed out.
    if (inbound.params.value(QLatin1String("cursor")).toString().isEmpty())
        return std::nullopt;
    return RpcError{InvalidParams, QStringLiteral("Unknown cursor: this list has one page."), {}};
}

MethodAnswer listTools(const Inbound &inbound, const ServerFacts &facts, const ToolList &tools)
{
    if (auto problem = cursorProblem(inbound))
        return *problem;
    return tools.bytes(inbound.world, facts, inbound.tools);
}

// Some clients ask for these lists though they were never declared; an error would only alarm their users.
template <char Which>
MethodAnswer listNothing(const Inbound &inbound, const ServerFacts &facts, const ToolList &)
{
    if (auto problem = cursorProblem(inbound))
        return *problem;
    const QString key = Which == 'r' ? QStringLiteral("resources")
                      : Which == 't' ? QStringLiteral("resourceTemplates") : QStringLiteral("prompts");
    return finalized({{key, QJsonArray()}}, inbound.world, facts);
}

const Method kMethods[] = {
    {"initialize", Legacy | Plain, initialize},
    {"ping", Legacy | Plain, emptyObject},
    {"server/discover", Modern, discover},
    {"tools/list", Modern | Legacy | Plain, listTools},
    {"tools/call", Modern | Legacy | Plain, nullptr},
    {"resources/list", Legacy, listNothing<'r'>},
    {"resources/templates/list", Legacy, listNothing<'t'>},
    {"prompts/list", Legacy, listNothing<'p'>},
    {"logging/setLevel", Legacy, emptyObject},
};
} // namespace

const Method *findMethod(const QString &name, World world)
{
    for (const Method &method : kMethods) {
        if ((method.worlds & world) && name == QLatin1String(method.name))
            return &method;
    }
    return nullptr;
}

QByteArray finalized(QJsonObject result, World world, const ServerFacts &facts, Caching caching)
{
    if (world == Modern) {
        result.insert(QStringLiteral("resultType"), QStringLiteral("complete"));
        QJsonObject meta = result.value(QLatin1String("_meta")).toObject();
        meta.insert(QLatin1String(kMetaServerInfo), serverInfo(facts));
        result.insert(QStringLiteral("_meta"), meta);
        if (caching == Caching::Private) {
            result.insert(QStringLiteral("ttlMs"), kListTtlMs);
            result.insert(QStringLiteral("cacheScope"), QStringLiteral("private"));
        }
    }
    return jsonBytes(result);
}

} // namespace power::mcp
