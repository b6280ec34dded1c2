// Resources, prompts and completion over a registry of stand-ins: URIs, text and blob, news, texts of prompts, names.
#include "mcp/DatasetResources.h"
#include "mcp/NameCompleter.h"
#include "mcp/SessionResources.h"
#include "mcp/WorkflowPrompts.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QTest>

using namespace power;
using namespace power::mcp;
using namespace power::operations;

namespace {
// Coroutines here end without waiting.
template <typename T>
Result<T> taken(QCoro::Task<Result<T>> task)
{
    Result<T> out = fail(ErrorCode::Internal, QStringLiteral("it waits"));
    auto run = [](QCoro::Task<Result<T>> given, Result<T> &to) -> QCoro::Task<> {
        Result<T> got = co_await given;
        to = std::move(got);
    }(std::move(task), out);
    return out;
}

QCoro::Task<Result<Answer>> answered(QJsonObject data)
{
    Answer answer;
    answer.data = data;
    co_return answer;
}

QCoro::Task<Result<Answer>> readStandIn(QJsonObject arguments)
{
    const QString name = arguments.value(QStringLiteral("filename")).toString();
    if (name == u"gone.txt")
        co_return fail(ErrorCode::NotFound, QStringLiteral("no such file"));
    if (name.startsWith(u".."))
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("outside"));
    Answer answer;
    Block block;
    block.kind = Block::Kind::Resource;
    block.data = name.endsWith(u".csv") ? QByteArray("caf\xc3\xa9,1") : name.endsWith(u".txt") ? QByteArray("\xff\xfe") : QByteArray("PK");
    block.mime = name.endsWith(u".csv") ? "text/csv" : name.endsWith(u".txt") ? "text/plain" : "application/zip";
    answer.blocks << block;
    co_return answer;
}

Parameter text(const char *name)
{
    Parameter parameter;
    parameter.name = QLatin1String(name);
    return parameter;
}

QJsonArray named(const char *member, const QStringList &names)
{
    QJsonArray list;
    for (const QString &name : names)
        list.append(QJsonObject{{QLatin1String(member), name}, {QStringLiteral("session_id"), QStringLiteral("s 1")}});
    return list;
}
} // namespace

class TestOffers : public QObject
{
    Q_OBJECT
    Registry m_registry;
    QJsonObject m_asked;
    QStringList m_files{QStringLiteral("sales.csv"), QStringLiteral("out/Sales report.html"), QStringLiteral("b.zip")};

    void add(const char *name, QList<Parameter> parameters, std::function<QCoro::Task<Result<Answer>>(QJsonObject)> body, bool readOnly = true)
    {
        Operation operation;
        operation.name = QLatin1String(name);
        operation.parameters = std::move(parameters);
        operation.hints.readOnly = readOnly;
        operation.scope = QStringLiteral("files");
        operation.method = [body](Caller, QJsonObject arguments) { return body(std::move(arguments)); };
        m_registry.add(operation);
    }

private Q_SLOTS:
    void initTestCase()
    {
        add("find_files", {text("session_id")}, [this](QJsonObject arguments) {
            m_asked = arguments;
            return answered({{QStringLiteral("files"), named("path", m_files)}});
        });
        add("read_file", {text("session_id"), text("filename")}, [this](QJsonObject arguments) {
            m_asked = arguments;
            return readStandIn(arguments);
        });
        add("list_sessions", {}, [](QJsonObject) {
            return answered({{QStringLiteral("sessions"), QJsonArray{QJsonObject{{QStringLiteral("session_id"), QStringLiteral("alpha")}},
                                                                     QJsonObject{{QStringLiteral("session_id"), QStringLiteral("beta")}}}}});
        });
        add("execute_code", {}, [](QJsonObject) { return answered({}); }, false);
        add("query_dataset", {}, [](QJsonObject) { return answered({}); });
    }

    void uris_data()
    {
        QTest::addColumn<QString>("session");
        QTest::addColumn<QString>("path");
        QTest::addColumn<QString>("uri");
        QTest::newRow("plain") << QStringLiteral("a") << QStringLiteral("b.csv") << QStringLiteral("power://sessions/a/files/b.csv");
        QTest::newRow("nested, blank") << QStringLiteral("a.b") << QStringLiteral("out/x y.csv")
                                       << QStringLiteral("power://sessions/a.b/files/out/x%20y.csv");
        QTest::newRow("signs") << QStringLiteral("a") << QStringLiteral("100%?#.txt") << QStringLiteral("power://sessions/a/files/100%25%3F%23.txt");
        QTest::newRow("accent") << QStringLiteral("a") << QStringLiteral("caf") + QChar(0xe9) << QStringLiteral("power://sessions/a/files/caf%C3%A9");
    }
    void uris()
    {
        QFETCH(QString, session);
        QFETCH(QString, path);
        QFETCH(QString, uri);
        QCOMPARE(fileUri(session, path), uri);
        const auto place = filePlace(uri);
        QVERIFY(place);
        QCOMPARE(place->sessionId, session);
        QCOMPARE(place->path, path);
    }
    void uriRefused()
    {
        for (const char *uri : {"power://sessions/a", "power://sessions/a/files/", "power://sessions//files/b", "power://sessions/a/runs/b",
                                "file:///etc/passwd", "power://sessions/a/files/b%00c", ""})
            QVERIFY2(!filePlace(QLatin1String(uri)), uri);
    }

    void resourcesAreListedAndRead()
    {
        SessionResources files(m_registry, std::make_shared<Changes>());
        const auto list = taken(files.list({}));
        QVERIFY(list.ok());
        QCOMPARE(list->size(), 3);
        QCOMPARE(list->at(1).uri, QStringLiteral("power://sessions/s 1/files/out/Sales%20report.html"));
        QVERIFY(files.owns(list->at(1).uri));
        const auto csv = taken(files.read({}, QStringLiteral("power://sessions/s/files/out/sales.csv")));
        QVERIFY(csv.ok());
        QCOMPARE(m_asked.value(QStringLiteral("filename")).toString(), QStringLiteral("out/sales.csv"));
        QVERIFY(!csv->contents.first().isBlob);
        QCOMPARE(csv->contents.first().text, QStringLiteral("caf") + QChar(0xe9) + QStringLiteral(",1"));
        // Text that is none goes out as bytes.
        const auto odd = taken(files.read({}, QStringLiteral("power://sessions/s/files/odd.txt")));
        QVERIFY(odd->contents.first().isBlob && odd->contents.first().text.isEmpty());
        QVERIFY(taken(files.read({}, QStringLiteral("power://sessions/s/files/b.zip")))->contents.first().isBlob);
        for (const char *name : {"gone.txt", "../x"})
            QCOMPARE(taken(files.read({}, QStringLiteral("power://sessions/s/files/") + QLatin1String(name))).error().code, ErrorCode::NotFound);
        QCOMPARE(taken(files.read({}, QStringLiteral("power://sessions/s"))).error().code, ErrorCode::NotFound);
    }

    void readingNeedsTheScope()
    {
        SessionResources files(m_registry, std::make_shared<Changes>());
        Caller caller;
        caller.scopes = {QStringLiteral("run")};
        QCOMPARE(taken(files.read(caller, QStringLiteral("power://sessions/s/files/b.zip"))).error().code, ErrorCode::Forbidden);
    }

    void newsAreGathered()
    {
        auto changes = std::make_shared<Changes>();
        SessionResources files(m_registry, changes);
        QStringList heard;
        const auto registration = changes->listen([&heard](const Change &change) {
            heard << (change.kind == Change::Kind::Resource ? change.principal + u' ' + change.uri : change.principal + QStringLiteral(" list"));
        });
        for (int i = 0; i < 50; ++i)
            files.filesChanged(QStringLiteral("owner"), QStringLiteral("s"), {QStringLiteral("a.csv")});
        files.listChanged(QStringLiteral("guest"));
        QVERIFY(heard.isEmpty());
        QTRY_COMPARE(heard.size(), 3);
        heard.sort();
        QCOMPARE(heard, (QStringList{QStringLiteral("guest list"), QStringLiteral("owner list"),
                                     QStringLiteral("owner power://sessions/s/files/a.csv")}));
    }

    void promptsAreThoseThatCanWork()
    {
        const WorkflowPrompts prompts(m_registry);
        QStringList names;
        for (const Prompt &prompt : prompts.list({})) {
            names << prompt.name;
            QVERIFY(!prompt.description.isEmpty() && !prompt.title.isEmpty());
            for (const PromptArgument &argument : prompt.arguments)
                QVERIFY(!argument.description.isEmpty());
        }
        QCOMPARE(names, (QStringList{QStringLiteral("analyse_file"), QStringLiteral("build_report"), QStringLiteral("query_data")}));
        Caller reader;
        reader.readOnly = true;
        QCOMPARE(prompts.list(reader).size(), 1);
        Registry more = m_registry;
        for (const char *name : {"sharepoint_search", "sharepoint_download_file"}) {
            Operation operation;
            operation.name = QLatin1String(name);
            more.add(operation);
        }
        QCOMPARE(WorkflowPrompts(more).list({}).size(), 4);
    }

    void promptTexts()
    {
        WorkflowPrompts prompts(m_registry);
        const auto bare = taken(prompts.get({}, QStringLiteral("analyse_file"), {{QStringLiteral("filename"), QStringLiteral("a.csv")}}));
        QVERIFY(bare.ok());
        const QString text = bare->messages.first().content.text;
        QVERIFY2(text.contains(u"a.csv") && text.contains(u"session default") && !text.contains(u'{') && !text.contains(u"question:"), qPrintable(text));
        const auto asked = taken(prompts.get({}, QStringLiteral("analyse_file"),
                                             {{QStringLiteral("filename"), QStringLiteral("{session_id}.csv")},
                                              {QStringLiteral("question"), QStringLiteral("which\nvendor?")},
                                              {QStringLiteral("session_id"), QStringLiteral("q3")}}));
        const QString whole = asked->messages.first().content.text;
        QVERIFY2(whole.contains(u"{session_id}.csv in the session q3") && whole.contains(u"which vendor?"), qPrintable(whole));
        QCOMPARE(taken(prompts.get({}, QStringLiteral("nope"), {})).error().code, ErrorCode::NotFound);
    }

    void completion_data()
    {
        QTest::addColumn<QString>("argument");
        QTest::addColumn<QString>("typed");
        QTest::addColumn<QString>("values");
        QTest::newRow("sessions") << QStringLiteral("session_id") << QString() << QStringLiteral("alpha,beta");
        QTest::newRow("a session") << QStringLiteral("session_id") << QStringLiteral("B") << QStringLiteral("beta");
        QTest::newRow("beginning first") << QStringLiteral("path") << QStringLiteral("s") << QStringLiteral("sales.csv,out/Sales report.html");
        QTest::newRow("file name") << QStringLiteral("filename") << QStringLiteral("zip") << QStringLiteral("b.zip");
        QTest::newRow("none") << QStringLiteral("filename") << QStringLiteral("xyz") << QString();
        QTest::newRow("no datasets yet") << QStringLiteral("dataset") << QString() << QString();
        QTest::newRow("format") << QStringLiteral("format") << QStringLiteral("x") << QStringLiteral("xlsx,docx");
    }
    void completion()
    {
        QFETCH(QString, argument);
        QFETCH(QString, typed);
        QFETCH(QString, values);
        NameCompleter completer(m_registry);
        CompletionQuestion question;
        question.argument = argument;
        question.value = typed;
        question.context = {{QStringLiteral("session_id"), QStringLiteral("s9")}};
        QVERIFY(completer.handles(question));
        m_asked = {};
        const auto answer = taken(completer.complete({}, question));
        QVERIFY(answer.ok());
        QCOMPARE(answer->values.join(u','), values);
        if (argument == u"path")
            QCOMPARE(m_asked.value(QStringLiteral("session_id")).toString(), QStringLiteral("s9"));
        question.argument = QStringLiteral("question");
        QVERIFY(!completer.handles(question));
    }

    void datasetsAreResources()
    {
        Registry registry = m_registry;
        const auto put = [&registry](const char *name, std::function<QCoro::Task<Result<Answer>>(QJsonObject)> body) {
            Operation operation;
            operation.name = QLatin1String(name);
            operation.parameters = {text("dataset_name"), text("query"), text("limit"), text("frames")};
            operation.hints.readOnly = true;
            operation.method = [body](Caller, QJsonObject arguments) { return body(std::move(arguments)); };
            registry.add(operation);
        };
        QString asked;
        put("list_datasets", [](QJsonObject arguments) {
            return answered({{QStringLiteral("datasets"), arguments.value(QStringLiteral("frames")) == QJsonValue(QStringLiteral("false"))
                                                              ? named("name", {QStringLiteral("sales 100%/\"x\""), QStringLiteral("b")}) : QJsonArray()}});
        });
        put("get_dataset", [](QJsonObject arguments) {
            const QString name = arguments.value(QStringLiteral("dataset_name")).toString();
            return name == u"none" ? [](QJsonObject) -> QCoro::Task<Result<Answer>> { co_return fail(ErrorCode::NotFound, QStringLiteral("no")); }({})
                                   : answered({{QStringLiteral("name"), name}, {QStringLiteral("table_name"), QStringLiteral("data_\"1\"")}, {QStringLiteral("row_count"), 3}});
        });
        put("query_dataset", [&asked](QJsonObject arguments) {
            asked = arguments.value(QStringLiteral("query")).toString();
            return answered({{QStringLiteral("data"), QJsonArray{QJsonObject{{QStringLiteral("a"), 1}}}}});
        });
        auto changes = std::make_shared<Changes>();
        DatasetResources datasets(registry, changes);
        const auto list = taken(datasets.list({}));
        QVERIFY(list.ok());
        QCOMPARE(list->size(), 2);
        const QString uri = list->at(0).uri;
        QCOMPARE(uri, QStringLiteral("power://datasets/sales%20100%25%2F%22x%22"));
        QVERIFY(datasets.owns(uri) && !datasets.owns(QStringLiteral("power://sessions/a/files/b")));
        const auto read = taken(datasets.read({}, uri));
        QVERIFY(read.ok());
        QCOMPARE(asked, QStringLiteral("SELECT * FROM \"data_\"\"1\"\"\"")); // by its own name a frame of the session could be meant
        const QJsonObject told = QJsonDocument::fromJson(read->contents.first().text.toUtf8()).object();
        QCOMPARE(told.value(QStringLiteral("row_count")).toInt(), 3);
        QCOMPARE(told[QLatin1String("first_rows")][0][QLatin1String("a")].toInt(), 1);
        QCOMPARE(taken(datasets.read({}, QStringLiteral("power://datasets/none"))).error().code, ErrorCode::NotFound);
        QStringList heard;
        const auto registration = changes->listen([&heard](const Change &change) { heard << change.principal + u' ' + change.uri; });
        QVERIFY(datasets.watch({}, uri, true));
        datasets.changed(QStringLiteral("guest"));
        datasets.changed(QStringLiteral("owner"));
        QCOMPARE(heard, (QStringList{QStringLiteral("guest "), QStringLiteral("owner ") + uri, QStringLiteral("owner ")}));
        QVERIFY(datasets.watch({}, uri, false));
        datasets.changed(QStringLiteral("owner"));
        QCOMPARE(heard.size(), 4);
        // Without datasets there are none to list, and no error that would hide the files.
        DatasetResources none(m_registry, changes);
        QVERIFY(taken(none.list({}))->isEmpty());
    }

    void completionOfManyIsCut()
    {
        const QStringList before = m_files;
        m_files.clear();
        for (int i = 0; i < 250; ++i)
            m_files << QStringLiteral("f%1").arg(i);
        NameCompleter completer(m_registry);
        CompletionQuestion question;
        question.argument = QStringLiteral("path");
        const auto answer = taken(completer.complete({}, question));
        QCOMPARE(answer->values.size(), 100);
        QCOMPARE(answer->total, 250);
        QVERIFY(answer->hasMore);
        m_files = before;
    }
};

QTEST_GUILESS_MAIN(TestOffers)
#include "tst_offers.moc"
