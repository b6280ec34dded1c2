#include "supervisor/Zygotes.h"
#include "base/Log.h"
#include <algorithm>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr auto kCalm = 2s; // without births: to warm up another zygote keeps a processor busy for a second or two
constexpr int kLatest = 4; // times the usual number of births, however many there still are
} // namespace

Zygotes::Zygotes(Make make, int most) : m_make(std::move(make)), m_most(most)
{
    m_calm.setSingleShot(true);
    connect(&m_calm, &QTimer::timeout, this, &Zygotes::renew);
}

std::unique_ptr<ZygoteClient> Zygotes::make()
{
    std::unique_ptr<ZygoteClient> made = m_make();
    ZygoteClient *zygote = made.get();
    connect(zygote, &ZygoteClient::ready, this, [this, zygote] { onReady(zygote); });
    connect(zygote, &ZygoteClient::exited, this, &Zygotes::exited);
    connect(zygote, &ZygoteClient::died, this, [this, zygote] { onDeath(zygote); });
    return made;
}

Result<Done> Zygotes::start()
{
    m_current = make();
    return m_current->start();
}

void Zygotes::spawn(quint64 kernel, SpawnOrder order, ZygoteClient::SpawnCall call)
{
    m_parents.insert(kernel, m_current.get());
    ++m_births;
    m_current->spawn(std::move(order), std::move(call));
    if (m_most == 0 || m_births < m_most || m_next)
        return;
    if (m_births >= m_most * kLatest)
        renew();
    else
        m_calm.start(kCalm);
}

// One that does not come up is left trying; the present one goes on.
void Zygotes::renew()
{
    m_calm.stop();
    m_next = make();
    const Result<Done> started = m_next->start();
    if (!started)
        log::warning("zygote_not_renewed", {{QStringLiteral("error"), started.error().text()}});
}

void Zygotes::onReady(ZygoteClient *zygote)
{
    if (zygote == m_next.get()) {
        log::info("zygote_renewed", {{QStringLiteral("births"), m_births}, {QStringLiteral("pid"), qint64(zygote->pid())}});
        m_current->retire();
        m_retired.push_back(std::exchange(m_current, std::move(m_next)));
        m_births = 0;
        dismissChildless();
    }
    Q_EMIT ready();
}

void Zygotes::onDeath(ZygoteClient *zygote)
{
    if (zygote == m_next.get())
        return; // nobody was born of it
    const bool present = zygote == m_current.get();
    for (ZygoteClient *&parent : m_parents) {
        if (!present && parent == zygote)
            parent = nullptr;
    }
    if (!present)
        dismissChildless();
    Q_EMIT died(present);
}

bool Zygotes::kill(quint64 kernel, const QJsonObject &tree)
{
    ZygoteClient *parent = m_parents.value(kernel);
    return parent && parent->kill(tree);
}

void Zygotes::adopt(quint64 kernel, const QJsonObject &pair)
{
    if (ZygoteClient *parent = m_parents.value(kernel))
        parent->adopt(pair);
}

void Zygotes::forget(quint64 kernel)
{
    m_parents.remove(kernel);
    dismissChildless();
}

void Zygotes::dismissChildless()
{
    for (const auto &each : m_retired) {
        ZygoteClient *old = each.get();
        const bool hasChildren = std::any_of(m_parents.cbegin(), m_parents.cend(), [old](const ZygoteClient *parent) { return parent == old; });
        if (hasChildren || old->isStopping())
            continue;
        old->stop([this, old] {
            QTimer::singleShot(0, this, [this, old] { std::erase_if(m_retired, [old](const auto &one) { return one.get() == old; }); });
        });
    }
}

void Zygotes::stop(std::function<void()> gone)
{
    m_calm.stop();
    m_next.reset();
    for (ZygoteClient *&parent : m_parents) {
        if (parent != m_current.get())
            parent = nullptr;
    }
    m_retired.clear();
    m_current->stop(std::move(gone));
}

} // namespace power::supervisor
