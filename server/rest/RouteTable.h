// The JSON routes as data: which operation each runs, where its arguments come from, what its answer looks like.
#pragma once
#include <QJsonObject>
#include <QList>
#include <QString>

namespace power::rest {

struct Route {
    const char *method;
    const char *pattern;           // {names} are arguments of the operation
    const char *operation;
    const char *summary;           // for the API page
    bool body = false;             // the JSON object in the body holds arguments
    bool query = false;            // so does the query string; it wins over the body
    const char *notBlank = "";     // this argument given as blanks only: 400 (contract 9.2)
    bool upload = false;           // allows the body that an upload of the largest size needs
    bool events = false;           // answered as text/event-stream: what the operation logs while it runs, and "end"
    QJsonObject preset = {};       // arguments the route fixes
    // The operation's result as this route names it; null = as it is.
    QJsonObject (*shape)(const QJsonObject &data) = nullptr;
};

// In the order of the API page.
const QList<Route> &routes();

// Null when that route is not in the table.
const Route *findRoute(const QByteArray &method, const QString &pattern);

// Names in braces of a pattern.
QStringList parametersOf(const QString &pattern);
QStringList pathParameters(const Route &route);

} // namespace power::rest
