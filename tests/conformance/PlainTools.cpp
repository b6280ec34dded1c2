#include "Fixture.h"
#include "base/OneShot.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::conformance {

using namespace operations;

QJsonObject parsed(const char *json)
{
    return QJsonDocument::fromJson(QByteArray(json).replace('\'', '"')).object();
}

const QByteArray &tinyPng()
{
    static const QByteArray png = QByteArray::fromBase64(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==");
    return png;
}

Block textBlock(const QString &text)
{
    return {Block::Kind::Text, text, {}, {}};
}

Answer textAnswer(const QString &text)
{
    Answer answer;
    answer.blocks = {textBlock(text)};
    return answer;
}

void addTool(Registry &registry, const char *name, const char *description, Method method, const QJsonObject &schema)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = operation.name;
    operation.description = QLatin1String(description);
    operation.toolset = QStringLiteral("core");
    operation.rawInputSchema = schema.isEmpty() ? parsed("{'type':'object','properties':{}}") : schema;
    operation.method = std::move(method);
    registry.add(std::move(operation));
}

namespace {
// A wav file of no samples.
QByteArray tinyWav()
{
    return QByteArray::fromBase64("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=");
}

Block resourceBlock(const char *uri, const char *mime, const QString &text)
{
    Block block{Block::Kind::Resource, text, {}, mime};
    block.uri = QLatin1String(uri);
    return block;
}

QCoro::Task<> shortPause()
{
    const OneShot<Done> never;
    const std::chrono::milliseconds time{50};
    static_cast<void>(co_await never.wait(time));
}

QCoro::Task<Result<Answer>> simpleText(Caller, QJsonObject)
{
    co_return textAnswer(QStringLiteral("This is a simple text response for testing."));
}

QCoro::Task<Result<Answer>> imageContent(Caller, QJsonObject)
{
    Answer answer;
    answer.blocks = {{Block::Kind::Image, QStringLiteral("a pixel"), tinyPng(), "image/png"}};
    co_return answer;
}

QCoro::Task<Result<Answer>> audioContent(Caller, QJsonObject)
{
    Answer answer;
    answer.blocks = {{Block::Kind::Audio, QStringLiteral("silence"), tinyWav(), "audio/wav"}};
    co_return answer;
}

QCoro::Task<Result<Answer>> embeddedResource(Caller, QJsonObject)
{
    Answer answer;
    answer.blocks = {resourceBlock("test://embedded-resource", "text/plain", QStringLiteral("This is an embedded resource content."))};
    co_return answer;
}

QCoro::Task<Result<Answer>> mixedContent(Caller, QJsonObject)
{
    Answer answer = textAnswer(QStringLiteral("Multiple content types test:"));
    answer.blocks << Block{Block::Kind::Image, QStringLiteral("a pixel"), tinyPng(), "image/png"}
                  << resourceBlock("test://mixed-content-resource", "application/json", QStringLiteral("{\"test\":\"data\",\"value\":123}"));
    co_return answer;
}

QCoro::Task<Result<Answer>> withLogging(Caller caller, QJsonObject)
{
    for (const char *text : {"Tool execution started", "Tool processing data", "Tool execution completed"}) {
        if (caller.log)
            caller.log(QStringLiteral("info"), {}, QLatin1String(text));
        QCoro::Task<> pause = shortPause();
        co_await pause;
    }
    co_return textAnswer(QStringLiteral("Tool with logging executed successfully"));
}

QCoro::Task<Result<Answer>> withProgress(Caller caller, QJsonObject)
{
    for (const int done : {0, 50, 100}) {
        if (caller.progress)
            caller.progress(done, 100, QStringLiteral("Completed step %1 of 100").arg(done));
        QCoro::Task<> pause = shortPause();
        co_await pause;
    }
    co_return textAnswer(QStringLiteral("done"));
}

QCoro::Task<Result<Answer>> failing(Caller, QJsonObject)
{
    co_return fail(ErrorCode::Upstream, QStringLiteral("This tool intentionally returns an error for testing"));
}

QCoro::Task<Result<Answer>> reconnection(Caller caller, QJsonObject)
{
    if (caller.dropConnection)
        caller.dropConnection();
    QCoro::Task<> pause = shortPause();
    co_await pause;
    co_return textAnswer(QStringLiteral("The client came back for its answer."));
}

QCoro::Task<Result<Answer>> streaming(Caller caller, QJsonObject)
{
    if (caller.progress)
        caller.progress(50, 100, QStringLiteral("half"));
    co_return textAnswer(QStringLiteral("Streaming complete"));
}

QCoro::Task<Result<Answer>> echoed(Caller, QJsonObject arguments)
{
    co_return textAnswer(QString::fromUtf8(QJsonDocument(arguments).toJson(QJsonDocument::Compact)));
}

QCoro::Task<Result<Answer>> changed(std::shared_ptr<mcp::Changes> changes, bool tools)
{
    if (tools)
        changes->toolsChanged();
    else
        changes->promptsChanged();
    co_return textAnswer(QStringLiteral("changed"));
}

const char kSchema2020[] =
    "{'$schema':'https://json-schema.org/draft/2020-12/schema','type':'object','$defs':{'address':{'$anchor':'addressDef',"
    "'type':'object','properties':{'street':{'type':'string'},'city':{'type':'string'}}}},'properties':{'name':{'type':"
    "'string'},'address':{'$ref':'#/$defs/address'},'contactMethod':{'type':'string','enum':['phone','email']},'phone':"
    "{'type':'string'},'email':{'type':'string'}},'allOf':[{'anyOf':[{'required':['phone']},{'required':['email']}]}],'if':"
    "{'properties':{'contactMethod':{'const':'phone'}},'required':['contactMethod']},'then':{'required':['phone']},'else':"
    "{'required':['email']},'additionalProperties':false}";
} // namespace

void addPlainTools(Registry &registry, const std::shared_ptr<mcp::Changes> &changes)
{
    addTool(registry, "test_simple_text", "Answers a text.", simpleText); // the first one is called with {} by the suite
    addTool(registry, "test_image_content", "Answers an image.", imageContent);
    addTool(registry, "test_audio_content", "Answers a sound.", audioContent);
    addTool(registry, "test_embedded_resource", "Answers an embedded resource.", embeddedResource);
    addTool(registry, "test_multiple_content_types", "Answers text, image and resource.", mixedContent);
    addTool(registry, "test_tool_with_logging", "Sends three log messages.", withLogging);
    addTool(registry, "test_logging_tool", "Sends three log messages.", withLogging);
    addTool(registry, "test_tool_with_progress", "Sends three progress messages.", withProgress);
    addTool(registry, "test_error_handling", "Fails.", failing);
    addTool(registry, "test_reconnection", "Cuts its connection before it answers.", reconnection);
    addTool(registry, "test_streaming_elicitation", "Answers on a stream.", streaming);
    addTool(registry, "json_schema_2020_12_tool", "Has a schema with many words.", echoed, parsed(kSchema2020));
    addTool(registry, "test_custom_header", "Its arguments are repeated in header fields.", echoed,
            parsed("{'type':'object','properties':{'region':{'type':'string','description':'Where','x-mcp-header':'Region'},"
                   "'count':{'type':'integer','description':'How many','x-mcp-header':'Count'}},'required':['region']}"));
    addTool(registry, "test_trigger_tool_change", "Says that the tools changed.",
            [changes](Caller, QJsonObject) { return changed(changes, true); });
    addTool(registry, "test_trigger_prompt_change", "Says that the prompts changed.",
            [changes](Caller, QJsonObject) { return changed(changes, false); });
    Operation needing;
    needing.name = needing.title = QStringLiteral("test_missing_capability");
    needing.description = QStringLiteral("Cannot run without sampling.");
    needing.toolset = QStringLiteral("core");
    needing.rawInputSchema = parsed("{'type':'object','properties':{}}");
    needing.clientNeeds = parsed("{'sampling':{}}");
    needing.method = simpleText;
    registry.add(needing);
}

} // namespace power::conformance
