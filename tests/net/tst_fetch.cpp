// Fetching over real sockets from a scripted loopback server, and everything that must be refused.
#include "net/Fetch.h"
#include "net/FileName.h"
#include "net/ShareLinks.h"
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QProcess>
#include <QSslCertificate>
#include <QSslConfiguration>
#include <QSslKey>
#include <QSslSocket>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTemporaryDir>
#include <QTest>
#include <optional>
#include <zlib.h>

using namespace power;
using namespace power::net;

namespace
{
// Answers each request by `answer(request, socket)`; keeps what it was asked.
class ScriptedServer : public QTcpServer
{
public:
    std::function<void(const QByteArray &path, QTcpSocket *)> answer;
    std::function<void(QTcpSocket *)> hello; // instead: at the first bytes, whatever they are
    QByteArrayList requests;
    QSslConfiguration tls;

    ScriptedServer() { listen(QHostAddress::LocalHost); }
    QString origin(const char *scheme = "http", const char *host = "127.0.0.1") const
    {
        return QStringLiteral("%1://%2:%3").arg(QLatin1String(scheme), QLatin1String(host)).arg(serverPort());
    }
    QUrl url(const char *path) const { return QUrl(origin() + QLatin1String(path)); }

protected:
    void incomingConnection(qintptr handle) override
    {
        auto *socket = new QSslSocket(this);
        socket->setSocketDescriptor(handle);
        if (!tls.isNull()) {
            socket->setSslConfiguration(tls);
            socket->startServerEncryption();
        }
        connect(socket, &QTcpSocket::readyRead, socket, [this, socket] {
            const QByteArray head = socket->property("head").toByteArray() + socket->readAll();
            socket->setProperty("head", head);
            if (hello) return hello(socket);
            if (!head.contains("\r\n\r\n")) return;
            requests << head;
            if (answer) answer(head.split(' ').value(1), socket);
        });
    }
};

void say(QTcpSocket *socket, const QByteArray &head, const QByteArray &body = {})
{
    socket->write("HTTP/1.1 " + head + "\r\nContent-Length: " + QByteArray::number(body.size()) +
                  "\r\nConnection: close\r\n\r\n" + body);
    socket->disconnectFromHost();
}

// What a resolver says: addresses with commas between.
QCoro::Task<Result<QList<QHostAddress>>> lookedUp(QString addresses)
{
    QList<QHostAddress> list;
    for (const QString &address : addresses.split(u','))
        list << QHostAddress(address);
    co_return list;
}

// QCoro::waitFor() wants default-constructible values.
QCoro::Task<> keep(QCoro::Task<Result<FetchResult>> task, std::optional<Result<FetchResult>> *result)
{
    Result<FetchResult> got = co_await std::move(task);
    result->emplace(std::move(got));
}

QByteArray gzipped(const QByteArray &data)
{
    z_stream z{};
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    QByteArray out(qsizetype(deflateBound(&z, uLong(data.size()))), '\0');
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(data.data()));
    z.avail_in = uInt(data.size());
    z.next_out = reinterpret_cast<Bytef *>(out.data());
    z.avail_out = uInt(out.size());
    deflate(&z, Z_FINISH);
    out.resize(qsizetype(z.total_out));
    deflateEnd(&z);
    return out;
}
} // namespace

class tst_fetch : public QObject
{
    Q_OBJECT
    std::unique_ptr<ScriptedServer> m_server;
    QByteArray m_body;
    FetchedHead m_head;
    int m_begun = 0;

    static OneShot<Done> taken(Result<Done> result)
    {
        OneShot<Done> shot;
        shot.resolve(std::move(result));
        return shot;
    }
    FetchRequest request(const QUrl &url)
    {
        m_body.clear();
        FetchRequest made;
        made.url = url;
        made.maxBytes = 10 << 20;
        m_begun = 0;
        made.onBegin = [this](const FetchedHead &head) -> Result<Done> {
            ++m_begun;
            m_head = head;
            m_body.clear();
            return Done{};
        };
        made.onData = [this](QByteArray piece) {
            m_body += piece;
            return taken(piece.size() <= (4 << 20) ? Result<Done>(Done{})
                                                   : fail(ErrorCode::Internal, QStringLiteral("too big a piece")));
        };
        return made;
    }
    Result<FetchResult> run(FetchRequest made, QStringList allowed = {}, Resolver resolver = {})
    {
        if (allowed.isEmpty()) allowed << m_server->origin();
        const auto fetcher = Fetcher::create(AddressPolicy(allowed), std::move(resolver));
        std::optional<Result<FetchResult>> result;
        QCoro::waitFor(keep(fetcher->fetch(std::move(made)), &result));
        return *result;
    }

private Q_SLOTS:
    void init() { m_server = std::make_unique<ScriptedServer>(); }
    void cleanup() { m_server.reset(); }

    void addresses_data()
    {
        QTest::addColumn<QString>("address");
        QTest::addColumn<bool>("allowed");
        for (const char *bad : {"0.0.0.0",
                                "0.1.2.3",
                                "10.0.0.1",
                                "100.64.0.1",
                                "100.127.255.255",
                                "127.0.0.1",
                                "127.255.255.254",
                                "169.254.169.254",
                                "172.16.0.1",
                                "172.31.255.255",
                                "192.0.0.8",
                                "192.0.2.1",
                                "192.88.99.1",
                                "192.168.1.1",
                                "198.18.0.1",
                                "198.19.255.255",
                                "198.51.100.7",
                                "203.0.113.9",
                                "224.0.0.1",
                                "239.255.255.255",
                                "240.0.0.1",
                                "255.255.255.255",
                                "::",
                                "::1",
                                "::127.0.0.1",
                                "::8.8.8.8",
                                "::ffff:127.0.0.1",
                                "::ffff:169.254.169.254",
                                "::ffff:10.0.0.1",
                                "64:ff9b::7f00:1",
                                "64:ff9b::a9fe:a9fe",
                                "64:ff9b:1::808:808",
                                "2002:7f00:1::",
                                "2002:a9fe:a9fe::1",
                                "2002:808:808::1",
                                "2001:0:53aa:64c:0:fbff:80ff:fffe",
                                "2001:db8::1",
                                "2001:20::1",
                                "3fff::1",
                                "fc00::1",
                                "fd00:ec2::254",
                                "fe80::1",
                                "fec0::1",
                                "ff02::1",
                                "100::1",
                                "4000::1",
                                "fe80::1%eth0"})
            QTest::newRow(bad) << QString::fromLatin1(bad) << false;
        for (const char *good :
             {"1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1",
              "172.32.0.1", "192.0.1.1", "198.17.0.1", "223.255.255.255", "2606:4700:4700::1111",
              "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"})
            QTest::newRow(good) << QString::fromLatin1(good) << true;
    }
    void addresses()
    {
        QFETCH(QString, address);
        QFETCH(bool, allowed);
        QCOMPARE(AddressPolicy().allows(QHostAddress(address), QUrl(QStringLiteral("http://x/"))), allowed);
        QVERIFY(!AddressPolicy().allows(QHostAddress(), QUrl(QStringLiteral("http://x/"))));
    }
    void anAllowedOriginOpensThatOriginOnly()
    {
        const AddressPolicy policy({QStringLiteral("http://127.0.0.1:8099")});
        const QHostAddress local(QHostAddress::LocalHost);
        QVERIFY(policy.allows(local, QUrl(QStringLiteral("http://127.0.0.1:8099/x"))));
        for (const char *other : {"http://127.0.0.1:8098/", "https://127.0.0.1:8099/", "http://127.0.0.1/",
                                  "http://localhost:8099/", "http://127.0.0.2:8099/"})
            QVERIFY2(!policy.allows(local, QUrl(QString::fromLatin1(other))), other);
    }

    void refusals_data()
    {
        QTest::addColumn<QString>("url");
        QTest::addColumn<int>("code");
        const int bad = int(ErrorCode::InvalidArgument), no = int(ErrorCode::Forbidden);
        const auto row = [](const char *url, int code) {
            QTest::newRow(url) << QString::fromUtf8(url) << code;
        };
        row("http://localhost:1/", no);
        row("http://LOCALHOST./", no);
        row("http://127.0.0.1/", no);
        row("http://2130706433/", no);
        row("http://0x7f000001/", no);
        row("http://0x7f.1/", no);
        row("http://0177.0.0.1/", no);
        row("http://127.1/", no);
        row("http://0/", no);
        row("http://[::1]/", no);
        row("http://[::ffff:169.254.169.254]/", no);
        row("http://[::ffff:7f00:1]/", no);
        row("http://[64:ff9b::7f00:1]/", no);
        row("http://[fd00:ec2::254]/", no);
        row("http://169.254.169.254/latest/meta-data/", no);
        row("http://0xa9fea9fe/", no);
        row("http://2852039166/", no);
        row("http://100.100.100.200/", no);
        row("https://192.168.0.1/", no);
        row("http://127.0.0.1\xE3\x80\x82/", no);
        row("http://\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x97.0.0.1/", no); // full-width digits
        row("http://user:pw@example.org/", bad);
        row("http://example.org@127.0.0.1/", bad);
        row("http://@127.0.0.1/", no);
        row("file:///etc/passwd", bad);
        row("gopher://127.0.0.1:70/_x", bad);
        row("ftp://example.org/x", bad);
        row("data:text/plain,x", bad);
        row("qrc:/x", bad);
        row("example.org/x", bad);
        row("/etc/passwd", bad);
        row("http:///x", bad);
        row("", bad);
    }
    void refusals()
    {
        QFETCH(QString, url);
        QFETCH(int, code);
        const auto got = run(request(QUrl(url)));
        QVERIFY(!got);
        // An unusual spelling may also fail as a URL, and some resolvers know no name with a dot at its end.
        const bool refused = int(got.error().code) == code ||
                             got.error().code == ErrorCode::InvalidArgument ||
                             (url.contains(QChar(0x3002)) || url.endsWith(QStringLiteral("./")));
        QVERIFY2(refused, qPrintable(got.error().text()));
        QVERIFY(m_server->requests.isEmpty());
    }

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
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) { say(socket, "200 OK", "x"); };
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
        auto wrongName = run(request(QUrl(allowed[1] + QStringLiteral("/"))), allowed);
        QSslConfiguration::setDefaultConfiguration(before);
        QVERIFY2(good.ok(), good ? "" : qPrintable(good.error().text()));
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
        m_server->answer = [this](const QByteArray &path, QTcpSocket *socket) {
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

    // Breaks off again and again; goes on with Range and If-Range and ends up with the very bytes.
    void resumes_data()
    {
        QTest::addColumn<QByteArray>("validator");
        QTest::addColumn<bool>("ranges");
        QTest::addColumn<bool>("goesOn");
        QTest::newRow("ETag") << QByteArray("ETag: \"v1\"\r\n") << true << true;
        QTest::newRow("date") << QByteArray("Last-Modified: Sun, 01 Nov 2026 10:00:00 GMT\r\n") << true << true;
        QTest::newRow("weak ETag begins anew") << QByteArray("ETag: W/\"v1\"\r\n") << true << false;
        QTest::newRow("no validator begins anew") << QByteArray() << true << false;
        QTest::newRow("server without ranges") << QByteArray("ETag: \"v1\"\r\n") << false << false;
    }
    void resumes()
    {
        QFETCH(QByteArray, validator);
        QFETCH(bool, ranges);
        QByteArray data;
        for (int i = 0; data.size() < 1'000'000; ++i)
            data += QByteArray::number(i) + ' ';
        const qsizetype step = 210'000; // more each time, so that beginning anew comes to an end too
        int asked = 0;
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            const QByteArray head = m_server->requests.last();
            const qsizetype at = head.indexOf("Range: bytes=");
            const qsizetype from = ranges && at >= 0 ? head.mid(at + 13, head.indexOf('-', at) - at - 13).toLongLong() : 0;
            if (at >= 0) QVERIFY(head.contains("If-Range: " + validator.mid(validator.indexOf(' ') + 1).trimmed()));
            const qsizetype to = qMin(data.size(), step * ++asked);
            socket->write(from > 0 ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + QByteArray::number(from) + '-' +
                                         QByteArray::number(data.size() - 1) + '/' + QByteArray::number(data.size()) + "\r\n"
                                   : QByteArray("HTTP/1.1 200 OK\r\n"));
            socket->write(validator + "Content-Length: " + QByteArray::number(data.size() - from) + "\r\n\r\n" + data.mid(from, to - from));
            socket->disconnectFromHost();
        };
        const auto got = run(request(m_server->url("/big.csv")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(got->bytes, data.size());
        QCOMPARE(m_body.size(), data.size());
        QVERIFY(m_body == data);
        // Qt asks once more by itself when a connection ends very early, so some attempts may not be ours.
        QVERIFY2(got->resumes >= 1 && got->resumes <= 4, QByteArray::number(got->resumes));
        QFETCH(bool, goesOn);
        QCOMPARE(m_begun, goesOn ? 1 : got->resumes + 1);
        QCOMPARE(m_head.size, data.size());
        QCOMPARE(m_head.fileName, QStringLiteral("big.csv"));
    }
    // The file was replaced between two parts: the new one whole, no mixture.
    void changedContentBeginsAnew()
    {
        const QByteArray before(500'000, 'a'), after(400'000, 'b');
        m_server->answer = [&](const QByteArray &path, QTcpSocket *socket) {
            if (m_server->requests.size() == 1) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 500000\r\n\r\n" + before.left(200'000));
                socket->disconnectFromHost();
            } else if (path == "/416" && m_server->requests.size() == 2) {
                say(socket, "416 Range Not Satisfiable\r\nContent-Range: bytes */400000");
            } else {
                say(socket, "200 OK\r\nETag: \"2\"", after);
            }
        };
        for (const char *path : {"/200", "/416"}) {
            m_server->requests.clear();
            const auto got = run(request(m_server->url(path)));
            QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
            QVERIFY(m_body == after);
            QCOMPARE(m_begun, 2);
        }
    }
    void resumeAfterAStall()
    {
        m_server->answer = [this](const QByteArray &, QTcpSocket *socket) {
            if (m_server->requests.size() == 1)
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\n\r\nhalf");
            else if (m_server->requests.size() == 2)
                say(socket, "503 Service Unavailable"); // for a moment
            else
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 4-7/8", "rest");
        };
        FetchRequest made = request(m_server->url("/x"));
        made.readTimeout = std::chrono::milliseconds(300);
        const auto got = run(std::move(made));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("halfrest"));
    }
    void anotherPartIsRefused()
    {
        m_server->answer = [this](const QByteArray &, QTcpSocket *socket) {
            if (m_server->requests.size() == 1) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\n\r\nhalf");
                socket->disconnectFromHost();
            } else {
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 2-7/8", "lfrest");
            }
        };
        QVERIFY(!run(request(m_server->url("/x"))));
    }
    // A server may give less than was asked for: that is not the end of the file.
    void lessThanAskedFor()
    {
        m_server->answer = [this](const QByteArray &, QTcpSocket *socket) {
            const qsizetype asked = m_server->requests.size();
            if (asked == 1) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\n\r\nhalf");
                socket->disconnectFromHost();
            } else {
                say(socket, asked == 2 ? "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 4-5/8" : "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 6-7/8",
                    asked == 2 ? "re" : "st");
            }
        };
        const auto got = run(request(m_server->url("/x")));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("halfrest"));
        QCOMPARE(got->bytes, 8);
    }
    // "bytes 4-5/*" says neither how much there is nor that this was all of it.
    void partsWithoutATotal_data()
    {
        QTest::addColumn<bool>("lengthFirst");
        QTest::newRow("the first answer told its length") << true;
        QTest::newRow("none did: the answer is that nothing follows") << false;
    }
    void partsWithoutATotal()
    {
        QFETCH(bool, lengthFirst);
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            const QByteArray head = m_server->requests.last();
            if (!head.contains("Range: bytes=")) {
                socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Type: text/csv\r\n");
                socket->write(lengthFirst ? "Content-Length: 8\r\n\r\nhalf" : "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
                // Silent otherwise: Qt may take a chunked body for whole when the connection ends right behind a chunk.
                if (lengthFirst) socket->disconnectFromHost();
            } else if (head.contains("bytes=4-")) {
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Type: text/csv\r\nContent-Range: bytes 4-5/*", "re");
            } else if (head.contains("bytes=6-")) {
                say(socket, "206 Partial Content\r\nETag: \"1\"\r\nContent-Type: text/csv\r\nContent-Range: bytes 6-7/*", "st");
            } else {
                say(socket, "416 Range Not Satisfiable\r\nContent-Type: text/html\r\nContent-Range: bytes */8", "nothing");
            }
        };
        FetchRequest made = request(m_server->url("/x.csv"));
        made.readTimeout = std::chrono::milliseconds(500);
        const auto got = run(std::move(made));
        QVERIFY2(got.ok(), got ? "" : qPrintable(got.error().text()));
        QCOMPARE(m_body, QByteArray("halfrest"));
        QCOMPARE(got->bytes, 8);
        QCOMPARE(got->contentType, QByteArray("text/csv"));
        QCOMPARE(got->status, 206);
        QVERIFY2(m_server->requests.size() <= 6, QByteArray::number(m_server->requests.size()).constData());
    }
    // An address that is silent is not the only one.
    void silentAddress()
    {
        QTcpServer silent;
        QVERIFY(silent.listen(QHostAddress(QStringLiteral("127.0.0.2")), m_server->serverPort()));
        bool asked = false;
        m_server->hello = [&asked](QTcpSocket *socket) {
            asked = true;
            socket->abort();
        };
        const QString origin = m_server->origin("https", "two.example");
        const auto both = [](QString, std::chrono::milliseconds, CancelToken) { return lookedUp(QStringLiteral("127.0.0.2,127.0.0.1")); };
        FetchRequest made = request(QUrl(origin));
        made.connectTimeout = std::chrono::milliseconds(300);
        QVERIFY(!run(std::move(made), {origin}, both));
        QVERIFY(asked);
        made = request(QUrl(origin));
        made.connectTimeout = std::chrono::milliseconds(300);
        const auto one = run(std::move(made), {origin}, [](QString, std::chrono::milliseconds, CancelToken) { return lookedUp(QStringLiteral("127.0.0.2")); });
        QVERIFY(!one);
        QCOMPARE(one.error().code, ErrorCode::Timeout);
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

    // A name that is public when it is checked and local when it is asked again: the connection goes to what was checked,
    // and every redirect and every attempt is checked anew.
    void dnsRebinding()
    {
        const QString origin = m_server->origin("http", "rebind.example");
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) { say(socket, "200 OK", "inside"); };
        auto lookups = std::make_shared<int>(0);
        const auto answers = std::make_shared<QStringList>();
        const Resolver resolver = [lookups, answers](QString, std::chrono::milliseconds, CancelToken) {
            const QString address = answers->value(qMin<qsizetype>((*lookups)++, answers->size() - 1));
            return lookedUp(address);
        };
        const QUrl url(origin + QStringLiteral("/secret"));
        // Nothing of ours listens there: what matters is that 127.0.0.1 is not asked although a second lookup would give it.
        *answers = {QStringLiteral("192.0.2.1"), QStringLiteral("127.0.0.1")};
        auto first = run(request(url), {QStringLiteral("http://other.example")}, resolver);
        QVERIFY(!first && first.error().code == ErrorCode::Forbidden);
        *lookups = 0;
        *answers = {QStringLiteral("8.8.8.8,127.0.0.1")}; // one of several is enough
        auto mixed = run(request(url), {QStringLiteral("http://other.example")}, resolver);
        QVERIFY(!mixed && mixed.error().code == ErrorCode::Forbidden);
        QCOMPARE(*lookups, 1);
        // The first hop is allowed and redirects to a name that has become local.
        m_server->answer = [origin](const QByteArray &, QTcpSocket *socket) {
            say(socket, "302 Found\r\nLocation: http://rebind.example/latest");
        };
        *lookups = 0;
        *answers = {QStringLiteral("169.254.169.254")};
        auto hop = run(request(m_server->url("/go")), {m_server->origin()}, resolver);
        QVERIFY(!hop && hop.error().code == ErrorCode::Forbidden);
        QVERIFY2(hop.error().message.contains(QStringLiteral("169.254.169.254")), qPrintable(hop.error().message));
        // A transfer that breaks off: the name is resolved again for the rest, and checked again.
        m_server->answer = [](const QByteArray &, QTcpSocket *socket) {
            socket->write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 100\r\n\r\nhalf");
            socket->disconnectFromHost();
        };
        *lookups = 0;
        *answers = {QStringLiteral("127.0.0.1")};
        const auto before = m_server->requests.size();
        auto rest = run(request(url), {origin}, resolver);
        QVERIFY(!rest);
        QVERIFY(*lookups >= 2);
        QVERIFY(m_server->requests.size() - before >= *lookups);
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
        const qint64 all = 200ll << 20;
        m_server->answer = [&](const QByteArray &, QTcpSocket *socket) {
            socket->write("HTTP/1.1 200 OK\r\nContent-Length: " + QByteArray::number(all) + "\r\n\r\n");
            const auto more = [&sent, all, socket] {
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
