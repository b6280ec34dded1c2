// The file tools as agents use them: listed, read in parts, tables seen, every name an answer gives understood,
// and nothing outside of the session.
#include "app/ServerProcess.h"
#include <QFile>
#include <QImage>
#include <QJsonArray>
#include <QJsonDocument>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTest>
#include <QTimer>
#include <unistd.h>

using namespace power::test;

class TestFileTools : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void listed();
    void textInParts();
    void tables_data();
    void tables();
    void tablesWithGaps();
    void pictures();
    void names_data();
    void names();
    void outside_data();
    void outside();
    void otherSessions();
    void fetchNames_data();
    void fetchNames();
    void fetchTellsHowFarItIs();
    void fetchRefused_data();
    void fetchRefused();
    void cleanupTestCase();

private:
    ToolAnswer ask(const char *tool, QJsonObject arguments, const QString &session = QStringLiteral("files"))
    {
        if (!arguments.contains(QStringLiteral("session_id")))
            arguments.insert(QStringLiteral("session_id"), session);
        return m_server.tool(tool, arguments);
    }
    ToolAnswer fetch(const QString &name, QJsonObject more = {})
    {
        more.insert(QStringLiteral("filename"), name);
        return ask("fetch_file", more);
    }
    ServerProcess m_server;
    QString m_link, m_chart;
};

void TestFileTools::initTestCase()
{
    QVERIFY2(m_server.start({QStringLiteral("--tool-profile=all")}), m_server.output().constData());
    const ToolAnswer made = m_server.run(QStringLiteral(
        "import numpy as np, docx, sqlite3, os\n"
        "from PIL import Image\n"
        "df = pd.DataFrame({'date': pd.date_range('2026-01-01', periods=1234), 'amount': np.arange(1234) / 2, 'vendor': ['a, \"b\"'] * 1234, 'n': range(1234)})\n"
        "df.to_csv('data.csv', index=False); df.to_csv('data.tsv', index=False, sep='\\t'); df.to_parquet('data.parquet')\n"
        "with pd.ExcelWriter('book.xlsx') as book:\n    df.to_excel(book, sheet_name='First', index=False); df.head(7).to_excel(book, sheet_name='Zweites Blatt', index=False)\n"
        "with sqlite3.connect('data.db') as db: df.to_sql('sales', db, index=False)\n"
        "open('long.txt', 'w').write(''.join(f'line {i}\\n' for i in range(1, 30001)))\n"
        "os.makedirs('out/deep'); open('out/deep/Ü 数据.txt', 'w').write('deep'); open('no-ending', 'w').write('plain')\n"
        "Image.effect_noise((2600, 1800), 90).convert('RGB').save('big.png')\n"
        "plt.plot([1, 2]); plt.savefig('chart.png'); plt.close()\n"
        "os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'linked'); os.symlink('data.csv', 'inner'); os.mkfifo('pipe'); open('notxlsx.xlsx', 'w').write('a,b\\n1,2\\n')\n"
        "print('made')"), QStringLiteral("files"));
    QVERIFY2(made.text.contains(QStringLiteral("made")), qPrintable(made.text));
    const ToolAnswer chart = ask("fetch_file", {{QStringLiteral("filename"), QStringLiteral("chart.png")}});
    QCOMPARE(chart.images.size(), 1);
    m_link = chart.text.section(QStringLiteral("Download URL: "), 1).section(u'\n', 0, 0);
    QVERIFY(m_link.contains(QStringLiteral("/dl/")));
    m_chart = m_server.url().toString() + QStringLiteral("/charts/files/chart.png");
}

void TestFileTools::listed()
{
    const ToolAnswer all = ask("list_files", {});
    QVERIFY2(all.text.contains(QStringLiteral("\ndata.csv (")) && all.text.contains(QStringLiteral(" old) http")), qPrintable(all.text));
    QVERIFY(all.text.contains(QStringLiteral("no-ending (5 B text/plain")));
    QVERIFY2(!all.text.contains(QStringLiteral("\nlink")) && !all.text.contains(QStringLiteral("pipe")), qPrintable(all.text));
    const ToolAnswer some = ask("list_files", {{QStringLiteral("pattern"), QStringLiteral("data.{csv,tsv}")}});
    QVERIFY2(some.text.startsWith(QStringLiteral("2 of 1")), qPrintable(some.text));
    const ToolAnswer deep = ask("list_files", {{QStringLiteral("pattern"), QStringLiteral("out/**")}});
    QVERIFY2(deep.text.startsWith(QStringLiteral("1 of 1")), qPrintable(deep.text));
    const ToolAnswer page = ask("list_files", {{QStringLiteral("limit"), 2}, {QStringLiteral("offset"), 1}, {QStringLiteral("sort"), QStringLiteral("newest")}});
    QCOMPARE(page.text.count(QStringLiteral(" old) ")), 2);
    QVERIFY2(page.text.contains(QStringLiteral("call again with offset=3")), qPrintable(page.text));
    QVERIFY(ask("list_files", {{QStringLiteral("pattern"), QString(300, u'*')}}).isError);
    // Written beside every run and as long as before: the link is of what is there now.
    QFile changed(m_server.dataDirectory() + QStringLiteral("/sandbox/files/no-ending"));
    QVERIFY(changed.open(QIODevice::ReadWrite));
    const QByteArray before = changed.readAll();
    const auto linked = [this] {
        const ToolAnswer one = ask("list_files", {{QStringLiteral("pattern"), QStringLiteral("no-ending")}});
        return m_server.http("GET", QUrl(one.text.mid(one.text.indexOf(QStringLiteral("http"))).section(u'\n', 0, 0).trimmed()).path());
    };
    QCOMPARE(linked(), before);
    QVERIFY(changed.seek(0) && changed.write("PLAIN") == 5 && changed.flush());
    QCOMPARE(linked(), QByteArray("PLAIN"));
    QVERIFY(changed.seek(0) && changed.write(before) == 5 && changed.flush());
}

void TestFileTools::textInParts()
{
    const ToolAnswer first = fetch(QStringLiteral("long.txt"));
    QVERIFY2(first.text.contains(QStringLiteral("line 1\nline 2\n")) && first.text.contains(QStringLiteral("[lines 1-1000; more with offset=1000]")),
             qPrintable(first.text.right(200)));
    const ToolAnswer middle = fetch(QStringLiteral("long.txt"), {{QStringLiteral("offset"), 20'000}, {QStringLiteral("limit"), 3}});
    QVERIFY2(middle.text.contains(QStringLiteral("\n\nline 20001\nline 20002\nline 20003\n\n[lines 20001-20003; more with offset=20003]")), qPrintable(middle.text));
    const ToolAnswer end = fetch(QStringLiteral("long.txt"), {{QStringLiteral("offset"), 29'998}});
    QVERIFY2(end.text.contains(QStringLiteral("line 30000\n\n[from line 29999 to the end]")), qPrintable(end.text));
    QFile large(m_server.dataDirectory() + QStringLiteral("/sandbox/files/large.log"));
    QVERIFY(large.open(QIODevice::WriteOnly) && large.write(QByteArray(1 << 20, '\n')) > 0 && large.resize(65 << 20));
    const ToolAnswer beyond = fetch(QStringLiteral("large.log"), {{QStringLiteral("offset"), 2'000'000}, {QStringLiteral("encoding"), QStringLiteral("text")}});
    QVERIFY2(beyond.text.contains(QStringLiteral("only the first 64.0 MB of the file are looked through")), qPrintable(beyond.text.right(300)));
    QVERIFY(large.remove());
    const ToolAnswer lines = fetch(QStringLiteral("data.csv"), {{QStringLiteral("limit"), 2}});
    QVERIFY2(lines.text.contains(QStringLiteral("date,amount,vendor,n\n2026-01-01,0.0,")), qPrintable(lines.text));
    const ToolAnswer small = fetch(QStringLiteral("no-ending"), {{QStringLiteral("encoding"), QStringLiteral("base64")}});
    QVERIFY(small.text.contains(QStringLiteral("cGxhaW4=")));
}

void TestFileTools::tables_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("schema");
    QTest::newRow("csv") << QStringLiteral("data.csv") << QStringLiteral("1,234 rows x 4 columns (delimited text)\nColumns: date: date | amount: float | vendor: text | n: int");
    QTest::newRow("tsv") << QStringLiteral("data.tsv") << QStringLiteral("1,234 rows x 4 columns");
    QTest::newRow("parquet") << QStringLiteral("data.parquet") << QStringLiteral("1,234 rows x 4 columns (Parquet)\nColumns: date: timestamp[");
    QTest::newRow("xlsx") << QStringLiteral("book.xlsx") << QStringLiteral("Sheet First of: First (1235 x 4), Zweites Blatt (8 x 4)\nColumns: date: date | amount: float");
    QTest::newRow("sqlite") << QStringLiteral("data.db") << QStringLiteral("Table sales of: sales\nColumns: date: timestamp | amount: real");
}

void TestFileTools::tables()
{
    QFETCH(QString, name);
    QFETCH(QString, schema);
    const ToolAnswer seen = fetch(name);
    QVERIFY2(seen.text.contains(schema), qPrintable(seen.text));
    QVERIFY2(seen.text.contains(QStringLiteral("First 5 rows:\ndate,amount,vendor,n\n2026-01-01")), qPrintable(seen.text));
    QVERIFY2(seen.text.contains(QStringLiteral("\"a, \"\"b\"\"\"")), qPrintable(seen.text));
}

// Empty lines are no rows, and do not hide that there are more than were looked at.
void TestFileTools::tablesWithGaps()
{
    const QString session = QStringLiteral("gaps"), name = QStringLiteral("gaps.csv");
    m_server.run(QStringLiteral("open('gaps.csv', 'w').write('a,b\\n\\n' + '1,2\\n' * 2000)"), session);
    const ToolAnswer seen = m_server.tool("view_file", {{QStringLiteral("filename"), name}, {QStringLiteral("session_id"), session}});
    QVERIFY2(seen.text.contains(QStringLiteral("2,000 rows x 2 columns (delimited text)\nColumns: a: int | b: int")), qPrintable(seen.text));
}

void TestFileTools::pictures()
{
    QImage whole, seen;
    QVERIFY(whole.loadFromData(fetch(QStringLiteral("chart.png")).images.value(0)));
    const ToolAnswer big = fetch(QStringLiteral("big.png"));
    QVERIFY2(big.text.contains(QStringLiteral("2600 x 1800 pixels, shown smaller")), qPrintable(big.text));
    QVERIFY(seen.loadFromData(big.images.value(0)));
    QCOMPARE(seen.size(), QSize(1024, 709));
    // A photo of a camera held upright, and 16 bits of grey.
    const ToolAnswer made = m_server.run(QStringLiteral(
        "photo = Image.effect_noise((3000, 2000), 90); exif = Image.Exif(); exif[0x0112] = 6\n"
        "photo.save('upright.jpg', quality=98, exif=exif)\n"
        "grey = np.random.default_rng(1).integers(0, 256, (1500, 2000), 'uint16'); grey[:, 1000:] += 40000; Image.fromarray(grey).save('grey.tiff')"), QStringLiteral("files"));
    QVERIFY2(!made.isError, qPrintable(made.text));
    const ToolAnswer upright = ask("view_file", {{QStringLiteral("filename"), QStringLiteral("upright.jpg")}});
    QVERIFY2(upright.text.contains(QStringLiteral("2000 x 3000 pixels")) && seen.loadFromData(upright.images.value(0)), qPrintable(upright.text));
    QCOMPARE(seen.size(), QSize(683, 1024));
    const ToolAnswer grey = ask("view_file", {{QStringLiteral("filename"), QStringLiteral("grey.tiff")}});
    QVERIFY2(seen.loadFromData(grey.images.value(0)), qPrintable(grey.text));
    QVERIFY(qGray(seen.pixel(100, 400)) < 30 && qGray(seen.pixel(900, 400)) > 225);
}

// Every form in which answers name a file, and the forms models make of them.
void TestFileTools::names_data()
{
    QTest::addColumn<QString>("name");
    for (const char *name : {"chart.png", "./chart.png", "/app/sandbox_data/files/chart.png", "files/chart.png", "/app/sandbox_data/files/files/chart.png",
                             "sandbox:/app/sandbox_data/files/chart.png", "file:///app/sandbox_data/files/chart.png",
                             "power://sessions/files/files/chart.png", "LINK", "LINKPATH", "CHART", "/charts/files/chart.png"})
        QTest::newRow(name) << QString::fromLatin1(name);
}

void TestFileTools::names()
{
    QFETCH(QString, name);
    name.replace(QStringLiteral("LINKPATH"), QUrl(m_link).path()).replace(QStringLiteral("LINK"), m_link).replace(QStringLiteral("CHART"), m_chart);
    const ToolAnswer seen = fetch(name);
    QVERIFY2(seen.images.size() == 1, qPrintable(seen.text));
    // A link or URI names its session itself.
    if (name.contains(QStringLiteral("://")) && !name.startsWith(QStringLiteral("file:"))) {
        const ToolAnswer elsewhere = m_server.tool("fetch_file", {{QStringLiteral("filename"), name}});
        QVERIFY2(elsewhere.images.size() == 1, qPrintable(elsewhere.text));
    }
    const ToolAnswer deep = fetch(QStringLiteral("power://sessions/files/files/out/deep/%C3%9C%20%E6%95%B0%E6%8D%AE.txt"));
    QVERIFY2(deep.text.endsWith(QStringLiteral("deep\n")), qPrintable(deep.text));
}

void TestFileTools::outside_data()
{
    QTest::addColumn<QString>("name");
    for (const char *name : {"../files2/secret.txt", "out/../../files2/secret.txt", "/etc/passwd", "file:///etc/passwd", "sandbox:/etc/passwd", "link",
                             "linked/passwd", "inner", "pipe", "out", "", "/app/sandbox_data/files2/secret.txt", "/app/sandbox_data/../../etc/passwd",
                             "power://sessions/files/files/../../files2/secret.txt", "power://sessions/../files/x", "power://sessions/files/files//etc/passwd",
                             "/dl/00000000-0000-4000-8000-000000000000/x", "/dl/..%2f..%2fx/x", "http://169.254.169.254/dl/x/y",
                             "/proc/self/environ", "C:\\Windows\\win.ini", "data.csv\n../x", "%2e%2e/files2/secret.txt", "..", "."})
        QTest::newRow(name) << QString::fromLatin1(name);
    QTest::newRow("NUL") << QStringLiteral("data.csv") + QChar(0) + QStringLiteral(".png");
}

void TestFileTools::outside()
{
    QFETCH(QString, name);
    static bool made = false;
    if (!made)
        made = !m_server.run(QStringLiteral("open('secret.txt', 'w').write('the secret')"), QStringLiteral("files2")).isError;
    for (const char *tool : {"fetch_file", "view_file", "delete_file"}) {
        const ToolAnswer refused = ask(tool, {{QStringLiteral("filename"), name}});
        QVERIFY2(!refused.text.contains(QStringLiteral("root:")) && !refused.text.contains(QStringLiteral("the secret")), qPrintable(refused.text));
        // Removing a link removes the link, in the session.
        if (qstrcmp(tool, "delete_file") != 0 || (name != u"link" && name != u"inner" && name != u"pipe"))
            QVERIFY2(refused.isError, qPrintable(QLatin1String(tool) + refused.text));
    }
    QVERIFY(QFile::exists(QStringLiteral("/etc/passwd")));
    QVERIFY(m_server.tool("fetch_file", {{QStringLiteral("filename"), QStringLiteral("secret.txt")}, {QStringLiteral("session_id"), QStringLiteral("files2")}})
                .text.contains(QStringLiteral("the secret")));
}

void TestFileTools::otherSessions()
{
    const ToolAnswer other = ask("fetch_file", {{QStringLiteral("filename"), QStringLiteral("/app/sandbox_data/files2/secret.txt")}});
    QVERIFY2(other.text.contains(QStringLiteral("session_id=\"files2\"")), qPrintable(other.text));
}

// fetch_from_url names a file by what comes.
void TestFileTools::fetchNames_data()
{
    QTest::addColumn<QString>("url");
    QTest::addColumn<QString>("name"); // asked for
    QTest::addColumn<QString>("saved");
    QTest::addColumn<QString>("told");
    QTest::newRow("name of the link") << QStringLiteral("LINK") << QString() << QStringLiteral("chart.png") << QString();
    QTest::newRow("given name") << QStringLiteral("LINK") << QStringLiteral("a/b/mine.png") << QStringLiteral("mine.png") << QString();
    QTest::newRow("ending by content") << QStringLiteral("LINK") << QStringLiteral("mine") << QStringLiteral("mine.png") << QString();
    QTest::newRow("content is something else") << QStringLiteral("LINK") << QStringLiteral("mine.xlsx") << QStringLiteral("mine.xlsx")
                                               << QStringLiteral("Its content is not a ZIP archive as .xlsx says; it looks like image/png.");
}

void TestFileTools::fetchNames()
{
    QFETCH(QString, url);
    QFETCH(QString, name);
    QFETCH(QString, saved);
    QFETCH(QString, told);
    static bool allowed = false;
    if (!allowed) { // the server may fetch from itself
        QVERIFY(m_server.stop());
        QVERIFY2(m_server.start({QStringLiteral("--tool-profile=all"), QStringLiteral("--fetch-allow-origins=") + m_server.url().toString(), QStringLiteral("--port=%1").arg(m_server.url().port())}),
                 m_server.output().constData());
        allowed = true;
    }
    QJsonObject arguments{{QStringLiteral("url"), url.replace(QStringLiteral("LINK"), m_link)}};
    if (!name.isEmpty())
        arguments.insert(QStringLiteral("filename"), name);
    const ToolAnswer got = ask("fetch_from_url", arguments);
    QVERIFY2(!got.isError && got.text.contains(QStringLiteral("Saved %1 (").arg(saved)), qPrintable(got.text));
    QVERIFY2(got.text.contains(told), qPrintable(got.text));
}

// A call turns into a stream when it takes more than a second: the source gives a part every half second.
void TestFileTools::fetchTellsHowFarItIs()
{
    QTcpServer source;
    QVERIFY(source.listen(QHostAddress::LocalHost));
    connect(&source, &QTcpServer::newConnection, this, [&source] {
        QTcpSocket *socket = source.nextPendingConnection();
        socket->write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6000\r\nConnection: close\r\n\r\n");
        auto *pace = new QTimer(socket);
        connect(pace, &QTimer::timeout, socket, [socket, sent = 0]() mutable {
            socket->write(QByteArray(1000, 'x'));
            if (++sent == 6)
                socket->disconnectFromHost();
        });
        pace->start(500);
    });
    const QString origin = QStringLiteral("http://127.0.0.1:%1").arg(source.serverPort());
    QVERIFY(m_server.stop());
    QVERIFY2(m_server.start({QStringLiteral("--tool-profile=all"), QStringLiteral("--fetch-allow-origins=") + origin}), m_server.output().constData());
    const QJsonObject arguments{{QStringLiteral("url"), origin + QStringLiteral("/slow.txt")}, {QStringLiteral("session_id"), QStringLiteral("files")}};
    const QJsonObject params{{QStringLiteral("name"), QStringLiteral("fetch_from_url")}, {QStringLiteral("arguments"), arguments},
                             {QStringLiteral("_meta"), QJsonObject{{QStringLiteral("progressToken"), QStringLiteral("far")}}}};
    const QJsonObject call{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), 1}, {QStringLiteral("method"), QStringLiteral("tools/call")},
                           {QStringLiteral("params"), params}};
    int status = 0;
    const QByteArray stream = m_server.http("POST", QStringLiteral("/mcp"), QJsonDocument(call).toJson(QJsonDocument::Compact), &status,
                                            {{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}});
    QCOMPARE(status, 200);
    double last = 0;
    for (const QByteArray &line : stream.split('\n')) {
        const QJsonObject message = QJsonDocument::fromJson(line.mid(line.indexOf('{'))).object();
        if (message[QLatin1String("method")] != QStringLiteral("notifications/progress"))
            continue;
        const QJsonObject told = message[QLatin1String("params")].toObject();
        QCOMPARE(told[QLatin1String("progressToken")].toString(), QStringLiteral("far"));
        QVERIFY2(told[QLatin1String("progress")].toDouble() > last && told[QLatin1String("total")].toDouble() == 6000, line.constData());
        last = told[QLatin1String("progress")].toDouble();
    }
    QVERIFY2(last > 0 && stream.contains("Saved slow.txt (6,000 bytes)"), stream.left(2000).constData());
}

void TestFileTools::fetchRefused_data()
{
    QTest::addColumn<QString>("url");
    QTest::addColumn<QString>("reason");
    const auto row = [](const char *url, const char *reason) { QTest::newRow(url) << QString::fromLatin1(url) << QString::fromLatin1(reason); };
    for (const char *url : {"http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/",
                            "http://[::ffff:169.254.169.254]/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fd00:ec2::254]/"})
        row(url, "an address that is private, local or reserved");
    row("http://user:pw@example.org/", "user name or password");
    row("http://example.org@127.0.0.1/", "user name or password");
    row("gopher://example.org/x", "Only http and https URLs can be fetched, not \"gopher:\"");
    row("ftp://example.org/x", "Only http and https");
    row("file:///etc/passwd", "must be a complete http or https URL");
}

void TestFileTools::fetchRefused()
{
    QFETCH(QString, url);
    QFETCH(QString, reason);
    const ToolAnswer refused = ask("fetch_from_url", {{QStringLiteral("url"), url}});
    QVERIFY2(refused.isError && refused.text.contains(reason), qPrintable(refused.text));
}

void TestFileTools::cleanupTestCase()
{
    QVERIFY2(m_server.stop(), m_server.output().constData());
}

QTEST_GUILESS_MAIN(TestFileTools)
#include "tst_file_tools.moc"
