// The plan of a Spawn frame: what is taken, what is refused and how the refusal reads.
#include "sandbox/Plan.h"
#include <QObject>
#include <QTest>

using namespace power::sandbox;

class TestPlan : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void takesEveryField()
    {
        Plan plan;
        std::string reason;
        QVERIFY2(planFromJson("{\"tier\":\"full\",\"landlockAbi\":7,\"uid\":70001,\"gid\":70002,\"workspace\":\"/data/s\","
                              "\"workspaceInside\":\"/app/sandbox_data/it's \\u00e4 \\ud83d\\ude00\",\"scratch\":\"/data/t\","
                              "\"readOnly\":[\"/opt/venv\"],\"binds\":[{\"source\":\"/a\",\"target\":\"/b\",\"writable\":true}],"
                              "\"memoryBytes\":4294967296,\"fileBytes\":1,\"sharedBytes\":2,\"processes\":3,\"openFiles\":4,"
                              "\"allowUnixSockets\":true,\"cgroup\":\"/sys/fs/cgroup/x\",\"unknown\":[null,{}]}",
                              plan, reason),
                 reason.c_str());
        QVERIFY(plan.tier == Tier::Full);
        QCOMPARE(plan.landlockAbi, 7);
        QCOMPARE(plan.uid, 70001u);
        QCOMPARE(plan.gid, 70002u);
        QCOMPARE(plan.workspaceInside, std::string("/app/sandbox_data/it's \xc3\xa4 \xf0\x9f\x98\x80"));
        QCOMPARE(plan.readOnly, std::vector<std::string>{"/opt/venv"});
        QCOMPARE(plan.binds.size(), 1u);
        QCOMPARE(plan.binds[0].target, std::string("/b"));
        QVERIFY(plan.binds[0].writable);
        QCOMPARE(plan.memoryBytes, 4294967296u);
        QCOMPARE(plan.sharedBytes, 2u);
        QCOMPARE(plan.processes, 3u);
        QVERIFY(plan.allowUnixSockets);
        QCOMPARE(plan.cgroup, std::string("/sys/fs/cgroup/x"));
    }

    void userNamespacesBelongToFull()
    {
        Plan plan;
        std::string reason;
        const auto read = [&](const char *tier) {
            return planFromJson(std::string("{\"tier\":\"") + tier + "\",\"uid\":1,\"gid\":1,\"workspace\":\"/w\",\"userNamespace\":true}",
                                plan, reason);
        };
        QVERIFY2(read("full") && plan.userNamespace, reason.c_str());
        for (const char *tier : {"container", "nonroot", "none"}) {
            QVERIFY(!read(tier));
            QVERIFY(reason.find("userNamespace") != std::string::npos);
        }
    }

    void keepsDefaults()
    {
        Plan plan;
        std::string reason;
        QVERIFY(planFromJson("{\"tier\":\"nonroot\",\"workspace\":\"/w\",\"cgroup\":\"\"}", plan, reason));
        QCOMPARE(plan.processes, 64u);
        QCOMPARE(plan.openFiles, 1024u);
        QCOMPARE(plan.memoryBytes, 0u);
        QVERIFY(!plan.allowUnixSockets);
    }

    void refuses_data()
    {
        QTest::addColumn<QByteArray>("json");
        QTest::addColumn<QByteArray>("word"); // found in the reason
        QTest::newRow("not JSON") << QByteArray("{\"tier\":") << QByteArray("not valid JSON");
        QTest::newRow("more behind it") << QByteArray("{} x") << QByteArray("not valid JSON");
        QTest::newRow("control byte") << QByteArray("{\"tier\":\"a\nb\"}") << QByteArray("not valid JSON");
        QTest::newRow("lone surrogate") << QByteArray("{\"tier\":\"\\ud83d\"}") << QByteArray("not valid JSON");
        QTest::newRow("too deep") << QByteArray(40, '[') + QByteArray(40, ']') << QByteArray("not valid JSON");
        QTest::newRow("a list") << QByteArray("[]") << QByteArray("must be a JSON object");
        QTest::newRow("tier") << QByteArray("{\"tier\":\"best\",\"workspace\":\"/w\"}") << QByteArray("\"tier\"");
        QTest::newRow("root") << QByteArray("{\"tier\":\"full\",\"uid\":0,\"gid\":5,\"workspace\":\"/w\"}") << QByteArray("\"uid\"");
        QTest::newRow("no uid") << QByteArray("{\"tier\":\"container\",\"workspace\":\"/w\"}") << QByteArray("\"uid\"");
        QTest::newRow("negative") << QByteArray("{\"uid\":-1,\"workspace\":\"/w\"}") << QByteArray("\"uid\"");
        QTest::newRow("too large") << QByteArray("{\"uid\":4294967296,\"workspace\":\"/w\"}") << QByteArray("\"uid\"");
        QTest::newRow("fraction") << QByteArray("{\"processes\":1.5,\"workspace\":\"/w\"}") << QByteArray("\"processes\"");
        QTest::newRow("relative") << QByteArray("{\"workspace\":\"w\"}") << QByteArray("\"workspace\"");
        QTest::newRow("climbs") << QByteArray("{\"workspace\":\"/w\",\"workspaceInside\":\"/app/..\"}") << QByteArray("\"workspaceInside\"");
        QTest::newRow("NUL") << QByteArray("{\"workspace\":\"/w\\u0000x\"}") << QByteArray("\"workspace\"");
        QTest::newRow("list of") << QByteArray("{\"workspace\":\"/w\",\"readOnly\":[1]}") << QByteArray("\"readOnly\"");
        QTest::newRow("bind") << QByteArray("{\"workspace\":\"/w\",\"binds\":[{\"source\":\"/a\"}]}") << QByteArray("\"binds\"");
        QTest::newRow("no workspace") << QByteArray("{}") << QByteArray("\"workspace\"");
    }

    void refuses()
    {
        QFETCH(QByteArray, json);
        QFETCH(QByteArray, word);
        Plan plan;
        std::string reason;
        QVERIFY(!planFromJson(json.toStdString(), plan, reason));
        QVERIFY2(QByteArray::fromStdString(reason).contains(word), reason.c_str());
    }
};

QTEST_APPLESS_MAIN(TestPlan)
#include "tst_plan.moc"
