#include "mcp/ProgressMeter.h"
#include "mcp/Rpc.h"

namespace power::mcp {

namespace {
constexpr int kBurst = 4;
}

ProgressMeter::ProgressMeter(std::shared_ptr<Outlet> outlet, QJsonValue token, StreamDelays delays)
    : m_outlet(std::move(outlet)), m_token(std::move(token)), m_delays(delays), m_allowance(kBurst),
      m_refilled(std::chrono::steady_clock::now())
{
    m_timer.setSingleShot(true);
    QObject::connect(&m_timer, &QTimer::timeout, &m_timer, [this] { flush(); });
    m_outlet->onFlow([this] { flush(); });
}

void ProgressMeter::report(double done, double total, const QString &text)
{
    if (!m_outlet || m_token.isNull() || !m_outlet->canCarry())
        return;
    const double before = m_waiting ? m_waiting->done : m_last;
    if (done >= 0 && done <= before && (text.isEmpty() || text == (m_waiting ? m_waiting->text : m_lastText)))
        return;
    m_waiting = Update{done < 0 ? std::max(before, 0.0) + 1 : done > before ? done : before + 0.001, total, text};
    if (m_outlet->isFlowing() || m_delays.withProgress.count() == 0)
        flush();
}

void ProgressMeter::flush()
{
    if (!m_outlet || !m_waiting)
        return;
    const auto now = std::chrono::steady_clock::now();
    const auto gained = (now - m_refilled) / m_delays.refill;
    if (gained > 0) {
        m_allowance = int(std::min<qint64>(kBurst, m_allowance + gained));
        m_refilled += gained * m_delays.refill;
    }
    if (m_allowance == 0) {
        if (!m_timer.isActive())
            m_timer.start(m_delays.refill);
        return;
    }
    --m_allowance;
    const Update update = *std::exchange(m_waiting, std::nullopt);
    m_last = update.done;
    m_lastText = update.text;
    QJsonObject params{{QStringLiteral("progressToken"), m_token}, {QStringLiteral("progress"), update.done}};
    if (update.total > 0)
        params.insert(QStringLiteral("total"), update.total);
    if (!update.text.isEmpty())
        params.insert(QStringLiteral("message"), update.text);
    m_outlet->carry(notificationMessage(QStringLiteral("notifications/progress"), params));
}

void ProgressMeter::stop()
{
    m_timer.stop();
    if (const auto outlet = std::exchange(m_outlet, nullptr))
        outlet->onFlow({});
}

} // namespace power::mcp
