// list_files: what a session has, by pattern, in pages.
#include "base/Offload.h"
#include "operations/FileFacts.h"
#include "operations/FileTools.h"
#include "operations/Looking.h"
#include "operations/RunText.h"
#include "workspace/Glob.h"
#include <QJsonArray>

namespace power::operations {

namespace {
constexpr int kMostWalked = 200'000; // files of a session that are counted

struct FilePage {
    QList<workspace::FileFacts> files;
    qsizetype count = 0;
    qint64 bytes = 0;
    qsizetype all = 0; // without the pattern
};

FilePage pageOf(const workspace::Workspace &space, const std::optional<workspace::Glob> &glob, bool newest, int offset, int limit)
{
    QList<workspace::FileFacts> files = space.list(kMostWalked);
    FilePage page;
    page.all = files.size();
    if (glob)
        files.removeIf([&glob](const workspace::FileFacts &facts) { return !glob->matches(facts.path); });
    if (newest)
        std::stable_sort(files.begin(), files.end(), [](const auto &a, const auto &b) { return a.modifiedNs > b.modifiedNs; });
    page.count = files.size();
    for (const workspace::FileFacts &facts : std::as_const(files))
        page.bytes += facts.size;
    page.files = files.mid(offset, limit);
    return page;
}

// "5 s", "12 min", "3 h", "9 d" since then.
QString ageOf(qint64 modifiedNs)
{
    const qint64 seconds = qMax<qint64>(0, QDateTime::currentSecsSinceEpoch() - modifiedNs / 1'000'000'000);
    if (seconds < 120)
        return QStringLiteral("%1 s").arg(seconds);
    if (seconds < 7200)
        return QStringLiteral("%1 min").arg(seconds / 60);
    return seconds < 172'800 ? QStringLiteral("%1 h").arg(seconds / 3600) : QStringLiteral("%1 d").arg(seconds / 86'400);
}

// What was handed out last is what is there now, as far as can be told without reading it.
bool isPresent(const files::StoredFile &stored, const workspace::FileFacts &facts)
{
    return stored.size == facts.size && facts.modifiedNs / 1'000'000 < stored.created.toMSecsSinceEpoch();
}

QString whyNoLink(const Error &error)
{
    const bool large = error.code == ErrorCode::TooLarge && !error.details.contains(QStringLiteral("cause"));
    return large ? QStringLiteral("no link: larger than the store takes") : QStringLiteral("no link: ") + error.message.left(200);
}

QString lineOf(const QJsonObject &file, const QString &path, const QString &noLink)
{
    const QString url = file.value(QStringLiteral("download_url")).toString();
    // The ending says the type; without one it is told.
    const QString type = path.section(u'/', -1).contains(u'.') ? QString() : u' ' + file.value(QStringLiteral("mime_type")).toString();
    return QStringLiteral("\n%1 (%2%3, %4 old) %5")
        .arg(shownName(path), file.value(QStringLiteral("size_human")).toString(), type, file.value(QStringLiteral("age")).toString(),
             url.isEmpty() ? noLink : url);
}

// A file of the page with what was found out about its link.
struct LinkedFile {
    workspace::FileFacts facts;
    std::optional<files::StoredFile> stored;
    QString noLink;
};

// Reads the beginnings of the files, so beside the event loop.
QJsonArray infosOf(const workspace::Workspace &space, const QString &sessionId, const QList<LinkedFile> &files, const QString &baseUrl)
{
    QJsonArray infos;
    for (const LinkedFile &each : files) {
        QJsonObject info = fileInfo(space, sessionId, each.facts, each.stored ? &*each.stored : nullptr, baseUrl);
        info.insert(QStringLiteral("modified"), isoTime(each.facts.modifiedNs));
        info.insert(QStringLiteral("age"), ageOf(each.facts.modifiedNs));
        infos.append(info);
    }
    return infos;
}

QCoro::Task<Result<Answer>> listFiles(Services *services, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    auto workspace = services->sessions.workspace(*key);
    if (!workspace)
        co_return Unexpected<Error>{workspace.error()};
    const auto space = *workspace;
    const int limit = arguments.value(QStringLiteral("limit")).toInt(100);
    const int offset = arguments.value(QStringLiteral("offset")).toInt(0);
    const QString pattern = arguments.value(QStringLiteral("pattern")).toString().trimmed();
    std::optional<workspace::Glob> glob;
    if (!pattern.isEmpty()) {
        const Result<workspace::Glob> parsed = workspace::Glob::parse(pattern);
        if (!parsed)
            co_return Unexpected<Error>{parsed.error()};
        glob = *parsed;
    }
    const bool newest = arguments.value(QStringLiteral("sort")).toString() == u"newest";
    std::function<Result<FilePage>()> walk = [space, glob, newest, offset, limit]() -> Result<FilePage> {
        return pageOf(*space, glob, newest, offset, limit);
    };
    const Result<FilePage> page = co_await offload<FilePage>(std::move(walk));
    const QString principal = key->principal;
    const QString id = key->id;
    const auto known = co_await services->files.list(principal, id);
    QHash<QString, files::StoredFile> linked;
    if (known) {
        for (const auto &file : *known)
            linked.insert(file.name, file);
    }
    QString text = page->count == page->all ? QStringLiteral("%1 files, %2, in %3").arg(page->count).arg(humanSize(page->bytes), space->insidePath())
                                            : QStringLiteral("%1 of %2 files match %3, %4, in %5")
                                                  .arg(page->count).arg(page->all).arg(pattern, humanSize(page->bytes), space->insidePath());
    QList<LinkedFile> shown;
    for (const workspace::FileFacts &facts : page->files) {
        if (caller.cancel.isCancelled())
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The listing was cancelled."));
        const auto it = linked.constFind(facts.path);
        LinkedFile file{facts, {}, {}};
        if (it != linked.cend() && isPresent(*it, facts)) {
            file.stored = *it;
        } else {
            // Written outside of a run (a background thread) or changed since: hand it out now.
            const QString path = facts.path;
            const auto fresh = co_await services->files.store(principal, id, space, path);
            if (fresh)
                file.stored = *fresh;
            else
                file.noLink = whyNoLink(fresh.error());
        }
        shown << file;
    }
    std::function<Result<QJsonArray>()> reading = [space, id, shown, baseUrl = caller.baseUrl]() -> Result<QJsonArray> {
        return infosOf(*space, id, shown, baseUrl);
    };
    const Result<QJsonArray> infos = co_await offload<QJsonArray>(std::move(reading));
    const QJsonArray files = *infos;
    for (qsizetype i = 0; i < shown.size(); ++i)
        text += lineOf(files.at(i).toObject(), shown.at(i).facts.path, shown.at(i).noLink);
    if (offset + files.size() < page->count)
        text += QStringLiteral("\nshowing %1-%2 of %3; call again with offset=%4")
                    .arg(offset + 1).arg(offset + files.size()).arg(page->count).arg(offset + files.size());
    co_return textAnswer(text, {{QStringLiteral("files"), files},
                                {QStringLiteral("total_count"), page->count},
                                {QStringLiteral("total_size_bytes"), page->bytes},
                                {QStringLiteral("total_size_human"), humanSize(page->bytes)}});
}
} // namespace

Operation listFilesOperation(Services &services)
{
    Operation list = fileOperation("list_files", "List files", "Files of a session with size, age and download link, paged.");
    Parameter sort = textParameter("sort", "Order.");
    sort.allowed = {QStringLiteral("name"), QStringLiteral("newest")};
    sort.defaultValue = QStringLiteral("name");
    list.parameters = {sessionParameter(), textParameter("pattern", "Glob such as *.csv or out/**."), sort,
                       numberParameter("limit", "Most files to show.", 100, 1, 1000),
                       numberParameter("offset", "Files to skip.", 0, 0, QJsonValue())};
    list.hints = {true, false, true, false};
    list.method = boundFile(services, listFiles);
    list.inside = {QStringLiteral("files"), QStringLiteral("files"),
                   QStringLiteral("a list of dicts: filename, path, sandbox_path, size_bytes, modified, mime_type, download_url"),
                   QStringLiteral("The files of the session with their download links.")};
    return list;
}

} // namespace power::operations
