// Files come in: forms and resumable uploads against a real server, with broken connections and kill -9 in between.
#include "../base/FailSync.h"
#include "../http/RawClient.h"
#include "app/ServerProcess.h"
#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonArray>
#include <QJsonDocument>
#include <QRandomGenerator>
#include <QRegularExpression>
#include <QTest>

using namespace power::test;

namespace {
using Fields = QList<QPair<QByteArray, QByteArray>>;

QByteArray randomBytes(qsizetype size, quint32 seed)
{
    QRandomGenerator random(seed);
    QByteArray bytes(size, Qt::Uninitialized);
    for (qsizetype i = 0; i + 4 <= size; i += 4) {
        const quint32 word = random.generate();
        std::memcpy(bytes.data() + i, &word, 4);
    }
    return bytes;
}

QByteArray head(const char *method, const QByteArray &path, const Fields &fields, qint64 length = -1)
{
    QByteArray text = QByteArray(method) + ' ' + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n";
    for (const auto &field : fields)
        text += field.first + ": " + field.second + "\r\n";
    if (length >= 0)
        text += "Content-Length: " + QByteArray::number(length) + "\r\n";
    return text + "\r\n";
}

QByteArray part(const QByteArray &disposition, const QByteArray &content)
{
    return "--XX\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n";
}
} // namespace

class TestUploads : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void form();
    void formOfManyFiles();
    void formNames_data();
    void formNames();
    void formRefused_data();
    void formRefused();
    void options();
    void interrupted();
    void takenOver();
    void checksum();
    void creationWithBody();
    void joined();
    void refused_data();
    void refused();
    void joinedCrosswise();
    void sessionQuota();
    void diskDoesNotTakeIt_data();
    void diskDoesNotTakeIt();
    void deletionNotConfirmed();
    void cleanupTestCase();

private:
    quint16 port() const { return quint16(m_server.url().port()); }
    RawClient::Answer ask(const QByteArray &bytes)
    {
        RawClient client(port());
        return client.ask(bytes);
    }
    RawClient::Answer sendForm(const QByteArray &body, const QByteArray &query = {})
    {
        return ask("POST /api/files/upload" + query + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
                   "Content-Length: " + QByteArray::number(body.size()) + "\r\n\r\n" + body);
    }
    QByteArray begin(qint64 length, const QByteArray &name, Fields more = {}, const QByteArray &query = {})
    {
        more << qMakePair(QByteArray("Upload-Length"), QByteArray::number(length))
             << qMakePair(QByteArray("Upload-Metadata"), "filename " + name.toBase64() + ",session_id " + QByteArray("tus").toBase64());
        const RawClient::Answer made = ask(head("POST", "/api/uploads" + query, more, 0));
        return made.status == 201 ? "/api/" + made.field("Location") : QByteArray("status ") + QByteArray::number(made.status);
    }
    qint64 offsetOf(const QByteArray &path) { return ask(head("HEAD", path, {})).field("Upload-Offset").toLongLong(); }
    Fields patch(qint64 offset) const
    {
        return {{"Content-Type", "application/offset+octet-stream"}, {"Upload-Offset", QByteArray::number(offset)}};
    }
    RawClient::Answer append(const QByteArray &path, qint64 offset, const QByteArray &bytes, const Fields &more = {})
    {
        return ask(head("PATCH", path, patch(offset) + more, bytes.size()) + bytes);
    }
    QJsonObject state(const QByteArray &path) { return QJsonDocument::fromJson(m_server.http("GET", QString::fromLatin1(path))).object(); }
    QByteArray content(const QString &session, const QString &name) const
    {
        QFile file(m_server.dataDirectory() + QStringLiteral("/sandbox/") + session + u'/' + name);
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray("missing");
    }
    bool startServer()
    {
        return m_server.start({QStringLiteral("--max-upload-mb=16"), QStringLiteral("--max-session-disk-mb=60")},
                              {QStringLiteral("LD_PRELOAD=" POWER_FAIL_SYNC_MODULE), QStringLiteral("ASAN_OPTIONS=verify_asan_link_order=0"), m_disk.environment()});
    }

    power::FailSync m_disk;
    ServerProcess m_server;
};

void TestUploads::initTestCase()
{
    QVERIFY2(startServer(), m_server.output().constData());
}

void TestUploads::form()
{
    const QByteArray big = randomBytes(5'000'000, 1);
    // The fields may stand behind the file.
    const RawClient::Answer one = sendForm(part("name=\"file\"; filename=\"data.bin\"", big) + part("name=\"session_id\"", "form") + "--XX--\r\n");
    QCOMPARE(one.status, 200);
    const QJsonObject info = QJsonDocument::fromJson(one.body).object();
    QCOMPARE(info.value(QStringLiteral("path")).toString(), QStringLiteral("form/data.bin"));
    QCOMPARE(info.value(QStringLiteral("size_bytes")).toInteger(), big.size());
    QCOMPARE(content(QStringLiteral("form"), QStringLiteral("data.bin")), big);
    QCOMPARE(m_server.http("GET", QUrl(info.value(QStringLiteral("download_url")).toString()).path()), big);
    // The same name again: a new version, never an error. Several files, one request.
    const RawClient::Answer several = sendForm(part("name=a; filename=\"data.bin\"", "new") + part("name=b; filename=\"two.csv\"", "a,b\n1,2\n") + "--XX--",
                                               "?session_id=form");
    QCOMPARE(several.status, 200);
    QCOMPARE(QJsonDocument::fromJson(several.body).object().value(QStringLiteral("count")).toInt(), 2);
    QCOMPARE(content(QStringLiteral("form"), QStringLiteral("data.bin")), QByteArray("new"));
    const ToolAnswer read = m_server.run(QStringLiteral("print(open('data.bin').read(), pd.read_csv('two.csv').shape)"), QStringLiteral("form"));
    QVERIFY2(read.text.contains(QStringLiteral("new (1, 2)")), qPrintable(read.text));
    // Two files without a usable name are two files; of two with one name the answer tells.
    const RawClient::Answer hidden = sendForm(part("name=a; filename=\".env\"", "env") + part("name=b; filename=\".gitignore\"", "git")
                                                  + part("name=c; filename=\"x/same.txt\"", "1") + part("name=d; filename=\"y/same.txt\"", "2") + "--XX--",
                                              "?session_id=hidden");
    const QJsonObject told = QJsonDocument::fromJson(hidden.body).object();
    QCOMPARE(QDir(m_server.dataDirectory() + QStringLiteral("/sandbox/hidden")).entryList(QDir::Files).size(), 3);
    QVERIFY2(told.value(QStringLiteral("notes")).toArray().first().toString().contains(QStringLiteral("same.txt")), hidden.body.constData());
    // JSON on the same route, as published.
    int status = 0;
    m_server.http("POST", QStringLiteral("/api/files/upload"), "{\"filename\":\"j.txt\",\"content_base64\":\"aGk=\",\"session_id\":\"form\"}", &status);
    QCOMPARE(status, 200);
    QCOMPARE(content(QStringLiteral("form"), QStringLiteral("j.txt")), QByteArray("hi"));
    const ToolAnswer text = m_server.tool("upload_file", {{QStringLiteral("filename"), QStringLiteral("t.txt")}, {QStringLiteral("text"), QStringLiteral("ä€")},
                                                          {QStringLiteral("session_id"), QStringLiteral("form")}});
    QVERIFY2(!text.isError, qPrintable(text.text));
    QCOMPARE(content(QStringLiteral("form"), QStringLiteral("t.txt")), QStringLiteral("ä€").toUtf8());
}

// A form may bring a thousand files; none keeps a descriptor while the others come.
void TestUploads::formOfManyFiles()
{
    constexpr int files = 150;
    QByteArray body;
    for (int i = 0; i < files; ++i)
        body += part("name=f; filename=\"" + QByteArray::number(i) + ".txt\"", QByteArray::number(i));
    const QByteArray end = "--XX--\r\n";
    const auto open = [this] { return QDir(QStringLiteral("/proc/%1/fd").arg(m_server.pid())).entryList(QDir::AllEntries | QDir::System).size(); };
    const qsizetype before = open();
    RawClient client(port());
    client.send("POST /api/files/upload?session_id=many HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
                "Content-Length: " + QByteArray::number(body.size() + end.size()) + "\r\n\r\n" + body);
    const QDir spool(m_server.dataDirectory() + QStringLiteral("/uploads"));
    QTRY_COMPARE(spool.entryList(QDir::Files).size(), files);
    QVERIFY2(open() < before + 20, qPrintable(QStringLiteral("%1 -> %2").arg(before).arg(open())));
    client.send(end);
    const RawClient::Answer answer = client.answer(false, 30'000);
    QCOMPARE(answer.status, 200);
    QCOMPARE(QJsonDocument::fromJson(answer.body).object().value(QStringLiteral("count")).toInt(), files);
    QCOMPARE(content(QStringLiteral("many"), QStringLiteral("149.txt")), QByteArray("149"));
    QTRY_COMPARE(spool.entryList(QDir::Files).size(), 0);
}

void TestUploads::formNames_data()
{
    QTest::addColumn<QByteArray>("given");
    QTest::addColumn<QString>("name");
    QTest::newRow("climbs") << QByteArray("../../../etc/passwd") << QStringLiteral("passwd");
    QTest::newRow("absolute") << QByteArray("/etc/cron.d/x") << QStringLiteral("x");
    QTest::newRow("windows") << QByteArray("C:\\temp\\r.csv") << QStringLiteral("r.csv");
    QTest::newRow("unicode") << QByteArray("Übersicht 2026 – 数据 👩‍💻.csv") << QStringLiteral("Übersicht 2026 – 数据 👩‍💻.csv");
    QTest::newRow("encoded line ends") << QByteArray("a%0D%0Ab.csv") << QStringLiteral("ab.csv");
    QTest::newRow("percent stays") << QByteArray("100%25.csv") << QStringLiteral("100%25.csv");
}

void TestUploads::formNames()
{
    QFETCH(QByteArray, given);
    QFETCH(QString, name);
    const RawClient::Answer answer = sendForm(part("name=file; filename=\"" + given + "\"", "x") + "--XX--", "?session_id=names");
    QCOMPARE(answer.status, 200);
    QCOMPARE(QJsonDocument::fromJson(answer.body).object().value(QStringLiteral("filename")).toString(), name);
    QCOMPARE(content(QStringLiteral("names"), name), QByteArray("x"));
}

void TestUploads::formRefused_data()
{
    QTest::addColumn<QByteArray>("body");
    QTest::addColumn<QByteArray>("query");
    QTest::addColumn<int>("status");
    const QByteArray file = part("name=file; filename=a", "x");
    QTest::newRow("no file") << QByteArray(part("name=a", "b") + "--XX--") << QByteArray() << 400;
    QTest::newRow("cut") << QByteArray(file + "--X") << QByteArray() << 400;
    QTest::newRow("bad session") << QByteArray(file + "--XX--") << QByteArray("?session_id=..%2F..%2Fx") << 400;
    QTest::newRow("too large") << QByteArray(part("name=file; filename=a", QByteArray(17 << 20, 'x')) + "--XX--") << QByteArray() << 413;
}

void TestUploads::formRefused()
{
    QFETCH(QByteArray, body);
    QFETCH(QByteArray, query);
    const RawClient::Answer answer = sendForm(body, query);
    QTEST(answer.status, "status");
    // Nothing half-received stays.
    const QDir directory(m_server.dataDirectory() + QStringLiteral("/uploads"));
    QTRY_COMPARE(directory.entryList({QStringLiteral("*.part")}), QStringList());
}

void TestUploads::options()
{
    const RawClient::Answer answer = ask("OPTIONS /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    QCOMPARE(answer.status, 204);
    QCOMPARE(answer.field("Tus-Version"), QByteArray("1.0.0"));
    QCOMPARE(answer.field("Tus-Max-Size").toLongLong(), 16ll << 20);
    for (const char *extension : {"creation", "creation-with-upload", "expiration", "checksum", "termination", "concatenation"})
        QVERIFY2(answer.field("Tus-Extension").split(',').contains(extension), extension);
}

// POWER_TEST_FULL=1: 100 times, 10 of them with kill -9.
void TestUploads::interrupted()
{
    const bool full = qEnvironmentVariableIsSet("POWER_TEST_FULL");
    const int rounds = full ? 100 : 15, killEvery = full ? 10 : 7;
    QRandomGenerator random(2026);
    int resumed = 0;
    for (int round = 0; round < rounds; ++round) {
        const QByteArray data = randomBytes(1 + random.bounded(4'000'000), quint32(round));
        const QByteArray path = begin(data.size(), "again.bin");
        QVERIFY2(path.startsWith("/api/uploads/"), path);
        qint64 acknowledged = 0, offset = 0;
        for (int cut = 0; cut < 3 && offset < data.size(); ++cut) {
            const qint64 sent = random.bounded(int(data.size() - offset) + 1);
            RawClient client(port());
            if (cut == 1) { // a piece of its own that is acknowledged
                const QByteArray bytes = data.mid(offset, sent);
                const RawClient::Answer answer = client.ask(head("PATCH", path, patch(offset), bytes.size()) + bytes);
                // 409: what the broken connection still had in flight arrived behind the HEAD; clients ask again then.
                if (answer.status != 409) {
                    QCOMPARE(answer.status, 204);
                    acknowledged = answer.field("Upload-Offset").toLongLong();
                    QCOMPARE(acknowledged, offset + sent);
                }
            } else { // all is announced, the connection breaks
                client.send(head("PATCH", path, patch(offset), data.size() - offset) + data.mid(offset, sent));
                client.socket().waitForBytesWritten(2000);
                if (random.bounded(2) == 0)
                    client.reset();
                else
                    client.socket().disconnectFromHost();
            }
            if (round % killEvery == killEvery - 1 && cut == 1) {
                m_server.kill();
                QVERIFY2(startServer(), m_server.output().constData());
            }
            const qint64 before = offset;
            offset = offsetOf(path);
            QVERIFY2(offset >= acknowledged && offset >= before && offset <= data.size(), QByteArray::number(offset));
        }
        ++resumed;
        RawClient::Answer last = append(path, offset, data.mid(offset));
        for (int again = 0; last.status == 409 && again < 3; ++again) {
            offset = offsetOf(path);
            last = append(path, offset, data.mid(offset));
        }
        QCOMPARE(last.status, 204);
        QCOMPARE(last.field("Upload-Offset").toLongLong(), data.size());
        QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("again.bin")), data);
        // A client that missed the last answer hears of it.
        QCOMPARE(offsetOf(path), data.size());
        QCOMPARE(state(path).value(QStringLiteral("status")).toString(), QStringLiteral("complete"));
    }
    qInfo("%d uploads broken off and resumed", resumed);
}

// A client comes back while its old connection still seems to live.
void TestUploads::takenOver()
{
    const QByteArray data = randomBytes(1'000'000, 5);
    const QByteArray path = begin(data.size(), "over.bin");
    RawClient old(port());
    old.send(head("PATCH", path, patch(0), data.size()) + data.left(300'000));
    const QString part = m_server.dataDirectory() + QStringLiteral("/uploads/") + QString::fromLatin1(path.mid(path.lastIndexOf('/') + 1)) + QStringLiteral(".part");
    QTRY_VERIFY(QFileInfo(part).size() > 0);
    QVERIFY(offsetOf(path) > 0); // interrupts the old one
    QCOMPARE(old.answer().status, 409);
    const qint64 offset = offsetOf(path);
    QVERIFY(offset <= 300'000);
    QCOMPARE(append(path, offset, data.mid(offset)).status, 204);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("over.bin")), data);
}

void TestUploads::checksum()
{
    const QByteArray data = randomBytes(600'000, 6);
    const QByteArray path = begin(data.size(), "sum.bin");
    const QByteArray first = data.left(400'000), second = data.mid(400'000);
    const auto sum = [](const char *name, const QByteArray &bytes, QCryptographicHash::Algorithm algorithm) {
        return Fields{{"Upload-Checksum", QByteArray(name) + ' ' + QCryptographicHash::hash(bytes, algorithm).toBase64()}};
    };
    QCOMPARE(append(path, 0, first, sum("sha1", second, QCryptographicHash::Sha1)).status, 460);
    QCOMPARE(offsetOf(path), 0);
    QCOMPARE(append(path, 0, first, sum("sha1", first, QCryptographicHash::Sha1)).status, 204);
    // Broken off: what cannot be checked does not count.
    RawClient client(port());
    client.send(head("PATCH", path, patch(400'000) + sum("sha256", second, QCryptographicHash::Sha256), second.size()) + second.left(50'000));
    client.socket().waitForBytesWritten(2000);
    client.reset();
    QCOMPARE(offsetOf(path), 400'000);
    QCOMPARE(append(path, 400'000, second, {{"Upload-Checksum", "none AAAA"}}).status, 400);
    QCOMPARE(append(path, 400'000, second, sum("sha256", second, QCryptographicHash::Sha256)).status, 204);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("sum.bin")), data);
}

// The first bytes come with the creation: checked as those of a PATCH are. Nothing is left of one that failed, because
// nobody was told where it is.
void TestUploads::creationWithBody()
{
    const QByteArray data = randomBytes(300'000, 9);
    const QDir spool(m_server.dataDirectory() + QStringLiteral("/uploads"));
    const auto create = [&](const QByteArray &name, qint64 length, const QByteArray &sum) {
        const Fields fields{{"Upload-Length", QByteArray::number(length)}, {"Upload-Checksum", sum}, {"Content-Type", "application/offset+octet-stream"},
                            {"Upload-Metadata", "filename " + name.toBase64() + ",session_id " + QByteArray("tus").toBase64()}};
        return ask(head("POST", "/api/uploads", fields, data.size()) + data);
    };
    const QByteArray right = "sha1 " + QCryptographicHash::hash(data, QCryptographicHash::Sha1).toBase64();
    const qsizetype before = spool.entryList(QDir::Files).size();
    const RawClient::Answer wrong = create("wrong.bin", data.size(), "sha1 " + QByteArray(20, 'x').toBase64());
    QCOMPARE(wrong.status, 460);
    QCOMPARE(wrong.field("Location"), QByteArray());
    QCOMPARE(create("wrong.bin", data.size(), "none AAAA").status, 400);
    QCOMPARE(create("wrong.bin", data.size() - 1, right).status, 413);
    QVERIFY(!QFile::exists(m_server.dataDirectory() + QStringLiteral("/sandbox/tus/wrong.bin")));
    QTRY_COMPARE(spool.entryList(QDir::Files).size(), before);
    QCOMPARE(create("whole.bin", data.size(), right).status, 201);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("whole.bin")), data);
    const RawClient::Answer begun = create("more.bin", data.size() + 4, right);
    QCOMPARE(begun.status, 201);
    QCOMPARE(begun.field("Upload-Offset"), QByteArray::number(data.size()));
    QCOMPARE(append("/api/" + begun.field("Location"), data.size(), "more").status, 204);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("more.bin")), data + "more");
}

void TestUploads::joined()
{
    const QByteArray data = randomBytes(900'000, 8);
    const Fields partial{{"Upload-Concat", "partial"}};
    const QByteArray a = begin(500'000, "ignored", partial), b = begin(400'000, "ignored", partial);
    QCOMPARE(append(a, 0, data.left(500'000)).status, 204);
    const auto join = [this](const QByteArray &urls) {
        return ask(head("POST", "/api/uploads", {{"Upload-Concat", "final;" + urls},
                                                 {"Upload-Metadata", "filename " + QByteArray("joined.bin").toBase64() + ",session_id " + QByteArray("tus").toBase64()}}, 0));
    };
    QCOMPARE(join(a + ' ' + b).status, 400); // b is not finished
    QCOMPARE(append(b, 0, data.mid(500'000)).status, 204);
    QCOMPARE(state(b).value(QStringLiteral("status")).toString(), QStringLiteral("part"));
    const RawClient::Answer made = join(a + " http://127.0.0.1" + b);
    QCOMPARE(made.status, 201);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("joined.bin")), data);
    QVERIFY(!QFile::exists(m_server.dataDirectory() + QStringLiteral("/sandbox/tus/ignored")));
    const QByteArray path = "/api/" + made.field("Location");
    const RawClient::Answer looked = ask(head("HEAD", path, {}));
    QCOMPARE(looked.field("Upload-Concat"), "final;" + a + " http://127.0.0.1" + b);
    QCOMPARE(append(path, 900'000, "x").status, 403);
    QCOMPARE(join(a + ' ' + a).status, 201); // a part may be used again
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("joined.bin")), data.left(500'000) + data.left(500'000));
}

void TestUploads::refused_data()
{
    QTest::addColumn<QByteArray>("request"); // ID: of an upload of 10 bytes
    QTest::addColumn<int>("status");
    const Fields length{{"Upload-Length", "5"}};
    QTest::newRow("no length") << head("POST", "/api/uploads", {}, 0) << 400;
    QTest::newRow("bad length") << head("POST", "/api/uploads", {{"Upload-Length", "-5"}}, 0) << 400;
    QTest::newRow("too long") << head("POST", "/api/uploads", {{"Upload-Length", "99999999"}}, 0) << 413;
    QTest::newRow("bad metadata") << head("POST", "/api/uploads", length + Fields{{"Upload-Metadata", "a !"}}, 0) << 400;
    QTest::newRow("bad session") << head("POST", "/api/uploads?session_id=../x", length, 0) << 400;
    QTest::newRow("other version") << QByteArray("POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 0.2.2\r\nUpload-Length: 5\r\nContent-Length: 0\r\n\r\n") << 412;
    QTest::newRow("unknown") << head("HEAD", "/api/uploads/0a0a0a0a-0000-4000-8000-000000000000", {}) << 404;
    QTest::newRow("climbs") << head("HEAD", "/api/uploads/..%2f..%2fkeys", {}) << 404;
    QTest::newRow("unknown part") << head("POST", "/api/uploads", {{"Upload-Concat", "final;/api/uploads/nothing"}}, 0) << 404;
    QTest::newRow("wrong offset") << QByteArray(head("PATCH", "ID", patch(3), 2) + "ab") << 409;
    QTest::newRow("no offset") << QByteArray(head("PATCH", "ID", {{"Content-Type", "application/offset+octet-stream"}}, 2) + "ab") << 400;
    QTest::newRow("wrong type") << QByteArray(head("PATCH", "ID", {{"Upload-Offset", "0"}}, 2) + "ab") << 415;
    QTest::newRow("more than announced") << QByteArray(head("PATCH", "ID", patch(0), 11) + "abcdefghijk") << 413;
    QTest::newRow("more in chunks") << QByteArray(head("PATCH", "ID", patch(0) + Fields{{"Transfer-Encoding", "chunked"}}) + "b\r\nabcdefghijk\r\n0\r\n\r\n") << 413;
    QTest::newRow("no override") << head("POST", "ID", {}, 0) << 405;
    QTest::newRow("override") << QByteArray(head("POST", "ID", patch(0) + Fields{{"X-HTTP-Method-Override", "PATCH"}}, 2) + "ab") << 204;
    QTest::newRow("ended") << head("DELETE", "ID", {}) << 204;
}

void TestUploads::refused()
{
    QFETCH(QByteArray, request);
    const QByteArray path = begin(10, "ten.bin");
    const RawClient::Answer answer = ask(request.replace("ID", path));
    QTEST(answer.status, "status");
    if (!request.contains("..%2f"))
        QCOMPARE(answer.field("Tus-Resumable"), QByteArray("1.0.0"));
    if (answer.status == 413 || answer.status == 409)
        QCOMPARE(offsetOf(path), 0);
    if (QByteArray(QTest::currentDataTag()) == "ended")
        QCOMPARE(ask(head("HEAD", path, {})).status, 404);
}

// Two that want the same parts in the opposite order do not wait for each other.
void TestUploads::joinedCrosswise()
{
    const QByteArray data = randomBytes(200'000, 12);
    const Fields partial{{"Upload-Concat", "partial"}};
    const QByteArray a = begin(100'000, "ignored", partial), b = begin(100'000, "ignored", partial);
    QCOMPARE(append(a, 0, data.left(100'000)).status, 204);
    QCOMPARE(append(b, 0, data.mid(100'000)).status, 204);
    const auto join = [](const QByteArray &urls, const QByteArray &name) {
        return head("POST", "/api/uploads", {{"Upload-Concat", "final;" + urls},
                                             {"Upload-Metadata", "filename " + name.toBase64() + ",session_id " + QByteArray("tus").toBase64()}}, 0);
    };
    QElapsedTimer clock;
    clock.start();
    RawClient one(port()), two(port());
    one.send(join(a + ' ' + b, "ab.bin"));
    two.send(join(b + ' ' + a, "ba.bin"));
    QCOMPARE(one.answer().status, 201);
    QCOMPARE(two.answer().status, 201);
    QVERIFY2(clock.elapsed() < 20'000, QByteArray::number(clock.elapsed()).constData());
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("ab.bin")), data);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("ba.bin")), data.mid(100'000) + data.left(100'000));
}

// Above its disk limit no cell of a session could run: the file is refused, and the upload stays to be delivered later.
void TestUploads::sessionQuota()
{
    const QString session = QStringLiteral("quota");
    QVERIFY(!m_server.run(QStringLiteral("open('ballast', 'wb').write(b'x' * (50 << 20)); None"), session).isError);
    const QByteArray data = randomBytes(15 << 20, 9);
    const QByteArray path = begin(data.size(), "late.bin", {}, "?session_id=quota");
    const RawClient::Answer refusal = append(path, 0, data);
    QCOMPARE(refusal.status, 413);
    QVERIFY2(refusal.body.contains("MAX_SESSION_DISK_MB"), refusal.body);
    m_server.run(QStringLiteral("import os; os.remove('ballast')"), session);
    QCOMPARE(offsetOf(path), data.size());
    QCOMPARE(content(session, QStringLiteral("late.bin")), data);
}

// A sync fails once, and the next one would succeed although the bytes are lost: nothing of it is acknowledged, now or later.
void TestUploads::diskDoesNotTakeIt_data()
{
    QTest::addColumn<QByteArray>("call");
    QTest::newRow("as it comes") << QByteArray("fdatasync");
    QTest::newRow("as it becomes the session's") << QByteArray("fsync");
}
void TestUploads::diskDoesNotTakeIt()
{
    QFETCH(QByteArray, call);
    const QByteArray data = randomBytes(300'000, 13);
    const QByteArray path = begin(data.size(), "lost.bin");
    QCOMPARE(append(path, 0, data.left(100'000)).status, 204);
    QVERIFY(m_disk.next(call.constData(), path.mid(path.lastIndexOf('/') + 1)));
    const RawClient::Answer failed = append(path, 100'000, data.mid(100'000));
    QVERIFY(m_disk.isDone());
    QCOMPARE(failed.status, 503);
    QVERIFY2(failed.body.contains(call == "fsync" ? "Input/output error" : "did not take what was uploaded"), failed.body.constData());
    const RawClient::Answer looked = ask("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    QCOMPARE(looked.status, 410);
    QVERIFY2(looked.body.contains("Begin a new one"), looked.body.constData());
    QCOMPARE(append(path, 100'000, data.mid(100'000)).status, 410);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("lost.bin")), QByteArray("missing"));
    const QByteArray again = begin(data.size(), "again.bin");
    QCOMPARE(append(again, 0, data).status, 204);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("again.bin")), data);
    // A form is sent whole again.
    QVERIFY(m_disk.next("fsync", "/uploads/"));
    const QByteArray form = part("name=file; filename=\"form.bin\"", data) + "--XX--\r\n";
    QCOMPARE(sendForm(form, "?session_id=tus").status, 503);
    QVERIFY(m_disk.isDone());
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("form.bin")), QByteArray("missing"));
    QCOMPARE(sendForm(form, "?session_id=tus").status, 200);
    QCOMPARE(content(QStringLiteral("tus"), QStringLiteral("form.bin")), data);
    QVERIFY(QFile::remove(m_server.dataDirectory() + QStringLiteral("/sandbox/tus/form.bin")));
}

// Whether it comes back after a sudden end of the machine is not known, so that is said; what is known is withdrawn.
void TestUploads::deletionNotConfirmed()
{
    const ToolAnswer made = m_server.run(QStringLiteral("open('gone.txt', 'w').write('x'); None"), QStringLiteral("gone"));
    const QRegularExpressionMatch link = QRegularExpression(QStringLiteral("/dl/[^\\s)\"]+")).match(made.text);
    QVERIFY2(link.hasMatch(), qPrintable(made.text));
    const QByteArray request = "GET " + link.captured().toLatin1() + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    QCOMPARE(ask(request).status, 200);
    QVERIFY(m_disk.next("fsync", "/sandbox/gone$"));
    const ToolAnswer deleted = m_server.tool("delete_file", {{QStringLiteral("session_id"), QStringLiteral("gone")}, {QStringLiteral("filename"), QStringLiteral("gone.txt")}});
    QVERIFY2(m_disk.isDone() && deleted.isError, qPrintable(deleted.text));
    QVERIFY2(ask(request).status >= 400, "its link still works");
}

void TestUploads::cleanupTestCase()
{
    QVERIFY2(m_server.stop(), m_server.output().constData());
}

QTEST_GUILESS_MAIN(TestUploads)
#include "tst_uploads.moc"
