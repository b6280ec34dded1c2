// Disposition, ranges and tags.
#include "downloads/FileHeaders.h"
#include <QTest>

using namespace power;
using namespace power::downloads;

class tst_file_headers : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void dispositions_data()
    {
        QTest::addColumn<QString>("name");
        QTest::addColumn<QByteArray>("value");
        QTest::newRow("plain") << QStringLiteral("out/report.xlsx")
                               << QByteArray(
                                      "attachment; filename=\"report.xlsx\"; filename*=UTF-8''report.xlsx");
        QTest::newRow("unicode") << QStringLiteral("Übersicht 表.csv")
                                 << QByteArray("attachment; filename=\"Ubersicht _.csv\"; "
                                               "filename*=UTF-8''%C3%9Cbersicht%20%E8%A1%A8.csv");
        QTest::newRow("quotes") << QStringLiteral("a\"b\\c'd(1)*%.csv")
                                << QByteArray("attachment; filename=\"a_b_c'd(1)*_.csv\"; "
                                              "filename*=UTF-8''a%22b%5Cc%27d%281%29%2A%25.csv");
        QTest::newRow("emoji") << QStringLiteral("\U0001F600.png")
                               << QByteArray(
                                      "attachment; filename=\"_.png\"; filename*=UTF-8''%F0%9F%98%80.png");
        QTest::newRow("line break")
            << QStringLiteral("a\r\nX: y")
            << QByteArray("attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y");
    }
    void dispositions()
    {
        QFETCH(QString, name);
        QTEST(contentDisposition(Disposition::Attachment, name), "value");
    }

    void ranges_data()
    {
        QTest::addColumn<QByteArray>("header");
        QTest::addColumn<int>("kind");
        QTest::addColumn<qint64>("first");
        QTest::addColumn<qint64>("length");
        const auto row = [](const char *header, int kind, qint64 first, qint64 length) {
            QTest::newRow(header) << QByteArray(header) << kind << first << length;
        };
        row("", ByteRanges::Whole, 0, 0);
        row("bytes=0-9", ByteRanges::Parts, 0, 10);
        row("Bytes=90-", ByteRanges::Parts, 90, 10);
        row("bytes=90-", ByteRanges::Parts, 90, 10);
        row("bytes=90-1000", ByteRanges::Parts, 90, 10);
        row("bytes=-10", ByteRanges::Parts, 90, 10);
        row("bytes=-1000", ByteRanges::Parts, 0, 100);
        row("bytes=100-", ByteRanges::Unsatisfiable, 0, 0);
        row("bytes=-0", ByteRanges::Unsatisfiable, 0, 0);
        row("bytes=9-1", ByteRanges::Whole, 0, 0);
        row("bytes=0-1,5-6", ByteRanges::Parts, 0, 2);
        row("bytes=200-,5-6", ByteRanges::Parts, 5, 2);
        row("bytes=200-,300-", ByteRanges::Unsatisfiable, 0, 0);
        row("bytes=0-1,x", ByteRanges::Whole, 0, 0);
        row("bytes=0-,0-,0-", ByteRanges::Whole, 0, 0);
        row("bytes=-", ByteRanges::Whole, 0, 0);
        row("bytes=--5", ByteRanges::Whole, 0, 0);
        row("bytes=x-5", ByteRanges::Whole, 0, 0);
        row("bytes=99999999999999999999-", ByteRanges::Whole, 0, 0);
        row("items=0-9", ByteRanges::Whole, 0, 0);
    }
    void ranges()
    {
        QFETCH(QByteArray, header);
        const ByteRanges ranges = rangesOf(header, 100);
        QTEST(int(ranges.kind), "kind");
        const ByteRange range = ranges.parts.value(0);
        QTEST(range.first, "first");
        QTEST(range.length, "length");
    }

    void tags()
    {
        QVERIFY(matchesTag("\"a\"", "\"a\""));
        QVERIFY(matchesTag("\"b\", W/\"a\"", "\"a\""));
        QVERIFY(matchesTag("*", "\"a\""));
        QVERIFY(!matchesTag("", "\"a\""));
        QVERIFY(!matchesTag("\"b\"", "\"a\""));
        QVERIFY(mayServe("", "\"a\"") && mayServe("*", "\"a\"") && mayServe("\"b\", \"a\"", "\"a\""));
        QVERIFY(!mayServe("\"b\"", "\"a\"") && !mayServe("W/\"a\"", "\"a\""));
    }

    void scriptableTypesAreSandboxed()
    {
        files::StoredFile file;
        file.name = QStringLiteral("x");
        for (const char *type : {"text/html", "image/svg+xml", "application/xml"}) {
            file.mime = QLatin1String(type);
            QCOMPARE(contentHeaders(file.mime, file.name, file.sessionId, Disposition::Inline).value("Content-Security-Policy"),
                     QByteArray("sandbox"));
        }
        file.mime = QStringLiteral("image/png");
        QVERIFY(!contentHeaders(file.mime, file.name, file.sessionId, Disposition::Inline).contains("Content-Security-Policy"));
        file.mime = QStringLiteral("a\r\nb");
        QCOMPARE(contentHeaders(file.mime, file.name, file.sessionId, Disposition::Inline).value("Content-Type"),
                 QByteArray("application/octet-stream"));
    }
};

QTEST_GUILESS_MAIN(tst_file_headers)
#include "tst_file_headers.moc"
