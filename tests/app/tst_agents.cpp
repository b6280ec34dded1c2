// What agents get of the running server: tool lists that every client takes, selections, complete error texts.
#include "app/ServerProcess.h"
#include "mcp/ToolSafety.h"
#include <QJsonDocument>
#include <QTest>

using namespace power::test;

class TestAgents : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;

    QJsonObject call(const QString &door, const QString &method, const QJsonObject &params = {})
    {
        return m_server->rpc(door, {{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                                    {QStringLiteral("id"), 1},
                                    {QStringLiteral("method"), method},
                                    {QStringLiteral("params"), params}});
    }
    QJsonArray tools(const QString &door)
    {
        const QJsonObject result = call(door, QStringLiteral("tools/list")).value(QStringLiteral("result")).toObject();
        return result.value(QStringLiteral("tools")).toArray();
    }
    QStringList names(const QString &door)
    {
        QStringList list;
        for (const QJsonValue &tool : tools(door))
            list << tool[QLatin1String("name")].toString();
        return list;
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_server = std::make_unique<ServerProcess>();
        QVERIFY2(m_server->start({QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}), m_server->output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server->stop(), m_server->output().right(4000).constData()); }

    void everyToolIsSafeForEveryClient_data()
    {
        QTest::addColumn<QString>("selection");
        for (const char *selection : {"default", "all", "core", "files", "jobs", "data", "microsoft", "extended", "chatgpt"})
            QTest::newRow(selection) << QString::fromLatin1(selection);
    }
    void everyToolIsSafeForEveryClient()
    {
        QFETCH(QString, selection);
        const QString door = QStringLiteral("/mcp?tools=") + selection;
        QStringList unsafe, seen;
        const QJsonArray list = tools(door);
        for (const QJsonValue &tool : list) {
            unsafe += unsafeTool(tool.toObject());
            if (seen.contains(tool[QLatin1String("name")].toString()))
                unsafe << tool[QLatin1String("name")].toString() + QStringLiteral(": twice");
            seen << tool[QLatin1String("name")].toString();
        }
        QCOMPARE(unsafe, QStringList());
        QVERIFY2(!list.isEmpty() || (selection != u"default" && selection != u"core"), qPrintable(selection));
        QCOMPARE(names(QStringLiteral("/mcp/sse?tools=") + selection), seen);
    }

    void instructionsAreShort()
    {
        const QString text = call(QStringLiteral("/mcp"), QStringLiteral("initialize"))[QLatin1String("result")][QLatin1String("instructions")].toString();
        QVERIFY2(!text.isEmpty() && text.size() <= 2000, qPrintable(text));
    }

    void selectionsHoldForCallsAsWell()
    {
        const QJsonObject run{{QStringLiteral("name"), QStringLiteral("execute_code")},
                              {QStringLiteral("arguments"), QJsonObject{{QStringLiteral("code"), QStringLiteral("40 + 2")}}}};
        const auto text = [](const QJsonObject &reply) { return QString::fromUtf8(QJsonDocument(reply).toJson()); };
        QVERIFY(text(call(QStringLiteral("/mcp"), QStringLiteral("tools/call"), run)).contains(u"42"));
        const QString other = text(call(QStringLiteral("/mcp?tools=files"), QStringLiteral("tools/call"), run));
        QVERIFY2(other.contains(u"?tools=core") && other.contains(u"-32602"), qPrintable(other));
        const QString readOnly = text(call(QStringLiteral("/mcp?readonly=1"), QStringLiteral("tools/call"), run));
        QVERIFY2(readOnly.contains(u"read-only"), qPrintable(readOnly));
        QVERIFY(!names(QStringLiteral("/mcp?readonly=1")).contains(QStringLiteral("execute_code")));
        QVERIFY(names(QStringLiteral("/mcp?readonly=1")).contains(QStringLiteral("list_files")));
        QVERIFY(text(call(QStringLiteral("/mcp?tools=nope"), QStringLiteral("tools/list"))).contains(u"no toolset or tool"));
        QVERIFY(call(QStringLiteral("/mcp?tools=nope"), QStringLiteral("ping")).contains(QStringLiteral("result")));
    }

    void everyBadArgumentIsToldAtOnce()
    {
        const ToolAnswer answer = m_server->tool("fetch_from_url", {{QStringLiteral("url"), QStringLiteral("not a url")},
                                                                    {QStringLiteral("session_id"), QStringLiteral("Q3 Report!")},
                                                                    {QStringLiteral("filename"), QJsonArray{1}}});
        QVERIFY(answer.isError);
        for (const char *part : {"3 problems", "- url:", "- session_id:", "- filename:", "Q3-Report", "Example: {"})
            QVERIFY2(answer.text.contains(QLatin1String(part)), qPrintable(answer.text));
    }

    // The shapes ChatGPT asks for: one text block that is the JSON, the same as structured content.
    void searchAndFetch()
    {
        const QString door = QStringLiteral("/mcp?tools=chatgpt");
        const auto pair = [&](const char *name, const QJsonObject &arguments) {
            const QJsonObject result = call(door, QStringLiteral("tools/call"),
                                            {{QStringLiteral("name"), QLatin1String(name)}, {QStringLiteral("arguments"), arguments}})
                                           .value(QStringLiteral("result")).toObject();
            const QJsonArray content = result.value(QStringLiteral("content")).toArray();
            const QJsonObject data = QJsonDocument::fromJson(content.first()[QLatin1String("text")].toString().toUtf8()).object();
            return content.size() == 1 && !result.value(QStringLiteral("isError")).toBool() && result.value(QStringLiteral("structuredContent")).toObject() == data ? data : result;
        };
        QVERIFY(!m_server->run(QStringLiteral("import os\nos.makedirs('notes', exist_ok=True)\n"
                                              "open('notes/plan #1.md', 'w').write('The walrus meets on Tuesday.\\n' * 2000)\n"
                                              "open('walrus.bin', 'wb').write(bytes(300))\nopen('other.txt', 'w').write('nothing')"),
                               QStringLiteral("zoo")).isError);
        const QJsonArray results = pair("search", {{QStringLiteral("query"), QStringLiteral("walrus Tuesday")}})
                                       .value(QStringLiteral("results")).toArray();
        QCOMPARE(results.size(), 2);
        for (const QJsonValue &result : results) {
            QCOMPARE(result.toObject().keys(), (QStringList{QStringLiteral("id"), QStringLiteral("title"), QStringLiteral("url")}));
            QVERIFY2(result[QLatin1String("url")].toString().startsWith(u"http://127.0.0.1"), qPrintable(result[QLatin1String("url")].toString()));
        }
        const QJsonObject first = pair("fetch", {{QStringLiteral("id"), QStringLiteral("file:zoo/notes/plan%20%231.md")}});
        QVERIFY2(first.value(QStringLiteral("text")).toString().startsWith(u"The walrus"), QJsonDocument(first).toJson().constData());
        QCOMPARE(first.value(QStringLiteral("title")).toString(), QStringLiteral("notes/plan #1.md"));
        QCOMPARE(first[QLatin1String("metadata")][QLatin1String("parts")].toInt(), 2);
        const QString next = first[QLatin1String("metadata")][QLatin1String("next_id")].toString();
        const QJsonObject second = pair("fetch", {{QStringLiteral("id"), next}});
        QCOMPARE(first.value(QStringLiteral("text")).toString().size() + second.value(QStringLiteral("text")).toString().size(), 29 * 2000);
        QVERIFY(!second[QLatin1String("metadata")].toObject().contains(QStringLiteral("next_id")));
        for (const QJsonValue &result : results) {
            const QJsonObject got = pair("fetch", {{QStringLiteral("id"), result[QLatin1String("id")]}});
            QVERIFY(!got.value(QStringLiteral("text")).toString().isEmpty());
        }
        // Datasets: by their names, columns and the files they came from.
        QVERIFY(!m_server->tool("upload_dataset", {{QStringLiteral("dataset_name"), QStringLiteral("herd")},
                                                   {QStringLiteral("text"), QStringLiteral("species,weight_kg\nwombat,26\nquokka,3\n")}}).isError);
        const QJsonArray found = pair("search", {{QStringLiteral("query"), QStringLiteral("Weight_kg")}}).value(QStringLiteral("results")).toArray();
        QCOMPARE(found.size(), 1);
        QCOMPARE(found[0][QLatin1String("id")].toString(), QStringLiteral("dataset:herd"));
        QCOMPARE(found[0][QLatin1String("url")].toString(), QStringLiteral("power://datasets/herd"));
        // A DataFrame of that name in the session that is asked by default is something else.
        QVERIFY(!m_server->run(QStringLiteral("herd = pd.DataFrame({'species': ['frame']})"), QStringLiteral("default")).isError);
        const QJsonObject rows = pair("fetch", {{QStringLiteral("id"), QStringLiteral("dataset:herd")}});
        QCOMPARE(rows.value(QStringLiteral("text")).toString(), QStringLiteral("species\tweight_kg\nwombat\t26\nquokka\t3"));
        QVERIFY(pair("search", {{QStringLiteral("query"), QStringLiteral("xylophone")}}).value(QStringLiteral("results")).toArray().isEmpty());
        QVERIFY(pair("search", {{QStringLiteral("query"), QString()}}).value(QStringLiteral("results")).toArray().size() >= 3);
        for (const char *bad : {"file:nobody/x.txt", "file:zoo/../../etc/passwd", "nonsense", "file:zoo/absent.txt", "dataset:absent"})
            QVERIFY2(pair("fetch", {{QStringLiteral("id"), QLatin1String(bad)}}).value(QStringLiteral("isError")).toBool(), bad);
    }

    void theOperatorsProfileIsTheStandard()
    {
        ServerProcess other;
        QVERIFY2(other.start({QStringLiteral("--tool-profile"), QStringLiteral("files,query_dataset"), QStringLiteral("--mcp-read-only")}),
                 other.output().constData());
        const QJsonObject reply = other.rpc(QStringLiteral("/mcp"), {{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                                                                     {QStringLiteral("id"), 1},
                                                                     {QStringLiteral("method"), QStringLiteral("tools/list")}});
        QStringList listed;
        for (const QJsonValue &tool : reply[QLatin1String("result")][QLatin1String("tools")].toArray())
            listed << tool[QLatin1String("name")].toString();
        QCOMPARE(listed, (QStringList{QStringLiteral("list_files"), QStringLiteral("query_dataset")}));
        QVERIFY(other.stop());
    }
};

QTEST_GUILESS_MAIN(TestAgents)
#include "tst_agents.moc"
