// What the tests of fetching share: a scripted server on loopback, and a fetch whose body is kept.
#pragma once
#include "net/Fetch.h"
#include <QElapsedTimer>
#include <QSslConfiguration>
#include <QSslSocket>
#include <QTcpServer>
#include <QTest>
#include <QTimer>
#include <optional>
#include <zlib.h>

namespace power::net::test
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

inline void say(QTcpSocket *socket, const QByteArray &head, const QByteArray &body = {})
{
    socket->write("HTTP/1.1 " + head + "\r\nContent-Length: " + QByteArray::number(body.size()) +
                  "\r\nConnection: close\r\n\r\n" + body);
    socket->disconnectFromHost();
}

// What a resolver says: addresses with commas between.
inline QCoro::Task<Result<QList<QHostAddress>>> lookedUp(QString addresses)
{
    QList<QHostAddress> list;
    for (const QString &address : addresses.split(u','))
        list << QHostAddress(address);
    co_return list;
}

// QCoro::waitFor() wants default-constructible values.
inline QCoro::Task<> keep(QCoro::Task<Result<FetchResult>> task, std::optional<Result<FetchResult>> *result)
{
    Result<FetchResult> got = co_await std::move(task);
    result->emplace(std::move(got));
}

inline QByteArray gzipped(const QByteArray &data)
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

// One server for each case (a subclass' init() and cleanup() are newServer() and noServer()).
class FetchTest : public QObject
{
protected:
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
    void newServer() { m_server = std::make_unique<ScriptedServer>(); }
    void noServer() { m_server.reset(); }
};

} // namespace power::net::test
