// view_file: pages of documents as pictures, drawn by LibreOffice and poppler behind the sandbox of each tier.
#include "app/ServerProcess.h"
#include <QDir>
#include <QImage>
#include <QTemporaryDir>
#include <QTest>
#include <unistd.h>

using namespace power::test;

class TestFilePages : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void withoutOffice();
    void pages_data();
    void pages();
    void pagesRefused_data();
    void pagesRefused();
    void cleanup();
    void cleanupTestCase();

private:
    std::unique_ptr<ServerProcess> m_server;
    QTemporaryDir m_made, m_profile;
};

// A server without LibreOffice says so, and what can be done; other views work.
void TestFilePages::withoutOffice()
{
    if (::geteuid() != 0)
        QSKIP("hiding LibreOffice from a server needs root");
    m_server = std::make_unique<ServerProcess>();
    m_server->hide(QStringLiteral("/usr/lib/libreoffice/program"));
    QVERIFY2(m_server->start({QStringLiteral("--tool-profile=all")}), m_server->output().constData());
    const QString session = QStringLiteral("bare");
    m_server->run(QStringLiteral("import docx\nd = docx.Document(); d.add_heading('x', 0); d.save('r.docx')\nopen('t.csv', 'w').write('a\\n1\\n')"), session);
    const ToolAnswer refused = m_server->tool("view_file", {{QStringLiteral("filename"), QStringLiteral("r.docx")}, {QStringLiteral("session_id"), session}});
    QVERIFY2(refused.isError && refused.text.contains(u"no LibreOffice") && refused.text.contains(u"installer/install-deps.sh office")
                 && refused.text.contains(u"execute_code"), qPrintable(refused.text));
    const ToolAnswer table = m_server->tool("view_file", {{QStringLiteral("filename"), QStringLiteral("t.csv")}, {QStringLiteral("session_id"), session}});
    QVERIFY2(!table.isError, qPrintable(table.text));
}

// Documents of other formats, made by the LibreOffice of this machine.
void TestFilePages::initTestCase()
{
    const auto write = [this](const char *name, const QByteArray &content) {
        QFile file(m_made.filePath(QLatin1String(name)));
        return file.open(QIODevice::WriteOnly) && file.write(content) == content.size();
    };
    QByteArray slides = "<?xml version='1.0' encoding='UTF-8'?><office:document xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' "
                        "xmlns:draw='urn:oasis:names:tc:opendocument:xmlns:drawing:1.0' xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0' "
                        "xmlns:svg='urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0' office:version='1.3' "
                        "office:mimetype='application/vnd.oasis.opendocument.presentation'><office:body><office:presentation>";
    for (const char *title : {"One", "Two \xc3\xa4", "Three"})
        slides += QByteArray("<draw:page draw:name='") + title + "'><draw:frame svg:x='2cm' svg:y='2cm' svg:width='20cm' svg:height='5cm'><draw:text-box>"
                  "<text:p>Slide " + title + "</text:p></draw:text-box></draw:frame></draw:page>";
    slides += "</office:presentation></office:body></office:document>";
    QVERIFY(write("slides.fodp", slides) && write("text.txt", "An old text of two words\n") && write("cells.csv", "a,b\n1,2\n3,4\n"));
    for (const auto &[source, form] : {std::pair("slides.fodp", "pptx"), {"slides.fodp", "odp"}, {"slides.fodp", "ppt"}, {"text.txt", "odt"},
                                       {"text.txt", "doc"}, {"text.txt", "rtf"}, {"cells.csv", "ods"}, {"cells.csv", "xls"}}) {
        if (!qEnvironmentVariableIsSet("POWER_TEST_FULL") && qstrcmp(form, "pptx") != 0 && qstrcmp(form, "odt") != 0)
            continue;
        QProcess office;
        office.setWorkingDirectory(m_made.path());
        QStringList arguments{QStringLiteral("-env:UserInstallation=file://") + m_profile.path(), QStringLiteral("--headless"),
                              QStringLiteral("--convert-to"), QLatin1String(form), QLatin1String(source)};
        if (qstrcmp(source, "slides.fodp") == 0)
            arguments.prepend(QStringLiteral("--infilter=OpenDocument Presentation Flat XML"));
        office.start(QStringLiteral("soffice"), arguments);
        QVERIFY2(office.waitForFinished(60'000), "LibreOffice is needed: installer/install-deps.sh office");
        const QString made = m_made.filePath(QString::fromLatin1(source).section(u'.', 0, 0) + u'.' + QLatin1String(form));
        QVERIFY2(QFile::exists(made), office.readAllStandardError().constData());
    }
    for (const char *source : {"slides.fodp", "text.txt", "cells.csv"})
        QFile::remove(m_made.filePath(QLatin1String(source)));
}

// In each tier poppler and LibreOffice, behind the sandbox.
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
    for (const QFileInfo &each : QDir(m_made.path()).entryInfoList(QDir::Files)) {
        QFile file(each.filePath());
        QVERIFY(file.open(QIODevice::ReadOnly));
        const ToolAnswer put = m_server->tool("upload_file", {{QStringLiteral("filename"), each.fileName()}, {QStringLiteral("session_id"), session},
                                                              {QStringLiteral("content_base64"), QString::fromLatin1(file.readAll().toBase64())}});
        QVERIFY2(!put.isError, qPrintable(put.text));
    }
    const auto view = [&](const char *name, const char *which) {
        return m_server->tool("view_file", {{QStringLiteral("filename"), QLatin1String(name)}, {QStringLiteral("pages"), QLatin1String(which)},
                                           {QStringLiteral("session_id"), session}});
    };
    using Wanted = std::tuple<const char *, const char *, const char *, int>;
    QList<Wanted> all{{"paper.pdf", "2-3", "Pages 2-3 of 4", 2}, {"report.docx", "1", "Pages 1-1 of ", 1}};
    if (tier.isEmpty()) // every one that is promised
        all << Wanted{"table.xlsx", "1", "Pages 1-1 of 1", 1} << Wanted{"slides.pptx", "2-3", "Pages 2-3 of 3", 2};
    const QFileInfoList others = QDir(m_made.path()).entryInfoList({QStringLiteral("text.*"), QStringLiteral("cells.*"), QStringLiteral("slides.o*"), QStringLiteral("slides.ppt")});
    QByteArrayList names;
    for (const QFileInfo &other : others)
        names << other.fileName().toUtf8();
    for (const QByteArray &name : std::as_const(names)) {
        if (tier.isEmpty())
            all << Wanted{name.constData(), "1", name.startsWith("slides") ? "Pages 1-1 of 3" : "Pages 1-1 of 1", 1};
    }
    for (const auto &[name, which, text, count] : std::as_const(all)) {
        const ToolAnswer seen = view(name, which);
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
