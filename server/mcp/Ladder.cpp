#include "mcp/Ladder.h"
#include "mcp/MethodTable.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
Rejection refuse(const Inbound &inbound, int status, int code, const QString &text, const QJsonObject &data = {})
{
    return {status, inbound.id, {code, text, data}};
}

std::optional<Rejection> legacyHeaderIsKnown(const Inbound &inbound, const http::Headers &)
{
    // Clients send any known version after negotiating another; initialize decides by its body.
    if (inbound.version.isEmpty() || inbound.method == QLatin1String("initialize")
        || legacyVersions().contains(inbound.version))
        return std::nullopt;
    return refuse(inbound, 400, InvalidRequest,
                  QStringLiteral("Unsupported MCP-Protocol-Version \"%1\".").arg(inbound.version.left(40)),
                  {{QStringLiteral("supported"), QJsonArray::fromStringList(legacyVersions() + modernVersions())}});
}

std::optional<Rejection> metaNamesAVersion(const Inbound &inbound, const http::Headers &)
{
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

std::optional<Rejection> headerNamesTheSameVersion(const Inbound &inbound, const http::Headers &headers)
{
    const QByteArray header = headers.value("MCP-Protocol-Version").trimmed();
    if (header == inbound.version.toUtf8())
        return std::nullopt;
    return refuse(inbound, 400, HeaderMismatch,
                  header.isEmpty() ? QStringLiteral("The header MCP-Protocol-Version is missing.")
                                   : QStringLiteral("The header MCP-Protocol-Version is not the version of params._meta."));
}

std::optional<Rejection> capabilitiesAreDeclared(const Inbound &inbound, const http::Headers &)
{
    if (inbound.meta.value(QLatin1String(kMetaCapabilities)).isObject())
        return std::nullopt;
    return refuse(inbound, 400, InvalidParams,
                  QStringLiteral("params._meta lacks \"%1\" (an object).").arg(QLatin1String(kMetaCapabilities)),
                  {{QStringLiteral("missing"), QJsonArray{QLatin1String(kMetaCapabilities)}}});
}

std::optional<Rejection> versionIsServed(const Inbound &inbound, const http::Headers &)
{
    if (modernVersions().contains(inbound.version))
        return std::nullopt;
    return refuse(inbound, 400, UnsupportedVersion, QStringLiteral("Unsupported protocol version"),
                  {{QStringLiteral("supported"), QJsonArray::fromStringList(modernVersions())},
                   {QStringLiteral("requested"), inbound.version}});
}

std::optional<Rejection> headerNamesTheMethod(const Inbound &inbound, const http::Headers &headers)
{
    const QByteArray header = headers.value("Mcp-Method").trimmed();
    if (header == inbound.method.toUtf8())
        return std::nullopt;
    return refuse(inbound, 400, HeaderMismatch,
                  header.isEmpty() ? QStringLiteral("The header Mcp-Method is missing.")
                                   : QStringLiteral("The header Mcp-Method is not the method of the body."));
}

std::optional<Rejection> headerNamesTheTarget(const Inbound &inbound, const http::Headers &headers)
{
    static const QHash<QString, QString> keys{{QStringLiteral("tools/call"), QStringLiteral("name")},
                                              {QStringLiteral("prompts/get"), QStringLiteral("name")},
                                              {QStringLiteral("resources/read"), QStringLiteral("uri")}};
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

std::optional<Rejection> methodExists(const Inbound &inbound, const http::Headers &)
{
    if (findMethod(inbound.method, inbound.world))
        return std::nullopt;
    return refuse(inbound, inbound.world == Modern ? 404 : 200, MethodNotFound,
                  QStringLiteral("Method not found: %1").arg(inbound.method.left(80)));
}
} // namespace

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
    static const QList<Rung> rungs{
        {"legacy-header", Legacy, legacyHeaderIsKnown},
        {"meta-version", Modern, metaNamesAVersion},
        {"header-version", Modern, headerNamesTheSameVersion},
        {"capabilities", Modern, capabilitiesAreDeclared},
        {"version-served", Modern, versionIsServed},
        {"header-method", Modern, headerNamesTheMethod},
        {"header-name", Modern, headerNamesTheTarget},
        {"method", Modern | Legacy | Plain, methodExists},
    };
    return rungs;
}

std::optional<Rejection> climb(const Inbound &inbound, const http::Headers &headers)
{
    for (const Rung &rung : ladder()) {
        if (!(rung.worlds & inbound.world))
            continue;
        if (auto rejection = rung.check(inbound, headers))
            return rejection;
    }
    return std::nullopt;
}

} // namespace power::mcp
