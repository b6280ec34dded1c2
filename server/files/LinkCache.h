// The rows this process gave out or opened lately: what links live on while the database is away.
#pragma once
#include "files/FileTable.h"
#include <QCache>
#include <QSet>
#include <optional>

namespace power::files
{

// LinkCache: bounded; rows that are not in the database yet are never pushed out. Thread: the event loop's.
class LinkCache
{
public:
    LinkCache() : m_rows(10'000) {}

    // unsaved: only the spool has it so far.
    void remember(const FileRow &row, bool unsaved);
    bool isUnsaved(const QString &id) const { return m_unsaved.contains(id); }
    std::optional<FileRow> byId(const QString &id) const;
    std::optional<FileRow> same(const FileRow &row) const; // session, name and content as in `row`
    std::optional<FileRow> newestChart(const QString &chartSlug, const QString &name) const;
    QList<FileRow> newestOfSession(const QString &principal, const QString &sessionId) const;
    void forget(const QString &principal, const QString &sessionId, const QString &name);
    // Everything spooled has reached the database.
    void allSaved();

private:
    template <typename Visit>
    void each(Visit visit) const;

    mutable QCache<QString, FileRow> m_rows;
    QHash<QString, FileRow> m_unsaved;
};

} // namespace power::files
