// Figures in words, for people and agents: "512 MB", "30 s".
#pragma once
#include <QString>
#include <chrono>

namespace power::supervisor {

inline QString wordsOfBytes(qint64 bytes)
{
    const double value = double(bytes);
    if (bytes < 1024)
        return QStringLiteral("%1 bytes").arg(bytes);
    if (bytes < 1024 * 1024)
        return QStringLiteral("%1 KB").arg(QString::number(value / 1024, 'f', bytes % 1024 ? 1 : 0));
    if (bytes < 1024ll * 1024 * 1024)
        return QStringLiteral("%1 MB").arg(QString::number(value / (1024 * 1024), 'f', bytes % (1024 * 1024) ? 1 : 0));
    return QStringLiteral("%1 GB").arg(
        QString::number(value / (1024.0 * 1024 * 1024), 'f', bytes % (1024ll * 1024 * 1024) ? 1 : 0));
}

inline QString wordsOfTime(std::chrono::milliseconds time)
{
    if (time.count() < 1000)
        return QStringLiteral("%1 ms").arg(time.count());
    return QStringLiteral("%1 s").arg(QString::number(double(time.count()) / 1000, 'f', time.count() % 1000 ? 1 : 0));
}

} // namespace power::supervisor
