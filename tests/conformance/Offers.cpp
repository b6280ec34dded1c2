// Resources, prompts and completion.
#include "Fixture.h"

namespace power::conformance {

using namespace operations;
using namespace mcp;

namespace {
class TestResources final : public ResourceProvider
{
public:
    QCoro::Task<Result<QList<ResourceInfo>>> list(Caller) override
    {
        co_return QList<ResourceInfo>{
            {QStringLiteral("test://static-text"), QStringLiteral("static-text"), QStringLiteral("Static Text Resource"),
             QStringLiteral("A text"), QStringLiteral("text/plain"), 48, {}, {}},
            {QStringLiteral("test://static-binary"), QStringLiteral("static-binary"), QStringLiteral("Static Binary Resource"),
             QStringLiteral("An image"), QStringLiteral("image/png"), -1, {}, {}},
            {QStringLiteral("test://watched-resource"), QStringLiteral("watched-resource"), QStringLiteral("Watched Resource"),
             QStringLiteral("A text to subscribe to"), QStringLiteral("text/plain"), -1, {}, {}}};
    }

    QList<ResourceTemplate> templates() const override
    {
        return {{QStringLiteral("test://template/{id}/data"), QStringLiteral("template"), QStringLiteral("Resource Template"),
                 QStringLiteral("Data by id"), QStringLiteral("application/json"), {}, {}}};
    }

    bool owns(const QString &uri) const override { return uri.startsWith(QLatin1String("test://")); }

    QCoro::Task<Result<ResourceRead>> read(Caller, QString uri) override
    {
        ResourceContent content;
        content.uri = uri;
        content.mimeType = QStringLiteral("text/plain");
        const QString id = uri.section(u'/', 3, 3);
        if (uri == QLatin1String("test://static-text")) {
            content.text = QStringLiteral("This is the content of the static text resource.");
        } else if (uri == QLatin1String("test://watched-resource")) {
            content.text = QStringLiteral("Watched resource content");
        } else if (uri == QLatin1String("test://static-binary")) {
            content.mimeType = QStringLiteral("image/png");
            content.blob = tinyPng();
            content.isBlob = true;
        } else if (uri == QStringLiteral("test://template/%1/data").arg(id)) {
            content.mimeType = QStringLiteral("application/json");
            content.text = QStringLiteral("{\"id\":\"%1\",\"templateTest\":true,\"data\":\"Data for ID: %1\"}").arg(id);
        } else {
            co_return fail(ErrorCode::NotFound, QStringLiteral("There is no such resource."));
        }
        co_return ResourceRead{{content}};
    }
};

class TestPrompts final : public PromptProvider
{
public:
    QList<Prompt> list(const Caller &) const override
    {
        const auto argument = [](const char *name) {
            return PromptArgument{QLatin1String(name), {}, QStringLiteral("A test argument"), true};
        };
        const QString description = QStringLiteral("A prompt for testing");
        return {{QStringLiteral("test_simple_prompt"), {}, description, {}, {}},
                {QStringLiteral("test_prompt_with_arguments"), {}, description, {argument("arg1"), argument("arg2")}, {}},
                {QStringLiteral("test_prompt_with_embedded_resource"), {}, description, {argument("resourceUri")}, {}},
                {QStringLiteral("test_prompt_with_image"), {}, description, {}, {}},
                {QStringLiteral("test_input_required_result_prompt"), {}, description, {}, {}}};
    }

    QCoro::Task<Result<PromptText>> get(Caller caller, QString name, QJsonObject arguments) override
    {
        const auto user = [](const Block &block) { return PromptMessage{false, block}; };
        PromptText text;
        if (name == QLatin1String("test_simple_prompt")) {
            text.messages = {user(textBlock(QStringLiteral("This is a simple prompt for testing.")))};
        } else if (name == QLatin1String("test_prompt_with_arguments")) {
            text.messages = {user(textBlock(QStringLiteral("Prompt with arguments: arg1='%1', arg2='%2'")
                                                .arg(arguments.value(QStringLiteral("arg1")).toString(),
                                                     arguments.value(QStringLiteral("arg2")).toString())))};
        } else if (name == QLatin1String("test_prompt_with_embedded_resource")) {
            Block block{Block::Kind::Resource, QStringLiteral("Embedded resource content for testing."), {}, "text/plain"};
            block.uri = arguments.value(QStringLiteral("resourceUri")).toString();
            text.messages = {user(block), user(textBlock(QStringLiteral("Please process the embedded resource above.")))};
        } else if (name == QLatin1String("test_prompt_with_image")) {
            text.messages = {user({Block::Kind::Image, {}, tinyPng(), "image/png"}),
                             user(textBlock(QStringLiteral("Please analyze the image above.")))};
        } else {
            const QString key = QStringLiteral("user_context");
            const QJsonValue response = caller.inputResponses.value(key);
            if (response.isUndefined())
                text.need = elicitation(key, QStringLiteral("What context should the prompt use?"),
                                        parsed("{'type':'object','properties':{'context':{'type':'string'}},'required':['context']}"));
            text.messages = {user(textBlock(QStringLiteral("Use this context: ")
                                            + response[QLatin1String("content")][QLatin1String("context")].toString()))};
        }
        co_return text;
    }
};

class TestCompleter final : public Completer
{
public:
    bool handles(const CompletionQuestion &) const override { return true; }
    QCoro::Task<Result<Completion>> complete(Caller, CompletionQuestion question) override
    {
        co_return Completion{{question.value + QStringLiteral("one"), question.value + QStringLiteral("two")}, 2, false};
    }
};
} // namespace

void addOffers(Features &features)
{
    features.resources << std::make_shared<TestResources>();
    features.prompts << std::make_shared<TestPrompts>();
    features.completers << std::make_shared<TestCompleter>();
    features.toolsMayChange = true;
}

} // namespace power::conformance
