#include "files/LinkCache.h"
#include <QMap>

namespace power::files
{

namespace
{
bool isLive(const FileRow &row)
{
    return !row.file.expires.isValid() || row.file.expires > QDateTime::currentDateTimeUtc();
}
} // namespace

void LinkCache::remember(const FileRow &row, bool unsaved)
{
    if (unsaved)
        m_unsaved.insert(row.file.id, row);
    else if (row.bytes.isEmpty()) // rows of the original carry their content: too big to keep
        m_rows.insert(row.file.id, new FileRow(row));
}

std::optional<FileRow> LinkCache::byId(const QString &id) const
{
    const auto found = m_unsaved.constFind(id);
    if (found != m_unsaved.constEnd()) return *found;
    if (const FileRow *row = m_rows.object(id)) return *row;
    return {};
}

template <typename Visit>
void LinkCache::each(Visit visit) const
{
    for (const FileRow &row : m_unsaved)
        visit(row);
    const QList<QString> ids = m_rows.keys();
    for (const QString &id : ids) {
        if (const FileRow *row = m_rows.object(id)) visit(*row);
    }
}

std::optional<FileRow> LinkCache::same(const FileRow &row) const
{
    std::optional<FileRow> found;
    each([&](const FileRow &one) {
        if (one.file.principal == row.file.principal && one.file.sessionId == row.file.sessionId &&
            one.file.name == row.file.name && one.file.sha256 == row.file.sha256 && isLive(one))
            found = one;
    });
    return found;
}

std::optional<FileRow> LinkCache::newestChart(const QString &chartSlug, const QString &name) const
{
    std::optional<FileRow> found;
    bool exact = false;
    each([&](const FileRow &row) {
        if (row.file.chartSlug != chartSlug) return;
        const bool same = row.file.name == name;
        if (!same && (exact || name.contains(u'/') || !row.file.name.endsWith(u'/' + name))) return;
        if (!found || (same && !exact) || row.file.created > found->file.created) {
            found = row;
            exact = exact || same;
        }
    });
    return found;
}

QList<FileRow> LinkCache::newestOfSession(const QString &principal, const QString &sessionId) const
{
    QMap<QString, FileRow> newest;
    each([&](const FileRow &row) {
        if (row.file.principal != principal || row.file.sessionId != sessionId || !isLive(row)) return;
        const auto present = newest.constFind(row.file.name);
        if (present == newest.constEnd() || present->file.created < row.file.created)
            newest.insert(row.file.name, row);
    });
    return newest.values();
}

void LinkCache::forget(const QString &principal, const QString &sessionId, const QString &name)
{
    QList<QString> ids;
    each([&](const FileRow &row) {
        if (row.file.principal == principal && row.file.sessionId == sessionId &&
            (name.isEmpty() || row.file.name == name))
            ids << row.file.id;
    });
    for (const QString &id : std::as_const(ids)) {
        m_unsaved.remove(id);
        m_rows.remove(id);
    }
}

void LinkCache::allSaved()
{
    const QHash<QString, FileRow> saved = std::exchange(m_unsaved, {});
    for (const FileRow &row : saved)
        remember(row, false);
}

} // namespace power::files
