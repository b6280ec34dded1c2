// JSON results within the text budget, still valid JSON.
#pragma once
#include <QJsonObject>

namespace power::mcp {

// Shortens the longest lists and texts of `data` until its JSON text has at most `budget` characters, and says so in a
// member "truncated": {"<member>": {"shown": n, "of": m}}. Returns false when it cannot be done (the caller then cuts
// the text and sends no structured content). Lists lose their end.
bool fitJson(QJsonObject &data, qsizetype budget);

// Renames "download_urls" to "links" on every level: a client starts a broken download widget at that name (contract 5).
QJsonObject withoutDownloadUrls(const QJsonObject &data);

} // namespace power::mcp
