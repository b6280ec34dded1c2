#include "supervisor/CheckpointPacer.h"
#include "supervisor/KernelProcess.h"
#include <algorithm>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kPause = 30ms;            // calls that follow each other at once are not disturbed
constexpr auto kLongPause = 1000ms;
constexpr double kWorkPerPrice = 20;     // work to lose for each millisecond of the copy
constexpr double kPerCell = 2;           // every cell counts, however fast it was
constexpr double kPerMegabyte = 4;       // what grew was computed or loaded
} // namespace

double checkpointWorth(const CheckpointNeed &need)
{
    if (!need.possible)
        return 0;
    if (need.urgent)
        return 1e12;
    const double price = double(need.price.count()) / 1000;
    const double work = double(need.runTime.count()) + kPerCell * need.cells
                        + kPerMegabyte * double(std::max<qint64>(need.growth, 0)) / (1 << 20);
    const bool pauses = need.idle >= kLongPause && double(need.idle.count()) >= kWorkPerPrice * price;
    const bool costly = need.idle >= kPause && work >= kWorkPerPrice * price;
    return pauses || costly ? work : 0;
}

CheckpointPacer::CheckpointPacer(int perSecond, std::function<void(const Visit &)> forEach)
    : m_forEach(std::move(forEach)), m_on(perSecond > 0)
{
    m_timer.setInterval(1000ms / std::max(perSecond, 1));
    connect(&m_timer, &QTimer::timeout, this, [this] { tick(); });
}

void CheckpointPacer::wake()
{
    if (m_on && !m_timer.isActive())
        m_timer.start();
}

void CheckpointPacer::tick()
{
    KernelProcess *best = nullptr;
    double most = 0;
    bool more = false;
    m_forEach([&](KernelProcess &kernel) {
        const CheckpointNeed need = kernel.checkpointNeed();
        more = more || need.possible;
        const double worth = checkpointWorth(need);
        if (worth > most) {
            most = worth;
            best = &kernel;
        }
    });
    if (best)
        best->takeCheckpoint();
    else if (!more)
        m_timer.stop();
}

} // namespace power::supervisor
