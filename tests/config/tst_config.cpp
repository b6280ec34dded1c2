// Settings: precedence, validation of everything at once, redaction, generated texts.
#include "config/Declaration.h"
#include <QJsonArray>
#include <QTemporaryDir>
#include <QTest>

using namespace power;
using namespace power::config;

namespace {
QProcessEnvironment envOf(const QStringList &pairs)
{
    QProcessEnvironment environment;
    for (const QString &pair : pairs)
        environment.insert(pair.section(u'=', 0, 0), pair.section(u'=', 1));
    return environment;
}
QString S(const char *text) { return QString::fromUtf8(text); }
} // namespace

class TestConfig : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void decidedDefaults()
    {
        const auto got = Settings::load({}, {});
        QVERIFY(got);
        const Settings &s = *got;
        QCOMPARE(s.port, 8000);
        QCOMPARE(s.host, S("127.0.0.1"));
        QVERIFY(!s.isPublic());
        QCOMPARE(s.mcpAuth, S("none"));
        QCOMPARE(s.maxExecutionTime, 300);
        QCOMPARE(s.maxMemoryMb, 16384);
        QCOMPARE(s.maxConcurrentJobs, 4);
        QCOMPARE(s.jobTimeout, 1800);
        QCOMPARE(s.sandboxFileMaxMb, 50);
        QCOMPARE(s.sandboxFileTtlHours, 72);
        QCOMPARE(s.maxUploadMb, 500);
        QCOMPARE(s.maxFetchSizeMb, 500);
        QCOMPARE(s.maxOutputSize, 1048576);
        QCOMPARE(s.mcpResponseMaxChars, 50000);
        QCOMPARE(s.maxSessionDiskMb, 2048);
        QCOMPARE(s.maxSessionProcesses, 64);
        QCOMPARE(s.maxRunOutputMb, 64);
        QCOMPARE(s.sandboxLandlockAbi, -1);
        QCOMPARE(s.logLevel, S("INFO"));
        QVERIFY(s.imageBase64 && s.chartsPublic && !s.allowInsecure);
        QVERIFY(s.dataDir.startsWith(u'/') && s.sandboxDir.endsWith(S("sandbox_data")));
        QVERIFY(s.databaseUrl.isEmpty());
    }

    void everyDefaultIsValidAndNamesAreUnique()
    {
        QSet<QString> names;
        for (const Declaration &d : declarations()) {
            QVERIFY2(!names.contains(d.name), qPrintable(d.name));
            names += d.name;
            QVERIFY(!d.help.isEmpty() && d.help.endsWith(u'.'));
        }
    }

    void flagsWinOverEnvironmentOverDefaults()
    {
        const auto env = envOf({S("PORT=9001"), S("MAX_MEMORY_MB=100"), S("JOB_TIMEOUT=7"), S("LOG_LEVEL=debug")});
        const auto got = Settings::load({S("--port"), S("9002"), S("--MAX_MEMORY_MB=200"), S("--allow-insecure"),
                                         S("--image-base64"), S("no")}, env);
        QVERIFY(got);
        QCOMPARE(got->port, 9002);
        QCOMPARE(got->maxMemoryMb, 200);
        QCOMPARE(got->jobTimeout, 7);
        QCOMPARE(got->logLevel, S("DEBUG"));
        QVERIFY(got->allowInsecure && !got->imageBase64);
    }

    void bothNamesOfTheSandboxDirectory()
    {
        QCOMPARE(Settings::load({}, envOf({S("SANDBOX_DATA_DIR=/srv/a/")}))->sandboxDir, S("/srv/a"));
        QCOMPARE(Settings::load({}, envOf({S("SANDBOX_DIR=/srv/b")}))->sandboxDir, S("/srv/b"));
        QCOMPARE(Settings::load({S("--sandbox-data-dir=/srv/c")}, {})->sandboxDir, S("/srv/c"));
        const auto both = Settings::load({}, envOf({S("SANDBOX_DIR=/srv/b"), S("SANDBOX_DATA_DIR=/srv/a")}));
        QCOMPARE(both->sandboxDir, S("/srv/b"));
        QCOMPARE(both->warnings.size(), 1);
    }

    void everyProblemIsReportedAtOnce()
    {
        const auto got = Settings::load({S("--job-timeout=0"), S("--memory"), S("stray"), S("--max-sessions")},
                                        envOf({S("PORT=70000"), S("MCP_AUTH=maybe"), S("CHARTS_PUBLIC=perhaps"),
                                               S("PUBLIC_URL=ftp://x"), S("DATABASE_URL=mysql://u:geheim@h/d"),
                                               S("ALLOWED_ORIGINS=https://a.b/c"), S("HOST=somewhere")}));
        QVERIFY(!got);
        const QJsonArray problems = got.error().details.value(S("problems")).toArray();
        QStringList texts;
        for (const auto &problem : problems)
            texts += problem.toString();
        const QString all = texts.join(u'\n');
        QVERIFY2(problems.size() >= 11, qPrintable(all));
        QVERIFY2(all.contains(S("PORT is \"70000\"; it must be a whole number from 0 to 65535.")), qPrintable(all));
        QVERIFY2(all.contains(S("MCP_AUTH is \"maybe\"; it must be one of none, api-key, oauth.")), qPrintable(all));
        QVERIFY(all.contains(S("--job-timeout is \"0\"")));
        QVERIFY(all.contains(S("There is no flag --memory. Did you mean")));
        QVERIFY(all.contains(S("\"stray\" is not a flag.")));
        QVERIFY(all.contains(S("--max-sessions needs a value.")));
        QVERIFY(!got.error().text().contains(S("geheim")));
    }

    void publicAddressNeedsAKey()
    {
        QVERIFY(!Settings::load({S("--host=0.0.0.0")}, {}));
        QVERIFY(Settings::load({S("--host=::1")}, {}));
        const auto insecure = Settings::load({S("--host=0.0.0.0"), S("--allow-insecure")}, {});
        QVERIFY(insecure);
        QVERIFY(insecure->warnings.join(u' ').contains(S("/mcp is open")));
        const auto keyed = Settings::load({}, envOf({S("API_KEY=0123456789abcdef")}));
        QCOMPARE(keyed->host, S("0.0.0.0"));
        const auto closed = Settings::load({}, envOf({S("API_KEY=0123456789abcdef"), S("MCP_AUTH=api-key")}));
        QVERIFY(closed->warnings.isEmpty());
        QVERIFY(!Settings::load({}, envOf({S("MCP_AUTH=api-key")})));
        QCOMPARE(Settings::load({}, envOf({S("API_KEY=")}))->host, S("127.0.0.1"));
    }

    void publicLinks()
    {
        QCOMPARE(Settings::load({}, envOf({S("PUBLIC_URL=https://x.org/"), S("RAILWAY_PUBLIC_DOMAIN=y.org")}))->publicUrl,
                 S("https://x.org"));
        QCOMPARE(Settings::load({}, envOf({S("RAILWAY_PUBLIC_DOMAIN=y.org")}))->publicUrl, S("https://y.org"));
    }

    void originsAreCanonical()
    {
        const auto got = Settings::load({S("--fetch-allow-origins"), S("http://127.0.0.1:9000/, HTTP://LOCALHOST:1")}, {});
        QVERIFY(got);
        QCOMPARE(got->fetchAllowOrigins, QStringList({S("http://127.0.0.1:9000"), S("http://localhost:1")}));
    }

    void tlsFilesGoTogetherAndExist()
    {
        QVERIFY(!Settings::load({S("--tls-cert-file=/etc/hostname")}, {}));
        QVERIFY(!Settings::load({S("--tls-cert-file=/etc/hostname"), S("--tls-key-file=/nowhere")}, {}));
        QVERIFY(Settings::load({S("--tls-cert-file=/etc/hostname"), S("--tls-key-file=/etc/hostname")}, {}));
    }

    void unusedNamesBecomeNotes()
    {
        const auto got = Settings::load({}, envOf({S("EXECUTOR_URL=http://127.0.0.1:8080"), S("API_BASE_URL=x"),
                                                   S("MS_CLIENT_ID=y"), S("AZURE_TENANT_ID=z")}));
        QVERIFY(got);
        QCOMPARE(got->notes.size(), 3);
        QVERIFY(got->notes.first().startsWith(S("EXECUTOR_URL is not needed")));
        QVERIFY(!got->hasMicrosoft());
        QVERIFY(got->warnings.join(u' ').contains(S("AZURE_CLIENT_ID")));
    }

    void secretsNeverShow()
    {
        const auto got = Settings::load({S("--api-key=streng-geheim-123456")},
                                        envOf({S("AZURE_CLIENT_SECRET=geheim2"),
                                               S("DATABASE_URL=postgresql+asyncpg://u:geh:e@im/3@h:1/d?sslmode=x&password=geheim4")}));
        QVERIFY(got);
        const QString shown = QString::fromUtf8(QJsonDocument(got->redacted()).toJson());
        QVERIFY2(!shown.contains(S("geh")) && !shown.contains(S("im/3")), qPrintable(shown));
        QVERIFY(shown.contains(S("postgresql+asyncpg://u:***@h:1/d?sslmode=x&password=***")));
        QVERIFY(got->warnings.join(u' ').contains(S("--api-key on the command line")));
    }

    void textsNameEverySetting()
    {
        for (const Declaration &d : declarations()) {
            QVERIFY(Settings::helpText().contains(d.flag()));
            QVERIFY(Settings::markdownTable().contains(u'`' + d.name + u'`'));
        }
        for (const QString &line : Settings::helpText().split(u'\n'))
            QVERIFY2(line.size() <= 100, qPrintable(line));
        QVERIFY(Settings::load({S("--help"), S("--port=x")}, {})->helpAsked);
        QVERIFY(Settings::load({S("--version")}, {})->versionAsked);
    }
};

QTEST_GUILESS_MAIN(TestConfig)
#include "tst_config.moc"
