// The KernelHost of the server: zygote, kernels, watchdog, budget.
#pragma once
#include "supervisor/CheckpointPacer.h"
#include "supervisor/KernelHost.h"
#include "supervisor/KernelProcess.h"
#include "supervisor/Renderer.h"
#include "supervisor/SessionGroups.h"
#include "supervisor/Zygotes.h"
#include <QHash>
#include <QThreadPool>
#include <map>
#include <optional>

namespace power::supervisor {

class Host final : public KernelHost, public KernelHouse
{
    Q_OBJECT
public:
    explicit Host(HostConfig config);
    ~Host() override;

    QCoro::Task<Result<Done>> start() override;
    const TierReport &tier() const override { return m_tier; }
    bool isReady() const override { return m_zygotes && m_zygotes->current().serves(); }
    QJsonObject checkpointReport() const override;
    QJsonObject zygoteReport() const override;
    QCoro::Task<Result<std::unique_ptr<Kernel>>> spawn(KernelSpec spec, CancelToken cancel) override;
    QCoro::Task<Result<FileLook>> look(QJsonObject arguments, int file, CancelToken cancel) override;
    QCoro::Task<Result<Done>> load(QJsonObject arguments, int file, std::shared_ptr<Fd> rows, std::chrono::milliseconds timeout,
                                   CancelToken cancel) override;
    int kernelCount() const override;
    int birthsUnderWay() const override;
    qint64 totalMemoryBytes() const override { return m_budget; }
    qint64 usedMemoryBytes() const override;
    QCoro::Task<> stop() override;

    Poller &poller() override { return m_poller; }
    QString spoolDirectory() const override { return m_config.spoolDirectory; }
    void killTree(const KernelProcess &kernel) override;
    void lookForTree(const KernelProcess &kernel) override;
    bool zygoteServes() const override { return isReady(); }
    void runStarted(KernelProcess &kernel) override;
    void runEnded(KernelProcess &) override { m_pacer.wake(); }
    void adopt(const KernelProcess &kernel, pid_t copy) override;
    qint64 sharedMemory() const override { return m_baseline; }
    bool takesCheckpoints() const override { return m_config.checkpointsPerSecond > 0; }
    void countCheckpoint(const QString &what, const QString &reason) override;
    void noteCheckpointPrice(std::chrono::microseconds price) override;
    void noteRestoration(std::chrono::microseconds took) override;
    void asked(KernelProcess &kernel, AskFrame ask, CancelToken cancel) override;
    void treeGone(KernelProcess &kernel) override;
    void carriesOn(const KernelProcess &kernel) override;
    std::optional<MemoryEnd> memoryEnd(const KernelProcess &kernel) const override;

private:
    using Shared = std::shared_ptr<KernelProcess>;
    struct DiskWalk {
        qint64 tick = 0; // when it began; 0: there was none
        bool underWay = false;
        qint64 tookMs = 0;
        QElapsedTimer ended;
    };
    // Where in its control group a session's kernel is.
    struct Seat {
        int side = 0;      // the leaf; its copy is in the other one
        qint64 ended = 0;  // processes ended there for want of memory before it
    };

    QByteArrayList zygoteEnvironment() const;
    QString officeHelper() const;
    QJsonObject plan(const KernelSpec &spec, quint64 number) const;
    QJsonObject kernelMeta(const KernelSpec &spec, const QByteArray &token) const;
    Result<Done> roomFor(const KernelSpec &spec) const;
    Shared predecessor(const KernelSpec &spec) const;
    Shared order(const KernelSpec &spec, quint64 number, QString &trouble);
    QCoro::Task<> openGroups();
    OneShot<Done> makeGroup(quint64 number, const KernelLimits &limits);
    void removeGroup(quint64 number, int tries = 0);
    QString leafOf(quint64 number) const;
    void seatCopy(const KernelProcess &kernel, pid_t copy);
    static QCoro::Task<> drawFor(Renderer *renderer, Shared kernel, AskFrame ask, CancelToken cancel);
    void onExited(const ExitReport &report);
    void reapStrays();
    void sample();
    void sampled(const QList<TreeSample> &samples);
    void enforceBudget();
    void walkDisk(const TreeTarget &target);
    void diskSeen(const DiskSample &sample);

    HostConfig m_config;
    CheckpointPacer m_pacer;
    QHash<QString, qint64> m_checkpoints, m_skips;
    std::chrono::microseconds m_lastPrice{0}, m_longestPrice{0}, m_lastRestoration{0}, m_longestRestoration{0};
    TierReport m_tier;
    Poller m_poller;
    std::unique_ptr<Zygotes> m_zygotes;
    std::map<quint64, Shared> m_kernels;
    quint64 m_next = 1;
    bool m_stopping = false;
    bool m_orphans = false;     // a zygote has died: its kernels may be our children now
    Gate m_ready;
    std::optional<Error> m_refusal; // why this machine runs no kernels (the probe's word)
    qint64 m_budget = 0;
    qint64 m_baseline = 0;      // private bytes of the zygote, inherited by every kernel
    qint64 m_baselineData = 0;  // what RLIMIT_DATA counts of them
    QTimer m_tick;
    QThreadPool m_sampler;      // everything that reads /proc and directories
    std::shared_ptr<SessionGroups> m_groups; // null: the machine lets us make none
    QHash<quint64, Seat> m_seats;            // kernel -> seat, where there are groups
    QThreadPool m_groupWork;                 // one thread: what is asked of the groups happens in order
    MemoryMeter m_meter;        // used by the one pass that m_sampling says is under way
    bool m_sampling = false;
    int m_ticks = 0;
    std::unique_ptr<Renderer> m_renderer;
    QThreadPool m_walker;                 // one thread for the directories of all sessions
    QHash<quint64, DiskWalk> m_diskWalks; // kernel -> its last walk
    QHash<quint64, qint64> m_seenRunning; // kernel -> last tick at which it ran something
};

} // namespace power::supervisor
