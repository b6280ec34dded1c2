#include "mcp/Methods.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
constexpr qsizetype kMostCompletions = 100;

QJsonObject described(const Prompt &prompt)
{
    QJsonArray arguments;
    for (const PromptArgument &argument : prompt.arguments) {
        QJsonObject entry{{QStringLiteral("name"), argument.name}, {QStringLiteral("required"), argument.required}};
        if (!argument.title.isEmpty())
            entry.insert(QStringLiteral("title"), argument.title);
        if (!argument.description.isEmpty())
            entry.insert(QStringLiteral("description"), argument.description);
        arguments.append(entry);
    }
    QJsonObject entry{{QStringLiteral("name"), prompt.name}, {QStringLiteral("description"), prompt.description}};
    if (!prompt.title.isEmpty())
        entry.insert(QStringLiteral("title"), prompt.title);
    if (!arguments.isEmpty())
        entry.insert(QStringLiteral("arguments"), arguments);
    if (!prompt.meta.isEmpty())
        entry.insert(QStringLiteral("_meta"), prompt.meta);
    return entry;
}

// Null when no provider has that prompt.
std::shared_ptr<PromptProvider> findPrompt(const Features &features, const operations::Caller &caller, const QString &name,
                                           Prompt &found)
{
    for (const auto &provider : features.prompts) {
        for (const Prompt &prompt : provider->list(caller)) {
            if (prompt.name == name) {
                found = prompt;
                return provider;
            }
        }
    }
    return nullptr;
}
} // namespace

Outcome listPrompts(Core &core, Call &call)
{
    QJsonArray all;
    for (const auto &provider : core.features().prompts) {
        for (const Prompt &prompt : provider->list(call.caller))
            all.append(described(prompt));
    }
    return pageOf(call.inbound, QStringLiteral("prompts"), all, core.features().pageSize);
}

QCoro::Task<Outcome> getPrompt(CorePtr core, CallPtr call)
{
    const QString name = call->inbound.params.value(QLatin1String("name")).toString();
    Prompt prompt;
    const auto provider = findPrompt(core->features(), call->caller, name, prompt);
    if (!provider)
        co_return RpcError{InvalidParams, QStringLiteral("Unknown prompt: %1. prompts/list names those there are.").arg(name.left(80))};
    QJsonObject arguments;
    const QJsonObject given = call->inbound.params.value(QLatin1String("arguments")).toObject();
    for (auto it = given.begin(); it != given.end(); ++it) {
        if (!it.value().isNull())
            arguments.insert(it.key(), it.value().isString() ? it.value().toString() : QString::fromUtf8(jsonBytes(it.value())));
    }
    QStringList missing;
    for (const PromptArgument &argument : std::as_const(prompt.arguments)) {
        if (argument.required && !arguments.contains(argument.name))
            missing << argument.name;
    }
    if (!missing.isEmpty())
        co_return RpcError{InvalidParams, QStringLiteral("The prompt %1 needs the arguments: %2.").arg(name, missing.join(QStringLiteral(", ")))};

    operations::Caller caller = call->caller;
    QCoro::Task<Result<PromptText>> getting = provider->get(std::move(caller), name, std::move(arguments));
    const Result<PromptText> text = co_await getting;
    if (!text)
        co_return protocolError(text.error());
    if (text->need)
        co_return *text->need;
    QJsonArray messages;
    for (const PromptMessage &message : text->messages)
        messages.append(QJsonObject{{QStringLiteral("role"), message.fromAssistant ? QStringLiteral("assistant") : QStringLiteral("user")},
                                    {QStringLiteral("content"), contentBlock(message.content)}});
    QJsonObject result{{QStringLiteral("messages"), messages}};
    if (!text->description.isEmpty())
        result.insert(QStringLiteral("description"), text->description);
    co_return result;
}

QCoro::Task<Outcome> complete(CorePtr core, CallPtr call)
{
    const QJsonObject &params = call->inbound.params;
    const QJsonValue reference = params.value(QLatin1String("ref"));
    const QString type = reference[QLatin1String("type")].toString();
    CompletionQuestion question;
    question.ofPrompt = type == QLatin1String("ref/prompt");
    question.reference = reference[question.ofPrompt ? QLatin1String("name") : QLatin1String("uri")].toString();
    question.argument = params.value(QLatin1String("argument"))[QLatin1String("name")].toString();
    question.value = params.value(QLatin1String("argument"))[QLatin1String("value")].toString();
    question.context = params.value(QLatin1String("context"))[QLatin1String("arguments")].toObject();
    if ((!question.ofPrompt && type != QLatin1String("ref/resource")) || question.reference.isEmpty() || question.argument.isEmpty())
        co_return RpcError{InvalidParams, QStringLiteral("params.ref must name a prompt or a resource template, params.argument an argument of it.")};
    Prompt prompt;
    if (question.ofPrompt && !findPrompt(core->features(), call->caller, question.reference, prompt))
        co_return RpcError{InvalidParams, QStringLiteral("Unknown prompt: %1.").arg(question.reference.left(80))};

    Completion completion;
    for (const auto &completer : core->features().completers) {
        if (!completer->handles(question))
            continue;
        operations::Caller caller = call->caller;
        QCoro::Task<Result<Completion>> asking = completer->complete(std::move(caller), std::move(question));
        const Result<Completion> found = co_await asking;
        if (!found)
            co_return protocolError(found.error());
        completion = *found;
        break;
    }
    const bool cut = completion.values.size() > kMostCompletions;
    QJsonObject values{{QStringLiteral("values"), QJsonArray::fromStringList(completion.values.mid(0, kMostCompletions))},
                       {QStringLiteral("hasMore"), cut || completion.hasMore}};
    if (completion.total >= 0 || cut)
        values.insert(QStringLiteral("total"), std::max<qint64>(completion.total, completion.values.size()));
    co_return QJsonObject{{QStringLiteral("completion"), values}};
}

} // namespace power::mcp
