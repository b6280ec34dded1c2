// Files as the answers name them (contract 9.4 FileInfo, 9.2 download_urls).
#pragma once
#include "files/FileStore.h"
#include <QJsonObject>

namespace power::operations {

// filename, url, size (human), mime_type, file_id, is_image, expires_at.
QJsonObject linkFacts(const files::StoredFile &file, const QString &baseUrl);

// filename, path, size_bytes, size_human, mime_type, session_id, preview, file_id, download_url.
// `stored` may be null: the file has no link then (too large, or not handed out).
QJsonObject fileInfo(const workspace::Workspace &workspace, const QString &sessionId,
                     const workspace::FileFacts &facts, const files::StoredFile *stored, const QString &baseUrl);

// The first five lines of a text file, or one line that says what it is.
QString filePreview(const workspace::Workspace &workspace, const workspace::FileFacts &facts, const QString &mime);

} // namespace power::operations
