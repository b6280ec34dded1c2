// Session files as resources: power://sessions/{session_id}/files/{path}. Whole outputs of long runs are such files too.
#pragma once
#include "mcp/Providers.h"
#include <QMap>
#include <QSet>
#include <QTimer>

namespace power::mcp {

// A file's URI; the path is percent-encoded but for its slashes.
QString fileUri(const QString &sessionId, const QString &path);
struct FilePlace {
    QString sessionId, path;
};
// Nothing when it is no URI of a session file.
std::optional<FilePlace> filePlace(const QString &uri);

// SessionResources: reads through the operations find_files and read_file, so their limits and scopes hold. The registry
// must outlive it. Thread: the event loop's.
class SessionResources : public ResourceProvider
{
public:
    SessionResources(const operations::Registry &registry, std::shared_ptr<Changes> changes);

    QCoro::Task<Result<QList<ResourceInfo>>> list(operations::Caller caller) override;
    QList<ResourceTemplate> templates() const override;
    bool owns(const QString &uri) const override;
    // Text when the content is UTF-8 text, else a blob. Errors: NotFound (no such session or file), TooLarge.
    QCoro::Task<Result<ResourceRead>> read(operations::Caller caller, QString uri) override;

    // News of the sessions. Passed on to who listens within kGather, each resource once.
    void filesChanged(const QString &principal, const QString &sessionId, const QStringList &paths);
    void listChanged(const QString &principal);
    static constexpr std::chrono::milliseconds kGather{200};

private:
    void flush();

    const operations::Registry &m_registry;
    std::shared_ptr<Changes> m_changes;
    QMap<QString, QSet<QString>> m_updated; // principal -> URIs
    QSet<QString> m_lists;                  // principals
    QTimer m_timer;
};

} // namespace power::mcp
