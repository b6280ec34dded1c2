// What happens after a job and before one: signed webhooks, jobs by the clock.
#include "app/ServerProcess.h"
#include "jobs/Webhooks.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTest>

using namespace power::test;

// Takes POSTs; the first answer is 503, the others are 200.
class Receiver : public QTcpServer
{
    Q_OBJECT
public:
    struct Post {
        QByteArray head, body;
        QByteArray header(const QByteArray &name) const
        {
            for (const QByteArray &line : head.split('\n')) {
                if (line.toLower().startsWith(name.toLower() + ':'))
                    return line.mid(name.size() + 1).trimmed();
            }
            return {};
        }
    };
    QList<Post> posts;

    Receiver()
    {
        connect(this, &QTcpServer::newConnection, this, [this] {
            QTcpSocket *socket = nextPendingConnection();
            const auto text = std::make_shared<QByteArray>();
            connect(socket, &QTcpSocket::readyRead, socket, [this, socket, text] {
                *text += socket->readAll();
                const qsizetype end = text->indexOf("\r\n\r\n");
                if (end < 0)
                    return;
                const Post post{text->left(end), text->mid(end + 4)};
                if (post.body.size() < post.header("content-length").toLongLong())
                    return;
                posts << post;
                socket->write(posts.size() == 1 ? "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                                                : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                socket->disconnectFromHost();
            });
        });
    }
};

class TestJobAfter : public QObject
{
    Q_OBJECT
    ServerProcess m_server;
    Receiver m_receiver;

    QJsonObject rest(const char *method, const QString &path, const QJsonObject &body = {}, int *status = nullptr)
    {
        return QJsonDocument::fromJson(m_server.http(method, path, body.isEmpty() ? QByteArray() : QJsonDocument(body).toJson(), status)).object();
    }
    QString hook() const { return QStringLiteral("http://127.0.0.1:%1/hook").arg(m_receiver.serverPort()); }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY(m_receiver.listen(QHostAddress::LocalHost));
        QVERIFY2(m_server.start({QStringLiteral("--enable-schedules"), QStringLiteral("--webhook-secret"), QStringLiteral("the server's"),
                                 QStringLiteral("--fetch-allow-origins"), QStringLiteral("http://127.0.0.1:%1").arg(m_receiver.serverPort())}),
                 m_server.output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server.stop(), m_server.output().right(3000).constData()); }

    void signedAndTriedAgain()
    {
        const QJsonObject submitted = rest("POST", QStringLiteral("/api/jobs/submit"),
                                           {{QStringLiteral("code"), QStringLiteral("1/0")}, {QStringLiteral("webhook_url"), hook()},
                                            {QStringLiteral("webhook_secret"), QStringLiteral("mine")},
                                            {QStringLiteral("metadata"), QJsonObject{{QStringLiteral("order"), 7}}}});
        QTRY_COMPARE_WITH_TIMEOUT(m_receiver.posts.size(), 2, 30'000);
        const Receiver::Post &post = m_receiver.posts.last();
        QCOMPARE(post.body, m_receiver.posts.first().body);
        const QByteArray signature = post.header("X-Power-Signature");
        const qint64 seconds = signature.mid(2, signature.indexOf(',') - 2).toLongLong();
        QCOMPARE(signature, power::jobs::webhookSignature(post.body, QStringLiteral("mine"), seconds));
        QVERIFY(qAbs(QDateTime::currentSecsSinceEpoch() - seconds) < 60);
        const QJsonObject told = QJsonDocument::fromJson(post.body).object();
        QCOMPARE(told.value(QStringLiteral("job_id")), submitted.value(QStringLiteral("job_id")));
        QCOMPARE(told.value(QStringLiteral("state")).toString(), QStringLiteral("failed"));
        QCOMPARE(told.value(QStringLiteral("metadata")).toObject().value(QStringLiteral("order")).toInt(), 7);
        QVERIFY(!m_server.output().contains("mine"));
    }

    void refusedUrls()
    {
        int status = 0;
        rest("POST", QStringLiteral("/api/jobs/submit"), {{QStringLiteral("code"), QStringLiteral("1")}, {QStringLiteral("webhook_url"), QStringLiteral("ftp://x/y")}}, &status);
        QVERIFY(status == 400 || status == 422);
        // An address that is not public: the job runs, nobody is called.
        const qsizetype before = m_receiver.posts.size();
        rest("POST", QStringLiteral("/api/jobs/submit"), {{QStringLiteral("code"), QStringLiteral("1")},
                                                         {QStringLiteral("webhook_url"), QStringLiteral("http://127.0.0.1:%1/").arg(m_server.url().port())}}, &status);
        QCOMPARE(status, 202);
        QTRY_VERIFY_WITH_TIMEOUT(m_server.output().contains("is not allowed"), 15'000);
        QCOMPARE(m_receiver.posts.size(), before);
    }

    void atATime()
    {
        int status = 0;
        const QString soon = QDateTime::currentDateTimeUtc().addSecs(2).toString(Qt::ISODate);
        const QJsonObject made = rest("POST", QStringLiteral("/api/schedules"),
                                      {{QStringLiteral("name"), QStringLiteral("soon")}, {QStringLiteral("at"), soon}, {QStringLiteral("code"), QStringLiteral("print('on time')")},
                                       {QStringLiteral("session_id"), QStringLiteral("clock")}, {QStringLiteral("webhook_url"), hook()}}, &status);
        QCOMPARE(status, 201);
        QVERIFY(!made.value(QStringLiteral("next_run")).toString().isEmpty());
        rest("POST", QStringLiteral("/api/schedules"), {{QStringLiteral("name"), QStringLiteral("soon")}, {QStringLiteral("at"), soon}, {QStringLiteral("code"), QStringLiteral("1")}}, &status);
        QCOMPARE(status, 409);
        const auto jobs = [this] { return rest("GET", QStringLiteral("/api/jobs?session_id=clock&status=completed")).value(QStringLiteral("jobs")).toArray(); };
        QTRY_COMPARE_WITH_TIMEOUT(jobs().size(), 1, 20'000);
        const QJsonObject schedule = rest("GET", QStringLiteral("/api/schedules")).value(QStringLiteral("schedules")).toArray().at(0).toObject();
        QCOMPARE(schedule.value(QStringLiteral("last_job_id")), jobs().at(0).toObject().value(QStringLiteral("job_id")));
        QVERIFY(schedule.value(QStringLiteral("next_run")).isNull());
        QTRY_VERIFY_WITH_TIMEOUT(m_receiver.posts.last().header("X-Power-Delivery") == schedule.value(QStringLiteral("last_job_id")).toString().toLatin1(), 15'000);
    }

    void byExpression()
    {
        int status = 0;
        const QJsonObject made = rest("POST", QStringLiteral("/api/schedules"),
                                      {{QStringLiteral("name"), QStringLiteral("mornings")}, {QStringLiteral("cron"), QStringLiteral("30 6 * * mon-fri")},
                                       {QStringLiteral("timezone"), QStringLiteral("Europe/Vienna")}, {QStringLiteral("code"), QStringLiteral("1")}}, &status);
        QCOMPARE(status, 201);
        QVERIFY(QDateTime::fromString(made.value(QStringLiteral("next_run")).toString(), Qt::ISODate) > QDateTime::currentDateTimeUtc());
        rest("POST", QStringLiteral("/api/schedules"), {{QStringLiteral("name"), QStringLiteral("bad")}, {QStringLiteral("cron"), QStringLiteral("61 * * * *")}, {QStringLiteral("code"), QStringLiteral("1")}}, &status);
        QVERIFY(status == 400 || status == 422);
        rest("DELETE", QStringLiteral("/api/schedules/mornings"), {}, &status);
        QCOMPARE(status, 200);
        rest("DELETE", QStringLiteral("/api/schedules/mornings"), {}, &status);
        QCOMPARE(status, 404);
    }
};

QTEST_GUILESS_MAIN(TestJobAfter)
#include "tst_job_after.moc"
