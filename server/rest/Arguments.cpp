#include "rest/Arguments.h"
#include "rest/Problems.h"
#include <QJsonDocument>

namespace power::rest {

namespace {
std::variant<QJsonObject, http::Response> bodyObject(const http::Request &request)
{
    if (request.body.trimmed().isEmpty())
        return QJsonObject();
    const QByteArray type = request.headers.value("Content-Type").toLower();
    if (type.startsWith("multipart/") || type.startsWith("application/x-www-form-urlencoded"))
        return refusal(415, QStringLiteral("Send a JSON object; forms are accepted by /api/files/upload only (multipart/form-data). Files go "
                                           "there, as base64 in content_base64, or by URL with /api/files/fetch."), request);
    QJsonParseError problem;
    QJsonDocument document = QJsonDocument::fromJson(request.body, &problem);
    if (problem.error == QJsonParseError::IllegalUTF8String)
        document = QJsonDocument::fromJson(QString::fromUtf8(request.body).toUtf8(), &problem);
    if (problem.error != QJsonParseError::NoError)
        return invalid({{QStringLiteral("json_invalid"), {QStringLiteral("body"), QString::number(problem.offset)},
                         QStringLiteral("The body is not valid JSON: %1.").arg(problem.errorString())}}, {}, request);
    if (!document.isObject())
        return invalid({{QStringLiteral("dict_type"), {QStringLiteral("body")},
                         QStringLiteral("The body must be a JSON object.")}}, {}, request);
    return document.object();
}
} // namespace

std::variant<QJsonObject, http::Response> argumentsOf(const Route &route, const http::Request &request)
{
    QJsonObject values;
    if (route.body) {
        auto body = bodyObject(request);
        if (std::holds_alternative<http::Response>(body))
            return body;
        values = std::get<QJsonObject>(std::move(body));
    }
    if (route.query) {
        for (const auto &[key, value] : request.query.queryItems(QUrl::FullyDecoded))
            values.insert(key, value);
    }
    for (const QString &name : pathParameters(route))
        values.insert(name, request.parameters.value(name));
    for (auto it = route.preset.begin(); it != route.preset.end(); ++it)
        values.insert(it.key(), it.value());

    const QString notBlank = QLatin1String(route.notBlank);
    const QJsonValue text = values.value(notBlank);
    if (!notBlank.isEmpty() && text.isString() && text.toString().trimmed().isEmpty())
        return refusal(400, QStringLiteral("\"%1\" must not be blank.").arg(notBlank), request);
    return values;
}

} // namespace power::rest
