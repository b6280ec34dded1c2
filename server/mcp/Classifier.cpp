#include "mcp/Classifier.h"
#include <QJsonDocument>

namespace power::mcp {

namespace {
Rejection shapeError(const QJsonValue &id, const QString &text)
{
    return {400, id, {InvalidRequest, text, {}}};
}

bool isWholeNumber(const QJsonValue &value)
{
    return value.isDouble() && value.toDouble() == double(value.toInteger());
}

bool isCarriedId(const QJsonValue &id)
{
    return id.isString() || id.isDouble();
}
} // namespace

bool parseBody(const QByteArray &body, QJsonValue &message)
{
    QByteArray text = body.startsWith("\xef\xbb\xbf") ? body.mid(3) : body;
    QJsonParseError problem;
    QJsonDocument document = QJsonDocument::fromJson(text, &problem);
    if (problem.error == QJsonParseError::IllegalUTF8String || problem.error == QJsonParseError::IllegalValue
        || problem.error == QJsonParseError::UnterminatedString) {
        text = QString::fromUtf8(text).toUtf8();
        document = QJsonDocument::fromJson(text, &problem);
    }
    if (problem.error == QJsonParseError::NoError) {
        message = document.isArray() ? QJsonValue(document.array()) : QJsonValue(document.object());
        return true;
    }
    // A bare number or word is JSON, though no message; the parser of Qt takes only arrays and objects.
    const QJsonDocument wrapped = QJsonDocument::fromJson('[' + text + ']', &problem);
    if (problem.error != QJsonParseError::NoError || wrapped.array().size() != 1)
        return false;
    message = wrapped.array().first();
    return true;
}

Classified classify(Door door, const http::Headers &headers, const QJsonValue &message)
{
    if (!message.isObject())
        return shapeError({}, QStringLiteral("A message must be a JSON object."));
    const QJsonObject object = message.toObject();
    const bool hasId = object.contains(QLatin1String("id"));
    const QJsonValue id = object.value(QLatin1String("id"));
    const QJsonValue tag = object.value(QLatin1String("jsonrpc"));
    // Plain clients were served without the tag; there a missing one is fine, a wrong one is not.
    if (tag != QJsonValue(QLatin1String("2.0")) && !(door == Door::Sse && tag.isUndefined()))
        return shapeError(id, QStringLiteral("\"jsonrpc\" must be \"2.0\"."));

    Inbound inbound;
    inbound.door = door;
    inbound.id = id;
    const QJsonValue method = object.value(QLatin1String("method"));
    if (method.isUndefined() && isCarriedId(id)
        && (object.contains(QLatin1String("result")) || object.contains(QLatin1String("error")))) {
        inbound.kind = Inbound::Kind::Response;
        inbound.world = door == Door::Sse ? Plain : Legacy;
        inbound.response = object;
        return inbound;
    }
    if (!method.isString() || method.toString().isEmpty())
        return shapeError(id, QStringLiteral("\"method\" must be a text."));
    inbound.method = method.toString();

    const bool named = inbound.method.startsWith(QLatin1String("notifications/"));
    if (!hasId || (door == Door::Sse && (id.isNull() || named)))
        inbound.kind = Inbound::Kind::Notification;
    else if (!isCarriedId(id))
        return shapeError({}, QStringLiteral("\"id\" must be a text or a number."));

    const QJsonValue params = object.value(QLatin1String("params"));
    inbound.params = params.toObject();
    inbound.meta = inbound.params.value(QLatin1String("_meta")).toObject();
    const QJsonValue token = inbound.meta.value(QLatin1String("progressToken"));
    inbound.progressToken = token.isString() || isWholeNumber(token) ? token : QJsonValue();

    const QJsonValue claim = inbound.meta.value(QLatin1String(kMetaVersion));
    const QString header = QString::fromLatin1(headers.value("MCP-Protocol-Version").trimmed());
    if (door == Door::Stream) {
        inbound.world = Legacy; // that transport ended with the initialize era
        inbound.version = header;
    } else if (!claim.isUndefined()) {
        inbound.world = Modern;
        inbound.version = claim.toString();
    } else if (inbound.method != QLatin1String("initialize") && modernVersions().contains(header)) {
        // The header alone claims the modern era: the ladder then names what is missing in the body.
        inbound.world = Modern;
    } else {
        inbound.world = door == Door::Sse ? Plain : Legacy;
        inbound.version = header;
    }
    if (!params.isUndefined() && !params.isNull() && !params.isObject()) {
        return Rejection{inbound.world == Modern ? 400 : 200, id,
                         {InvalidParams, QStringLiteral("\"params\" must be an object."), {}}};
    }
    return inbound;
}

} // namespace power::mcp
