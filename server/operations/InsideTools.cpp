#include "operations/InsideTools.h"
#include "base/Log.h"
#include "base/OneShot.h"
#include <QElapsedTimer>
#include <QJsonArray>
#include <QJsonDocument>

namespace power::operations {

namespace {
const QString kSession = QStringLiteral("session_id");

QString insideParameter(const Parameter &parameter)
{
    return parameter.insideName.isEmpty() ? parameter.name : parameter.insideName;
}

bool isShown(const Parameter &parameter)
{
    return parameter.name != kSession && !parameter.hidden;
}

const char *typeWord(Parameter::Type type)
{
    switch (type) {
    case Parameter::Type::Integer: return "integer";
    case Parameter::Type::Number: return "number";
    case Parameter::Type::Boolean: return "boolean";
    case Parameter::Type::Object: return "object";
    case Parameter::Type::StringList: return "array";
    case Parameter::Type::String: break;
    }
    return "string";
}

QJsonObject described(const Operation &operation)
{
    QJsonArray parameters;
    for (const Parameter &parameter : operation.parameters) {
        if (isShown(parameter))
            parameters.append(QJsonObject{{QStringLiteral("name"), insideParameter(parameter)},
                                          {QStringLiteral("type"), QLatin1String(typeWord(parameter.type))},
                                          {QStringLiteral("about"), parameter.description},
                                          {QStringLiteral("required"), parameter.required},
                                          {QStringLiteral("default"), parameter.defaultValue}});
    }
    return {{QStringLiteral("name"), operation.inside.name},
            {QStringLiteral("about"), operation.inside.about.isEmpty() ? operation.description : operation.inside.about},
            {QStringLiteral("returns"), operation.inside.returns},
            {QStringLiteral("parameters"), parameters}};
}

Result<QByteArray> valueAnswer(const QJsonValue &value)
{
    return QJsonDocument(QJsonObject{{QStringLiteral("value"), value}}).toJson(QJsonDocument::Compact);
}

Result<QJsonObject> outsideArguments(const Operation &operation, const QJsonObject &given, const QString &session)
{
    QJsonObject arguments;
    for (auto it = given.begin(); it != given.end(); ++it) {
        const auto known = std::find_if(operation.parameters.cbegin(), operation.parameters.cend(), [&](const Parameter &parameter) {
            return isShown(parameter) && insideParameter(parameter) == it.key();
        });
        if (known == operation.parameters.cend())
            return fail(ErrorCode::InvalidArgument, QStringLiteral("power.%1 has no argument \"%2\".").arg(operation.inside.name, it.key().left(60)),
                        QStringLiteral("help(power.%1) shows them.").arg(operation.inside.name));
        arguments.insert(known->name, it.value());
    }
    if (std::any_of(operation.parameters.cbegin(), operation.parameters.cend(),
                    [](const Parameter &parameter) { return parameter.name == kSession; }))
        arguments.insert(kSession, session);
    return arguments;
}

QCoro::Task<Result<QByteArray>> callInside(const Registry *registry, Caller caller, QString session, QString tool, QJsonObject given)
{
    const auto found = std::find_if(registry->all().cbegin(), registry->all().cend(), [&tool](const Operation &operation) {
        return !tool.isEmpty() && operation.inside.name == tool;
    });
    if (found == registry->all().cend())
        co_return fail(ErrorCode::NotFound, QStringLiteral("There is no power.%1.").arg(tool.left(60)), QStringLiteral("help(power) shows what there is."));
    auto arguments = outsideArguments(*found, given, session);
    if (!arguments)
        co_return Unexpected<Error>{arguments.error()};
    const QString name = found->name;
    const QString key = found->inside.result;
    const QString principal = caller.principal;
    const QByteArray requestId = caller.requestId;
    QElapsedTimer clock;
    clock.start();
    QJsonObject values = *arguments;
    QCoro::Task<Result<Answer>> call = registry->call(name, std::move(caller), std::move(values));
    const Result<Answer> answer = co_await call;
    const bool good = answer && !answer->userError && !answer->need;
    log::info("inside_call", {{QStringLiteral("operation"), name},
                              {QStringLiteral("principal"), principal},
                              {QStringLiteral("session"), session},
                              {QStringLiteral("request_id"), QString::fromLatin1(requestId)},
                              {QStringLiteral("ok"), good},
                              {QStringLiteral("ms"), clock.elapsed()}});
    if (!answer)
        co_return Unexpected<Error>{answer.error()};
    if (answer->need)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("power.%1 needs an answer of a person, who cannot be asked from code.").arg(tool),
                       QStringLiteral("Call the tool %1 outside of code.").arg(name));
    if (key.isEmpty())
        co_return valueAnswer(answer->data);
    co_return valueAnswer(answer->data.value(key));
}

QCoro::Task<Result<QByteArray>> listInside(const Registry *registry)
{
    QJsonArray list;
    for (const Operation &operation : registry->all()) {
        if (!operation.inside.name.isEmpty())
            list.append(described(operation));
    }
    co_return valueAnswer(list);
}
} // namespace

supervisor::CellCall insideTools(const Registry &registry, Caller caller, QString session)
{
    return [known = &registry, caller = std::move(caller), session = std::move(session)](
               QString tool, QJsonObject arguments, CancelToken cancel) -> QCoro::Task<Result<QByteArray>> {
        if (tool.isEmpty())
            return listInside(known);
        Caller mine = caller;
        mine.cancel = std::move(cancel);
        mine.door = QStringLiteral("code");
        mine.client = {}; // nobody can be asked
        mine.canBeAsked = false;
        return callInside(known, std::move(mine), session, std::move(tool), std::move(arguments));
    };
}

} // namespace power::operations
