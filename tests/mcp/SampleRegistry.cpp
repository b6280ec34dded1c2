#include "SampleRegistry.h"
#include <QJsonArray>

namespace power::test {

using namespace operations;

namespace {
using Seenp = std::shared_ptr<Seen>;

Parameter text(const char *name, bool required, QJsonValue byDefault = {})
{
    Parameter p;
    p.name = QLatin1String(name);
    p.description = QStringLiteral("The %1.").arg(p.name);
    p.required = required;
    p.defaultValue = byDefault;
    return p;
}

QCoro::Task<Result<Answer>> doNothing(Caller, QJsonObject)
{
    co_return Answer();
}

QCoro::Task<Result<Answer>> echo(Seenp seen, Caller caller, QJsonObject values)
{
    ++seen->calls;
    seen->arguments = values;
    seen->caller = caller;
    Answer answer;
    answer.data = values;
    co_return answer;
}

QCoro::Task<Result<Answer>> failing(Caller, QJsonObject)
{
    co_return fail(ErrorCode::NotFound, QStringLiteral("There is no file \"x.csv\"."), QStringLiteral("list_files shows what there is."),
                   {{QStringLiteral("cause"), QStringLiteral("no_such_file")}});
}

QCoro::Task<Result<Answer>> raising(Caller, QJsonObject)
{
    Answer answer;
    answer.userError = true;
    answer.blocks = {{Block::Kind::Text, QStringLiteral("Execution Error: ValueError: no"), {}, {}}};
    answer.data = {{QStringLiteral("success"), false}};
    co_return answer;
}

QCoro::Task<Result<Answer>> texts(Caller caller, QJsonObject)
{
    Answer answer;
    answer.blocks = {{Block::Kind::Image, QStringLiteral("chart.png"), QByteArray("\x89PNG"), "image/png"},
                     {Block::Kind::Text, QStringLiteral("hello"), {}, {}},
                     {Block::Kind::Text, QStringLiteral("Download URL: %1/dl/u/chart.png").arg(caller.baseUrl), {}, {}}};
    co_return answer;
}

QCoro::Task<Result<Answer>> slow(Seenp seen, Caller caller, QJsonObject)
{
    ++seen->calls;
    seen->caller = caller;
    const OneShot<int> shot = seen->slow;
    const std::chrono::milliseconds most{20'000};
    const Result<int> done = co_await shot.wait(most, caller.cancel);
    if (!done)
        co_return Unexpected<Error>{done.error()};
    Answer answer;
    answer.blocks = {{Block::Kind::Text, QStringLiteral("done %1").arg(*done), {}, {}}};
    co_return answer;
}

Operation make(const char *name, QList<Parameter> parameters, Method method)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = operation.name;
    operation.description = QStringLiteral("Sample operation %1.").arg(operation.name);
    operation.toolset = QStringLiteral("core");
    operation.parameters = std::move(parameters);
    operation.method = std::move(method);
    return operation;
}
} // namespace

void addSampleOperations(Registry &registry, const std::shared_ptr<Seen> &seen)
{
    registry.add(make("empty", {}, doNothing));
    Parameter count = text("count", false, 1);
    count.type = Parameter::Type::Integer;
    registry.add(make("echo", {text("code", true), text("session_id", false, QStringLiteral("default")), count},
                      [seen](Caller caller, QJsonObject values) { return echo(seen, std::move(caller), std::move(values)); }));
    registry.add(make("fails", {}, failing));
    registry.add(make("raises", {}, raising));
    registry.add(make("text", {}, texts));
    registry.add(make("slow", {}, [seen](Caller caller, QJsonObject values) { return slow(seen, std::move(caller), std::move(values)); }));
    Operation hidden = make("hidden_rest", {}, doNothing);
    hidden.isTool = false;
    registry.add(hidden);
}

} // namespace power::test
