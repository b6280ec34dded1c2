#include "mcp/Ladder.h"
#include "mcp/Methods.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
Rejection refuse(const Inbound &inbound, int status, int code, const QString &text, const QJsonObject &data = {})
{
    return {status, inbound.id, {code, text, data}};
}

std::optional<Rejection> legacyHeaderIsKnown(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    // Clients send any known version after negotiating another; initialize decides by its body.
    if (inbound.version.isEmpty() || inbound.method == QLatin1String("initialize")
        || legacyVersions().contains(inbound.version))
        return std::nullopt;
    return refuse(inbound, 400, InvalidRequest,
                  QStringLiteral("Unsupported MCP-Protocol-Version \"%1\".").arg(inbound.version.left(40)),
                  {{QStringLiteral("supported"), QJsonArray::fromStringList(legacyVersions() + modernVersions())}});
}

std::optional<Rejection> metaNamesAVersion(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    if (!inbound.version.isEmpty())
        return std::nullopt;
    QJsonArray missing{QLatin1String(kMetaVersion)};
    if (!inbound.meta.value(QLatin1String(kMetaCapabilities)).isObject())
        missing.append(QLatin1String(kMetaCapabilities));
    return refuse(inbound, 400, InvalidParams,
                  QStringLiteral("params._meta lacks keys this protocol version requires: %1.")
                      .arg(QString::fromUtf8(jsonBytes(missing))),
                  {{QStringLiteral("missing"), missing}});
}

std::optional<Rejection> headerNamesTheSameVersion(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    const http::Headers &headers = climber.headers;
    const QByteArray header = headers.value("MCP-Protocol-Version").trimmed();
    if (header == inbound.version.toUtf8())
        return std::nullopt;
    return refuse(inbound, 400, HeaderMismatch,
                  header.isEmpty() ? QStringLiteral("The header MCP-Protocol-Version is missing.")
                                   : QStringLiteral("The header MCP-Protocol-Version is not the version of params._meta."));
}

std::optional<Rejection> capabilitiesAreDeclared(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    if (inbound.meta.value(QLatin1String(kMetaCapabilities)).isObject())
        return std::nullopt;
    return refuse(inbound, 400, InvalidParams,
                  QStringLiteral("params._meta lacks \"%1\" (an object).").arg(QLatin1String(kMetaCapabilities)),
                  {{QStringLiteral("missing"), QJsonArray{QLatin1String(kMetaCapabilities)}}});
}

std::optional<Rejection> versionIsServed(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    if (modernVersions().contains(inbound.version))
        return std::nullopt;
    return refuse(inbound, 400, UnsupportedVersion, QStringLiteral("Unsupported protocol version"),
                  {{QStringLiteral("supported"), QJsonArray::fromStringList(modernVersions())},
                   {QStringLiteral("requested"), inbound.version}});
}

std::optional<Rejection> headerNamesTheMethod(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    const http::Headers &headers = climber.headers;
    const QByteArray header = headers.value("Mcp-Method").trimmed();
    if (header == inbound.method.toUtf8())
        return std::nullopt;
    return refuse(inbound, 400, HeaderMismatch,
                  header.isEmpty() ? QStringLiteral("The header Mcp-Method is missing.")
                                   : QStringLiteral("The header Mcp-Method is not the method of the body."));
}

std::optional<Rejection> headerNamesTheTarget(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    const http::Headers &headers = climber.headers;
    static const QHash<QString, QString> keys{{QStringLiteral("tools/call"), QStringLiteral("name")},
                                              {QStringLiteral("prompts/get"), QStringLiteral("name")},
                                              {QStringLiteral("resources/read"), QStringLiteral("uri")},
                                              {QStringLiteral("tasks/get"), QStringLiteral("taskId")},
                                              {QStringLiteral("tasks/update"), QStringLiteral("taskId")},
                                              {QStringLiteral("tasks/cancel"), QStringLiteral("taskId")}};
    const QString key = keys.value(inbound.method);
    if (key.isEmpty())
        return std::nullopt;
    const QByteArray header = headers.value("Mcp-Name").trimmed();
    const auto name = decodedHeader(header);
    if (name && !header.isEmpty() && *name == inbound.params.value(key).toString())
        return std::nullopt;
    return refuse(inbound, 400, HeaderMismatch,
                  header.isEmpty() ? QStringLiteral("The header Mcp-Name is missing.")
                                   : QStringLiteral("The header Mcp-Name is not params.%1.").arg(key));
}

std::optional<Rejection> methodExists(const Climber &climber)
{
    const Inbound &inbound = climber.inbound;
    if (findMethod(inbound.method, inbound.world, climber.features))
        return std::nullopt;
    return refuse(inbound, inbound.world == Modern ? 404 : 200, MethodNotFound,
                  QStringLiteral("Method not found: %1").arg(inbound.method.left(80)));
}

std::optional<Rejection> logLevelIsKnown(const Climber &climber)
{
    const QJsonValue level = climber.inbound.meta.value(QLatin1String(kMetaLogLevel));
    if (level.isUndefined() || isLogLevel(level.toString()))
        return std::nullopt;
    return refuse(climber.inbound, 400, InvalidParams, QStringLiteral("\"%1\" is no log level.").arg(QLatin1String(kMetaLogLevel)));
}

// Whether `declared` has everything `wanted` names, at any depth.
bool hasCapability(const QJsonObject &declared, const QJsonObject &wanted)
{
    for (auto it = wanted.begin(); it != wanted.end(); ++it) {
        if (!declared.value(it.key()).isObject() || !hasCapability(declared.value(it.key()).toObject(), it.value().toObject()))
            return false;
    }
    return true;
}

const operations::Operation *calledTool(const Climber &climber)
{
    if (climber.inbound.method != QLatin1String("tools/call"))
        return nullptr;
    return climber.tools.find(climber.inbound.params.value(QLatin1String("name")).toString(),
                              climber.inbound.tools);
}

std::optional<Rejection> clientCanWhatTheToolNeeds(const Climber &climber)
{
    const operations::Operation *tool = calledTool(climber);
    QJsonObject needs = tool ? tool->clientNeeds : QJsonObject();
    if (climber.inbound.method.startsWith(QLatin1String("tasks/")) || (tool && tool->task == operations::Operation::Task::Required))
        needs.insert(QStringLiteral("extensions"), QJsonObject{{QLatin1String(kTasksExtension), QJsonObject()}});
    if (needs.isEmpty() || hasCapability(climber.inbound.meta.value(QLatin1String(kMetaCapabilities)).toObject(), needs))
        return std::nullopt;
    return refuse(climber.inbound, 400, MissingCapability, QStringLiteral("Missing required client capability"),
                  {{QStringLiteral("requiredCapabilities"), needs}});
}

bool sameValue(const QJsonValue &value, const QString &header)
{
    if (value.isBool())
        return header == (value.toBool() ? QLatin1String("true") : QLatin1String("false"));
    if (value.isDouble()) {
        bool isNumber = false;
        const double number = header.toDouble(&isNumber);
        return isNumber && number == value.toDouble();
    }
    return value.isString() && header == value.toString();
}

// First argument whose Mcp-Param header does not say the same; `properties` of one level of the tool's schema.
std::optional<QString> mismatchedParameter(const QJsonObject &properties, const QJsonObject &arguments, const http::Headers &headers)
{
    for (auto it = properties.begin(); it != properties.end(); ++it) {
        const QJsonObject schema = it.value().toObject();
        const QJsonValue value = arguments.value(it.key());
        if (const QJsonObject inner = schema.value(QLatin1String("properties")).toObject(); !inner.isEmpty()) {
            if (auto found = mismatchedParameter(inner, value.toObject(), headers))
                return found;
        }
        const QString word = schema.value(QLatin1String("x-mcp-header")).toString();
        if (word.isEmpty())
            continue;
        const QByteArray name = "Mcp-Param-" + word.toUtf8();
        const bool hasValue = !value.isUndefined() && !value.isNull();
        if (!headers.contains(name)) {
            if (hasValue)
                return QStringLiteral("The header %1 is missing.").arg(QString::fromUtf8(name));
            continue;
        }
        const auto text = decodedHeader(headers.value(name).trimmed());
        if (!text || !hasValue || !sameValue(value, *text))
            return QStringLiteral("The header %1 is not the argument %2.").arg(QString::fromUtf8(name), it.key());
    }
    return std::nullopt;
}

std::optional<Rejection> headersNameTheArguments(const Climber &climber)
{
    const operations::Operation *tool = calledTool(climber);
    if (!tool || tool->rawInputSchema.isEmpty())
        return std::nullopt;
    const auto problem = mismatchedParameter(tool->rawInputSchema.value(QLatin1String("properties")).toObject(),
                                             climber.inbound.params.value(QLatin1String("arguments")).toObject(), climber.headers);
    if (!problem)
        return std::nullopt;
    return refuse(climber.inbound, 400, HeaderMismatch, *problem);
}
} // namespace

QJsonObject undeclared(const QJsonObject &capabilities, const QJsonObject &requests)
{
    QJsonObject missing;
    for (const QJsonValue &request : requests) {
        const QString method = request[QLatin1String("method")].toString();
        const QJsonValue params = request[QLatin1String("params")];
        QJsonObject wanted;
        if (method == QLatin1String("elicitation/create")) {
            const bool byUrl = params[QLatin1String("mode")].toString() == QLatin1String("url");
            const QJsonObject declared = capabilities.value(QLatin1String("elicitation")).toObject();
            const bool isBare = capabilities.contains(QLatin1String("elicitation")) && declared.isEmpty(); // means forms
            wanted = isBare && !byUrl ? QJsonObject{{QStringLiteral("elicitation"), QJsonObject()}}
                                      : QJsonObject{{QStringLiteral("elicitation"),
                                                     QJsonObject{{byUrl ? QStringLiteral("url") : QStringLiteral("form"), QJsonObject()}}}};
        } else if (method == QLatin1String("sampling/createMessage")) {
            const bool withTools = !params[QLatin1String("tools")].toArray().isEmpty();
            wanted.insert(QStringLiteral("sampling"),
                          withTools ? QJsonObject{{QStringLiteral("tools"), QJsonObject()}} : QJsonObject());
        } else {
            wanted.insert(method.section(u'/', 0, 0), QJsonObject());
        }
        if (hasCapability(capabilities, wanted))
            continue;
        for (auto it = wanted.begin(); it != wanted.end(); ++it)
            missing.insert(it.key(), it.value());
    }
    return missing;
}

std::optional<QString> decodedHeader(const QByteArray &value)
{
    if (!value.startsWith("=?base64?") || !value.endsWith("?=") || value.size() < 11)
        return QString::fromUtf8(value);
    const QByteArray text = value.mid(9).chopped(2);
    if (text.size() % 4 != 0)
        return std::nullopt;
    const auto decoded = QByteArray::fromBase64Encoding(text, QByteArray::AbortOnBase64DecodingErrors);
    if (decoded.decodingStatus != QByteArray::Base64DecodingStatus::Ok)
        return std::nullopt;
    return QString::fromUtf8(decoded.decoded);
}

const QList<Rung> &ladder()
{
    constexpr unsigned everywhere = unsigned(Door::Mcp) | unsigned(Door::Sse) | unsigned(Door::Stream) | unsigned(Door::Stdio);
    constexpr unsigned posts = unsigned(Door::Mcp) | unsigned(Door::Sse);
    static const QList<Rung> rungs{
        {"legacy-header", Legacy, unsigned(Door::Mcp), legacyHeaderIsKnown},
        {"meta-version", Modern, everywhere, metaNamesAVersion},
        {"header-version", Modern, posts, headerNamesTheSameVersion},
        {"capabilities", Modern, everywhere, capabilitiesAreDeclared},
        {"version-served", Modern, everywhere, versionIsServed},
        {"header-method", Modern, posts, headerNamesTheMethod},
        {"header-name", Modern, posts, headerNamesTheTarget},
        {"method", Modern | Legacy | Plain, everywhere, methodExists},
        {"log-level", Modern, everywhere, logLevelIsKnown},
        {"client-needs", Modern, everywhere, clientCanWhatTheToolNeeds},
        {"header-parameters", Modern, posts, headersNameTheArguments},
    };
    return rungs;
}

std::optional<Rejection> climb(const Climber &climber)
{
    for (const Rung &rung : ladder()) {
        if (!(rung.worlds & climber.inbound.world) || !(rung.doors & unsigned(climber.inbound.door)))
            continue;
        if (auto rejection = rung.check(climber))
            return rejection;
    }
    return std::nullopt;
}

} // namespace power::mcp
