#include "app/FirstCell.h"
#include <QCoroNetworkReply>
#include <QElapsedTimer>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QNetworkAccessManager>
#include <QNetworkReply>
#include <QSslConfiguration>
#include <QSslSocket>

namespace power::app {

namespace {
const char *const kCell =
    "table = pd.DataFrame({'quarter': ['Q1', 'Q2', 'Q3', 'Q4'], 'sales': [120, 135, 128, 160]})\n"
    "table.plot(x='quarter', y='sales', kind='bar', legend=False, title='Sales')\n"
    "print(f\"{table.sales.sum()} in {len(table)} quarters, best {table.loc[table.sales.idxmax(), 'quarter']}\")\n";

QNetworkReply *postTool(QNetworkAccessManager &network, const QUrl &url, const QByteArray &apiKey, const char *tool,
                        const QJsonObject &arguments, std::chrono::milliseconds timeout)
{
    QUrl door = url;
    door.setPath(QStringLiteral("/mcp"));
    QNetworkRequest request(door);
    request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
    request.setTransferTimeout(int(timeout.count()));
    if (!apiKey.isEmpty())
        request.setRawHeader("Authorization", "Bearer " + apiKey);
    if (url.scheme() == u"https") {
        // We are talking to ourselves; the certificate may name any host.
        QSslConfiguration tls = QSslConfiguration::defaultConfiguration();
        tls.setPeerVerifyMode(QSslSocket::VerifyNone);
        request.setSslConfiguration(tls);
    }
    const QJsonObject message{
        {QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
        {QStringLiteral("id"), 1},
        {QStringLiteral("method"), QStringLiteral("tools/call")},
        {QStringLiteral("params"),
         QJsonObject{{QStringLiteral("name"), QLatin1String(tool)}, {QStringLiteral("arguments"), arguments}}}};
    return network.post(request, QJsonDocument(message).toJson(QJsonDocument::Compact));
}
} // namespace

QCoro::Task<Result<FirstCell>> runFirstCell(QUrl url, QByteArray apiKey, std::chrono::milliseconds timeout)
{
    QNetworkAccessManager network;
    const QString session = QStringLiteral("first-cell");
    QElapsedTimer clock;
    clock.start();
    const QJsonObject call{{QStringLiteral("code"), QLatin1String(kCell)}, {QStringLiteral("session_id"), session}};
    std::unique_ptr<QNetworkReply> reply(postTool(network, url, apiKey, "execute_code", call, timeout));
    QNetworkReply *pending = reply.get();
    co_await pending;
    FirstCell cell;
    cell.milliseconds = clock.elapsed();
    const QByteArray body = pending->readAll();
    const QJsonObject result = QJsonDocument::fromJson(body).object().value(QStringLiteral("result")).toObject();
    const QJsonArray content = result.value(QStringLiteral("content")).toArray();
    for (const auto value : content) {
        const QJsonObject block = value.toObject();
        if (block.value(QStringLiteral("type")).toString() == u"image")
            ++cell.images;
        else if (cell.text.isEmpty())
            cell.text = block.value(QStringLiteral("text")).toString();
    }
    const QJsonObject gone{{QStringLiteral("session_id"), session}};
    std::unique_ptr<QNetworkReply> removal(postTool(network, url, apiKey, "delete_session", gone, timeout));
    QNetworkReply *removing = removal.get();
    co_await removing;
    if (result.value(QStringLiteral("isError")).toBool(true) || cell.images != 1)
        co_return fail(ErrorCode::Upstream,
                       QStringLiteral("The first cell did not give a table and a chart: %1")
                           .arg(cell.text.isEmpty() ? pending->errorString() + u' ' + QString::fromUtf8(body.left(500)) : cell.text));
    co_return cell;
}

} // namespace power::app
