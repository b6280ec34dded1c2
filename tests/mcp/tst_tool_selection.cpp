// Which tools a request sees: words of a selection, where it may stand, the read-only switch, the cache of lists.
#include "SampleRegistry.h"
#include "mcp/ToolList.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QTest>

using namespace power;
using namespace power::mcp;
using namespace power::operations;

namespace {
Operation tool(const char *name, const char *toolset, bool readOnly, bool isTool = true)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.description = QStringLiteral("What %1 does.").arg(operation.name);
    operation.toolset = QLatin1String(toolset);
    operation.hints.readOnly = readOnly;
    operation.isTool = isTool;
    operation.method = [](Caller, QJsonObject) -> QCoro::Task<Result<Answer>> { co_return Answer(); };
    return operation;
}
} // namespace

class TestToolSelection : public QObject
{
    Q_OBJECT
    Registry m_registry;

    QString shown(const ToolSelection &selection) const
    {
        QStringList names;
        for (const Operation &operation : m_registry.all()) {
            if (selection.shows(operation))
                names << operation.name;
        }
        return names.join(u' ');
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_registry.add(tool("run", "core", false));
        m_registry.add(tool("sessions", "core", true));
        m_registry.add(tool("get", "core", true, false));
        m_registry.add(tool("list_files", "files", true));
        m_registry.add(tool("query", "data", true));
        m_registry.add(tool("more", "extended", false));
        m_registry.add(tool("search", "chatgpt", true));
    }

    void words_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("tools");
        QTest::newRow("nothing") << QString() << QStringLiteral("run sessions list_files query");
        QTest::newRow("blank") << QStringLiteral(" ") << QStringLiteral("run sessions list_files query");
        QTest::newRow("default") << QStringLiteral("default") << QStringLiteral("run sessions list_files query");
        QTest::newRow("all") << QStringLiteral("all") << QStringLiteral("run sessions list_files query more");
        QTest::newRow("one") << QStringLiteral("files") << QStringLiteral("list_files");
        QTest::newRow("two, untidy") << QStringLiteral(" Data ,,FILES,") << QStringLiteral("list_files query");
        QTest::newRow("a tool") << QStringLiteral("files,run") << QStringLiteral("run list_files");
        QTest::newRow("default and more") << QStringLiteral("default,extended") << QStringLiteral("run sessions list_files query more");
        QTest::newRow("no tool of it yet") << QStringLiteral("microsoft,jobs") << QString();
        QTest::newRow("chatgpt") << QStringLiteral("chatgpt") << QStringLiteral("search");
        QTest::newRow("unknown") << QStringLiteral("core,fils") << QStringLiteral("error");
        QTest::newRow("REST only") << QStringLiteral("get") << QStringLiteral("error");
        QTest::newRow("too many") << QStringLiteral("core,").repeated(101) << QStringLiteral("error");
    }
    void words()
    {
        QFETCH(QString, text);
        QFETCH(QString, tools);
        const auto selection = ToolSelection::parse(text, m_registry);
        QCOMPARE(selection ? shown(*selection) : QStringLiteral("error"), tools);
        if (!selection && text.contains(u"fils"))
            QVERIFY2(selection.error().text().contains(u"fils") && selection.error().text().contains(u"microsoft"),
                     qPrintable(selection.error().text()));
    }

    void places_data()
    {
        QTest::addColumn<QString>("query");
        QTest::addColumn<QByteArray>("tools");
        QTest::addColumn<QByteArray>("readonly");
        QTest::addColumn<QString>("shows");
        QTest::newRow("standard") << QString() << QByteArray() << QByteArray() << QStringLiteral("list_files query");
        QTest::newRow("query") << QStringLiteral("tools=core") << QByteArray() << QByteArray() << QStringLiteral("run sessions");
        QTest::newRow("query, encoded") << QStringLiteral("toolsets=core%2Cdata") << QByteArray() << QByteArray()
                                        << QStringLiteral("run sessions query");
        QTest::newRow("twice") << QStringLiteral("tools=core&tools=data") << QByteArray() << QByteArray()
                               << QStringLiteral("run sessions query");
        QTest::newRow("header") << QString() << QByteArray("core") << QByteArray() << QStringLiteral("run sessions");
        QTest::newRow("query before header") << QStringLiteral("tools=data") << QByteArray("core") << QByteArray() << QStringLiteral("query");
        QTest::newRow("empty query") << QStringLiteral("tools=") << QByteArray("core") << QByteArray() << QStringLiteral("run sessions");
        QTest::newRow("readonly") << QStringLiteral("tools=core&readonly=1") << QByteArray() << QByteArray() << QStringLiteral("sessions");
        QTest::newRow("readonly bare") << QStringLiteral("tools=all&readonly") << QByteArray() << QByteArray()
                                       << QStringLiteral("sessions list_files query");
        QTest::newRow("readonly header") << QString() << QByteArray("core") << QByteArray("true") << QStringLiteral("sessions");
        QTest::newRow("readonly off") << QStringLiteral("tools=core&readonly=0") << QByteArray() << QByteArray("false")
                                      << QStringLiteral("run sessions");
        QTest::newRow("readonly beats a tool's name") << QStringLiteral("tools=run&readonly=1") << QByteArray() << QByteArray() << QString();
        QTest::newRow("unknown") << QStringLiteral("tools=nope") << QByteArray() << QByteArray() << QStringLiteral("error");
    }
    void places()
    {
        QFETCH(QString, query);
        QFETCH(QByteArray, tools);
        QFETCH(QByteArray, readonly);
        QFETCH(QString, shows);
        http::Request request;
        request.query = QUrlQuery(query);
        if (!tools.isEmpty())
            request.headers.add("X-MCP-Tools", tools);
        if (!readonly.isEmpty())
            request.headers.add("x-mcp-readonly", readonly);
        ToolSelection standard = *ToolSelection::parse(QStringLiteral("files,data"), m_registry);
        const auto selection = ToolSelection::of(request, standard, m_registry);
        QCOMPARE(selection ? shown(*selection) : QStringLiteral("error"), shows);
    }

    void nothingSwitchesTheServersReadOnlyOff()
    {
        ToolSelection standard;
        standard.setReadOnly(true);
        http::Request request;
        request.query = QUrlQuery(QStringLiteral("tools=all&readonly=0"));
        request.headers.add("X-MCP-Readonly", "false");
        QCOMPARE(shown(*ToolSelection::of(request, standard, m_registry)), QStringLiteral("sessions list_files query"));
    }

    void listsAreKeptPerSelection()
    {
        const ToolList list(m_registry);
        const ServerFacts facts;
        const QByteArray usual = list.bytes(Legacy, facts, {});
        const QByteArray files = list.bytes(Legacy, facts, *ToolSelection::parse(QStringLiteral("files"), m_registry));
        QCOMPARE(QJsonDocument::fromJson(usual)[QStringLiteral("tools")].toArray().size(), 4);
        QCOMPARE(QJsonDocument::fromJson(files)[QStringLiteral("tools")].toArray().size(), 1);
        QCOMPARE(list.bytes(Legacy, facts, {}), usual);
        // Two ways to say the same are one selection.
        QCOMPARE(ToolSelection::parse(QStringLiteral("data,files"), m_registry)->key(),
                 ToolSelection::parse(QStringLiteral("files,data,files"), m_registry)->key());
    }

    void whyNot()
    {
        const ToolList list(m_registry);
        ToolSelection files = *ToolSelection::parse(QStringLiteral("files"), m_registry);
        QVERIFY(list.find(QStringLiteral("list_files"), files));
        QVERIFY(!list.find(QStringLiteral("run"), files));
        QVERIFY(list.whyNot(QStringLiteral("run"), files).contains(u"?tools=core"));
        QVERIFY(list.whyNot(QStringLiteral("get"), files).contains(u"Unknown tool"));
        files.setReadOnly(true);
        QVERIFY(list.whyNot(QStringLiteral("run"), files).contains(u"read-only"));
    }
};

QTEST_GUILESS_MAIN(TestToolSelection)
#include "tst_tool_selection.moc"
