// Which addresses a fetch reaches, however they are written, redirected to or looked up.
#include "net/FetchTest.h"

using namespace power;
using namespace power::net;
using namespace power::net::test;

class tst_fetch_addresses : public FetchTest
{
    Q_OBJECT

private Q_SLOTS:
    void init() { newServer(); }
    void cleanup() { noServer(); }

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
};

QTEST_GUILESS_MAIN(tst_fetch_addresses)
#include "tst_fetch_addresses.moc"
