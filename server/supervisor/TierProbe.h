// Which tier user code runs in: what `power-kernel probe` found, against what the configuration demands.
#pragma once
#include "supervisor/KernelHost.h"

namespace power::supervisor {

// The words of HostConfig; -1 for an unknown one. Higher is safer: none 0, nonroot 1, container 2, full 3.
int tierRank(const QString &word);

// Runs the probe (about 20 ms; at most 20 s). The report's `tier` is the one in force; layers hold what was found.
// Errors: Unavailable when the probe cannot run, when the tier is below the required one, and when it is `none`
// without having been asked for. Fails closed: an answer that is not understood is no tier.
QCoro::Task<Result<TierReport>> probeTier(HostConfig config);

// The decision alone. probe: the JSON object the program printed.
Result<TierReport> decideTier(const HostConfig &config, const QJsonObject &probe);

} // namespace power::supervisor
