// Fetching over real sockets from a scripted loopback server.
#include "net/FetchTest.h"
#include <QDir>
#include <QFile>
#include <QProcess>
#include <QSslCertificate>
#include <QSslKey>
#include <QTemporaryDir>

using namespace power;
using namespace power::net;
using namespace power::net::test;

class tst_fetch : public FetchTest
{
    Q_OBJECT

private Q_SLOTS:
    void init() { newServer(); }
    void cleanup() { noServer(); }

    void fetchesAndNames()
    {
        const QByteArray data(3'000'000, 'x');
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            say(socket,
                "200 OK\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"a.csv\"; "
                "filename*=UTF-8''%E8%A1%A8%20b.csv",
                data);
        };
        const auto got = run(request(m_server->url("/x?a=1#frag")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, data);
        QCOMPARE(got->bytes, data.size());
        QCOMPARE(got->contentType, QByteArray("text/csv"));
        QCOMPARE(got->fileName, QStringLiteral("表 b.csv"));
        const QByteArray asked = m_server->requests.value(0);
        QVERIFY(asked.startsWith("GET /x?a=1 HTTP/1.1\r\n"));
        QVERIFY(asked.contains("Host: 127.0.0.1:" + QByteArray::number(m_server->serverPort())));
        QVERIFY(!asked.toLower().contains("gzip"));
    }

    void pinsTheNameToTheCheckedAddress()
    {
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) { say(socket, "200 OK", "x"); };
        const QString origin = m_server->origin("http", "localhost");
        const auto got = run(request(QUrl(origin + QStringLiteral("/a.txt"))), {origin});
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QVERIFY(m_server->requests.value(0).contains(
            "Host: localhost:" + QByteArray::number(m_server->serverPort()) + "\r\n"));
    }

    void checksTheCertificateAgainstTheName()
    {
        QTemporaryDir dir;
        QProcess openssl;
        openssl.setWorkingDirectory(dir.path());
        openssl.start(QStringLiteral("openssl"),
                      {QStringLiteral("req"), QStringLiteral("-x509"), QStringLiteral("-newkey"),
                       QStringLiteral("rsa:2048"), QStringLiteral("-nodes"), QStringLiteral("-keyout"),
                       QStringLiteral("key"), QStringLiteral("-out"), QStringLiteral("cert"),
                       QStringLiteral("-days"), QStringLiteral("2"), QStringLiteral("-subj"),
                       QStringLiteral("/CN=localhost"), QStringLiteral("-addext"),
                       QStringLiteral("subjectAltName=DNS:localhost")});
        QVERIFY(openssl.waitForFinished(20'000) && openssl.exitCode() == 0);
        QFile key(dir.filePath(QStringLiteral("key")));
        QVERIFY(key.open(QIODevice::ReadOnly));
        const QList<QSslCertificate> chain = QSslCertificate::fromPath(dir.filePath(QStringLiteral("cert")));
        QSslConfiguration tls = QSslConfiguration::defaultConfiguration();
        tls.setLocalCertificateChain(chain);
        tls.setPrivateKey(QSslKey(&key, QSsl::Rsa));
        m_server->tls = tls;
        const QByteArray data(8 << 20, 'x'); // more than is read ahead
        m_server->answer = [&data](const QByteArray &path, QTcpSocket *socket) {
            if (path != "/cut") return say(socket, "200 OK", data);
            socket->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
            socket->disconnectFromHost();
        };
        const QStringList allowed{m_server->origin("https", "localhost"), m_server->origin("https")};

        const QUrl byName(allowed[0] + QStringLiteral("/"));
        auto unknown = run(request(byName), allowed);
        QVERIFY(!unknown);
        QCOMPARE(unknown.error().code, ErrorCode::Upstream);

        const QSslConfiguration before = QSslConfiguration::defaultConfiguration();
        QSslConfiguration trusting = before;
        trusting.setCaCertificates(chain);
        QSslConfiguration::setDefaultConfiguration(trusting);
        auto good = run(request(byName), allowed);
        const bool whole = m_body == data;
        auto cut = run(request(QUrl(allowed[0] + QStringLiteral("/cut"))), allowed);
        auto wrongName = run(request(QUrl(allowed[1] + QStringLiteral("/"))), allowed);
        QSslConfiguration::setDefaultConfiguration(before);
        QVERIFY2(good.ok(), good ? "" : qPrintable(good.error().text()));
        QVERIFY(whole);
        QVERIFY(!cut && cut.error().message.contains(QStringLiteral("broke off after 4 bytes")));
        QCOMPARE(m_body, QByteArray());
        QVERIFY(!wrongName);
    }
    void sendsTheNameAsSni()
    {
        QTcpServer plain;
        QVERIFY(plain.listen(QHostAddress::LocalHost));
        QByteArray hello;
        connect(&plain, &QTcpServer::newConnection, &plain, [&] {
            QTcpSocket *socket = plain.nextPendingConnection();
            connect(socket, &QTcpSocket::readyRead, socket, [&hello, socket] {
                hello += socket->readAll();
                socket->close();
            });
        });
        const QString origin = QStringLiteral("https://localhost:%1").arg(plain.serverPort());
        QVERIFY(!run(request(QUrl(origin)), {origin}));
        QVERIFY(hello.contains("localhost"));
        QVERIFY2(!hello.contains("h2"), "HTTP/2 is not offered");
    }

    void redirects()
    {
        m_server->answer = [](const QByteArray &path, QTcpSocket *socket) {
            if (path == "/end.csv") return say(socket, "200 OK", "data");
            if (path == "/loop") return say(socket, "302 Found\r\nLocation: /loop");
            if (path.startsWith("/n"))
                return say(socket, "307 Temporary Redirect\r\nLocation: " +
                                       (path == "/n1" ? QByteArray("/end.csv")
                                                      : "/n" + QByteArray::number(path.mid(2).toInt() - 1)));
            const QByteArray target = QByteArray::fromPercentEncoding(path.mid(1));
            say(socket, "301 Moved\r\nLocation: " + target);
        };
        auto ten = run(request(m_server->url("/n10")));
        QVERIFY2(ten.ok(), ten ? "" : qPrintable(ten.error().text()));
        QCOMPARE(ten->finalUrl, m_server->url("/end.csv"));
        QCOMPARE(ten->fileName, QStringLiteral("end.csv"));
        QCOMPARE(m_body, QByteArray("data"));
        QVERIFY(!run(request(m_server->url("/n11"))));
        QVERIFY(!run(request(m_server->url("/loop"))));
        ScriptedServer other; // not allowed
        const QByteArray elsewhere = "http://127.0.0.1:" + QByteArray::number(other.serverPort()) + "/x";
        for (const QByteArray &target :
             {QByteArray("http://169.254.169.254/latest/"), QByteArray("http://[::1]/"), elsewhere,
              QByteArray("//10.0.0.1/"), QByteArray("http://2130706433/"),
              QByteArray("https://localhost/")}) {
            auto got = run(request(m_server->url(('/' + target.toPercentEncoding()).constData())));
            QVERIFY2(!got.ok(), target.constData());
            QVERIFY2(got.error().code == ErrorCode::Forbidden, qPrintable(got.error().text()));
        }
        for (const QByteArray &target : {QByteArray("file:///etc/passwd"), QByteArray("gopher://x/"),
                                         QByteArray("http://a:b@127.0.0.1/")}) {
            auto got = run(request(m_server->url(('/' + target.toPercentEncoding()).constData())));
            QVERIFY2(!got.ok() && got.error().code == ErrorCode::InvalidArgument, target.constData());
        }
        QVERIFY(other.requests.isEmpty());
    }

    void statusWithSomeOfTheBody()
    {
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) {
            say(socket, "404 Not Found", "<h1>no such</h1>" + QByteArray(100'000, 'y'));
        };
        auto got = run(request(m_server->url("/x")));
        QVERIFY(!got);
        QCOMPARE(got.error().code, ErrorCode::Upstream);
        QVERIFY(got.error().message.contains(QStringLiteral("HTTP 404: <h1>no such</h1>")));
        QVERIFY(got.error().message.size() < 400);
        QVERIFY(m_body.isEmpty());
    }

    void sizeCap_data()
    {
        QTest::addColumn<QString>("how");
        for (const char *how : {"announced", "chunked", "gzip bomb"})
            QTest::newRow(how) << QString::fromLatin1(how);
    }
    void sizeCap()
    {
        QFETCH(QString, how);
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            if (how == u"announced") {
                socket->write("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nx");
            } else if (how == u"chunked") {
                socket->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for (int i = 0; i < 40; ++i)
                    socket->write("10000\r\n" + QByteArray(65536, 'x') + "\r\n");
            } else {
                say(socket, "200 OK\r\nContent-Encoding: gzip", gzipped(QByteArray(50'000'000, 'x')));
            }
        };
        FetchRequest made = request(m_server->url("/x"));
        made.maxBytes = 1'000'000;
        auto got = run(std::move(made));
        QVERIFY(!got);
        QCOMPARE(got.error().code, ErrorCode::TooLarge);
        QVERIFY(m_body.size() <= 1'000'000);
    }
    void unpacksWhatWasNotAskedFor()
    {
        QByteArray data;
        for (int i = 0; i < 50'000; ++i)
            data += QByteArray::number(i) + '\n';
        m_server->answer = [&](const QByteArray &path, QTcpSocket *socket) {
            const QByteArray packed = gzipped(data);
            say(socket, "200 OK\r\nContent-Encoding: gzip", path == "/cut" ? packed.chopped(100) : packed);
        };
        QVERIFY(run(request(m_server->url("/x"))));
        QCOMPARE(m_body, data);
        QVERIFY(!run(request(m_server->url("/cut"))));
        // Servers that take the ending for a coding: the packed file is what its name says.
        QVERIFY(run(request(m_server->url("/numbers.csv.gz"))));
        QCOMPARE(m_body, gzipped(data));
    }

    void oldFileNames()
    {
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) { say(socket, "200 OK\r\nContent-Disposition: attachment; filename=\"caf\xe9.csv\"", "x"); };
        QVERIFY(run(request(m_server->url("/x"))));
        QCOMPARE(m_head.fileName, QStringLiteral("café.csv"));
    }

    void timeoutsAndBrokenTransfers()
    {
        m_server->answer = [](const QByteArray &path, QTcpSocket *socket) {
            if (path == "/silent") return;
            socket->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            if (path == "/short") socket->disconnectFromHost();
        };
        for (const char *path : {"/silent", "/stalls"}) {
            FetchRequest made = request(m_server->url(path));
            made.readTimeout = std::chrono::milliseconds(300);
            auto got = run(std::move(made));
            QVERIFY(!got);
            QCOMPARE(got.error().code, ErrorCode::Timeout);
        }
        auto cut = run(request(m_server->url("/short")));
        QVERIFY(!cut);
        QCOMPARE(cut.error().code, ErrorCode::Upstream);
        const QUrl dead = m_server->url("/");
        const QStringList allowed{m_server->origin()};
        m_server->close();
        auto nobody = run(request(dead), allowed);
        QVERIFY(!nobody);
        QCOMPARE(nobody.error().code, ErrorCode::Upstream);
        auto unknown = run(request(QUrl(QStringLiteral("http://no-such-host.invalid/"))), allowed);
        QVERIFY(!unknown);
    }

    // A server that drips for ever is left at the deadline, although bytes come all the time.
    void totalTime()
    {
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) {
            socket->write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            auto *drip = new QTimer(socket);
            connect(drip, &QTimer::timeout, socket, [socket] { socket->write("x"); });
            drip->start(20);
        };
        FetchRequest made = request(m_server->url("/x"));
        made.totalTimeout = std::chrono::milliseconds(500);
        QElapsedTimer time;
        time.start();
        const auto got = run(std::move(made));
        QVERIFY(!got);
        QCOMPARE(got.error().code, ErrorCode::Timeout);
        QVERIFY(time.elapsed() < 5000);
    }

    void cancelAndSinkErrors()
    {
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) {
            socket->write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        };
        CancelSource source;
        FetchRequest made = request(m_server->url("/x"));
        made.cancel = source.token();
        QTimer::singleShot(100, this, [&source] { source.cancel(); });
        auto got = run(std::move(made));
        QVERIFY(!got);
        QCOMPARE(got.error().code, ErrorCode::Cancelled);
        FetchRequest full = request(m_server->url("/x"));
        full.onData = [](QByteArray) { return taken(fail(ErrorCode::Unavailable, QStringLiteral("disk full"))); };
        auto refused = run(std::move(full));
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::Unavailable);
    }

    void streamsWithFlatMemory()
    {
        qint64 sent = 0;
        static constexpr qint64 all = 200ll << 20;
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            socket->write("HTTP/1.1 200 OK\r\nContent-Length: " + QByteArray::number(all) + "\r\n\r\n");
            const auto more = [&sent, socket] {
                static const QByteArray piece(1 << 20, 'x');
                while (sent < all && socket->bytesToWrite() < (2 << 20))
                    sent += socket->write(piece);
            };
            connect(socket, &QTcpSocket::bytesWritten, socket, more);
            more();
        };
        FetchRequest made = request(m_server->url("/x"));
        made.maxBytes = 300ll << 20;
        qint64 got = 0, ahead = 0;
        made.onData = [&](QByteArray piece) {
            got += piece.size();
            ahead = qMax(ahead, sent - got);
            // Like a disk: it takes what it gets, later.
            OneShot<Done> shot;
            QTimer::singleShot(0, this, [shot] { shot.resolve(Done{}); });
            return shot;
        };
        QElapsedTimer time;
        time.start();
        QVERIFY(run(std::move(made)));
        QCOMPARE(got, all);
        qInfo("%.0f MB/s over loopback, at most %.1f MB in flight",
              double(all) / 1e6 / (double(time.elapsed()) / 1000), double(ahead) / 1e6);
        QVERIFY(ahead < (32 << 20));
    }
};

QTEST_GUILESS_MAIN(tst_fetch)
#include "tst_fetch.moc"
