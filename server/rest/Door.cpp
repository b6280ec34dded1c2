#include "rest/Door.h"
#include "rest/Arguments.h"
#include "rest/Problems.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::rest {

using operations::Answer;
using operations::Caller;

namespace {
QJsonObject bodyOf(const Route &route, const Answer &answer)
{
    QJsonObject data = route.shape ? route.shape(answer.data) : answer.data;
    if (!answer.notes.isEmpty()) {
        QJsonArray notes = data.value(QLatin1String("notes")).toArray();
        for (const QString &note : answer.notes)
            notes.append(note);
        data.insert(QStringLiteral("notes"), notes);
    }
    return data;
}

QCoro::Task<> run(const operations::Registry &registry, const Route &route, http::ExchangePtr exchange, Caller caller,
                  QJsonObject arguments)
{
    const QString name = QLatin1String(route.operation);
    QCoro::Task<Result<Answer>> call = registry.call(name, std::move(caller), std::move(arguments));
    const Result<Answer> answer = co_await call;
    if (!answer)
        exchange->reply(problemResponse(answer.error(), route, exchange->request()));
    else
        exchange->reply(http::Response::json(answer->status, bodyOf(route, *answer)));
}

// The stream begins with the first event, so an error before it is answered as on any route.
QCoro::Task<> runWithEvents(const operations::Registry &registry, const Route &route, http::ExchangePtr exchange, Caller caller,
                            QJsonObject arguments)
{
    const auto stream = std::make_shared<std::shared_ptr<http::SseStream>>();
    const auto send = [stream, exchange](const QString &event, const QJsonValue &data) {
        if (!*stream)
            *stream = exchange->startSse();
        const QByteArray text = QJsonDocument(data.toObject()).toJson(QJsonDocument::Compact);
        (*stream)->send(event.toLatin1(), text);
    };
    caller.log = [send](const QString &, const QString &event, const QJsonValue &data) { send(event, data); };
    caller.cancel = exchange->disconnected();
    const QString name = QLatin1String(route.operation);
    QCoro::Task<Result<Answer>> call = registry.call(name, std::move(caller), std::move(arguments));
    const Result<Answer> answer = co_await call;
    if (!answer && !*stream) {
        exchange->reply(problemResponse(answer.error(), route, exchange->request()));
        co_return;
    }
    if (answer)
        send(QStringLiteral("end"), bodyOf(route, *answer));
    else
        send(QStringLiteral("error"), QJsonObject{{QStringLiteral("error"), QLatin1String(errorWord(answer.error().code))},
                                                  {QStringLiteral("detail"), answer.error().text()}});
    (*stream)->finish();
}
} // namespace

void serve(const operations::Registry &registry, const doors::Authenticator &authenticate, const Route &route,
           http::ExchangePtr exchange)
{
    const http::Request &request = exchange->request();
    Result<Caller> caller = authenticate(request);
    if (!caller)
        return exchange->reply(problemResponse(caller.error(), route, request));
    auto arguments = argumentsOf(route, request);
    if (auto *refused = std::get_if<http::Response>(&arguments))
        return exchange->reply(std::move(*refused));
    caller->door = QStringLiteral("rest");
    exchange->note(QStringLiteral("operation"), QLatin1String(route.operation));
    const auto answerBy = route.events ? runWithEvents : run;
    answerBy(registry, route, std::move(exchange), std::move(*caller), std::move(std::get<QJsonObject>(arguments)));
}

void addRoutes(http::Dispatcher &dispatcher, const operations::Registry &registry, doors::Authenticator authenticate,
               BodyLimits limits)
{
    for (const Route &route : routes()) {
        http::RouteOptions options;
        options.maxBody = route.upload ? limits.upload : limits.usual;
        options.cors = true;
        if (route.upload && limits.form)
            options.streamType = "multipart/";
        dispatcher.add(route.method, QString::fromLatin1(route.pattern),
                       [&registry, authenticate, &route, form = route.upload ? limits.form : http::Handler()](http::ExchangePtr exchange) {
                           if (form && exchange->request().headers.value("Content-Type").toLower().startsWith("multipart/"))
                               return form(std::move(exchange));
                           serve(registry, authenticate, route, std::move(exchange));
                       }, options);
    }
}

} // namespace power::rest
