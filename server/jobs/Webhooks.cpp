#include "jobs/Webhooks.h"
#include "base/Log.h"
#include <QJsonDocument>
#include <QMessageAuthenticationCode>
#include <QPointer>

namespace power::jobs {

using namespace std::chrono_literals;

namespace {
constexpr std::chrono::milliseconds kSqlTime = 5s;
constexpr int kHooksAtOnce = 8;

QByteArray bodyOf(const Job &job)
{
    const auto iso = [](const QDateTime &time) { return time.isValid() ? QJsonValue(time.toUTC().toString(Qt::ISODateWithMs)) : QJsonValue(); };
    QJsonObject body{{QStringLiteral("event"), QStringLiteral("job.ended")},
                     {QStringLiteral("job_id"), job.id},
                     {QStringLiteral("session_id"), job.key.id},
                     {QStringLiteral("status"), statusOf(job.state)},
                     {QStringLiteral("state"), job.state},
                     {QStringLiteral("cause"), job.cause},
                     {QStringLiteral("attempts"), job.attempts},
                     {QStringLiteral("submitted_at"), iso(job.submitted)},
                     {QStringLiteral("started_at"), iso(job.started)},
                     {QStringLiteral("completed_at"), iso(job.completed)},
                     {QStringLiteral("execution_time_ms"), job.executionMs < 0 ? QJsonValue() : QJsonValue(job.executionMs)},
                     {QStringLiteral("error_message"), job.errorMessage.isEmpty() ? QJsonValue() : QJsonValue(job.errorMessage.left(1'000))},
                     {QStringLiteral("metadata"), job.metadata}};
    const QString base = job.options.value(QStringLiteral("base_url")).toString();
    if (!base.isEmpty())
        body.insert(QStringLiteral("result_url"), base + QStringLiteral("/api/jobs/%1/result").arg(job.id));
    return QJsonDocument(body).toJson(QJsonDocument::Compact);
}
} // namespace

QByteArray webhookSignature(const QByteArray &body, const QString &secret, qint64 seconds)
{
    const QByteArray time = QByteArray::number(seconds);
    const QByteArray mac = QMessageAuthenticationCode::hash(time + '.' + body, secret.toUtf8(), QCryptographicHash::Sha256);
    return "t=" + time + ",v1=" + mac.toHex();
}

Webhooks::Webhooks(storage::Database &database, net::Fetcher &fetcher, QObject *parent)
    : QObject(parent), m_database(database), m_fetcher(fetcher)
{
    connect(&m_tick, &QTimer::timeout, this, [this] { work(); });
    m_soon.setSingleShot(true);
    connect(&m_soon, &QTimer::timeout, this, [this] { work(); });
}

void Webhooks::start()
{
    m_tick.start(5s);
}

void Webhooks::wake()
{
    if (!m_soon.isActive())
        m_soon.start(100ms);
}

QCoro::Task<> Webhooks::work()
{
    if (m_working || !m_database.isConnected())
        co_return;
    m_working = true;
    const QPointer<Webhooks> self(this);
    while (true) {
        storage::Job<QList<table::Delivery>> job = [](QSqlDatabase &connection) { return table::takeDeliveries(connection, kHooksAtOnce); };
        const storage::Lane lane = storage::Lane::Short;
        const Result<QList<table::Delivery>> due = co_await m_database.run<QList<table::Delivery>>(lane, kSqlTime, std::move(job));
        if (!self)
            co_return;
        if (!due || due->isEmpty())
            break;
        std::vector<QCoro::Task<>> all;
        for (const table::Delivery &each : *due)
            all.push_back(deliver(each));
        for (QCoro::Task<> &each : all)
            co_await each;
        if (!self)
            co_return;
    }
    m_working = false;
}

QCoro::Task<> Webhooks::deliver(table::Delivery delivery)
{
    const QPointer<Webhooks> self(this);
    net::FetchRequest request;
    request.url = QUrl(delivery.hook.url);
    request.maxBytes = 64 << 10;
    request.connectTimeout = 10s;
    request.readTimeout = 20s;
    request.maxRedirects = 0;
    request.post = bodyOf(delivery.job);
    request.headers = {{"Content-Type", "application/json"},
                       {"X-Power-Delivery", delivery.job.id.toLatin1()},
                       {"X-Power-Signature", webhookSignature(*request.post, delivery.hook.secret, QDateTime::currentSecsSinceEpoch())}};
    const Result<net::FetchResult> answer = co_await m_fetcher.fetch(std::move(request));
    if (!self)
        co_return;
    const QString problem = answer ? QString() : answer.error().message.left(500);
    log::info("webhook", {{QStringLiteral("job"), delivery.job.id}, {QStringLiteral("attempt"), delivery.attempt},
                          {QStringLiteral("ok"), answer.ok()}, {QStringLiteral("reason"), problem}});
    const QString id = delivery.job.id;
    const int attempt = delivery.attempt;
    storage::Job<Done> job = [id, attempt, problem](QSqlDatabase &connection) { return table::noteDelivery(connection, id, attempt, problem); };
    const storage::Lane lane = storage::Lane::Short;
    const Result<Done> noted = co_await m_database.run<Done>(lane, kSqlTime, std::move(job));
    Q_UNUSED(noted);
}

} // namespace power::jobs
