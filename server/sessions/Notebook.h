// A session's history as something that runs elsewhere.
#pragma once
#include "sessions/RunRow.h"

namespace power::sessions {

struct ExportFacts {
    QString sessionId, pythonVersion;
    QDateTime made;
};

// nbformat 4.5. The first cells say where it comes from and give the names that every session starts with, so that it runs
// in Jupyter. Cells that failed have the tag raises-exception: running all cells goes on behind them.
QByteArray notebookOf(const ExportFacts &facts, const QList<RunRow> &runs);

// One Python program in cells (# %%). Lines of IPython (%magic, !shell) and cells that failed are comments in it.
QByteArray scriptOf(const ExportFacts &facts, const QList<RunRow> &runs);

} // namespace power::sessions
