#include "mcp/Methods.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
QJsonObject declaredCapabilities(const Features &features, World world)
{
    const auto changing = [](bool may) { return QJsonObject{{QStringLiteral("listChanged"), may}}; };
    QJsonObject all{{QStringLiteral("tools"), changing(features.toolsMayChange)}};
    if (world == Plain)
        return all;
    if (!features.resources.isEmpty()) {
        QJsonObject resources = changing(true);
        resources.insert(QStringLiteral("subscribe"), true);
        all.insert(QStringLiteral("resources"), resources);
    }
    if (!features.prompts.isEmpty())
        all.insert(QStringLiteral("prompts"), changing(true));
    if (!features.completers.isEmpty())
        all.insert(QStringLiteral("completions"), QJsonObject());
    all.insert(QStringLiteral("logging"), QJsonObject());
    QJsonObject extensions = features.extensions;
    if (features.tasks && world == Modern) {
        extensions.insert(QLatin1String(kTasksExtension), QJsonObject());
    } else if (features.tasks) {
        const QJsonObject calls{{QStringLiteral("call"), QJsonObject()}};
        all.insert(QStringLiteral("tasks"), QJsonObject{{QStringLiteral("list"), QJsonObject()},
                                                        {QStringLiteral("cancel"), QJsonObject()},
                                                        {QStringLiteral("requests"), QJsonObject{{QStringLiteral("tools"), calls}}}});
    }
    if (!extensions.isEmpty())
        all.insert(QStringLiteral("extensions"), extensions);
    return all;
}

// Most talkative first.
const QStringList &logLevels()
{
    static const QStringList levels{QStringLiteral("debug"), QStringLiteral("info"), QStringLiteral("notice"),
                                    QStringLiteral("warning"), QStringLiteral("error"), QStringLiteral("critical"),
                                    QStringLiteral("alert"), QStringLiteral("emergency")};
    return levels;
}
} // namespace

Outcome initialize(Core &core, Call &call)
{
    const Inbound &inbound = call.inbound;
    const ServerFacts &facts = core.config.facts;
    const QString wanted = inbound.params.value(QLatin1String("protocolVersion")).toString();
    const QLatin1String fallback(inbound.world == Plain ? kFirstLegacy : kLatestLegacy);
    const QString version = legacyVersions().contains(wanted) ? wanted : QString(fallback);
    QJsonObject result{
        {QStringLiteral("protocolVersion"), version},
        {QStringLiteral("capabilities"), declaredCapabilities(core.features(), inbound.world)},
        {QStringLiteral("serverInfo"), serverInfo(facts)},
    };
    if (!facts.instructions.isEmpty())
        result.insert(QStringLiteral("instructions"), facts.instructions);
    if (call.from.door == Door::Mcp) {
        const SessionPtr session = core.sessions.begin(call.caller.principal, version, inbound.params);
        call.replyHeaders.set("Mcp-Session-Id", session->id);
    } else if (call.from.session) {
        Sessions::learn(*call.from.session, version, inbound.params);
    }
    return result;
}

Outcome discover(Core &core, Call &)
{
    QJsonObject result{
        {QStringLiteral("supportedVersions"), QJsonArray::fromStringList(modernVersions())},
        {QStringLiteral("capabilities"), declaredCapabilities(core.features(), Modern)},
    };
    if (!core.config.facts.instructions.isEmpty())
        result.insert(QStringLiteral("instructions"), core.config.facts.instructions);
    return result;
}

Outcome ping(Core &, Call &)
{
    return QJsonObject();
}

bool isLogLevel(const QString &level)
{
    return logLevels().contains(level);
}

bool isLoggedAt(const QString &level, const QString &wanted)
{
    return !wanted.isEmpty() && logLevels().indexOf(level) >= logLevels().indexOf(wanted);
}

Outcome setLogLevel(Core &, Call &call)
{
    const QString level = call.inbound.params.value(QLatin1String("level")).toString();
    if (!isLogLevel(level))
        return RpcError{InvalidParams, QStringLiteral("params.level must be one of %1.").arg(logLevels().join(QStringLiteral(", ")))};
    if (call.from.session)
        call.from.session->logLevel = level;
    return QJsonObject();
}

} // namespace power::mcp
