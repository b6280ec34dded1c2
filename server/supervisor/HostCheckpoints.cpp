// What the host does for checkpoints: the word to the zygote, and the count.
#include "supervisor/Host.h"

namespace power::supervisor {

namespace {
constexpr qsizetype kMostReasons = 40;
} // namespace

void Host::adopt(const KernelProcess &kernel, pid_t copy)
{
    if (m_zygotes)
        m_zygotes->adopt(kernel.number(), {{QStringLiteral("pid"), qint64(kernel.pid())}, {QStringLiteral("checkpoint"), qint64(copy)}});
    seatCopy(kernel, copy);
}

void Host::countCheckpoint(const QString &what, const QString &reason)
{
    ++m_checkpoints[what];
    if (what != u"skipped")
        return;
    // "2 threads: polars (name)" -> "threads: polars": the kernel chose the words, so there is an end to how many.
    QString kind = reason.section(u'(', 0, 0).trimmed();
    while (!kind.isEmpty() && (kind.front().isDigit() || kind.front().isSpace()))
        kind.remove(0, 1);
    if (!m_skips.contains(kind) && m_skips.size() >= kMostReasons)
        kind = QStringLiteral("other");
    ++m_skips[kind];
}

void Host::noteCheckpointPrice(std::chrono::microseconds price)
{
    m_lastPrice = price;
    m_longestPrice = std::max(m_longestPrice, price);
}

void Host::noteRestoration(std::chrono::microseconds took)
{
    m_lastRestoration = took;
    m_longestRestoration = std::max(m_longestRestoration, took);
}

QJsonObject Host::checkpointReport() const
{
    QJsonObject skipped;
    for (auto each = m_skips.cbegin(); each != m_skips.cend(); ++each)
        skipped.insert(each.key(), each.value());
    qint64 parked = 0;
    for (const auto &[number, kernel] : m_kernels)
        parked += kernel->hasCheckpoint() ? 1 : 0;
    return {{QStringLiteral("on"), takesCheckpoints()},
            {QStringLiteral("parked"), parked},
            {QStringLiteral("taken"), m_checkpoints.value(QStringLiteral("taken"))},
            {QStringLiteral("restored"), m_checkpoints.value(QStringLiteral("restored"))},
            {QStringLiteral("lost"), m_checkpoints.value(QStringLiteral("lost"))},
            {QStringLiteral("skipped"), skipped},
            {QStringLiteral("last_ms"), double(m_lastPrice.count()) / 1000},
            {QStringLiteral("longest_ms"), double(m_longestPrice.count()) / 1000},
            {QStringLiteral("last_restore_ms"), double(m_lastRestoration.count()) / 1000},
            {QStringLiteral("longest_restore_ms"), double(m_longestRestoration.count()) / 1000}};
}

} // namespace power::supervisor
