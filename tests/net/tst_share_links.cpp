// Share links as direct ones, and the names of files.
#include "net/FileName.h"
#include "net/ShareLinks.h"
#include <QTest>

using namespace power;
using namespace power::net;

class tst_share_links : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void fileNames()
    {
        QCOMPARE(dispositionFileName("attachment; filename=plain.csv"), QStringLiteral("plain.csv"));
        QCOMPARE(dispositionFileName("attachment; filename=\"a\\\"b;c.csv\"; x=y"),
                 QStringLiteral("a\"b;c.csv"));
        QCOMPARE(dispositionFileName("inline"), QString());
        const auto name = [](const char *a, const char *b) {
            return suggestedFileName({}, QUrl(QLatin1String(a)), QUrl(QLatin1String(b)));
        };
        QCOMPARE(name("http://h/d/a%20b.csv?x", "http://h/blob/123"), QStringLiteral("a b.csv"));
        QCOMPARE(name("http://h/download", "http://h/real.xlsx"), QStringLiteral("real.xlsx"));
        QCOMPARE(name("http://h/", "http://h/"), QString());
    }

    void shareLinks_data()
    {
        QTest::addColumn<QString>("link");
        QTest::addColumn<QString>("direct"); // empty: as it is
        QTest::addColumn<QString>("ending");
        const auto row = [](const char *link, const char *direct, const char *ending = "") {
            QTest::newRow(link) << QString::fromLatin1(link) << QString::fromLatin1(direct) << QString::fromLatin1(ending);
        };
        row("https://drive.google.com/file/d/1AbC-d_e/view?usp=sharing", "https://drive.usercontent.google.com/download?id=1AbC-d_e&export=download&confirm=t");
        row("https://drive.google.com/file/u/0/d/1AbC/view?resourcekey=0-x", "https://drive.usercontent.google.com/download?id=1AbC&export=download&confirm=t&resourcekey=0-x");
        row("https://drive.google.com/open?id=1AbC", "https://drive.usercontent.google.com/download?id=1AbC&export=download&confirm=t");
        row("https://docs.google.com/uc?export=download&id=1AbC", "https://drive.usercontent.google.com/download?id=1AbC&export=download&confirm=t");
        row("https://docs.google.com/spreadsheets/d/1AbC/edit#gid=0", "https://docs.google.com/spreadsheets/d/1AbC/export?format=xlsx", "xlsx");
        row("https://docs.google.com/spreadsheets/d/1AbC/export?format=csv&gid=2", "");
        row("https://docs.google.com/spreadsheets/d/e/2PACX-1/pubhtml", "https://docs.google.com/spreadsheets/d/e/2PACX-1/pub?output=xlsx", "xlsx");
        row("https://docs.google.com/spreadsheets/d/e/2PACX-1/pub?output=csv", "https://docs.google.com/spreadsheets/d/e/2PACX-1/pub?output=csv", "csv");
        row("https://docs.google.com/spreadsheets/u/1/d/1AbC/edit", "https://docs.google.com/spreadsheets/d/1AbC/export?format=xlsx", "xlsx");
        row("https://docs.google.com/a/example.org/document/d/1AbC/edit", "https://docs.google.com/document/d/1AbC/export?format=docx", "docx");
        row("https://docs.google.com/document/d/1AbC/edit", "https://docs.google.com/document/d/1AbC/export?format=docx", "docx");
        row("https://docs.google.com/presentation/d/1AbC/edit#slide=id.p", "https://docs.google.com/presentation/d/1AbC/export/pptx", "pptx");
        row("https://www.dropbox.com/scl/fi/abc/data.xlsx?rlkey=k1&st=x&dl=0", "https://www.dropbox.com/scl/fi/abc/data.xlsx?rlkey=k1&st=x&dl=1");
        row("https://www.dropbox.com/s/abc/data.xlsx", "https://www.dropbox.com/s/abc/data.xlsx?dl=1");
        row("https://github.com/o/r/blob/feature/x/data/a%20b.csv#L3", "https://github.com/o/r/raw/feature/x/data/a%20b.csv");
        row("https://github.com/o/r/tree/main", "");
        row("https://gist.github.com/user/0123456789abcdef0123456789abcdef", "https://gist.github.com/user/0123456789abcdef0123456789abcdef/raw");
        row("https://gitlab.com/g/s/p/-/blob/main/a.csv?ref_type=heads", "https://gitlab.com/g/s/p/-/raw/main/a.csv");
        row("https://bitbucket.org/o/r/src/main/a.csv", "https://bitbucket.org/o/r/raw/main/a.csv");
        row("https://huggingface.co/datasets/o/d/blob/main/a.parquet", "https://huggingface.co/datasets/o/d/resolve/main/a.parquet");
        row("https://1drv.ms/x/s!AbC", "https://api.onedrive.com/v1.0/shares/u!aHR0cHM6Ly8xZHJ2Lm1zL3gvcyFBYkM/root/content");
        row("https://contoso.sharepoint.com/:x:/s/Team/EAbc?e=q1", "https://contoso.sharepoint.com/:x:/s/Team/EAbc?e=q1&download=1");
        row("https://contoso.sharepoint.com/sites/Team", "");
        row("https://example.org/blob/x.csv", "");
        row("https://notdropbox.com/s/abc", "");
        row("https://drive.google.com.evil.example/file/d/1/view", "");
        row("file:///drive.google.com/file/d/1", "");
    }
    void shareLinks()
    {
        QFETCH(QString, link);
        QFETCH(QString, direct);
        const DirectLink got = directLink(QUrl(link));
        QCOMPARE(QString::fromLatin1(got.url.toEncoded()), direct.isEmpty() ? link : direct);
        QCOMPARE(got.host.isEmpty(), direct.isEmpty());
        QTEST(got.ending, "ending");
    }
};

QTEST_GUILESS_MAIN(tst_share_links)
#include "tst_share_links.moc"
