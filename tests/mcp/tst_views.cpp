// The views in a real browser, with a page that plays the host: the handshake, the grid, the chart, the run log; text stays
// text, and nothing is loaded from anywhere under the strictest content policy of MCP Apps.
#include "mcp/Views.h"
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

using namespace power::mcp;

namespace {
QString browser()
{
    for (const char *path : {"/usr/lib/chromium/chromium-headless-shell", "/usr/bin/chromium-headless-shell", "/usr/bin/chromium"}) {
        if (QFile::exists(QLatin1String(path)))
            return QLatin1String(path);
    }
    return {};
}

// JSON that may stand in a script element.
QString json(const QJsonObject &object)
{
    return QString::fromUtf8(QJsonDocument(object).toJson(QJsonDocument::Compact)).replace(u'<', QLatin1String("\\u003c"));
}

const char *const kHost =
    "<!DOCTYPE html><meta charset='utf-8'><iframe id='frame'></iframe><pre id='out'>nothing</pre><script>\n"
    "const given = GIVEN, heard = [], frame = document.getElementById('frame');\n"
    "const say = message => frame.contentWindow.postMessage({ jsonrpc: '2.0', ...message }, '*');\n"
    "window.onmessage = ({ data }) => {\n"
    "  heard.push(data.method ?? 'answer ' + data.id);\n"
    "  if (data.method === 'ui/initialize') say({ id: data.id, result: { protocolVersion: '2026-01-26', hostInfo: { name: 'h', version: '1' },\n"
    "    hostCapabilities: { serverTools: {}, openLinks: {} }, hostContext: { theme: 'dark', styles: { variables: { '--font-mono': 'Courier' } } } } });\n"
    "  if (data.method === 'ui/notifications/initialized') {\n"
    "    say({ method: 'ui/notifications/tool-input', params: { arguments: given.input } });\n"
    "    say({ method: 'ui/notifications/tool-result', params: given.result });\n"
    "    say({ id: 'teardown', method: 'ui/resource-teardown', params: {} });\n"
    "  }\n"
    "  if (data.method === 'tools/call') { heard.push(data.params); say({ id: data.id, result: given.more }); }\n"
    "  if (data.method === 'ui/open-link') { heard.push(data.params); say({ id: data.id, result: {} }); }\n"
    "  if (data.id === 'teardown') setTimeout(act, 50);\n"
    "};\n"
    "const look = () => frame.contentDocument.getElementById('view');\n"
    "async function act() {\n"
    "  const seen = [];\n"
    "  for (const step of [...given.steps, '0']) {\n"
    "    seen.push({ text: look().innerText, html: look().innerHTML });\n"
    "    try { eval(step); } catch (problem) { seen.push({ text: String(problem) }); }\n"
    "    await new Promise(done => setTimeout(done, 30));\n"
    "  }\n"
    "  document.getElementById('out').textContent = btoa(unescape(encodeURIComponent(JSON.stringify({ heard, seen, hacked: window.hacked ?? false,\n"
    "    scheme: frame.contentDocument.documentElement.style.colorScheme, mono: frame.contentDocument.documentElement.style.getPropertyValue('--font-mono') }))));\n"
    "}\n"
    "frame.srcdoc = given.page;\n"
    "</script>";
} // namespace

class TestViews : public QObject
{
    Q_OBJECT
    // {heard, seen: [{text, html}] before each step and at the end, ...}
    QJsonObject shown(const char *view, QJsonObject given)
    {
        QString page = Views::page(QLatin1String(view));
        page.replace(QLatin1String("<head>"), QLatin1String("<head><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                                                            "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\">"));
        given.insert(QStringLiteral("page"), page);
        QTemporaryDir directory;
        QFile file(directory.filePath(QStringLiteral("host.html")));
        if (!file.open(QIODevice::WriteOnly))
            return {};
        file.write(QString::fromLatin1(kHost).replace(QLatin1String("GIVEN"), json(given)).toUtf8());
        file.close();
        QProcess process;
        process.start(browser(), {QStringLiteral("--headless"), QStringLiteral("--no-sandbox"), QStringLiteral("--disable-gpu"),
                                  QStringLiteral("--disable-dev-shm-usage"), QStringLiteral("--user-data-dir=") + directory.filePath(QStringLiteral("profile")),
                                  QStringLiteral("--virtual-time-budget=8000"), QStringLiteral("--dump-dom"),
                                  QStringLiteral("file://") + file.fileName()});
        process.waitForFinished(60'000);
        const QString dom = QString::fromUtf8(process.readAllStandardOutput());
        const QString out = dom.section(QStringLiteral("<pre id=\"out\">"), 1).section(u'<', 0, 0);
        const QJsonObject result = QJsonDocument::fromJson(QByteArray::fromBase64(out.toLatin1())).object();
        if (result.isEmpty())
            qWarning("%s\n%s", qPrintable(out.left(300)), process.readAllStandardError().right(2000).constData());
        return result;
    }
    static QString textAt(const QJsonObject &result, int step, const char *what = "text")
    {
        return result[QLatin1String("seen")][step][QLatin1String(what)].toString();
    }
    static QJsonObject row(const QString &vendor, double amount)
    {
        return {{QStringLiteral("vendor"), vendor}, {QStringLiteral("amount"), amount}};
    }
    static QJsonObject rows(const QJsonArray &data, bool more)
    {
        return {{QStringLiteral("content"), QJsonArray()},
                {QStringLiteral("structuredContent"),
                 QJsonObject{{QStringLiteral("columns"), QJsonArray{QStringLiteral("vendor"), QStringLiteral("amount")}},
                             {QStringLiteral("data"), data}, {QStringLiteral("has_more"), more}}}};
    }

private Q_SLOTS:
    void initTestCase() { QVERIFY2(!browser().isEmpty(), "no Chromium: installer/install-deps.sh runtime installs it"); }

    void table()
    {
        const QString evil = QStringLiteral("<img src=x onerror=parent.hacked=1>");
        const QJsonObject result = shown("ui://power/table",
            {{QStringLiteral("input"), QJsonObject{{QStringLiteral("query"), QStringLiteral("SELECT 1")}, {QStringLiteral("offset"), 10}}},
             {QStringLiteral("result"), rows({row(QStringLiteral("beta"), 10), row(evil, 9), row(QStringLiteral("alpha"), 100)}, true)},
             {QStringLiteral("more"), rows({row(QStringLiteral("gamma"), 7)}, false)},
             {QStringLiteral("steps"), QJsonArray{QStringLiteral("look().querySelectorAll('th')[1].click()"),
                                                  QStringLiteral("look().querySelectorAll('th')[1].click()"),
                                                  QStringLiteral("[...look().querySelectorAll('button')].find(b => b.innerText === 'load more').click()"),
                                                  QStringLiteral("[...look().querySelectorAll('button')].find(b => b.innerText === 'chart').click()")}}});
        const QJsonArray heard = result.value(QStringLiteral("heard")).toArray();
        QCOMPARE(heard[0].toString(), QStringLiteral("ui/initialize"));
        QCOMPARE(heard[1].toString(), QStringLiteral("ui/notifications/initialized"));
        QVERIFY(heard.contains(QStringLiteral("ui/notifications/size-changed")));
        QVERIFY(heard.contains(QStringLiteral("answer teardown")));
        QCOMPARE(result.value(QStringLiteral("scheme")).toString(), QStringLiteral("dark"));
        QCOMPARE(result.value(QStringLiteral("mono")).toString(), QStringLiteral("Courier"));
        QVERIFY2(textAt(result, 0).contains(evil) && !result.value(QStringLiteral("hacked")).toBool(), qPrintable(textAt(result, 0)));
        QVERIFY(textAt(result, 0).contains(u"3 of 3 rows, more in the dataset"));
        const auto order = [&](int step, const char *first, const char *second) {
            const QString text = textAt(result, step);
            return text.indexOf(QLatin1String(first)) >= 0 && text.indexOf(QLatin1String(first)) < text.indexOf(QLatin1String(second));
        };
        QVERIFY(order(0, "beta", "alpha"));
        QVERIFY(order(1, "onerror", "beta") && order(1, "beta", "alpha"));  // 9, 10, 100: as numbers
        QVERIFY(order(2, "alpha", "beta") && order(2, "beta", "onerror"));
        QVERIFY2(textAt(result, 3).contains(u"gamma") && textAt(result, 3).contains(u"4 of 4 rows") && !textAt(result, 3).contains(u"load more"),
                 qPrintable(textAt(result, 3)));
        for (const QJsonValue &entry : heard) {
            if (entry.isObject())
                QCOMPARE(entry[QLatin1String("arguments")][QLatin1String("offset")].toInt(), 13);
        }
        QCOMPARE(textAt(result, 4, "html").count(QStringLiteral("<rect")), 4);
    }

    void tableOfAnError()
    {
        const QJsonObject result = shown("ui://power/table",
            {{QStringLiteral("input"), QJsonObject()},
             {QStringLiteral("result"), QJsonObject{{QStringLiteral("isError"), true},
                                                    {QStringLiteral("content"), QJsonArray{QJsonObject{{QStringLiteral("type"), QStringLiteral("text")},
                                                                                                       {QStringLiteral("text"), QStringLiteral("The query failed")}}}}}},
             {QStringLiteral("steps"), QJsonArray()}});
        QVERIFY(textAt(result, 0).contains(u"The query failed") && textAt(result, 0, "html").contains(u"error"));
    }

    void runLog()
    {
        const QString pixel = QStringLiteral("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==");
        const QJsonObject run{{QStringLiteral("stdout"), QStringLiteral("hello <b>world</b> https://example.com/x")},
                              {QStringLiteral("stderr"), QStringLiteral("careful")},
                              {QStringLiteral("error_message"), QStringLiteral("ValueError: no")},
                              {QStringLiteral("error_traceback"), QStringLiteral("File cell")},
                              {QStringLiteral("execution_time_ms"), 12},
                              {QStringLiteral("links"), QJsonArray{QJsonObject{{QStringLiteral("filename"), QStringLiteral("out.xlsx")},
                                                                               {QStringLiteral("url"), QStringLiteral("http://h/dl/1/out.xlsx")},
                                                                               {QStringLiteral("size"), QStringLiteral("3 KB")}}}}};
        const QJsonObject result = shown("ui://power/run",
            {{QStringLiteral("input"), QJsonObject{{QStringLiteral("code"), QStringLiteral("print(1)")}}},
             {QStringLiteral("result"), QJsonObject{{QStringLiteral("content"), QJsonArray{QJsonObject{{QStringLiteral("type"), QStringLiteral("image")},
                                                                                                       {QStringLiteral("mimeType"), QStringLiteral("image/png")},
                                                                                                       {QStringLiteral("data"), pixel}}}},
                                                    {QStringLiteral("_meta"), QJsonObject{{QStringLiteral("power-interpreter/run"), run}}}}},
             {QStringLiteral("steps"), QJsonArray{QStringLiteral("[...look().querySelectorAll('button')].forEach(b => b.click())"), QStringLiteral("0")}}});
        const QString text = textAt(result, 0);
        for (const char *piece : {"hello <b>world</b>", "careful", "ValueError: no", "out.xlsx", "12 ms"})
            QVERIFY2(text.contains(QLatin1String(piece)), qPrintable(text));
        QVERIFY(textAt(result, 0, "html").contains(u"data:image/png;base64,"));
        QStringList opened;
        for (const QJsonValue &entry : result.value(QStringLiteral("heard")).toArray()) {
            if (entry.isObject())
                opened << entry[QLatin1String("url")].toString();
        }
        QCOMPARE(opened, (QStringList{QStringLiteral("https://example.com/x"), QStringLiteral("http://h/dl/1/out.xlsx")}));
    }

    void whoShowsThem_data()
    {
        QTest::addColumn<QByteArray>("capabilities");
        QTest::addColumn<bool>("shows");
        QTest::newRow("nothing") << QByteArray("{}") << false;
        QTest::newRow("bare") << QByteArray("{\"extensions\":{\"io.modelcontextprotocol/ui\":{}}}") << true;
        QTest::newRow("typed") << QByteArray("{\"extensions\":{\"io.modelcontextprotocol/ui\":{\"mimeTypes\":[\"text/html;profile=mcp-app\"]}}}") << true;
        QTest::newRow("other type") << QByteArray("{\"extensions\":{\"io.modelcontextprotocol/ui\":{\"mimeTypes\":[\"text/x-other\"]}}}") << false;
    }
    void whoShowsThem()
    {
        QFETCH(QByteArray, capabilities);
        QFETCH(bool, shows);
        QCOMPARE(declaresViews(QJsonDocument::fromJson(capabilities).object()), shows);
    }
    void otherAddresses()
    {
        for (const char *uri : {"ui://power/", "ui://power/page", "ui://power/../run", "ui://other/run", ""})
            QVERIFY(Views::page(QLatin1String(uri)).isEmpty());
    }
};

QTEST_GUILESS_MAIN(TestViews)
#include "tst_views.moc"
