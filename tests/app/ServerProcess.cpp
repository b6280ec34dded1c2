#include "ServerProcess.h"
#include <QDir>
#include <QEventLoop>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QNetworkReply>
#include <QRegularExpression>
#include <QTimer>
#include <csignal>
#include <sys/stat.h>
#include <unistd.h>

namespace power::test {

QString programPath(const char *name)
{
    return qEnvironmentVariable("POWER_BIN") + u'/' + QLatin1String(name);
}

QString pythonEnvironment()
{
    return qEnvironmentVariable("POWER_PYTHON_ENV");
}

ServerProcess::ServerProcess()
{
    // Sessions of other uids must be able to pass through.
    ::chmod(QFile::encodeName(m_data.path()).constData(), 0755);
}

bool ServerProcess::start(const QStringList &flags, const QStringList &environment)
{
    QStringList args{QStringLiteral("--port"), QStringLiteral("0"), QStringLiteral("--host"), QStringLiteral("127.0.0.1"),
                     QStringLiteral("--data-dir"), m_data.path(), QStringLiteral("--sandbox-dir"),
                     m_data.path() + QStringLiteral("/sandbox")};
    if (!pythonEnvironment().isEmpty())
        args << QStringLiteral("--python-env") << pythonEnvironment();
    QProcessEnvironment env = QProcessEnvironment::systemEnvironment();
    for (const QString &pair : environment)
        env.insert(pair.section(u'=', 0, 0), pair.section(u'=', 1));
    m_process.setProcessEnvironment(env);
    m_process.setProcessChannelMode(QProcess::MergedChannels);
    m_output.clear();
    QString program = programPath("power-interpreter");
    args += flags;
    if (m_uid != 0) {
        if (::chown(QFile::encodeName(m_data.path()).constData(), m_uid, m_uid) != 0)
            return false;
        const QString id = QString::number(m_uid);
        args = QStringList{QStringLiteral("--reuid=") + id, QStringLiteral("--regid=") + id, QStringLiteral("--clear-groups"), program} + args;
        program = QStringLiteral("setpriv");
    }
    if (!m_hidden.isEmpty()) {
        args = QStringList{QStringLiteral("-m"), QStringLiteral("sh"), QStringLiteral("-c"),
                           QStringLiteral("mount -t tmpfs none \"$0\" && exec \"$@\""), m_hidden, program} + args;
        program = QStringLiteral("unshare");
    }
    m_process.start(program, args);
    static const QRegularExpression line(QStringLiteral("^  URL +(\\S+)$"), QRegularExpression::MultilineOption);
    QElapsedTimer clock;
    clock.start();
    while (clock.elapsed() < 120'000 && m_process.state() != QProcess::NotRunning) {
        m_process.waitForReadyRead(500);
        m_output += m_process.readAll();
        const auto match = line.match(QString::fromUtf8(m_output));
        if (match.hasMatch() && m_output.contains("print(6*7)")) {
            m_url = QUrl(match.captured(1));
            return true;
        }
    }
    return false;
}

bool ServerProcess::stop()
{
    if (m_process.state() == QProcess::NotRunning)
        return true;
    m_process.terminate();
    if (m_process.waitForFinished(30'000))
        return m_process.exitStatus() == QProcess::NormalExit && m_process.exitCode() == 0;
    m_process.kill();
    m_process.waitForFinished(5'000);
    return false;
}

void ServerProcess::kill()
{
    m_process.kill();
    m_process.waitForFinished(5'000);
}

void ServerProcess::wipe()
{
    const QFileInfoList entries = QDir(m_data.path()).entryInfoList(QDir::AllEntries | QDir::Hidden | QDir::System | QDir::NoDotAndDotDot);
    for (const QFileInfo &entry : entries) {
        if (entry.isDir() && !entry.isSymLink())
            QDir(entry.filePath()).removeRecursively();
        else
            QFile::remove(entry.filePath());
    }
}

QByteArray ServerProcess::output()
{
    m_output += m_process.readAll();
    return m_output;
}

QByteArray ServerProcess::http(const char *method, const QString &path, const QByteArray &body, int *status,
                               const QList<QPair<QByteArray, QByteArray>> &headers)
{
    QNetworkRequest request(QUrl(m_url.toString() + path));
    request.setTransferTimeout(180'000);
    if (!body.isEmpty())
        request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
    for (const auto &header : headers)
        request.setRawHeader(header.first, header.second);
    std::unique_ptr<QNetworkReply> reply(m_network.sendCustomRequest(request, method, body));
    QEventLoop loop;
    QObject::connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
    if (!reply->isFinished())
        loop.exec();
    if (status)
        *status = reply->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt();
    return reply->readAll();
}

QJsonObject ServerProcess::rpc(const QString &door, const QJsonObject &message, int *status, int)
{
    const QByteArray body = http("POST", door, QJsonDocument(message).toJson(QJsonDocument::Compact), status);
    return QJsonDocument::fromJson(body).object();
}

ToolAnswer ServerProcess::tool(const char *name, const QJsonObject &arguments, int timeoutMs)
{
    static int id = 0;
    ToolAnswer answer;
    answer.raw = rpc(QStringLiteral("/mcp"),
                     {{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                      {QStringLiteral("id"), ++id},
                      {QStringLiteral("method"), QStringLiteral("tools/call")},
                      {QStringLiteral("params"), QJsonObject{{QStringLiteral("name"), QLatin1String(name)},
                                                              {QStringLiteral("arguments"), arguments}}}},
                     &answer.status, timeoutMs);
    const QJsonObject result = answer.raw.value(QStringLiteral("result")).toObject();
    answer.isError = result.value(QStringLiteral("isError")).toBool(result.isEmpty());
    const QJsonArray content = result.value(QStringLiteral("content")).toArray();
    for (const auto value : content) {
        const QJsonObject block = value.toObject();
        if (block.value(QStringLiteral("type")).toString() == u"image")
            answer.images << QByteArray::fromBase64(block.value(QStringLiteral("data")).toString().toLatin1());
        else
            answer.text += block.value(QStringLiteral("text")).toString() + u'\n';
    }
    if (result.isEmpty())
        answer.text = QString::fromUtf8(QJsonDocument(answer.raw).toJson());
    return answer;
}

ToolAnswer ServerProcess::run(const QString &code, const QString &session, int timeoutSeconds)
{
    return tool("execute_code", {{QStringLiteral("code"), code},
                                 {QStringLiteral("session_id"), session},
                                 {QStringLiteral("timeout"), timeoutSeconds}});
}

QJsonObject ServerProcess::health()
{
    return QJsonDocument::fromJson(http("GET", QStringLiteral("/health"))).object();
}

} // namespace power::test
