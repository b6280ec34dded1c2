// The zygotes of a host: the one that kernels are born of, its successor while that warms up, and the retired ones.
#pragma once
#include "supervisor/ZygoteClient.h"
#include <QHash>
#include <QTimer>
#include <functional>
#include <memory>
#include <vector>

namespace power::supervisor {

// Zygotes: all kernels of one zygote have the same layout of memory and the same seed of hashes, so what one session learns
// of them would hold in all others. After so many births another zygote takes the place of the present one: it is started when no
// kernel has been born for a moment, so that a crowd of new sessions does not share the processors with it (at the latest after
// four times as many), and takes over as soon as it is warm; the retired one stays as the parent of its kernels until the last of them is gone. Thread: the event loop's.
class Zygotes final : public QObject
{
    Q_OBJECT
public:
    using Make = std::function<std::unique_ptr<ZygoteClient>()>;

    // most: births of one zygote before it is replaced; 0: never.
    Zygotes(Make make, int most);

    Result<Done> start();
    const ZygoteClient &current() const { return *m_current; }

    // Of the kernel with this number, until forget(); see ZygoteClient.
    void spawn(quint64 kernel, SpawnOrder order, ZygoteClient::SpawnCall call);
    bool kill(quint64 kernel, const QJsonObject &tree);
    void adopt(quint64 kernel, const QJsonObject &pair);
    // Nothing of the kernel lives any more.
    void forget(quint64 kernel);

    // Ends the present one for good, then calls `gone`; the others end at once.
    void stop(std::function<void()> gone);

Q_SIGNALS:
    void ready();   // kernels can be born: at the start, after the death of the present one, and when another takes over
    void exited(const power::supervisor::ExitReport &report);
    void died(bool present); // with false a retired one, whose kernels live on

private:
    std::unique_ptr<ZygoteClient> make();
    void onReady(ZygoteClient *zygote);
    void onDeath(ZygoteClient *zygote);
    void renew();
    void dismissChildless();

    Make m_make;
    int m_most;
    int m_births = 0; // of the present one
    std::unique_ptr<ZygoteClient> m_current, m_next;
    std::vector<std::unique_ptr<ZygoteClient>> m_retired;
    QTimer m_calm;
    QHash<quint64, ZygoteClient *> m_parents; // kernel -> where it was born; null when that is dead
};

} // namespace power::supervisor
