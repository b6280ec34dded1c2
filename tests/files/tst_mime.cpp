// Media types by content and name.
#include "files/FileStore.h"
#include <QTest>

using namespace power::files;

class tst_mime : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void types_data()
    {
        QTest::addColumn<QString>("name");
        QTest::addColumn<QByteArray>("head");
        QTest::addColumn<QString>("mime");
        const QByteArray png = QByteArrayLiteral("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
                         zip = QByteArrayLiteral("PK\x03\x04\0\0");
        const auto row = [](const char *name, const QByteArray &head, const char *mime) {
            QTest::addRow("%s %s", name, head.left(6).toHex().constData())
                << QString::fromLatin1(name) << head << QString::fromLatin1(mime);
        };
        row("chart.png", png, "image/png");
        row("lying.csv", png, "image/png");
        row("noname", png, "image/png");
        row("fake.png", "just text", "text/plain; charset=utf-8");
        row("fake.jpg", QByteArray("\0\1\2", 3), "application/octet-stream");
        row("a.jpg", QByteArray("\xff\xd8\xff\xe0", 4), "image/jpeg");
        row("a.webp", QByteArray("RIFF\1\2\3\4WEBPVP8 ", 16), "image/webp");
        row("a.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml");
        row("a.csv", "a,b\n1,2\n", "text/csv");
        row("a.csv", QByteArray("\0\0\0", 3), "application/octet-stream");
        row("a.tsv", "a\tb", "text/tab-separated-values");
        row("a.json", "{}", "application/json");
        row("a.jsonl", "{}\n{}", "application/x-ndjson");
        row("report.xlsx", zip, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
        row("v1.2.xlsx", zip, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
        row("a.docx", zip, "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
        row("a.zip", zip, "application/zip");
        row("a.bin", zip, "application/zip");
        row("a.parquet", "PAR1xxxx", "application/vnd.apache.parquet");
        row("a", "PAR1xxxx", "application/vnd.apache.parquet");
        row("a.pdf", "%PDF-1.7", "application/pdf");
        row("a.db", QByteArray("SQLite format 3\0", 16), "application/vnd.sqlite3");
        row("a.html", "<html>", "text/html");
        row("a.md", "# x", "text/markdown");
        row("a.pkl", QByteArray("\x80\x04", 2), "application/octet-stream");
        row("unknown", "hello", "text/plain; charset=utf-8");
        row("unknown", QByteArray("\1\0\2", 3), "application/octet-stream");
        row("empty", "", "text/plain; charset=utf-8");
        row("empty.csv", "", "text/csv");
    }
    void types()
    {
        QFETCH(QString, name);
        QFETCH(QByteArray, head);
        QTEST(mimeOf(name, head), "mime");
    }
    void paths()
    {
        StoredFile file;
        file.id = QStringLiteral("id");
        file.chartSlug = QStringLiteral("q3");
        file.name = QStringLiteral("out dir/Über 表#1?.png");
        QCOMPARE(file.downloadPath(), QStringLiteral("/dl/id/%C3%9Cber%20%E8%A1%A8%231%3F.png"));
        QCOMPARE(file.chartPath(), QStringLiteral("/charts/q3/out%20dir/%C3%9Cber%20%E8%A1%A8%231%3F.png"));
    }
};

QTEST_GUILESS_MAIN(tst_mime)
#include "tst_mime.moc"
