// Declarations: coercion of arguments, texts of problems, schemas every client takes, the registry.
#include "SchemaSafety.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QTest>

using namespace power;
using namespace power::operations;

namespace {
// JSON written with single quotes: moc of Qt 6.4 stumbles over raw string literals.
QByteArray q(const char *text)
{
    return QByteArray(text).replace('\'', '"');
}

Parameter parameter(const char *name, Parameter::Type type, bool required = false, QJsonValue byDefault = {})
{
    Parameter p;
    p.name = QLatin1String(name);
    p.type = type;
    p.description = QStringLiteral("What %1 is.").arg(p.name);
    p.required = required;
    p.defaultValue = byDefault;
    return p;
}

Operation sample()
{
    Operation op;
    op.name = QStringLiteral("execute_code");
    op.description = QStringLiteral("Runs code.");
    op.scope = QStringLiteral("run");
    Parameter code = parameter("code", Parameter::Type::String, true);
    code.minimum = 1;
    Parameter session = parameter("session_id", Parameter::Type::String, false, QStringLiteral("default"));
    session.aliases = {QStringLiteral("name")};
    Parameter timeout = parameter("timeout", Parameter::Type::Integer, false, 120);
    timeout.minimum = 1;
    timeout.maximum = 300;
    timeout.clamp = true;
    Parameter limit = parameter("limit", Parameter::Type::Integer);
    limit.minimum = 1;
    limit.maximum = 200;
    Parameter mode = parameter("mode", Parameter::Type::String);
    mode.allowed = {QStringLiteral("fast"), QStringLiteral("slow")};
    Parameter context = parameter("context", Parameter::Type::Object);
    context.hidden = true;
    Parameter colour = parameter("colour", Parameter::Type::String);
    colour.example = QStringLiteral("red");
    colour.check = [](const QString &value) { return value == u"mauve" ? QStringLiteral("must be a colour") : QString(); };
    op.parameters = {code, session, timeout, limit, mode, context, colour,
                     parameter("ratio", Parameter::Type::Number), parameter("verbose", Parameter::Type::Boolean),
                     parameter("tags", Parameter::Type::StringList), parameter("options", Parameter::Type::Object)};
    op.method = [](Caller, QJsonObject values) -> QCoro::Task<Result<Answer>> {
        if (values.value(QStringLiteral("code")) == QJsonValue(QStringLiteral("throw")))
            throw std::runtime_error("boom");
        Answer answer;
        answer.data = values;
        answer.notes = {QStringLiteral("from the method")};
        co_return answer;
    };
    return op;
}

QJsonObject object(const QByteArray &json)
{
    return QJsonDocument::fromJson(json).object();
}
} // namespace

class TestOperations : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void coercion_data()
    {
        QTest::addColumn<QByteArray>("given");
        QTest::addColumn<QByteArray>("expected"); // members that must be there with these values
        QTest::addColumn<int>("notes");
        const auto row = [](const char *name, const QByteArray &given, const QByteArray &expected, int notes = 0) {
            QTest::newRow(name) << given << expected << notes;
        };
        row("defaults", q("{'code':'1'}"), q("{'code':'1','session_id':'default','timeout':120}"));
        row("integer text", q("{'code':'1','timeout':'60'}"), q("{'timeout':60}"));
        row("integer with fraction zero", q("{'code':'1','timeout':60.0}"), q("{'timeout':60}"));
        row("text 60.0", q("{'code':'1','timeout':'60.0'}"), q("{'timeout':60}"));
        row("clamped above", q("{'code':'1','timeout':900}"), q("{'timeout':300}"), 1);
        row("clamped below", q("{'code':'1','timeout':-5}"), q("{'timeout':1}"), 1);
        row("clamped huge", q("{'code':'1','timeout':1e300}"), q("{'timeout':300}"), 1);
        row("null is not given", q("{'code':'1','timeout':null,'session_id':null,'mode':null}"), q("{'timeout':120,'session_id':'default'}"));
        row("empty text is not given", q("{'code':'1','timeout':'','session_id':''}"), q("{'timeout':120,'session_id':'default'}"));
        row("None is not given", q("{'code':'1','timeout':'None'}"), q("{'timeout':120}"));
        row("number as text", q("{'code':5,'session_id':42}"), q("{'code':'5','session_id':'42'}"));
        row("alias", q("{'code':'1','name':'a'}"), q("{'session_id':'a'}"));
        row("name before alias", q("{'code':'1','name':'a','session_id':'b'}"), q("{'session_id':'b'}"));
        row("camel case", q("{'code':'1','sessionId':'c'}"), q("{'session_id':'c'}"));
        row("boolean text", q("{'code':'1','verbose':'True'}"), q("{'verbose':true}"));
        row("boolean number", q("{'code':'1','verbose':0}"), q("{'verbose':false}"));
        row("number text", q("{'code':'1','ratio':'0.25'}"), q("{'ratio':0.25}"));
        row("list text", q("{'code':'1','tags':'[\\'a\\',\\'b\\']'}"), q("{'tags':['a','b']}"));
        row("list of numbers", q("{'code':'1','tags':[1,'x',null]}"), q("{'tags':['1','x']}"));
        row("single for list", q("{'code':'1','tags':'a'}"), q("{'tags':['a']}"));
        row("object text", q("{'code':'1','options':'{\\'a\\':1}'}"), q("{'options':{'a':1}}"));
        row("hidden", q("{'code':'1','context':{'x':1}}"), q("{'context':{'x':1}}"));
        row("enum case", q("{'code':'1','mode':'FAST'}"), q("{'mode':'fast'}"));
        row("unknown", q("{'code':'1','foo':1,'bar':2}"), q("{'code':'1'}"), 1);
        row("unknown null is silent", q("{'code':'1','foo':null}"), q("{'code':'1'}"), 0);
        row("big integer", q("{'code':'1','limit':'007'}"), q("{'limit':7}"));
    }
    void coercion()
    {
        QFETCH(QByteArray, given);
        QFETCH(QByteArray, expected);
        QFETCH(int, notes);
        const auto checked = checkArguments(sample(), QJsonDocument::fromJson(given).object());
        QVERIFY2(checked.ok(), checked.ok() ? "" : qPrintable(checked.error().text()));
        const QJsonObject wanted = QJsonDocument::fromJson(expected).object();
        for (auto it = wanted.begin(); it != wanted.end(); ++it)
            QCOMPARE(checked->values.value(it.key()), it.value());
        QCOMPARE(checked->notes.size(), notes);
        QVERIFY(!checked->values.contains(QStringLiteral("foo")));
    }

    void problems_data()
    {
        QTest::addColumn<QByteArray>("given");
        QTest::addColumn<QStringList>("types");
        const auto row = [](const char *name, const QByteArray &given, const QStringList &types) {
            QTest::newRow(name) << given << types;
        };
        const QString wrong = QStringLiteral("wrong_type"), range = QStringLiteral("out_of_range");
        row("missing", q("{'timeout':5}"), {QStringLiteral("missing")});
        row("blank", q("{'code':'  '}"), {QStringLiteral("blank")});
        row("all at once", q("{'timeout':'x','limit':0,'mode':'odd','ratio':'a','verbose':'maybe','tags':{},'options':[1]}"),
            {QStringLiteral("missing"), wrong, range, QStringLiteral("not_allowed"), wrong, wrong, wrong, wrong});
        row("fraction", q("{'code':'1','limit':1.5}"), {wrong});
        row("list for text", q("{'code':['a']}"), {wrong});
        row("infinite", q("{'code':'1','ratio':'inf'}"), {wrong});
        row("own rule", q("{'code':'1','colour':'mauve'}"), {QStringLiteral("invalid")});
        row("NUL", q("{'code':'1\\u0000','options':{'a':[{'b\\u0000':1}]}}"), {QStringLiteral("invalid"), QStringLiteral("invalid")});
        row("above without clamp", q("{'code':'1','limit':201}"), {range});
    }
    void problems()
    {
        QFETCH(QByteArray, given);
        QFETCH(QStringList, types);
        const auto checked = checkArguments(sample(), QJsonDocument::fromJson(given).object());
        QVERIFY(!checked.ok());
        QCOMPARE(checked.error().code, ErrorCode::InvalidArgument);
        QStringList seen;
        for (const QJsonValue &problem : checked.error().details.value(QStringLiteral("problems")).toArray())
            seen << problem[QLatin1String("type")].toString();
        QCOMPARE(seen, types);
        // The example is a call that works and shows every argument that was wrong.
        const QString example = checked.error().text().section(QStringLiteral("Example: "), -1);
        const QJsonObject shown = QJsonDocument::fromJson(example.toUtf8()).object();
        QCOMPARE(shown.value(QStringLiteral("code")).toString(), QStringLiteral("print(1 + 1)"));
        for (const QJsonValue &problem : checked.error().details.value(QStringLiteral("problems")).toArray())
            QVERIFY2(shown.contains(problem[QLatin1String("argument")].toString()), qPrintable(example));
        QVERIFY2(checkArguments(sample(), shown).ok(), qPrintable(example));
    }

    void theExampleIsItselfCorrect()
    {
        const Operation op = sample();
        QVERIFY(checkArguments(op, exampleArguments(op)).ok());
    }

    // Parameters that stand for one another are told of with the rest; the example has one of them.
    void choices_data()
    {
        QTest::addColumn<QByteArray>("given");
        QTest::addColumn<QStringList>("problems"); // of which arguments
        const auto row = [](const char *name, const char *given, const QStringList &problems) { QTest::newRow(name) << q(given) << problems; };
        const QString one = QStringLiteral("colour, mode or tags"), both = QStringLiteral("colour, mode");
        row("none", "{'code':'1'}", {one});
        row("with others", "{'limit':999}", {QStringLiteral("code"), QStringLiteral("limit"), one});
        row("one", "{'code':'1','mode':'fast'}", {});
        row("two", "{'code':'1','mode':'fast','colour':'red'}", {both});
        row("an empty one beside", "{'code':'1','mode':'fast','colour':''}", {});
        row("a wrong one", "{'code':'1','mode':'odd'}", {QStringLiteral("mode")});
        row("null", "{'code':'1','mode':null}", {one});
    }
    void choices()
    {
        QFETCH(QByteArray, given);
        QFETCH(QStringList, problems);
        Operation op = sample();
        op.choices = {{{QStringLiteral("colour"), QStringLiteral("mode"), QStringLiteral("tags")}}};
        const auto checked = checkArguments(op, object(given));
        QCOMPARE(checked.ok(), problems.isEmpty());
        if (!checked) {
            QStringList told;
            for (const QJsonValue &problem : checked.error().details.value(QStringLiteral("problems")).toArray())
                told << problem[QLatin1String("argument")].toString();
            QCOMPARE(told, problems);
            const QByteArray example = checked.error().text().section(QStringLiteral("Example: "), -1).toUtf8();
            QVERIFY2(checkArguments(op, object(example)).ok(), example.constData());
        }
        QVERIFY(checkArguments(op, exampleArguments(op)).ok());
        op.choices[0].needed = false;
        QVERIFY(checkArguments(op, object(q("{'code':'1'}"))).ok());
        op.choices[0] = {{QStringLiteral("colour"), QStringLiteral("mode")}, true, false};
        QVERIFY(checkArguments(op, object(q("{'code':'1','mode':'fast','colour':'red'}"))).ok());
    }

    void emptyArgumentsGetTheRecoveryText()
    {
        Operation op = sample();
        for (const QByteArray &given : {QByteArray("{}"), q("{'code':null}")}) {
            const auto checked = checkArguments(op, object(given));
            QVERIFY(!checked.ok());
            QCOMPARE(checked.error().details.value(QStringLiteral("cause")).toString(), QStringLiteral("empty_arguments"));
            QVERIFY(checked.error().text().contains(QStringLiteral("output tokens")));
        }
        op.emptyArgumentsText = QStringLiteral("Lost. Use short snippets.");
        QVERIFY(checkArguments(op, {}).error().text().startsWith(op.emptyArgumentsText));
    }

    void schemaIsInTheSafeIntersection()
    {
        Registry registry;
        registry.add(sample());
        Operation bare = sample();
        bare.name = QStringLiteral("bare");
        bare.description = QStringLiteral("Nothing to give.");
        bare.parameters.clear();
        registry.add(bare);
        QCOMPARE(power::test::unsafeIn(registry), QStringList());
        bare.name = QStringLiteral("bad.name");
        registry.add(bare);
        QCOMPARE(power::test::unsafeIn(registry).size(), 1);
        const QJsonObject schema = inputSchema(sample());
        QCOMPARE(schema.value(QStringLiteral("type")).toString(), QStringLiteral("object"));
        QCOMPARE(schema.value(QStringLiteral("additionalProperties")), QJsonValue(false));
        QCOMPARE(schema.value(QStringLiteral("required")).toArray(), QJsonArray{QStringLiteral("code")});
        const QJsonObject properties = schema.value(QStringLiteral("properties")).toObject();
        QVERIFY(!properties.contains(QStringLiteral("context")));
        QCOMPARE(properties[QStringLiteral("options")].toObject()[QStringLiteral("type")].toString(), QStringLiteral("string"));
        QCOMPARE(properties[QStringLiteral("tags")].toObject()[QStringLiteral("items")].toObject(),
                 (QJsonObject{{QStringLiteral("type"), QStringLiteral("string")}}));
        QVERIFY(properties[QStringLiteral("timeout")].toObject()[QStringLiteral("description")].toString()
                    .contains(QStringLiteral("default 120, max 300")));
        QVERIFY(!properties[QStringLiteral("timeout")].toObject().contains(QStringLiteral("maximum")));
        QCOMPARE(properties[QStringLiteral("limit")].toObject()[QStringLiteral("maximum")].toInt(), 200);
        const QByteArray text = QJsonDocument(schema).toJson();
        for (const char *word : {"$ref", "anyOf", "oneOf", "allOf", "\"default\""})
            QVERIFY2(!text.contains(word), word);
    }

    void registryCalls()
    {
        Registry registry;
        registry.add(sample());
        const auto call = [&](const char *name, const QJsonObject &arguments, const QStringList &scopes = {}, bool readOnly = false) {
            Caller caller;
            caller.readOnly = readOnly;
            caller.scopes = scopes;
            Result<Answer> out = fail(ErrorCode::Internal, QStringLiteral("not finished"));
            auto task = [](const Registry &r, QString n, Caller c, QJsonObject a, Result<Answer> &to) -> QCoro::Task<> {
                Result<Answer> got = co_await r.call(n, c, a);
                to = got;
            }(registry, QLatin1String(name), caller, arguments, out);
            return out;
        };
        const auto good = call("execute_code", object(q("{'code':'1','odd':2}")));
        QVERIFY(good.ok());
        QCOMPARE(good->notes.size(), 2);
        QCOMPARE(call("nothing", {}).error().code, ErrorCode::NotFound);
        QCOMPARE(call("execute_code", object(q("{'code':'1'}")), {}, true).error().code, ErrorCode::Forbidden);
        QCOMPARE(call("execute_code", object(q("{'code':'1'}")), {QStringLiteral("files")}).error().code, ErrorCode::Forbidden);
        QVERIFY(call("execute_code", object(q("{'code':'1'}")), {QStringLiteral("run")}).ok());
        const auto thrown = call("execute_code", object(q("{'code':'throw'}")));
        QCOMPARE(thrown.error().code, ErrorCode::Internal);
        QVERIFY(!thrown.error().text().contains(QStringLiteral("boom")));
        QCOMPARE(registry.find(QStringLiteral("execute_code"))->scope, QStringLiteral("run"));
        registry.add(sample());
        QCOMPARE(registry.all().size(), 1);
    }
};

QTEST_GUILESS_MAIN(TestOperations)
#include "tst_operations.moc"
