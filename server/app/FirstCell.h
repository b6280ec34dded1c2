// The server's own first client: one real cell (pandas and a chart) through its MCP door.
#pragma once
#include "base/Error.h"
#include <QCoroTask>
#include <QUrl>

namespace power::app {

struct FirstCell {
    QString text;       // what the cell printed
    int images = 0;
    qint64 milliseconds = 0; // the whole HTTP round trip
};

// Posts execute_code to <url>/mcp in a session of its own and deletes that session again.
// `apiKey` is sent when not empty. Errors: Upstream with what came back instead.
QCoro::Task<Result<FirstCell>> runFirstCell(QUrl url, QByteArray apiKey, std::chrono::milliseconds timeout);

} // namespace power::app
