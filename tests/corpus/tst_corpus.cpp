// Every row of the language and import corpus, through the MCP door of a real server, in every tier of this machine.
#include "app/ServerProcess.h"
#include <QDir>
#include <QTest>

using namespace power::test;

namespace {
struct Cell {
    QString code;
    QString session = QStringLiteral("a");
    QStringList expect, expectNot, files;
    QString error;
    int images = -1;
    int timeout = 60;
};

QList<Cell> cellsOf(const QString &text)
{
    QList<Cell> cells;
    cells << Cell();
    bool raw = false;
    QStringList lines = text.split(u'\n');
    if (!lines.isEmpty() && lines.last().isEmpty())
        lines.removeLast();
    for (const QString &line : std::as_const(lines)) {
        auto value = [&line](const char *key) -> std::optional<QString> {
            const QString start = QStringLiteral("# ") + QLatin1String(key);
            return line.startsWith(start) ? std::optional(line.mid(start.size()).trimmed()) : std::nullopt;
        };
        if (line.startsWith(u"# %%")) {
            cells << Cell();
            raw = false;
            if (line.contains(u"session="))
                cells.last().session = line.section(QStringLiteral("session="), 1).trimmed();
        } else if (line.startsWith(u"# tiers: ")) {
            continue;
        } else if (auto v = value("expect: ")) {
            cells.last().expect << *v;
        } else if (auto not_ = value("expect-not: ")) {
            cells.last().expectNot << *not_;
        } else if (auto error = value("expect-error: ")) {
            cells.last().error = *error;
        } else if (auto file = value("expect-file: ")) {
            cells.last().files << *file;
        } else if (auto images = value("expect-images: ")) {
            cells.last().images = images->toInt();
        } else if (auto timeout = value("timeout: ")) {
            cells.last().timeout = timeout->toInt();
        } else if (line == u"# raw") {
            raw = true;
        } else {
            if (!cells.last().code.isEmpty() || raw)
                cells.last().code += cells.last().code.isEmpty() ? QString() : QStringLiteral("\n");
            cells.last().code += line;
        }
    }
    return cells;
}
} // namespace

class TestCorpus : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;
    QString m_tier;

private Q_SLOTS:
    void initTestCase()
    {
        const QString variant = qEnvironmentVariable("POWER_TIER");
        const bool inUserNamespace = variant == u"userns";
        m_tier = inUserNamespace ? QStringLiteral("full") : variant;
        m_server = std::make_unique<ServerProcess>();
        if (m_tier == u"nonroot" || inUserNamespace)
            m_server->runAs(64123); // no name, no home: the hardest case for PostgreSQL too
        QVERIFY2(m_server->start({QStringLiteral("--sandbox-tier"), m_tier}), m_server->output().constData());
        const QJsonObject sandbox = m_server->health().value(QStringLiteral("sandbox")).toObject();
        QCOMPARE(sandbox.value(QStringLiteral("tier")).toString(), m_tier);
        QCOMPARE(sandbox.value(QStringLiteral("layers")).toObject().value(QStringLiteral("user_namespace")).toBool(), inUserNamespace);
    }
    void cleanupTestCase() { QVERIFY(m_server->stop()); }

    void row_data()
    {
        QTest::addColumn<QString>("path");
        const QDir rows(qEnvironmentVariable("POWER_SOURCE") + QStringLiteral("/tests/corpus/rows"));
        const auto files = rows.entryInfoList({QStringLiteral("*.py")}, QDir::Files, QDir::Name);
        QVERIFY(files.size() > 20);
        for (const QFileInfo &file : files)
            QTest::newRow(qPrintable(file.baseName())) << file.filePath();
    }
    void row()
    {
        QFETCH(QString, path);
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QString base = QFileInfo(path).baseName();
        const QString source = QString::fromUtf8(file.readAll());
        if (source.startsWith(u"# tiers: ") && !source.section(u'\n', 0, 0).contains(m_tier))
            QSKIP("this row does not apply to the tier");
        int number = 0;
        for (const Cell &cell : cellsOf(source)) {
            const ToolAnswer answer = m_server->run(cell.code, base + u'-' + cell.session, cell.timeout);
            const QByteArray about = QStringLiteral("cell %1:\n%2\nanswered:\n%3").arg(++number).arg(cell.code, answer.text).toUtf8();
            QVERIFY2(answer.isError == !cell.error.isEmpty(), about.constData());
            if (!cell.error.isEmpty() && cell.error != u"*")
                QVERIFY2(answer.text.contains(cell.error), about.constData());
            for (const QString &text : cell.expect)
                QVERIFY2(answer.text.contains(text), about.constData());
            for (const QString &text : cell.expectNot)
                QVERIFY2(!answer.text.contains(text), about.constData());
            for (const QString &name : cell.files) {
                const bool listed = name.startsWith(u'.') ? answer.text.contains(name + QStringLiteral(" ("))
                                                          : answer.text.contains(QStringLiteral("File: %1 (").arg(name));
                QVERIFY2(listed, about.constData());
            }
            if (cell.images >= 0)
                QVERIFY2(answer.images.size() == cell.images, about.constData());
        }
        m_server->tool("delete_session", {{QStringLiteral("session_id"), base + QStringLiteral("-a")}});
    }

    void thousandRunsThatWriteFiles() // L16
    {
        for (int i = 0; i < 1000; ++i) {
            const ToolAnswer answer = m_server->run(QStringLiteral("n = globals().get('n', 0) + 1\n"
                                                                   "_ = open('same.txt', 'w').write(str(n))"),
                                                    QStringLiteral("thousand"));
            QVERIFY2(!answer.isError && answer.text.contains(u"same.txt"), qPrintable(answer.text));
        }
        QVERIFY(m_server->run(QStringLiteral("print('n is', n)"), QStringLiteral("thousand")).text.contains(u"n is 1000"));
    }
};

QTEST_GUILESS_MAIN(TestCorpus)
#include "tst_corpus.moc"
