#include "rest/OpenApi.h"
#include "rest/RouteTable.h"
#include <QJsonArray>

namespace power::rest {

using operations::Operation;
using operations::Parameter;

namespace {
QJsonObject schemaOf(const Parameter &parameter)
{
    QJsonObject schema;
    const auto type = [&](const char *word) { schema.insert(QStringLiteral("type"), QLatin1String(word)); };
    switch (parameter.type) {
    case Parameter::Type::String: type("string"); break;
    case Parameter::Type::Integer: type("integer"); break;
    case Parameter::Type::Number: type("number"); break;
    case Parameter::Type::Boolean: type("boolean"); break;
    case Parameter::Type::Object: type("object"); break;
    case Parameter::Type::StringList:
        type("array");
        schema.insert(QStringLiteral("items"), QJsonObject{{QStringLiteral("type"), QStringLiteral("string")}});
        break;
    }
    schema.insert(QStringLiteral("description"), parameter.description);
    if (!parameter.defaultValue.isNull())
        schema.insert(QStringLiteral("default"), parameter.defaultValue);
    if (!parameter.allowed.isEmpty())
        schema.insert(QStringLiteral("enum"), QJsonArray::fromStringList(parameter.allowed));
    const bool number = parameter.type == Parameter::Type::Integer || parameter.type == Parameter::Type::Number;
    if (number && parameter.minimum.isDouble())
        schema.insert(QStringLiteral("minimum"), parameter.minimum);
    if (number && parameter.maximum.isDouble())
        schema.insert(QStringLiteral("maximum"), parameter.maximum);
    return schema;
}

QJsonObject jsonContent(const QJsonObject &schema)
{
    return {{QStringLiteral("application/json"), QJsonObject{{QStringLiteral("schema"), schema}}}};
}

// Of a route that takes files as a form too.
QJsonObject formSchema()
{
    const QJsonObject text{{QStringLiteral("type"), QStringLiteral("string")}};
    const QJsonObject file{{QStringLiteral("type"), QStringLiteral("string")}, {QStringLiteral("format"), QStringLiteral("binary")}};
    return {{QStringLiteral("type"), QStringLiteral("object")},
            {QStringLiteral("properties"),
             QJsonObject{{QStringLiteral("file"), file}, {QStringLiteral("session_id"), text}, {QStringLiteral("filename"), text}}},
            {QStringLiteral("required"), QJsonArray{QStringLiteral("file")}}};
}

QJsonObject answers()
{
    const auto answer = [](const char *text) {
        return QJsonObject{{QStringLiteral("description"), QLatin1String(text)},
                           {QStringLiteral("content"), jsonContent({{QStringLiteral("type"), QStringLiteral("object")}})}};
    };
    return {{QStringLiteral("200"), answer("The result.")},
            {QStringLiteral("400"), answer("The request cannot be carried out as it is: {\"detail\": text}.")},
            {QStringLiteral("403"), answer("The API key is missing or wrong.")},
            {QStringLiteral("404"), answer("There is no such thing.")},
            {QStringLiteral("422"), answer("Arguments are missing or wrong: {\"detail\": [{type, loc, msg}]}.")},
            {QStringLiteral("503"), answer("Busy or not available now; see Retry-After.")}};
}

QString idOf(const QByteArray &method, const QString &pattern)
{
    QString path = pattern.mid(1);
    path.remove(u'{').remove(u'}').remove(u'*').replace(u'/', u'_');
    return QStringLiteral("%1_%2").arg(QString::fromLatin1(method).toLower(), path);
}

// A route that runs no operation, by what it says of itself.
QJsonObject describe(const http::Dispatcher::Listed &route)
{
    const http::RouteAbout &about = route.about;
    QStringList inPath = parametersOf(route.pattern);
    QJsonArray parameters;
    const auto add = [&parameters](const QString &name, const char *in, bool required, const char *type, const char *text) {
        parameters.append(QJsonObject{{QStringLiteral("name"), name},
                                      {QStringLiteral("in"), QLatin1String(in)},
                                      {QStringLiteral("required"), required},
                                      {QStringLiteral("schema"), QJsonObject{{QStringLiteral("type"), QLatin1String(type)},
                                                                             {QStringLiteral("description"), QLatin1String(text)}}}});
    };
    for (const http::RouteAbout::Field &field : about.fields) {
        const bool path = qstrcmp(field.in, "path") == 0;
        add(QLatin1String(field.name), field.in, path || field.required, field.type, field.text);
        if (path)
            inPath.removeOne(QLatin1String(field.name));
    }
    for (const QString &name : std::as_const(inPath))
        add(name, "path", true, "string", "");
    QJsonObject replies;
    for (const http::RouteAbout::Reply &reply : about.replies) {
        QJsonObject answer{{QStringLiteral("description"), QLatin1String(reply.text)}};
        const char *type = *reply.type == '\0' && reply.status >= 400 ? "application/json" : reply.type;
        if (*type != '\0')
            answer.insert(QStringLiteral("content"), QJsonObject{{QLatin1String(type), QJsonObject()}});
        replies.insert(QString::number(reply.status), answer);
    }
    QJsonObject out{{QStringLiteral("operationId"), idOf(route.method, route.pattern)},
                    {QStringLiteral("summary"), QLatin1String(about.summary)},
                    {QStringLiteral("description"), QLatin1String(about.text)},
                    {QStringLiteral("tags"), QJsonArray{QLatin1String(about.group)}},
                    {QStringLiteral("responses"), replies}};
    if (!parameters.isEmpty())
        out.insert(QStringLiteral("parameters"), parameters);
    if (*about.bodyType != '\0')
        out.insert(QStringLiteral("requestBody"),
                   QJsonObject{{QStringLiteral("required"), true},
                               {QStringLiteral("content"), QJsonObject{{QLatin1String(about.bodyType), QJsonObject()}}}});
    if (about.open)
        out.insert(QStringLiteral("security"), QJsonArray());
    return out;
}

QJsonObject describe(const Route &route, const Operation &operation)
{
    const QStringList inPath = pathParameters(route);
    QJsonArray parameters, required;
    QJsonObject properties;
    for (const Parameter &parameter : operation.parameters) {
        if (route.preset.contains(parameter.name))
            continue;
        const bool path = inPath.contains(parameter.name);
        if (path || (route.query && !(route.body && parameter.hidden))) {
            parameters.append(QJsonObject{{QStringLiteral("name"), parameter.name},
                                          {QStringLiteral("in"), path ? QStringLiteral("path") : QStringLiteral("query")},
                                          {QStringLiteral("required"), path || (parameter.required && !route.body)},
                                          {QStringLiteral("schema"), schemaOf(parameter)}});
        } else if (route.body) {
            properties.insert(parameter.name, schemaOf(parameter));
            if (parameter.required)
                required.append(parameter.name);
        }
    }
    QJsonObject out{
        {QStringLiteral("operationId"), idOf(route.method, QString::fromLatin1(route.pattern))},
        {QStringLiteral("summary"), QLatin1String(route.summary)},
        {QStringLiteral("description"), operation.description},
        {QStringLiteral("tags"), QJsonArray{operation.toolset.isEmpty() ? QStringLiteral("core") : operation.toolset}},
        {QStringLiteral("responses"), answers()},
    };
    if (!parameters.isEmpty())
        out.insert(QStringLiteral("parameters"), parameters);
    if (!properties.isEmpty()) {
        QJsonObject schema{{QStringLiteral("type"), QStringLiteral("object")}, {QStringLiteral("properties"), properties}};
        if (!required.isEmpty())
            schema.insert(QStringLiteral("required"), required);
        QJsonObject content = jsonContent(schema);
        if (route.upload)
            content.insert(QStringLiteral("multipart/form-data"), QJsonObject{{QStringLiteral("schema"), formSchema()}});
        out.insert(QStringLiteral("requestBody"),
                   QJsonObject{{QStringLiteral("required"), !required.isEmpty()}, {QStringLiteral("content"), content}});
    }
    return out;
}
} // namespace

QJsonObject openApiDocument(const operations::Registry &registry, const QString &version, const QList<http::Dispatcher::Listed> &served)
{
    QJsonObject paths;
    for (const http::Dispatcher::Listed &listed : served) {
        const Route *route = findRoute(listed.method, listed.pattern);
        const Operation *operation = route ? registry.find(QLatin1String(route->operation)) : nullptr;
        if (route && !operation)
            continue;
        const QString path = QString(listed.pattern).remove(u'*');
        QJsonObject methods = paths.value(path).toObject();
        methods.insert(QString::fromLatin1(listed.method).toLower(), route ? describe(*route, *operation) : describe(listed));
        paths.insert(path, methods);
    }
    const QJsonObject schemes{
        {QStringLiteral("apiKey"), QJsonObject{{QStringLiteral("type"), QStringLiteral("apiKey")},
                                               {QStringLiteral("in"), QStringLiteral("header")},
                                               {QStringLiteral("name"), QStringLiteral("X-API-Key")}}},
        {QStringLiteral("bearer"), QJsonObject{{QStringLiteral("type"), QStringLiteral("http")},
                                               {QStringLiteral("scheme"), QStringLiteral("bearer")}}}};
    return {
        {QStringLiteral("openapi"), QStringLiteral("3.1.0")},
        {QStringLiteral("info"),
         QJsonObject{{QStringLiteral("title"), QStringLiteral("Power Interpreter")},
                     {QStringLiteral("version"), version},
                     {QStringLiteral("description"),
                      QStringLiteral("Every route of the server. What the JSON routes do, MCP tools on /mcp do as well.")}}},
        {QStringLiteral("security"), QJsonArray{QJsonObject{{QStringLiteral("apiKey"), QJsonArray()}},
                                                QJsonObject{{QStringLiteral("bearer"), QJsonArray()}}}},
        {QStringLiteral("components"), QJsonObject{{QStringLiteral("securitySchemes"), schemes}}},
        {QStringLiteral("paths"), paths},
    };
}

} // namespace power::rest
