// A run as a model reads it: ordered output, error, files with links, one session line (contract D11, 7.2).
#pragma once
#include "operations/Operation.h"
#include "sessions/Session.h"

namespace power::operations {

// Blocks: the output and error as one text (an adapter may cut its middle), then links, notes and the session line
// as a second text (never cut), then one image per figure or picture. Images above 3.5 MB are links only.
QList<Block> runBlocks(const sessions::RunReport &report, const QString &baseUrl);

// The result for programs: the fields of REST /api/execute (contract 9.2) and `failure`.
QJsonObject runData(const sessions::RunReport &report, const QString &baseUrl);

// cause, limit, peak, survived, lost, next_step, and when the session was restored restored_to_cell and older_values; empty when the run was fine.
QJsonObject failureFacts(const sessions::RunReport &report);

// "34.2 KB"
QString humanSize(qint64 bytes);
// A file name as text of an answer: line breaks, control and direction characters (user code chooses names) as \uXXXX.
QString shownName(const QString &name);

} // namespace power::operations
