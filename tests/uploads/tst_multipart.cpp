// The multipart parser: every way to cut the input gives the same parts; hostile input ends in an error, in bounded memory.
#include "uploads/MultipartParser.h"
#include <QRandomGenerator>
#include <QTest>

using namespace power;
using namespace power::uploads;

namespace {
struct Seen : MultipartParser::Sink {
    struct Part {
        FormPart head;
        QByteArray content;
        bool whole = false;
    };
    QList<Part> parts;

    Result<Done> begin(const FormPart &part) override
    {
        parts << Part{part, {}, false};
        return Done{};
    }
    Result<Done> data(QByteArrayView bytes) override
    {
        parts.last().content.append(bytes.data(), bytes.size());
        return Done{};
    }
    Result<Done> end() override
    {
        parts.last().whole = true;
        return Done{};
    }
};

Result<Done> parse(const QByteArray &text, qsizetype step, Seen &seen, const QByteArray &boundary = "XX")
{
    MultipartParser parser(boundary, seen);
    for (qsizetype at = 0; at < text.size(); at += step) {
        const Result<Done> fed = parser.feed(QByteArrayView(text).sliced(at, qMin(step, text.size() - at)));
        if (!fed)
            return fed;
    }
    return parser.finish();
}

const QByteArray kForm = "preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"session_id\"\r\n\r\nabc\r\n"
                         "--XX  \r\ncontent-disposition: Form-Data; name=file; filename=\"C:\\data\\a \\\"b\\\" %22.csv\"\r\n"
                         "Content-Type: text/csv\r\n\r\n1,2\r\n--X\r\n--XY\r\n\r\n\r\n--XX\r\n"
                         "Content-Disposition: form-data; name=\"none\"; filename=\"\"\r\n\r\n\r\n--XX--\r\nepilogue --XX";
} // namespace

class TestMultipart : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void everyCut();
    void randomContent();
    void header_data();
    void header();
    void boundary_data();
    void boundary();
    void hostile_data();
    void hostile();
    void garbage();
};

void TestMultipart::everyCut()
{
    for (qsizetype step = 1; step <= kForm.size(); ++step) {
        Seen seen;
        const Result<Done> done = parse(kForm, step, seen);
        QVERIFY2(done.ok(), qPrintable(done ? QString() : done.error().message));
        QCOMPARE(seen.parts.size(), 3);
        QCOMPARE(seen.parts[0].content, QByteArray("abc"));
        QVERIFY(!seen.parts[0].head.isFile);
        QCOMPARE(seen.parts[1].head.fileName, QStringLiteral("C:\\data\\a \"b\" \".csv"));
        QCOMPARE(seen.parts[1].head.type, QByteArray("text/csv"));
        QCOMPARE(seen.parts[1].content, QByteArray("1,2\r\n--X\r\n--XY\r\n\r\n"));
        QVERIFY(seen.parts[2].whole && seen.parts[2].head.isFile && seen.parts[2].content.isEmpty());
    }
}

// Bytes that look like pieces of the boundary in every order, cut at random.
void TestMultipart::randomContent()
{
    QRandomGenerator random(7);
    const QByteArrayList words{"\r\n", "--", "XX", "-", "\r", "\n", "X", "\r\n--X", "\r\n-", "a"};
    for (int round = 0; round < 2000; ++round) {
        QByteArray content;
        for (int i = 0; i < 40; ++i)
            content += words.at(random.bounded(int(words.size())));
        if (("\r\n" + content + "\r\n").contains("\r\n--XX"))
            continue;
        const QByteArray text = "--XX\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n" + content + "\r\n--XX--";
        Seen seen;
        const Result<Done> done = parse(text, 1 + random.bounded(30), seen);
        QVERIFY2(done.ok() && seen.parts.size() == 1 && seen.parts[0].content == content, content.toHex());
    }
}

void TestMultipart::header_data()
{
    QTest::addColumn<QByteArray>("block");
    QTest::addColumn<QString>("fileName"); // null: refused
    QTest::newRow("plain") << QByteArray("Content-Disposition: form-data; name=\"a\"; filename=\"b.csv\"") << QStringLiteral("b.csv");
    QTest::newRow("utf-8") << QByteArray("Content-Disposition: form-data; name=\"a\"; filename=\"\xc3\x9c.csv\"") << QStringLiteral("Ü.csv");
    QTest::newRow("latin-1") << QByteArray("Content-Disposition: form-data; name=\"a\"; filename=\"\xdc.csv\"") << QStringLiteral("Ü.csv");
    QTest::newRow("extended") << QByteArray("Content-Disposition: form-data; name=a; filename*=UTF-8''%E2%82%AC.csv") << QStringLiteral("€.csv");
    QTest::newRow("semicolon inside") << QByteArray("Content-Disposition: form-data; name=\"a;b\"; filename=\"x;y=z.csv\"") << QStringLiteral("x;y=z.csv");
    QTest::newRow("no name") << QByteArray("Content-Disposition: form-data; filename=\"b.csv\"") << QString();
    QTest::newRow("attachment") << QByteArray("Content-Disposition: attachment; name=a; filename=b") << QString();
    QTest::newRow("none") << QByteArray("Content-Type: text/csv") << QString();
    QTest::newRow("fold") << QByteArray("Content-Disposition: form-data;\r\n name=a; filename=b") << QString();
    QTest::newRow("NUL") << QByteArray("Content-Disposition: form-data; name=a; filename=\"b\0c\"", 52) << QString();
    QTest::newRow("base64") << QByteArray("Content-Disposition: form-data; name=a; filename=b\r\nContent-Transfer-Encoding: base64") << QString();
    QTest::newRow("open quote") << QByteArray("Content-Disposition: form-data; name=a; filename=\"b") << QStringLiteral("b");
}

void TestMultipart::header()
{
    QFETCH(QByteArray, block);
    QFETCH(QString, fileName);
    const Result<FormPart> part = readPartHeader(block);
    QCOMPARE(part.ok(), !fileName.isNull());
    if (part)
        QCOMPARE(part->fileName, fileName);
}

void TestMultipart::boundary_data()
{
    QTest::addColumn<QByteArray>("type");
    QTest::addColumn<QByteArray>("boundary"); // empty: refused
    QTest::newRow("plain") << QByteArray("multipart/form-data; boundary=abc") << QByteArray("abc");
    QTest::newRow("quoted") << QByteArray("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"; x=y") << QByteArray("a b");
    QTest::newRow("other") << QByteArray("multipart/mixed; boundary=abc") << QByteArray();
    QTest::newRow("none") << QByteArray("multipart/form-data") << QByteArray();
    QTest::newRow("empty") << QByteArray("multipart/form-data; boundary=\"\"") << QByteArray();
    QTest::newRow("open quote") << QByteArray("multipart/form-data; boundary=\"ab") << QByteArray();
    QTest::newRow("blank end") << QByteArray("multipart/form-data; boundary=\"ab \"") << QByteArray();
    QTest::newRow("too long") << QByteArray("multipart/form-data; boundary=" + QByteArray(71, 'a')) << QByteArray();
    QTest::newRow("control") << QByteArray("multipart/form-data; boundary=a\x01") << QByteArray();
}

void TestMultipart::boundary()
{
    QFETCH(QByteArray, type);
    QFETCH(QByteArray, boundary);
    const Result<QByteArray> found = MultipartParser::boundaryOf(type);
    QCOMPARE(found.ok(), !boundary.isEmpty());
    if (found)
        QCOMPARE(*found, boundary);
}

void TestMultipart::hostile_data()
{
    QTest::addColumn<QByteArray>("text");
    const QByteArray part = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
    QTest::newRow("nothing") << QByteArray();
    QTest::newRow("no boundary") << QByteArray(1 << 20, 'a');
    QTest::newRow("cut in a header") << QByteArray("--XX\r\nContent-Disposition: form-data; na");
    QTest::newRow("cut in a body") << QByteArray("--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nabc");
    QTest::newRow("cut before the last hyphen") << QByteArray(part + "--XX-");
    QTest::newRow("endless header") << QByteArray("--XX\r\nA: " + QByteArray(1 << 20, 'a'));
    QTest::newRow("many header lines") << QByteArray("--XX\r\n" + QByteArray("A: b\r\n").repeated(10'000));
    QTest::newRow("empty header") << QByteArray("--XX\r\n\r\nabc\r\n--XX--");
    QTest::newRow("boundary goes on") << QByteArray("--XXY\r\n\r\nabc\r\n--XX--");
    QTest::newRow("boundary with a bare LF") << QByteArray("--XX\nContent-Disposition: form-data; name=a\n\nabc\n--XX--");
    QTest::newRow("blanks without end") << QByteArray("--XX" + QByteArray(1 << 16, ' '));
    QTest::newRow("too many parts") << QByteArray(part.repeated(1100) + "--XX--");
}

void TestMultipart::hostile()
{
    QFETCH(QByteArray, text);
    for (const qsizetype step : {qsizetype(1), qsizetype(7), qsizetype(4096), qsizetype(1 << 20)}) {
        if (step == 1 && text.size() > 100'000)
            continue;
        Seen seen;
        QVERIFY(!parse(text, step, seen));
    }
}

// Damaged forms: an error or an end, never more parts than allowed.
void TestMultipart::garbage()
{
    QRandomGenerator random(11);
    for (int round = 0; round < 20'000; ++round) {
        QByteArray text = kForm;
        for (int i = 0; i < 3; ++i) {
            const int at = random.bounded(int(text.size()));
            switch (random.bounded(3)) {
            case 0: text[at] = char(random.bounded(256)); break;
            case 1: text.remove(at, random.bounded(20)); break;
            default: text.insert(at, text.mid(random.bounded(int(text.size())), random.bounded(20)));
            }
        }
        Seen seen;
        const Result<Done> done = parse(text, 1 + random.bounded(64), seen);
        QVERIFY(done.ok() || !done.error().message.isEmpty());
        QVERIFY(seen.parts.size() < 100);
    }
}

QTEST_APPLESS_MAIN(TestMultipart)
#include "tst_multipart.moc"
