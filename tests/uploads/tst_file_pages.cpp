// view_file: pages of documents as pictures, drawn by LibreOffice and poppler behind the sandbox of each tier.
#include "app/ServerProcess.h"
#include <QImage>
#include <QTest>
#include <unistd.h>

using namespace power::test;

class TestFilePages : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void pages_data();
    void pages();
    void pagesRefused_data();
    void pagesRefused();
    void cleanup();
    void cleanupTestCase();

private:
    std::unique_ptr<ServerProcess> m_server;
};

// In each tier poppler, in `full` LibreOffice too, behind the sandbox.
void TestFilePages::pages_data()
{
    QTest::addColumn<QString>("tier");
    QTest::newRow("full") << QString();
    QTest::newRow("container") << QStringLiteral("container");
    QTest::newRow("nonroot") << QStringLiteral("nonroot");
}

void TestFilePages::pages()
{
    QFETCH(QString, tier);
    QVERIFY(!m_server || m_server->stop());
    m_server = std::make_unique<ServerProcess>();
    if (tier == u"nonroot" && ::geteuid() == 0)
        m_server->runAs(64123);
    QStringList flags{QStringLiteral("--tool-profile=all")};
    if (!tier.isEmpty())
        flags << QStringLiteral("--sandbox-tier=") + tier;
    QVERIFY2(m_server->start(flags), m_server->output().constData());
    const QString session = QStringLiteral("pages");
    const ToolAnswer made = m_server->run(QStringLiteral(
        "import docx\n"
        "d = docx.Document(); d.add_heading('Report Äöü 数据', 0)\n"
        "for i in range(120): d.add_paragraph(f'line {i} ' * 9)\n"
        "d.save('report.docx')\n"
        "pd.DataFrame({'a': range(40)}).to_excel('table.xlsx')\n"
        "from reportlab.pdfgen import canvas\n"
        "c = canvas.Canvas('paper.pdf')\n"
        "for i in range(4): c.drawString(100, 700, f'page {i}'); c.showPage()\n"
        "c.save(); print('made')"), session);
    QVERIFY2(made.text.contains(QStringLiteral("made")), qPrintable(made.text));
    const auto view = [&](const char *name, const char *which) {
        return m_server->tool("view_file", {{QStringLiteral("filename"), QLatin1String(name)}, {QStringLiteral("pages"), QLatin1String(which)},
                                           {QStringLiteral("session_id"), session}});
    };
    for (const auto &[name, which, text, count] : {std::tuple("paper.pdf", "2-3", "Pages 2-3 of 4", 2), std::tuple("report.docx", "1", "Pages 1-1 of ", 1),
                                                   std::tuple("table.xlsx", "1", "Pages 1-1 of 1", 1)}) {
        const ToolAnswer seen = view(name, which);
        if (!tier.isEmpty() && qstrcmp(name, "paper.pdf") != 0) { // no /tmp of its own for LibreOffice's socket
            QVERIFY2(seen.isError && seen.text.contains(QStringLiteral("only in the sandbox tier full")), qPrintable(seen.text));
            continue;
        }
        QVERIFY2(!seen.isError && seen.text.contains(QLatin1String(text)), qPrintable(QLatin1String(name) + u' ' + seen.text));
        QCOMPARE(seen.images.size(), count);
        QImage page;
        QVERIFY(page.loadFromData(seen.images.value(0)));
        QCOMPARE(qMax(page.width(), page.height()), 1200);
        bool dark = false; // something is drawn
        for (int y = 0; y < page.height() && !dark; ++y)
            for (int x = 0; x < page.width() && !dark; ++x)
                dark = qGray(page.pixel(x, y)) < 100;
        QVERIFY2(dark, name);
    }
    const ToolAnswer sheet = m_server->tool("view_file", {{QStringLiteral("filename"), QStringLiteral("table.xlsx")}, {QStringLiteral("sheet"), QStringLiteral("Sheet1")},
                                                         {QStringLiteral("session_id"), session}});
    QVERIFY2(sheet.text.contains(QStringLiteral("40 rows x 2 columns")), qPrintable(sheet.text));
}

void TestFilePages::pagesRefused_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("pages");
    QTest::addColumn<QString>("reason");
    QTest::newRow("no such page") << QStringLiteral("paper.pdf") << QStringLiteral("9") << QStringLiteral("has 4 pages");
    QTest::newRow("bad range") << QStringLiteral("paper.pdf") << QStringLiteral("3-1") << QStringLiteral("pages must be");
    QTest::newRow("too many") << QStringLiteral("paper.pdf") << QStringLiteral("1-99") << QStringLiteral("at most 10");
    QTest::newRow("damaged") << QStringLiteral("broken.pdf") << QStringLiteral("1") << QStringLiteral("failed");
    QTest::newRow("no document") << QStringLiteral("broken.docx") << QStringLiteral("1") << QStringLiteral("");
    QTest::newRow("no view") << QStringLiteral("x.py") << QStringLiteral("1") << QStringLiteral("There is no view");
}

void TestFilePages::pagesRefused()
{
    QFETCH(QString, name);
    QFETCH(QString, pages);
    QFETCH(QString, reason);
    m_server->run(QStringLiteral("open('broken.pdf', 'wb').write(b'%PDF-1.4 nothing'); open('broken.docx', 'wb').write(b'PK\\x03\\x04' + b'\\0' * 999); open('x.py', 'w').write('')"),
                 QStringLiteral("pages"));
    const ToolAnswer refused = m_server->tool("view_file", {{QStringLiteral("filename"), name}, {QStringLiteral("pages"), pages}, {QStringLiteral("session_id"), QStringLiteral("pages")}});
    if (!reason.isEmpty())
        QVERIFY2(refused.isError && refused.text.contains(reason), qPrintable(refused.text));
}

void TestFilePages::cleanup()
{
    if (QTest::currentTestFailed())
        qWarning("%s", m_server->output().right(3000).constData());
}

void TestFilePages::cleanupTestCase()
{
    QVERIFY2(m_server->stop(), m_server->output().constData());
}

QTEST_GUILESS_MAIN(TestFilePages)
#include "tst_file_pages.moc"
