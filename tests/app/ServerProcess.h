// A real server for tests: own data directory, free port, loopback only, stopped by pid.
#pragma once
#include <QElapsedTimer>
#include <QJsonObject>
#include <QNetworkAccessManager>
#include <QProcess>
#include <QTemporaryDir>
#include <QUrl>

namespace power::test {

struct ToolAnswer {
    QString text;             // all text blocks
    QList<QByteArray> images;
    bool isError = false;
    QJsonObject raw;          // the JSON-RPC reply
    int status = 0;
};

// ServerProcess: start() returns when the banner is out (database and kernels are ready). Thread: the test's.
class ServerProcess
{
public:
    ServerProcess();
    ~ServerProcess() { stop(); }

    // Before start(): the server runs as this uid and gid, which own its data directory (needs root).
    void runAs(uint uid) { m_uid = uid; }
    // Before start(): the server finds this directory empty (needs root).
    void hide(const QString &directory) { m_hidden = directory; }
    // False + output() when it did not come up within 120 s.
    bool start(const QStringList &flags = {}, const QStringList &environment = {});
    // SIGTERM, then SIGKILL after 30 s; true when it ended by itself.
    bool stop();
    void kill();              // SIGKILL; the data directory stays for another start()
    void wipe();              // the data directory of a stopped server is empty afterwards
    bool isRunning() const { return m_process.state() == QProcess::Running; }
    QUrl url() const { return m_url; }
    qint64 pid() const { return m_process.processId(); }
    QByteArray output();
    QString dataDirectory() const { return m_data.path(); }

    ToolAnswer tool(const char *name, const QJsonObject &arguments, int timeoutMs = 120'000);
    ToolAnswer run(const QString &code, const QString &session = QStringLiteral("default"), int timeoutSeconds = 60);
    QJsonObject rpc(const QString &door, const QJsonObject &message, int *status = nullptr, int timeoutMs = 120'000);
    // Raw GET or DELETE or POST; body of the answer.
    QByteArray http(const char *method, const QString &path, const QByteArray &body = {}, int *status = nullptr,
                    const QList<QPair<QByteArray, QByteArray>> &headers = {});
    QJsonObject health();

private:
    QTemporaryDir m_data;
    uint m_uid = 0;
    QString m_hidden;
    QProcess m_process;
    QByteArray m_output;
    QUrl m_url;
    QNetworkAccessManager m_network;
};

// The bin directory of the build (POWER_BIN) and the venv the tests use (POWER_PYTHON_ENV; may be empty).
QString programPath(const char *name);
QString pythonEnvironment();

} // namespace power::test
