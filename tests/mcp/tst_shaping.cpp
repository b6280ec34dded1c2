// Bounded answers: never above the budget, links whole, valid characters, tails of tracebacks kept, JSON stays JSON.
#include "mcp/ResultShaping.h"
#include "mcp/Rpc.h"
#include "mcp/StructuredBudget.h"
#include "mcp/TextBudget.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QRandomGenerator>
#include <QRegularExpression>
#include <QTest>

using namespace power;
using namespace power::mcp;
using namespace power::operations;

namespace {
QString randomText(QRandomGenerator &random, int most)
{
    static const QStringList pieces{
        QStringLiteral("word "), QStringLiteral("\n"), QString::fromUtf8("\xf0\x9f\x93\x8a"), QString::fromUtf8("\xc3\xa9"),
        QStringLiteral("a,b,c;"), QStringLiteral("\t"), QStringLiteral("https://host.example/some/path?x=1 "),
        QStringLiteral("\nDownload URL: https://host.example/dl/0b0e7c1e-8a52-4c2b-9a94-0f3f0a1b2c3d/report.xlsx\n"),
        QStringLiteral("\"\\{}"), QString(300, u'x'), QStringLiteral("Traceback (most recent call last):\n")};
    QString text;
    const int size = random.bounded(1, most);
    while (text.size() < size)
        text += pieces.at(random.bounded(pieces.size()));
    return text;
}

bool hasLoneSurrogate(const QString &text)
{
    for (qsizetype i = 0; i < text.size(); ++i) {
        if (text.at(i).isHighSurrogate() && i + 1 < text.size() && text.at(i + 1).isLowSurrogate())
            ++i;
        else if (text.at(i).isSurrogate())
            return true;
    }
    return false;
}

QString contentText(const QJsonObject &result)
{
    QString text;
    for (const QJsonValue &block : result.value(QLatin1String("content")).toArray())
        text += block[QLatin1String("text")].toString();
    return text;
}

Block textBlock(const QString &text)
{
    Block block;
    block.text = text;
    return block;
}
} // namespace

class TestShaping : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void neverAboveTheBudget()
    {
        QRandomGenerator random(20261122);
        const QRegularExpression link(QStringLiteral("https?://[^\\s]*"));
        for (int round = 0; round < 400; ++round) {
            QStringList texts;
            for (int n = random.bounded(1, 5); n > 0; --n)
                texts << randomText(random, 30'000);
            const qsizetype budget = random.bounded(600, 40'000);
            const QStringList fitted = fitTexts(texts, budget);
            QCOMPARE(fitted.size(), texts.size());
            qsizetype total = 0;
            for (const QString &text : fitted)
                total += text.size();
            QVERIFY2(total <= budget, qPrintable(QStringLiteral("round %1: %2 > %3").arg(round).arg(total).arg(budget)));
            const QString all = texts.join(QString());
            for (const QString &text : fitted) {
                QVERIFY2(!hasLoneSurrogate(text), qPrintable(QStringLiteral("round %1").arg(round)));
                for (auto it = link.globalMatch(text); it.hasNext();) {
                    const QString found = it.next().captured();
                    const bool whole = found == u"https://host.example/some/path?x=1"
                        || found == u"https://host.example/dl/0b0e7c1e-8a52-4c2b-9a94-0f3f0a1b2c3d/report.xlsx";
                    QVERIFY2(whole, qPrintable(QStringLiteral("round %1: %2").arg(round).arg(found)));
                }
            }
        }
    }

    void theMarkCountsWhatIsGone()
    {
        QString text;
        for (int i = 0; i < 5000; ++i)
            text += QStringLiteral("line %1\n").arg(i);
        const QString cut = cutText(text, 4000);
        const auto mark = QRegularExpression(QStringLiteral("\\[\\.\\.\\. ([0-9,]+) characters cut \\.\\.\\.\\]\n")).match(cut);
        QVERIFY(mark.hasMatch());
        QCOMPARE(mark.captured(1).remove(u',').toInt(), text.size() - (cut.size() - mark.capturedLength()));
        QVERIFY(cut.startsWith(QStringLiteral("line 0\n")));
        QVERIFY(cut.endsWith(QStringLiteral("line 4999\n")));
        QVERIFY(cut.size() > 3800);
        for (const QString &line : cut.split(u'\n', Qt::SkipEmptyParts))
            QVERIFY2(line.startsWith(QStringLiteral("line ")) || line.startsWith(u'['), qPrintable(line));
    }

    void linksInTheCutPartAreKept()
    {
        const QString line = QStringLiteral("Download URL: https://h.example/dl/0b0e7c1e/chart.png\n");
        const QString text = QString(20'000, u'a') + u'\n' + line + QString(20'000, u'b');
        const QString cut = cutText(text, 3000);
        QVERIFY(cut.size() <= 3000);
        QVERIFY(cut.contains(line));
    }

    void runWithHugeOutputKeepsErrorFilesAndImages()
    {
        Answer answer;
        answer.userError = true;
        answer.blocks << textBlock(QString(200'000, u'x') + QStringLiteral("\nExecution Error: KeyError: 'n'\nTraceback:\n")
                                   + QString(2000, u't') + QStringLiteral("\nKeyError: 'n'"));
        answer.blocks << textBlock(QStringLiteral("File: a.xlsx (1.0 KB)\nDownload URL: https://h.example/dl/1/a.xlsx\nExecution: 5ms"));
        Block image;
        image.kind = Block::Kind::Image;
        image.text = QStringLiteral("chart.png");
        image.data = QByteArray(90'000, 'i');
        image.mime = "image/png";
        answer.blocks.prepend(image);
        answer.notes << QStringLiteral("timeout 900 was lowered to 300");
        for (const bool isError : {true, false}) {
            ShapeRules rules;
            rules.userErrorIsError = isError;
            const QJsonObject result = shapeResult(answer, rules);
            const QString text = contentText(result);
            QVERIFY(text.size() <= (isError ? 10'000 : 45'000));
            QVERIFY(text.size() > (isError ? 9'000 : 40'000));
            for (const char *kept : {"Execution Error: KeyError", "\nKeyError: 'n'", "https://h.example/dl/1/a.xlsx", "Execution: 5ms",
                                     "characters cut", "Note: timeout 900"})
                QVERIFY2(text.contains(QLatin1String(kept)), kept);
            const QJsonArray content = result.value(QStringLiteral("content")).toArray();
            QCOMPARE(content.last()[QLatin1String("type")].toString(), QStringLiteral("image"));
            QCOMPARE(content.last()[QLatin1String("data")].toString().size(), 120'000);
            QCOMPARE(result.value(QStringLiteral("isError")), QJsonValue(isError));
            QVERIFY(!result.contains(QStringLiteral("structuredContent")));
        }
    }

    void imagesThatDoNotFitLeaveTheirLine()
    {
        Answer answer;
        Block image;
        image.kind = Block::Kind::Image;
        image.text = QStringLiteral("big.png https://h.example/charts/s/big.png");
        image.data = QByteArray(900, 'i');
        image.mime = "image/png";
        answer.blocks << image << image;
        ShapeRules rules;
        rules.maxImageBase64 = 1300;
        QJsonArray content = shapeResult(answer, rules).value(QStringLiteral("content")).toArray();
        QCOMPARE(content.size(), 2);
        QVERIFY(content[0][QLatin1String("text")].toString().contains(QStringLiteral("/charts/s/big.png")));
        rules.images = false;
        content = shapeResult(answer, rules).value(QStringLiteral("content")).toArray();
        QCOMPARE(content[1][QLatin1String("type")].toString(), QStringLiteral("text"));
    }

    void jsonResultsStayJson()
    {
        QRandomGenerator random(7);
        for (int round = 0; round < 60; ++round) {
            QJsonArray rows;
            for (int n = random.bounded(0, 3000); n > 0; --n)
                rows.append(QJsonObject{{QStringLiteral("id"), n}, {QStringLiteral("name"), randomText(random, 60)}});
            Answer answer;
            answer.data = {{QStringLiteral("data"), rows},
                           {QStringLiteral("row_count"), rows.size()},
                           {QStringLiteral("preview"), randomText(random, 20'000)},
                           {QStringLiteral("nested"), QJsonObject{{QStringLiteral("download_urls"), QJsonArray{1}}}},
                           {QStringLiteral("download_urls"), QJsonArray{QStringLiteral("u")}}};
            const ShapeRules rules;
            const QJsonObject result = shapeResult(answer, rules);
            const QString text = contentText(result);
            QVERIFY2(text.size() <= 45'000, qPrintable(QString::number(text.size())));
            QVERIFY(!text.contains(QStringLiteral("download_urls")));
            const QJsonObject structured = result.value(QStringLiteral("structuredContent")).toObject();
            QCOMPARE(QJsonDocument::fromJson(text.toUtf8()).object(), structured);
            QCOMPARE(structured.value(QStringLiteral("row_count")).toInt(), rows.size());
            const QJsonArray shown = structured.value(QStringLiteral("data")).toArray();
            if (shown.size() < rows.size())
                QCOMPARE(structured.value(QStringLiteral("truncated"))[QLatin1String("data")][QLatin1String("of")].toInt(), rows.size());
        }
    }

    void jsonThatCannotShrinkIsCutAsText()
    {
        QJsonObject wide;
        for (int i = 0; i < 3000; ++i)
            wide.insert(QStringLiteral("column_%1").arg(i), QStringLiteral("float64 of something"));
        Answer answer;
        answer.data = {{QStringLiteral("variables"), wide}};
        const QJsonObject result = shapeResult(answer, {});
        QVERIFY(contentText(result).size() <= 45'000);
        QVERIFY(!result.contains(QStringLiteral("structuredContent")));
    }

    void errorsAreBoundedAndKeepTheirFacts()
    {
        const Result<Answer> error = fail(ErrorCode::TooLarge, QString(50'000, u'e'), QStringLiteral("Send less."),
                                          {{QStringLiteral("limit"), 500}});
        const QString text = contentText(shapeResult(error, {}));
        QVERIFY(text.size() <= 10'000);
        QVERIFY(text.contains(QStringLiteral("Send less.")));
        const QJsonObject facts = QJsonDocument::fromJson(text.section(u'\n', -1).toUtf8()).object();
        QCOMPARE(facts.value(QStringLiteral("error")).toString(), QStringLiteral("too_large"));
        QCOMPARE(facts.value(QStringLiteral("limit")).toInt(), 500);
    }

    void nothingAtAllIsStillAnAnswer()
    {
        QCOMPARE(contentText(shapeResult(Answer(), {})), QStringLiteral("{}"));
        Answer empty;
        empty.blocks << textBlock({});
        QCOMPARE(contentText(shapeResult(empty, {})), QStringLiteral("(no output)"));
    }
};

QTEST_GUILESS_MAIN(TestShaping)
#include "tst_shaping.moc"
