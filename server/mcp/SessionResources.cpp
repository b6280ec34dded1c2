#include "mcp/SessionResources.h"
#include <QJsonArray>
#include <QStringDecoder>
#include <QUrl>

namespace power::mcp {

namespace {
const QString &sessionsRoot()
{
    static const QString root = QStringLiteral("power://sessions/");
    return root;
}

bool isText(const QString &mime)
{
    return mime.startsWith(u"text/") || mime.endsWith(u"json") || mime.endsWith(u"xml") || mime.endsWith(u"yaml");
}
} // namespace

QString fileUri(const QString &sessionId, const QString &path)
{
    return sessionsRoot() + sessionId + QStringLiteral("/files/") + QString::fromLatin1(QUrl::toPercentEncoding(path, "/"));
}

std::optional<FilePlace> filePlace(const QString &uri)
{
    if (!uri.startsWith(sessionsRoot()))
        return std::nullopt;
    const QString rest = uri.mid(sessionsRoot().size());
    const QString session = rest.section(u'/', 0, 0);
    const QString kind = rest.section(u'/', 1, 1);
    const QString path = QUrl::fromPercentEncoding(rest.section(u'/', 2).toUtf8());
    if (session.isEmpty() || kind != u"files" || path.isEmpty() || path.contains(QChar(0)))
        return std::nullopt;
    return FilePlace{QUrl::fromPercentEncoding(session.toUtf8()), path};
}

SessionResources::SessionResources(const operations::Registry &registry, std::shared_ptr<Changes> changes)
    : m_registry(registry)
    , m_changes(std::move(changes))
{
    m_timer.setSingleShot(true);
    m_timer.setInterval(kGather);
    m_timer.callOnTimeout(&m_timer, [this] { flush(); });
}

QCoro::Task<Result<QList<ResourceInfo>>> SessionResources::list(operations::Caller caller)
{
    const QString name = QStringLiteral("find_files");
    const QJsonObject arguments;
    QCoro::Task<Result<operations::Answer>> asking = m_registry.call(name, std::move(caller), arguments);
    const Result<operations::Answer> found = co_await asking;
    if (!found)
        co_return Unexpected<Error>{found.error()};
    QList<ResourceInfo> list;
    for (const QJsonValue &file : found->data.value(QStringLiteral("files")).toArray()) {
        const QString session = file[QLatin1String("session_id")].toString();
        const QString path = file[QLatin1String("path")].toString();
        ResourceInfo info;
        info.uri = fileUri(session, path);
        info.name = path;
        info.title = QStringLiteral("%1 (%2)").arg(path, session);
        info.mimeType = file[QLatin1String("mime_type")].toString();
        info.size = file[QLatin1String("size_bytes")].toInteger();
        info.annotations = {{QStringLiteral("lastModified"), file[QLatin1String("modified")]}};
        list << info;
    }
    co_return list;
}

QList<ResourceTemplate> SessionResources::templates() const
{
    ResourceTemplate file;
    file.uriTemplate = sessionsRoot() + QStringLiteral("{session_id}/files/{+path}");
    file.name = QStringLiteral("session_file");
    file.title = QStringLiteral("File of a session");
    file.description = QStringLiteral("A file in the working directory of a session; the whole output of a long run is a file too.");
    return {file};
}

bool SessionResources::owns(const QString &uri) const
{
    return uri.startsWith(sessionsRoot());
}

QCoro::Task<Result<ResourceRead>> SessionResources::read(operations::Caller caller, QString uri)
{
    const auto place = filePlace(uri);
    if (!place)
        co_return fail(ErrorCode::NotFound, QStringLiteral("%1 is no file of a session.").arg(uri.left(200)),
                       QStringLiteral("Files are power://sessions/{session_id}/files/{path}."));
    const QString name = QStringLiteral("read_file");
    const QJsonObject arguments{{QStringLiteral("session_id"), place->sessionId}, {QStringLiteral("filename"), place->path}};
    QCoro::Task<Result<operations::Answer>> asking = m_registry.call(name, std::move(caller), arguments);
    const Result<operations::Answer> answer = co_await asking;
    if (!answer && answer.error().code == ErrorCode::InvalidArgument) // a name no file can have
        co_return fail(ErrorCode::NotFound, answer.error().message, answer.error().nextStep);
    if (!answer)
        co_return Unexpected<Error>{answer.error()};
    if (answer->blocks.isEmpty())
        co_return fail(ErrorCode::Internal, QStringLiteral("read_file gave no content."));
    const operations::Block &block = answer->blocks.first();
    ResourceContent content;
    content.uri = uri;
    content.mimeType = QString::fromLatin1(block.mime);
    QStringDecoder utf8(QStringDecoder::Utf8);
    content.isBlob = true;
    if (isText(content.mimeType)) {
        content.text = utf8(block.data);
        content.isBlob = utf8.hasError();
    }
    if (content.isBlob) {
        content.text.clear();
        content.blob = block.data;
    }
    ResourceRead read;
    read.contents << content;
    co_return read;
}

void SessionResources::filesChanged(const QString &principal, const QString &sessionId, const QStringList &paths)
{
    for (const QString &path : paths)
        m_updated[principal].insert(fileUri(sessionId, path));
    listChanged(principal);
}

void SessionResources::listChanged(const QString &principal)
{
    m_lists.insert(principal);
    if (!m_timer.isActive())
        m_timer.start();
}

void SessionResources::flush()
{
    const auto updated = std::exchange(m_updated, {});
    const auto lists = std::exchange(m_lists, {});
    for (auto it = updated.cbegin(); it != updated.cend(); ++it) {
        for (const QString &uri : it.value())
            m_changes->resourceUpdated(it.key(), uri);
    }
    for (const QString &principal : lists)
        m_changes->resourcesChanged(principal);
}

} // namespace power::mcp
