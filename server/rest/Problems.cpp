#include "rest/Problems.h"
#include "http/Exchange.h"
#include <QJsonArray>

namespace power::rest {

namespace {
constexpr int kRetryAfterSeconds = 5;

QString placeOf(const QString &argument, const Route &route)
{
    if (pathParameters(route).contains(argument))
        return QStringLiteral("path");
    return route.body ? QStringLiteral("body") : QStringLiteral("query");
}
} // namespace

http::Response refusal(int status, const QString &text, const http::Request &request)
{
    return http::Response::json(status, {{QStringLiteral("detail"), text},
                                         {QStringLiteral("request_id"), QString::fromLatin1(request.id)}});
}

http::Response invalid(const QList<Invalid> &problems, const QString &hint, const http::Request &request)
{
    QJsonArray list;
    for (const Invalid &problem : problems)
        list.append(QJsonObject{{QStringLiteral("type"), problem.type},
                                {QStringLiteral("loc"), QJsonArray::fromStringList(problem.place)},
                                {QStringLiteral("msg"), problem.message}});
    QJsonObject body{{QStringLiteral("detail"), list},
                     {QStringLiteral("error"), QLatin1String(errorWord(ErrorCode::InvalidArgument))},
                     {QStringLiteral("request_id"), QString::fromLatin1(request.id)}};
    if (!hint.isEmpty())
        body.insert(QStringLiteral("next_step"), hint);
    return http::Response::json(422, body);
}

http::Response problemResponse(const Error &error, const Route &route, const http::Request &request)
{
    if (error.code == ErrorCode::InvalidArgument && error.details.contains(QLatin1String("problems"))) {
        QList<Invalid> problems;
        for (const QJsonValue &problem : error.details.value(QLatin1String("problems")).toArray()) {
            const QString argument = problem[QLatin1String("argument")].toString();
            problems.append({problem[QLatin1String("type")].toString(), {placeOf(argument, route), argument},
                             problem[QLatin1String("message")].toString()});
        }
        return invalid(problems, error.nextStep.trimmed(), request);
    }
    if (error.code == ErrorCode::Busy) {
        http::Response response = http::Response::json(
            503, {{QStringLiteral("error"), QStringLiteral("sandbox_busy")},
                  {QStringLiteral("message"), error.text()},
                  {QStringLiteral("detail"), error.text()},
                  {QStringLiteral("retry_after"), kRetryAfterSeconds},
                  {QStringLiteral("request_id"), QString::fromLatin1(request.id)}});
        response.headers.set("Retry-After", QByteArray::number(kRetryAfterSeconds));
        return response;
    }
    http::Response response = http::errorResponse(error, request);
    if (error.code == ErrorCode::Unauthenticated)
        response.status = 403;
    return response;
}

} // namespace power::rest
