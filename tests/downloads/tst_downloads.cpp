// /dl and /charts over real sockets, with the real store and a real PostgreSQL.
#include "base/Ids.h"
#include "downloads/Downloads.h"
#include "http/HttpServer.h"
#include "http/RawClient.h"
#include "storage/TestDatabase.h"
#include <QElapsedTimer>
#include <QFile>
#include <QJsonDocument>
#include <QRandomGenerator>
#include <QSet>
#include <QUrl>
#include <QTest>

using namespace power;
using storage::test::await;

class tst_downloads : public QObject
{
    Q_OBJECT
    storage::test::TestDatabase m_database;
    QTemporaryDir m_dir;
    std::unique_ptr<workspace::Workspaces> m_all;
    std::shared_ptr<workspace::Workspace> m_space;
    std::unique_ptr<files::FileStore> m_store;
    http::Dispatcher m_routes, m_closedRoutes;
    std::unique_ptr<http::HttpServer> m_server, m_closed;

    files::StoredFile put(const QString &path, const QByteArray &content)
    {
        auto writer = m_space->create(path);
        const bool written = writer.ok() && (*writer)->write(content).ok() && (*writer)->commit().ok();
        const auto got = await(m_store->store(QStringLiteral("owner"), QStringLiteral("q3"), m_space, path));
        if (!written || !got) qFatal("not stored: %s", qPrintable(path));
        return *got;
    }
    RawClient::Answer ask(const QByteArray &method, const QString &path, const QByteArray &fields = {})
    {
        RawClient client(m_server->port());
        return client.ask(method + ' ' + path.toUtf8() + " HTTP/1.1\r\nHost: example.org\r\n" + fields +
                          "\r\n");
    }
    qint64 number(const char *sql, const QString &id) { return m_database.number(sql, {id}); }

private Q_SLOTS:
    void initTestCase()
    {
        QCOMPARE(m_database.start(), QString());
        files::FileStore::Config config;
        config.directory = m_dir.filePath(QStringLiteral("files"));
        config.maxFileBytes = 300ll << 20;
        m_store = files::FileStore::create(config, *m_database);
        QVERIFY(await(m_store->start()).ok());
        m_all = workspace::Workspaces::open(m_dir.filePath(QStringLiteral("spaces"))).value();
        m_space = *m_all->openSession({}, QStringLiteral("q3"));
        downloads::addRoutes(m_routes, *m_store, {true, "4.0.0"});
        downloads::addRoutes(m_closedRoutes, *m_store, {false, "4.0.0"});
        m_server = std::make_unique<http::HttpServer>(m_routes);
        m_closed = std::make_unique<http::HttpServer>(m_closedRoutes);
        QVERIFY(m_server->listen({}).ok());
        QVERIFY(m_closed->listen({}).ok());
    }
    void cleanupTestCase()
    {
        m_server.reset();
        m_closed.reset();
        m_store.reset();
        m_database.stop();
    }

    void downloads()
    {
        QByteArray data;
        for (int i = 0; i < 200'000; ++i)
            data += QByteArray::number(i) + '\n';
        const auto file = put(QStringLiteral("out/Über 表.csv"), data);
        const auto got = ask("GET", file.downloadPath(), "Origin: https://client.example\r\n");
        QCOMPARE(got.status, 200);
        QCOMPARE(got.body, data);
        QCOMPARE(got.field("Content-Type"), QByteArray("text/csv; charset=utf-8"));
        QCOMPARE(got.field("Content-Length"), QByteArray::number(data.size()));
        QCOMPARE(
            got.field("Content-Disposition"),
            QByteArray("attachment; filename=\"Uber _.csv\"; filename*=UTF-8''%C3%9Cber%20%E8%A1%A8.csv"));
        QCOMPARE(got.field("Cache-Control"), QByteArray("private, max-age=3600"));
        QCOMPARE(got.field("X-Session-Id"), QByteArray("q3"));
        QCOMPARE(got.field("X-Content-Type-Options"), QByteArray("nosniff"));
        QCOMPARE(got.field("Access-Control-Allow-Origin"), QByteArray("*"));
        for (const char *name : {"X-Session-Id", "ETag", "Accept-Ranges"}) // for readers of parts in a browser
            QVERIFY(got.field("Access-Control-Expose-Headers").contains(name));
        QVERIFY(!got.head.contains("Access-Control-Allow-Credentials"));
        // The name does not matter, nor that it is there.
        QCOMPARE(ask("GET", QStringLiteral("/dl/") + file.id).body, data);
        QCOMPARE(ask("GET", QStringLiteral("/dl/") + file.id + QStringLiteral("/other/name")).body, data);
        const auto head = ask("HEAD", file.downloadPath());
        QCOMPARE(head.status, 200);
        QCOMPARE(head.field("Content-Length"), QByteArray::number(data.size()));
        QVERIFY(head.body.isEmpty());
        const auto options = ask("OPTIONS", file.downloadPath(),
                                 "Origin: https://client.example\r\nAccess-Control-Request-Method: GET\r\n");
        QCOMPARE(options.status, 204);
        QVERIFY(options.field("Access-Control-Allow-Methods").contains("HEAD"));
        QCOMPARE(options.field("Access-Control-Max-Age"), QByteArray("3600"));
        QCOMPARE(ask("POST", file.downloadPath(), "Content-Length: 0\r\n").status, 405);
        QTRY_COMPARE(number("SELECT downloads FROM power.files WHERE id = $1::uuid", file.id), 3);
    }

    void rangesAndTags()
    {
        const QByteArray data(100'000, 'x');
        const auto file = put(QStringLiteral("r.bin"), "start" + data + "end");
        const auto part = ask("GET", file.downloadPath(), "Range: bytes=-3\r\n");
        QCOMPARE(part.status, 206);
        QCOMPARE(part.body, QByteArray("end"));
        QCOMPARE(part.field("Content-Range"), QByteArray("bytes 100005-100007/100008"));
        QCOMPARE(ask("GET", file.downloadPath(), "Range: bytes=0-4\r\n").body, QByteArray("start"));
        const auto beyond = ask("GET", file.downloadPath(), "Range: bytes=100008-\r\n");
        QCOMPARE(beyond.status, 416);
        QCOMPARE(beyond.field("Content-Range"), QByteArray("bytes */100008"));
        const QByteArray tag = part.field("ETag");
        QCOMPARE(ask("GET", file.downloadPath(), "If-None-Match: " + tag + "\r\n").status, 304);
        QCOMPARE(ask("GET", file.downloadPath(), "If-Range: \"other\"\r\nRange: bytes=0-4\r\n").status, 200);
        const auto whole = ask("HEAD", file.downloadPath(), "Range: bytes=0-4\r\n"); // parts are for GET
        QCOMPARE(whole.status, 200);
        QCOMPARE(whole.field("Content-Length"), QByteArray("100008"));
        QCOMPARE(ask("GET", file.downloadPath(), "If-Match: \"other\"\r\nRange: bytes=0-4\r\n").status, 412);
        QCOMPARE(ask("GET", file.downloadPath(), "If-Match: " + tag + "\r\nRange: bytes=0-4\r\n").status, 206);
    }

    void severalRanges()
    {
        const QByteArray data("0123456789");
        const auto file = put(QStringLiteral("digits.txt"), data);
        const auto parts = ask("GET", file.downloadPath(), "Range: bytes=0-1, 4-5, -1\r\n");
        QCOMPARE(parts.status, 206);
        const QByteArray type = parts.field("Content-Type");
        QVERIFY(type.startsWith("multipart/byteranges; boundary="));
        const QByteArray line = "--" + type.mid(type.indexOf('=') + 1);
        QCOMPARE(parts.body.count(line), 4);
        QVERIFY(parts.body.endsWith(line + "--\r\n"));
        for (const char *piece : {"bytes 0-1/10\r\n\r\n01\r\n", "bytes 4-5/10\r\n\r\n45\r\n", "bytes 9-9/10\r\n\r\n9\r\n"})
            QVERIFY2(parts.body.contains(piece), parts.body.constData());
        QCOMPARE(parts.field("Content-Length"), QByteArray::number(parts.body.size()));
        QCOMPARE(ask("GET", file.downloadPath(), "Range: bytes=0-9,0-9,0-9\r\n").body, data);
        QCOMPARE(ask("GET", file.downloadPath(), "Range: bytes=2-3, 90-\r\n").body, QByteArray("23"));
    }

    // Every name a file can have comes back from the link, the header and the list. POWER_TEST_FULL=1: 10,000 names, in parts
    // because Qt ends a part that takes five minutes.
    void names_data()
    {
        QTest::addColumn<quint32>("seed");
        QTest::addColumn<int>("count");
        const bool isFull = qEnvironmentVariableIsSet("POWER_TEST_FULL");
        for (quint32 part = 0; part < (isFull ? 10u : 1u); ++part)
            QTest::addRow("%u", part) << 20260 + part << (isFull ? 1000 : 300);
    }
    void names()
    {
        QFETCH(quint32, seed);
        QFETCH(int, count);
        QRandomGenerator random(seed);
        QSet<QString> names;
        for (int i = 0; i < count; ++i) {
            QString name;
            while (name.isEmpty()) {
                const int length = random.bounded(1, 40);
                for (int k = 0; k < length; ++k) {
                    const char32_t code = random.bounded(3) ? random.bounded(0x20u, 0x250u) : random.bounded(0x250u, 0x30000u);
                    if (code != U'/' && code != 0x7f && (code < 0xd800 || code > 0xdfff)) name += QString::fromUcs4(&code, 1);
                }
                if (name.startsWith(u'.') || name.toUtf8().size() > 255 || names.contains(name)) name.clear();
            }
            names.insert(name);
            const QByteArray content = "content of " + QByteArray::number(i);
            const auto file = put(name, content);
            QCOMPARE(file.name, name);
            RawClient client(m_server->port());
            const auto got = client.ask("GET " + file.downloadPath().toUtf8() + " HTTP/1.1\r\nHost: example.org\r\n\r\n");
            QCOMPARE(got.body, content);
            QCOMPARE(QUrl::fromPercentEncoding(file.downloadPath().section(u'/', -1).toLatin1()), name);
            const QByteArray disposition = got.field("Content-Disposition");
            QCOMPARE(QUrl::fromPercentEncoding(disposition.mid(disposition.indexOf("UTF-8''") + 7)), name);
        }
        const auto listed = await(m_store->list(QStringLiteral("owner"), QStringLiteral("q3")));
        for (const files::StoredFile &file : *listed)
            names.remove(file.name);
        QVERIFY(names.isEmpty());
    }

    void signedLinks()
    {
        files::FileStore::Config config;
        config.directory = m_dir.filePath(QStringLiteral("files"));
        config.linkTimeToLive = std::chrono::hours(1);
        const auto store = files::FileStore::create(config, *m_database);
        QVERIFY(await(store->start()).ok());
        http::Dispatcher routes;
        downloads::addRoutes(routes, *store, {true, "4.0.0"});
        http::HttpServer server(routes);
        QVERIFY(server.listen({}).ok());
        put(QStringLiteral("signed.txt"), "signed");
        const auto file = await(store->store(QStringLiteral("owner"), QStringLiteral("q3"), m_space, QStringLiteral("signed.txt")));
        QVERIFY(file.ok() && file->downloadPath().contains(u"?e="));
        const auto from = [&server](const QString &path) {
            RawClient client(server.port());
            return client.ask("GET " + path.toUtf8() + " HTTP/1.1\r\nHost: example.org\r\n\r\n");
        };
        QCOMPARE(from(file->downloadPath()).body, QByteArray("signed"));
        QCOMPARE(from(file->downloadPath().section(u'?', 0, 0)).status, 403);
        QString later = file->downloadPath();
        later.replace(QStringLiteral("?e="), QStringLiteral("?e=9"));
        QCOMPARE(from(later).status, 403);
    }

    void problems()
    {
        const auto check = [this](const QString &path, int status) {
            const auto got = ask("GET", path);
            const QJsonObject body = QJsonDocument::fromJson(got.body).object();
            return got.status == status && !body.value(QStringLiteral("error")).toString().isEmpty() &&
                   !body.value(QStringLiteral("hint")).toString().isEmpty() &&
                   got.field("Access-Control-Allow-Origin") == "*";
        };
        QVERIFY(check(QStringLiteral("/dl/not-a-uuid"), 400));
        QVERIFY(check(QStringLiteral("/dl/") + newUuid() + QStringLiteral("/x"), 404));
        const auto file = put(QStringLiteral("old.txt"), "x");
        number("UPDATE power.files SET expires_at = now() - interval '1 s' WHERE id = $1::uuid", file.id);
        QVERIFY(check(file.downloadPath(), 410));
        QVERIFY(check(QStringLiteral("/charts/q3/none.png"), 404));
        QVERIFY(check(QStringLiteral("/charts/none/chart.png"), 404));
        for (const char *path : {"/charts/q3/..%2F..%2Fetc%2Fpasswd", "/charts/q3/../../etc/passwd",
                                 "/charts/../etc/passwd", "/dl/../etc/passwd"})
            QVERIFY2(ask("GET", QLatin1String(path)).status >= 400, path);
    }

    void charts()
    {
        const QByteArray png = QByteArrayLiteral("\x89PNG\r\n\x1a\n") + QByteArray(1000, 'p');
        const auto file = put(QStringLiteral("chart_001.png"), png);
        put(QStringLiteral("page.html"), "<html><script>1</script></html>");
        auto writer = m_space->create(QStringLiteral("private.png"));
        QVERIFY((*writer)->write(png) && (*writer)->commit());
        const auto got = ask("GET", file.chartPath());
        QCOMPARE(got.status, 200);
        QCOMPARE(got.body, png);
        QCOMPARE(got.field("Content-Type"), QByteArray("image/png"));
        QVERIFY(got.field("Content-Disposition").startsWith("inline"));
        QCOMPARE(got.field("Cache-Control"), QByteArray("public, max-age=3600"));
        QCOMPARE(got.field("X-Power-Interpreter"), QByteArray("4.0.0"));
        QCOMPARE(got.field("X-Session-Id"), QByteArray("q3"));
        QCOMPARE(ask("HEAD", file.chartPath()).status, 200);
        QCOMPARE(ask("GET", QStringLiteral("/charts/q3/page.html")).field("Content-Security-Policy"),
                 QByteArray("sandbox"));
        QCOMPARE(ask("GET", QStringLiteral("/charts/q3/private.png")).status, 404);
        RawClient closed(m_closed->port());
        QCOMPARE(
            closed.ask("GET " + file.chartPath().toUtf8() + " HTTP/1.1\r\nHost: localhost\r\n\r\n").status,
            404);
    }

    void bigFilesAtFlatMemory()
    {
        const qint64 size = 200ll << 20;
        {
            auto writer = m_space->create(QStringLiteral("big.bin"));
            QByteArray piece(1 << 20, 'z');
            for (qint64 done = 0; done < size; done += piece.size())
                QVERIFY((*writer)->write(piece));
            QVERIFY((*writer)->commit());
        }
        const auto file = await(m_store->store(QStringLiteral("owner"), QStringLiteral("q3"), m_space,
                                               QStringLiteral("big.bin")));
        QVERIFY2(file.ok(), file ? "" : qPrintable(file.error().text()));
        const auto resident = [] {
            QFile status(QStringLiteral("/proc/self/statm"));
            return status.open(QIODevice::ReadOnly) ? status.readAll().split(' ').value(1).toLongLong() * 4096
                                                    : 0;
        };
        QTcpSocket socket;
        socket.setReadBufferSize(1 << 20);
        socket.connectToHost(QHostAddress::LocalHost, m_server->port());
        QVERIFY(QTest::qWaitFor([&] { return socket.state() == QAbstractSocket::ConnectedState; }));
        const qint64 before = resident();
        qint64 got = 0, most = 0;
        QElapsedTimer time;
        time.start();
        socket.write("GET " + file->downloadPath().toUtf8() +
                     " HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
        connect(&socket, &QTcpSocket::readyRead, this, [&] {
            got += socket.readAll().size();
            most = qMax(most, resident());
        });
        QTRY_VERIFY_WITH_TIMEOUT(got > size, 30'000);
        qInfo("GET /dl of 200 MB: %.0f MB/s (client in the same thread), %.1f MB more memory",
              double(size) / 1e6 / (double(time.nsecsElapsed()) / 1e9), double(most - before) / 1e6);
        QVERIFY(most - before < (32 << 20));
    }
};

QTEST_GUILESS_MAIN(tst_downloads)
#include "tst_downloads.moc"
