// Tools that ask the client: the same code for both eras.
#include "Fixture.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::conformance {

using namespace operations;

InputNeed elicitation(const QString &key, const QString &message, const QJsonObject &schema)
{
    InputNeed need;
    need.requests.insert(key, QJsonObject{{QStringLiteral("method"), QStringLiteral("elicitation/create")},
                                          {QStringLiteral("params"), QJsonObject{{QStringLiteral("mode"), QStringLiteral("form")},
                                                                                 {QStringLiteral("message"), message},
                                                                                 {QStringLiteral("requestedSchema"), schema}}}});
    return need;
}

namespace {
const QJsonObject &nameSchema()
{
    static const QJsonObject schema = parsed("{'type':'object','properties':{'name':{'type':'string'}},'required':['name']}");
    return schema;
}

QJsonObject sampling(const QString &prompt)
{
    const QJsonObject text{{QStringLiteral("type"), QStringLiteral("text")}, {QStringLiteral("text"), prompt}};
    const QJsonObject message{{QStringLiteral("role"), QStringLiteral("user")}, {QStringLiteral("content"), text}};
    return {{QStringLiteral("method"), QStringLiteral("sampling/createMessage")},
            {QStringLiteral("params"), QJsonObject{{QStringLiteral("messages"), QJsonArray{message}}, {QStringLiteral("maxTokens"), 100}}}};
}

QJsonObject rootsRequest()
{
    return {{QStringLiteral("method"), QStringLiteral("roots/list")}, {QStringLiteral("params"), QJsonObject()}};
}

Answer asking(InputNeed need)
{
    Answer answer;
    answer.need = std::move(need);
    return answer;
}

InputNeed needOf(const QString &key, const QJsonObject &request)
{
    InputNeed need;
    need.requests.insert(key, request);
    return need;
}

QString compact(const QJsonValue &value)
{
    return QString::fromUtf8(QJsonDocument(value.toObject()).toJson(QJsonDocument::Compact));
}

// The content of an accepted form, else nothing.
std::optional<QJsonObject> accepted(const Caller &caller, const QString &key)
{
    const QJsonValue response = caller.inputResponses.value(key);
    if (response[QLatin1String("action")].toString() != QLatin1String("accept"))
        return std::nullopt;
    return response[QLatin1String("content")].toObject();
}

QString sampledText(const QJsonValue &response)
{
    return response[QLatin1String("content")][QLatin1String("text")].toString(QStringLiteral("No response"));
}

QCoro::Task<Result<Answer>> sampled(Caller caller, QJsonObject arguments)
{
    const QString key = QStringLiteral("answer");
    if (!caller.inputResponses.contains(key))
        co_return asking(needOf(key, sampling(arguments.value(QStringLiteral("prompt")).toString())));
    co_return textAnswer(QStringLiteral("LLM response: ") + sampledText(caller.inputResponses.value(key)));
}

// A form whose answer is told back.
QCoro::Task<Result<Answer>> formed(Caller caller, QString message, QJsonObject schema, QString lead)
{
    const QString key = QStringLiteral("form");
    if (!caller.inputResponses.contains(key))
        co_return asking(elicitation(key, message, schema));
    const QJsonValue response = caller.inputResponses.value(key);
    co_return textAnswer(QStringLiteral("%1: action=%2, content=%3")
                             .arg(lead, response[QLatin1String("action")].toString(), compact(response[QLatin1String("content")])));
}

QCoro::Task<Result<Answer>> askedName(Caller caller, QJsonObject)
{
    const QString key = QStringLiteral("user_name");
    const auto content = accepted(caller, key);
    if (!content)
        co_return asking(elicitation(key, QStringLiteral("What is your name?"), nameSchema()));
    co_return textAnswer(QStringLiteral("Hello, %1!").arg(content->value(QStringLiteral("name")).toString()));
}

QCoro::Task<Result<Answer>> askedCapital(Caller caller, QJsonObject)
{
    const QString key = QStringLiteral("capital_question");
    if (!caller.inputResponses.contains(key))
        co_return asking(needOf(key, sampling(QStringLiteral("What is the capital of France?"))));
    co_return textAnswer(sampledText(caller.inputResponses.value(key)));
}

QCoro::Task<Result<Answer>> askedRoots(Caller caller, QJsonObject)
{
    const QString key = QStringLiteral("client_roots");
    if (!caller.inputResponses.contains(key))
        co_return asking(needOf(key, rootsRequest()));
    co_return textAnswer(QStringLiteral("%1 roots").arg(caller.inputResponses.value(key)[QLatin1String("roots")].toArray().size()));
}

QCoro::Task<Result<Answer>> askedConfirmation(Caller caller, QJsonObject)
{
    const QString key = QStringLiteral("confirm");
    const auto content = accepted(caller, key);
    if (content && caller.inputState.value(QStringLiteral("kind")) == QStringLiteral("confirm"))
        co_return textAnswer(QStringLiteral("state-ok: the state came back"));
    InputNeed need = elicitation(key, QStringLiteral("Please confirm"),
                                 parsed("{'type':'object','properties':{'ok':{'type':'boolean'}},'required':['ok']}"));
    need.state = parsed("{'kind':'confirm'}");
    co_return asking(need);
}

QCoro::Task<Result<Answer>> askedThree(Caller caller, QJsonObject)
{
    InputNeed need = elicitation(QStringLiteral("user_name"), QStringLiteral("What is your name?"), nameSchema());
    need.requests.insert(QStringLiteral("greeting"), sampling(QStringLiteral("Generate a greeting")));
    need.requests.insert(QStringLiteral("client_roots"), rootsRequest());
    need.state = parsed("{'kind':'three'}");
    for (const QString &key : need.requests.keys()) {
        if (!caller.inputResponses.contains(key))
            co_return asking(need);
    }
    co_return textAnswer(QStringLiteral("All three answered"));
}

QCoro::Task<Result<Answer>> askedTwice(Caller caller, QJsonObject)
{
    const QString round = caller.inputState.value(QStringLiteral("round")).toString();
    const auto color = accepted(caller, QStringLiteral("step2"));
    if (round == QLatin1String("two") && color)
        co_return textAnswer(QStringLiteral("Both rounds answered"));
    const auto name = accepted(caller, QStringLiteral("step1"));
    if (round == QLatin1String("one") && name) {
        InputNeed need = elicitation(QStringLiteral("step2"), QStringLiteral("Step 2: which colour?"),
                                     parsed("{'type':'object','properties':{'color':{'type':'string'}},'required':['color']}"));
        need.state = {{QStringLiteral("round"), QStringLiteral("two")}, {QStringLiteral("name"), *name}};
        co_return asking(need);
    }
    InputNeed need = elicitation(QStringLiteral("step1"), QStringLiteral("Step 1: which name?"), nameSchema());
    need.state = parsed("{'round':'one'}");
    co_return asking(need);
}

QCoro::Task<Result<Answer>> askedWhatIsDeclared(Caller caller, QJsonObject)
{
    InputNeed need;
    if (caller.client.contains(QStringLiteral("elicitation")))
        need.requests = elicitation(QStringLiteral("user_name"), QStringLiteral("What is your name?"), nameSchema()).requests;
    if (caller.client.contains(QStringLiteral("sampling")))
        need.requests.insert(QStringLiteral("greeting"), sampling(QStringLiteral("Generate a greeting")));
    if (need.requests.isEmpty() || !caller.inputResponses.isEmpty())
        co_return textAnswer(QStringLiteral("Nothing to ask"));
    co_return asking(need);
}

const char kDefaults[] =
    "{'type':'object','properties':{'name':{'type':'string','description':'User name','default':'John Doe'},'age':{'type':"
    "'integer','description':'User age','default':30},'score':{'type':'number','description':'User score','default':95.5},"
    "'status':{'type':'string','description':'Status','enum':['active','inactive','pending'],'default':'active'},'verified':"
    "{'type':'boolean','description':'Verification','default':true}},'required':[]}";

const char kEnums[] =
    "{'type':'object','properties':{'untitledSingle':{'type':'string','description':'One','enum':['option1','option2',"
    "'option3']},'titledSingle':{'type':'string','description':'One with a title','oneOf':[{'const':'value1','title':'First "
    "Option'},{'const':'value2','title':'Second Option'},{'const':'value3','title':'Third Option'}]},'legacyEnum':{'type':"
    "'string','description':'One, older form','enum':['opt1','opt2','opt3'],'enumNames':['Option One','Option Two','Option "
    "Three']},'untitledMulti':{'type':'array','description':'Several','minItems':1,'maxItems':3,'items':{'type':'string',"
    "'enum':['option1','option2','option3']}},'titledMulti':{'type':'array','description':'Several with titles','minItems':1,"
    "'maxItems':3,'items':{'anyOf':[{'const':'value1','title':'First Choice'},{'const':'value2','title':'Second Choice'},"
    "{'const':'value3','title':'Third Choice'}]}}},'required':[]}";
} // namespace

void addAskingTools(Registry &registry)
{
    addTool(registry, "test_sampling", "Asks the client's model.", sampled,
            parsed("{'type':'object','properties':{'prompt':{'type':'string','description':'What to ask'}},'required':['prompt']}"));
    addTool(registry, "test_elicitation", "Asks the user.",
            [](Caller caller, QJsonObject arguments) {
                return formed(std::move(caller), arguments.value(QStringLiteral("message")).toString(),
                              parsed("{'type':'object','properties':{'response':{'type':'string','description':'Answer'}},'required':['response']}"),
                              QStringLiteral("User response"));
            },
            parsed("{'type':'object','properties':{'message':{'type':'string','description':'What to ask'}},'required':['message']}"));
    for (const auto &[name, schema] : {std::pair("test_elicitation_sep1034_defaults", kDefaults),
                                       std::pair("test_elicitation_sep1330_enums", kEnums)}) {
        addTool(registry, name, "Asks the user with a larger form.", [form = parsed(schema)](Caller caller, QJsonObject) {
            return formed(std::move(caller), QStringLiteral("Please fill in"), form, QStringLiteral("Elicitation completed"));
        });
    }
    addTool(registry, "test_input_required_result_elicitation", "Asks for a name.", askedName);
    addTool(registry, "test_input_required_result_sampling", "Asks the client's model.", askedCapital);
    addTool(registry, "test_input_required_result_list_roots", "Asks for the roots.", askedRoots);
    addTool(registry, "test_input_required_result_request_state", "Asks and remembers in a state.", askedConfirmation);
    addTool(registry, "test_input_required_result_tampered_state", "Asks and remembers in a state.", askedConfirmation);
    addTool(registry, "test_input_required_result_multiple_inputs", "Asks three things at once.", askedThree);
    addTool(registry, "test_input_required_result_multi_round", "Asks two rounds.", askedTwice);
    addTool(registry, "test_input_required_result_capabilities", "Asks what the client declares.", askedWhatIsDeclared);
}

} // namespace power::conformance
