// EXTRA_REQUIREMENTS: packages that sessions have besides the environment's.
#pragma once
#include <QJsonObject>
#include <QObject>
#include <QProcess>
#include <QTimer>

namespace power::app {

// ExtraPackages: installed beside the environment, in DATA_DIR/packages, behind the start of the server; again only when the
// file, the index or the environment changed. Sessions that start afterwards import them; imports that keep to one thread are
// made by the next zygote. A failure is told and stops nothing. Thread: the event loop's.
class ExtraPackages : public QObject
{
    Q_OBJECT
public:
    // index: an index's URL, or a directory of wheels; empty = as pip is configured.
    ExtraPackages(QString requirements, QString index, QString pythonEnv, QString directory, QObject *parent = nullptr);
    ~ExtraPackages() override;

    bool isConfigured() const { return !m_requirements.isEmpty(); }
    // Where sessions find them; made when missing.
    QString site() const;
    void start();
    // One sentence for people: "installed: x 1.0", "failed: ...".
    const QString &state() const { return m_state; }

private:
    void finished(int code);

    QString m_requirements, m_index, m_python, m_directory, m_state;
    QProcess m_process;
    QTimer m_limit;
};

} // namespace power::app
