// search and fetch: the pair of tools ChatGPT asks of a server, over the files of sessions and the datasets. The shapes are
// fixed: {results: [{id, title, url}]} and {id, title, text, url, metadata}.
#include "base/Offload.h"
#include "operations/Looking.h"
#include "operations/RunText.h"
#include <QDeadlineTimer>
#include <QJsonArray>
#include <QRegularExpression>
#include <QUrl>
#include <algorithm>

namespace power::operations {

// A file that fits the query.
struct SearchHit {
    QString sessionId;
    std::shared_ptr<workspace::Workspace> space;
    workspace::FileFacts facts;
    double score = 0;
};

namespace {
constexpr int kMostHits = 10;
constexpr int kMostFilesSearched = 2'000;     // of one session
constexpr qint64 kLargestSearched = 1 << 20;  // content of larger files is not looked into
constexpr qint64 kMostBytesSearched = 64 << 20;
constexpr int kSearchMilliseconds = 3'000;    // names are looked at to the end, contents only so long
constexpr qint64 kLargestLinked = 8 << 20;    // larger files get no link just because they were found
constexpr qint64 kLargestFetched = 8 << 20;
constexpr qsizetype kPart = 30'000;           // characters of one fetch
constexpr int kDatasetRows = 50;

QStringList wordsOf(const QString &query)
{
    static const QRegularExpression between(QStringLiteral("[^\\w]+"), QRegularExpression::UseUnicodePropertiesOption);
    QStringList words = query.toLower().split(between, Qt::SkipEmptyParts);
    words.removeDuplicates();
    return words.mid(0, 20);
}

double scoreOf(const QStringList &words, const QString &name, const QString &text)
{
    double score = 0;
    for (const QString &word : words) {
        if (name.contains(word))
            score += 5;
        if (const qsizetype count = text.count(word); count > 0)
            score += 1 + 0.2 * double(std::min<qsizetype>(count, 5));
    }
    return score;
}

QList<SearchHit> searchFiles(const Spaces &spaces, const QStringList &words)
{
    QList<SearchHit> hits;
    qint64 read = 0;
    const QDeadlineTimer deadline(kSearchMilliseconds);
    for (const auto &[id, space] : spaces) {
        for (const workspace::FileFacts &facts : space->list(kMostFilesSearched)) {
            if (facts.fromTmp)
                continue;
            QString text;
            if (!words.isEmpty() && facts.size <= kLargestSearched && read < kMostBytesSearched && !deadline.hasExpired()
                && isTextType(files::mimeOf(facts.path, headOf(*space, facts.path)))) {
                const auto content = wholeFile(*space, facts.path, kLargestSearched);
                text = content ? QString::fromUtf8(*content).toLower() : QString();
                read += facts.size;
            }
            const double score = scoreOf(words, facts.path.toLower() + u' ' + id.toLower(), text);
            if (score > 0 || words.isEmpty())
                hits.append({id, space, facts, score});
        }
    }
    std::stable_sort(hits.begin(), hits.end(), [](const SearchHit &a, const SearchHit &b) {
        return a.score != b.score ? a.score > b.score : a.facts.modifiedNs > b.facts.modifiedNs;
    });
    return hits.mid(0, kMostHits);
}

QString fileId(const QString &sessionId, const QString &path, qsizetype part = 1)
{
    const QString id = QStringLiteral("file:%1/%2").arg(sessionId, QString::fromLatin1(QUrl::toPercentEncoding(path, "/")));
    return part > 1 ? id + u'#' + QString::number(part) : id;
}

// The file's public link, else an address that is not empty: results without one are not citable.
QCoro::Task<QString> urlOf(Services *services, Caller caller, QString sessionId, std::shared_ptr<workspace::Workspace> space,
                           workspace::FileFacts facts)
{
    const QString principal = caller.principal;
    const QString path = facts.path;
    if (facts.size <= kLargestLinked) {
        auto stored = co_await services->files.store(principal, sessionId, space, path);
        if (stored)
            co_return caller.baseUrl + stored->downloadPath();
    }
    co_return QStringLiteral("power://sessions/%1/files/%2").arg(sessionId, QString::fromLatin1(QUrl::toPercentEncoding(path, "/")));
}

// Datasets of which the name, a column or the file they came from fits; empty while there is no such operation.
QCoro::Task<QJsonArray> datasetHits(const Registry *registry, Caller caller, QStringList words)
{
    QJsonArray hits;
    const QString name = QStringLiteral("list_datasets");
    if (!registry->find(name))
        co_return hits;
    QCoro::Task<Result<Answer>> asking = registry->call(name, std::move(caller), {});
    const Result<Answer> answer = co_await asking;
    if (!answer)
        co_return hits;
    for (const QJsonValue &dataset : answer->data.value(QStringLiteral("datasets")).toArray()) {
        const QString called = dataset[QLatin1String("name")].toString();
        QStringList about{dataset[QLatin1String("source_filename")].toString()};
        for (const QJsonValue &column : dataset[QLatin1String("columns")].toArray())
            about << column.toString();
        if (called.isEmpty() || (!words.isEmpty() && scoreOf(words, called.toLower(), about.join(u' ').toLower()) <= 0))
            continue;
        hits.append(QJsonObject{{QStringLiteral("id"), QStringLiteral("dataset:") + called},
                                {QStringLiteral("title"), QStringLiteral("Dataset %1").arg(called)},
                                {QStringLiteral("url"), QStringLiteral("power://datasets/%1")
                                                            .arg(QString::fromLatin1(QUrl::toPercentEncoding(called)))}});
    }
    co_return hits;
}

QCoro::Task<Result<Answer>> searchAll(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    const QStringList words = wordsOf(arguments.value(QStringLiteral("query")).toString());
    QCoro::Task<Result<Spaces>> opening = spacesOf(services, caller, {});
    const Result<Spaces> opened = co_await opening;
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const Spaces spaces = *opened;
    std::function<Result<QList<SearchHit>>()> work = [spaces, words]() -> Result<QList<SearchHit>> { return searchFiles(spaces, words); };
    const Result<QList<SearchHit>> hits = co_await offload<QList<SearchHit>>(std::move(work));
    QCoro::Task<QJsonArray> naming = datasetHits(registry, caller, words);
    QJsonArray results = co_await naming;
    for (const SearchHit &hit : *hits) {
        QCoro::Task<QString> linking = urlOf(services, caller, hit.sessionId, hit.space, hit.facts);
        const QString url = co_await linking;
        results.append(QJsonObject{{QStringLiteral("id"), fileId(hit.sessionId, hit.facts.path)},
                                   {QStringLiteral("title"), QStringLiteral("%1 (session %2)").arg(shownName(hit.facts.path), hit.sessionId)},
                                   {QStringLiteral("url"), url}});
    }
    Answer answer;
    answer.data = {{QStringLiteral("results"), results}};
    co_return answer;
}

QString rowsAsText(const QJsonObject &table)
{
    QStringList columns, lines;
    for (const QJsonValue &column : table.value(QStringLiteral("columns")).toArray())
        columns << column.toString();
    lines << columns.join(u'\t');
    for (const QJsonValue &row : table.value(QStringLiteral("data")).toArray()) {
        QStringList cells;
        for (const QString &column : std::as_const(columns))
            cells << row[column].toVariant().toString();
        lines << cells.join(u'\t');
    }
    return lines.join(u'\n');
}

QCoro::Task<Result<Answer>> fetchDataset(const Registry *registry, Caller caller, QString id)
{
    const QString called = id.mid(8);
    const QString facts = QStringLiteral("get_dataset");
    const QJsonObject named{{QStringLiteral("dataset_name"), called}};
    Caller again = caller;
    QCoro::Task<Result<Answer>> looking = registry->call(facts, std::move(again), named);
    const Result<Answer> found = co_await looking;
    if (!found)
        co_return Unexpected<Error>{found.error()};
    // By the table's name: by its own one a session's DataFrame may be meant.
    const QString name = QStringLiteral("query_dataset");
    QString quoted = found->data.value(QStringLiteral("table_name")).toString();
    quoted.replace(u'"', QLatin1String("\"\""));
    const QJsonObject arguments{{QStringLiteral("query"), QStringLiteral("SELECT * FROM \"%1\"").arg(quoted)}, {QStringLiteral("limit"), kDatasetRows}};
    QCoro::Task<Result<Answer>> asking = registry->call(name, std::move(caller), arguments);
    const Result<Answer> rows = co_await asking;
    if (!rows)
        co_return Unexpected<Error>{rows.error()};
    Answer answer;
    answer.data = {{QStringLiteral("id"), id},
                   {QStringLiteral("title"), QStringLiteral("Dataset %1").arg(called)},
                   {QStringLiteral("text"), rowsAsText(rows->data)},
                   {QStringLiteral("url"), QStringLiteral("power://datasets/%1").arg(QString::fromLatin1(QUrl::toPercentEncoding(called)))},
                   {QStringLiteral("metadata"), QJsonObject{{QStringLiteral("rows_shown"), rows->data.value(QStringLiteral("row_count"))},
                                                            {QStringLiteral("has_more"), rows->data.value(QStringLiteral("has_more"))}}}};
    co_return answer;
}

QCoro::Task<Result<Answer>> fetchById(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    const QString id = arguments.value(QStringLiteral("id")).toString().trimmed();
    if (id.startsWith(u"dataset:") && registry->find(QStringLiteral("query_dataset"))) {
        QCoro::Task<Result<Answer>> reading = fetchDataset(registry, std::move(caller), id);
        Result<Answer> answer = co_await reading;
        co_return answer;
    }
    const QString place = id.startsWith(u"file:") ? id.mid(5) : id;
    const QString session = place.section(u'/', 0, 0);
    const QString name = QUrl::fromPercentEncoding(place.section(u'/', 1).section(u'#', 0, 0).toUtf8());
    const qsizetype part = std::max<qsizetype>(1, place.section(u'#', 1).toLongLong());
    if (session.isEmpty() || name.isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("\"%1\" is no id of search.").arg(id.left(200)),
                       QStringLiteral("Call search first and pass the id of one of its results."));
    const sessions::SessionKey its{caller.principal, caller.slug, session};
    const Result<Done> ready = co_await services->sessions.prepare(its);
    if (!ready)
        co_return Unexpected<Error>{ready.error()};
    const auto existing = services->sessions.existingWorkspace(its);
    if (!existing)
        co_return Unexpected<Error>{existing.error()};
    const std::shared_ptr<workspace::Workspace> space = *existing;
    const auto path = space->resolve(name);
    if (!path)
        co_return Unexpected<Error>{path.error()};
    const QString relative = *path;
    auto facts = std::make_shared<workspace::FileFacts>();
    std::function<Result<QByteArray>()> work = [space, relative, facts] {
        return wholeFile(*space, relative, kLargestFetched, facts.get());
    };
    const Result<QByteArray> content = co_await offload<QByteArray>(std::move(work));
    if (!content && content.error().code != ErrorCode::TooLarge)
        co_return Unexpected<Error>{content.error()};
    const QString mime = files::mimeOf(relative, content ? content->left(4096) : QByteArray());
    QJsonObject metadata{{QStringLiteral("session_id"), session},
                         {QStringLiteral("path"), relative},
                         {QStringLiteral("size_bytes"), facts->size},
                         {QStringLiteral("mime_type"), mime},
                         {QStringLiteral("modified"), isoTime(facts->modifiedNs)}};
    QString text = QStringLiteral("[%1, %2: not text. Load it in execute_code of session %3 under the name %4.]")
                       .arg(mime, humanSize(facts->size), session, shownName(relative));
    if (content && isTextType(mime)) {
        const QString whole = QString::fromUtf8(*content);
        const qsizetype parts = std::max<qsizetype>(1, (whole.size() + kPart - 1) / kPart);
        text = whole.mid((std::min(part, parts) - 1) * kPart, kPart);
        metadata.insert(QStringLiteral("part"), std::min(part, parts));
        metadata.insert(QStringLiteral("parts"), parts);
        if (part < parts)
            metadata.insert(QStringLiteral("next_id"), fileId(session, relative, part + 1));
    }
    workspace::FileFacts named = *facts;
    named.path = relative;
    QCoro::Task<QString> linking = urlOf(services, caller, session, space, named);
    const QString url = co_await linking;
    Answer answer;
    answer.data = {{QStringLiteral("id"), id},
                   {QStringLiteral("title"), shownName(relative)},
                   {QStringLiteral("text"), text},
                   {QStringLiteral("url"), url},
                   {QStringLiteral("metadata"), metadata}};
    co_return answer;
}
} // namespace

void addSearchOperations(Registry &registry, Services &services)
{
    Operation search;
    search.name = QStringLiteral("search");
    search.title = QStringLiteral("Search files and datasets");
    search.description = QStringLiteral("Search the files of all sessions (names and text) and the datasets. Returns ids for fetch.");
    Parameter query;
    query.name = QStringLiteral("query");
    query.description = QStringLiteral("Words to look for; empty lists the newest files.");
    query.required = true;
    search.parameters = {query};
    search.hints = {true, false, true, false};
    search.scope = QStringLiteral("files");
    search.toolset = QStringLiteral("chatgpt");
    search.method = [&services, &registry](Caller caller, QJsonObject arguments) {
        return searchAll(&services, &registry, std::move(caller), std::move(arguments));
    };
    registry.add(search);

    Operation fetch = search;
    fetch.name = QStringLiteral("fetch");
    fetch.title = QStringLiteral("Fetch a search result");
    fetch.description = QStringLiteral("The text of one result of search. Long files come in parts: metadata.next_id is the next.");
    Parameter id;
    id.name = QStringLiteral("id");
    id.description = QStringLiteral("id of a result of search.");
    id.required = true;
    id.example = QStringLiteral("file:default/data.csv");
    fetch.parameters = {id};
    fetch.method = [&services, &registry](Caller caller, QJsonObject arguments) {
        return fetchById(&services, &registry, std::move(caller), std::move(arguments));
    };
    registry.add(fetch);
}

} // namespace power::operations
