#include "operations/FileFacts.h"
#include "operations/RunText.h"
#include <unistd.h>

namespace power::operations {

QJsonObject linkFacts(const files::StoredFile &file, const QString &baseUrl)
{
    return {{QStringLiteral("filename"), file.name},
            {QStringLiteral("url"), baseUrl + file.downloadPath()},
            {QStringLiteral("size"), humanSize(file.size)},
            {QStringLiteral("mime_type"), file.mime},
            {QStringLiteral("file_id"), file.id},
            {QStringLiteral("is_image"), file.isImage()},
            {QStringLiteral("expires_at"),
             file.expires.isValid() ? QJsonValue(file.expires.toUTC().toString(Qt::ISODate)) : QJsonValue()}};
}

QString filePreview(const workspace::Workspace &workspace, const workspace::FileFacts &facts, const QString &mime)
{
    const bool text = mime.startsWith(u"text/") || mime.endsWith(u"json") || mime.endsWith(u"xml");
    if (!text)
        return QStringLiteral("[%1, %2]").arg(mime, humanSize(facts.size));
    const auto opened = workspace.openRead(facts.path);
    if (!opened)
        return {};
    QByteArray head(4096, Qt::Uninitialized);
    const ssize_t got = ::pread(opened->get(), head.data(), size_t(head.size()), 0);
    head.truncate(got > 0 ? got : 0);
    QStringList lines = QString::fromUtf8(head).split(u'\n').mid(0, 5);
    for (QString &line : lines)
        line.truncate(200);
    return lines.join(u'\n').trimmed();
}

QJsonObject fileInfo(const workspace::Workspace &workspace, const QString &sessionId,
                     const workspace::FileFacts &facts, const files::StoredFile *stored, const QString &baseUrl)
{
    QString mime = stored ? stored->mime : QString();
    if (mime.isEmpty()) {
        QByteArray head(512, '\0');
        const auto opened = workspace.openRead(facts.path);
        const ssize_t got = opened ? ::pread(opened->get(), head.data(), size_t(head.size()), 0) : 0;
        head.truncate(got > 0 ? got : 0);
        mime = files::mimeOf(facts.path, head);
    }
    return {{QStringLiteral("filename"), facts.path.section(u'/', -1)},
            {QStringLiteral("path"), sessionId + u'/' + facts.path},
            {QStringLiteral("sandbox_path"), workspace.insidePath() + u'/' + facts.path},
            {QStringLiteral("size_bytes"), facts.size},
            {QStringLiteral("size_human"), humanSize(facts.size)},
            {QStringLiteral("mime_type"), mime},
            {QStringLiteral("session_id"), sessionId},
            {QStringLiteral("preview"), filePreview(workspace, facts, mime)},
            {QStringLiteral("file_id"), stored ? QJsonValue(stored->id) : QJsonValue()},
            {QStringLiteral("download_url"), stored ? QJsonValue(baseUrl + stored->downloadPath()) : QJsonValue()}};
}

} // namespace power::operations
