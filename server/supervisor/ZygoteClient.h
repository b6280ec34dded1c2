// The server's side of `power-kernel zygote`: keeps one running, has kernels forked, hears of their deaths.
#pragma once
#include "supervisor/ChildProcess.h"
#include "supervisor/Poller.h"
#include "wire/Frame.h"
#include <QByteArrayList>
#include <QElapsedTimer>
#include <QJsonObject>
#include <QObject>
#include <QTimer>
#include <array>
#include <deque>
#include <functional>

namespace power::supervisor {

struct SpawnOrder {
    QJsonObject plan;
    QJsonObject kernel;
    std::array<Fd, 4> descriptors; // control, stdout, stderr, lifeline: the kernel's ends
};

struct SpawnedKernel {
    pid_t pid = 0;
    pid_t initPid = 0;
    QJsonObject timings;
};

struct ExitReport {
    pid_t pid = 0;
    bool known = false;     // code or signal is
    int code = 0;
    int signal = 0;         // 0: it exited
    qint64 maxRssBytes = 0;
};

// ZygoteClient: starts the zygote, restarts it with growing pauses when it dies or refuses to serve. One spawn is
// in flight at a time; others wait their turn. Thread: the event loop's.
class ZygoteClient : public QObject
{
    Q_OBJECT
public:
    using SpawnCall = std::function<void(Result<SpawnedKernel>)>;

    // arguments: after the word "zygote".
    ZygoteClient(Poller &poller, QString program, QByteArrayList arguments, QByteArrayList environment);
    ~ZygoteClient() override; // kills the zygote

    // Error: Unavailable when the program cannot be executed at all.
    Result<Done> start();
    bool serves() const { return m_serving; }
    pid_t pid() const { return m_child.pid; }
    const QJsonObject &report() const { return m_report; }
    // Why it does not serve, for error texts; empty while it starts or serves.
    const QString &trouble() const { return m_trouble; }

    // Calls back exactly once, in no certain order. Errors: Unavailable (the zygote died, refused, or does not answer).
    void spawn(SpawnOrder order, SpawnCall call);
    // False when the zygote is not there to do it.
    bool kill(const QJsonObject &tree);
    // Frame Adopt of shared/wire/PROTOCOL.md; without a zygote there is nobody to tell.
    void adopt(const QJsonObject &pair);
    // It is not replaced when it dies; spawns it was asked for are still answered.
    void retire() { m_isRetired = true; }
    bool isStopping() const { return m_stopping; }
    // Ends it for good: end of file on its socket, SIGKILL after a second. Calls `gone` when it is reaped.
    void stop(std::function<void()> gone);

Q_SIGNALS:
    void ready();
    void exited(const power::supervisor::ExitReport &report);
    void died();

private:
    struct Outgoing {
        QByteArray bytes;
        qsizetype sent = 0;
        std::array<Fd, 4> descriptors;
    };
    struct Pending {
        quint64 id = 0;
        SpawnOrder order;
        SpawnCall call;
        bool asked = false;
    };

    void launch();
    void onSocket(std::uint32_t events);
    void handle(const wire::Frame &frame);
    void askNext();
    void answer(quint64 id, Result<SpawnedKernel> result);
    void send(Outgoing frame);
    bool say(wire::FrameType type, const QJsonObject &meta);
    void write();
    void onDeath();
    void drop(const QString &why);
    void failAll(const QString &why);

    Poller &m_poller;
    QString m_program;
    QByteArrayList m_arguments, m_environment;
    Child m_child;
    Fd m_socket;
    Poller::Id m_socketWatch = 0, m_pidWatch = 0;
    wire::Decoder m_decoder{64 * 1024};
    std::deque<Outgoing> m_outgoing;
    std::deque<Pending> m_pending;
    quint64 m_nextSpawn = 1;
    bool m_serving = false;
    bool m_stopping = false;
    bool m_isRetired = false;
    QJsonObject m_report;
    QString m_trouble;
    QTimer m_restart, m_answerTimer, m_stopTimer;
    QElapsedTimer m_alive;
    int m_failures = 0;
    std::function<void()> m_gone;
};

} // namespace power::supervisor
