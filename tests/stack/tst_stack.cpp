// Every library of the promised stack, used for its purpose in a session of a real server, in every tier of this machine.
#include "app/ServerProcess.h"
#include <QDir>
#include <QTest>

using namespace power::test;

class TestStack : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;
    QFileInfoList m_programs;

private Q_SLOTS:
    void initTestCase()
    {
        const QString source = qEnvironmentVariable("POWER_SOURCE");
        m_programs = QDir(source + QStringLiteral("/tests/stack/programs")).entryInfoList({QStringLiteral("*.py")}, QDir::Files, QDir::Name);
        QSet<QString> names;
        for (const QFileInfo &program : std::as_const(m_programs))
            names << program.baseName();
        QFile imports(source + QStringLiteral("/installer/python/imports.txt"));
        QVERIFY(imports.open(QIODevice::ReadOnly));
        const auto lines = QString::fromUtf8(imports.readAll()).split(u'\n', Qt::SkipEmptyParts);
        for (const QString &line : lines) {
            const QString name = line.section(u' ', 0, 0);
            QVERIFY2(line.startsWith(u'#') || names.contains(name), qPrintable(QStringLiteral("no program uses ") + name));
        }

        const QString tier = qEnvironmentVariable("POWER_TIER");
        m_server = std::make_unique<ServerProcess>();
        if (tier == u"nonroot")
            m_server->runAs(64123);
        QVERIFY2(m_server->start({QStringLiteral("--sandbox-tier"), tier}), m_server->output().constData());
        QCOMPARE(m_server->health().value(QStringLiteral("sandbox")).toObject().value(QStringLiteral("tier")).toString(), tier);
    }
    void cleanupTestCase()
    {
        if (m_server)
            QVERIFY2(m_server->stop(), m_server->output().constData());
    }

    void program_data()
    {
        QTest::addColumn<QString>("path");
        for (const QFileInfo &program : std::as_const(m_programs))
            QTest::newRow(qPrintable(program.baseName())) << program.filePath();
    }
    void program()
    {
        QFETCH(QString, path);
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QString session = QStringLiteral("stack-") + QFileInfo(path).baseName();
        const ToolAnswer answer = m_server->run(QString::fromUtf8(file.readAll()), session, 120);
        m_server->tool("delete_session", {{QStringLiteral("session_id"), session}});
        QVERIFY2(!answer.isError && answer.text.contains(u"stack ok"), qPrintable(answer.text));
    }
};

QTEST_GUILESS_MAIN(TestStack)
#include "tst_stack.moc"
