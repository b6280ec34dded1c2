// What a restored session tells: once for programs, once in words.
#pragma once
#include "files/SnapshotStore.h"
#include <QJsonObject>
#include <chrono>

namespace power::sessions {

// `report`: the kernel's answer to the task "restore" (hostile: bounded and checked here). lastCell: the newest cell
// known to have run. {"ok", "source": "snapshot", "cell", "snapshot_at", "ms", "restored": [name], "restored_count",
// "not_restored": [{"name","type","reason"}], "remarks": [{"name","text"}], "lost_cells": [n]}.
QJsonObject restoredFacts(const QJsonObject &report, const files::SnapshotFacts &facts, int lastCell, std::chrono::milliseconds took);

// Sentences for the answer of the next call.
QString restoredText(const QJsonObject &facts);

} // namespace power::sessions
