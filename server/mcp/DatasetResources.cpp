#include "mcp/DatasetResources.h"
#include "mcp/Rpc.h"
#include "mcp/StructuredBudget.h"
#include <QJsonArray>
#include <QUrl>

namespace power::mcp {

using operations::Answer;

namespace {
constexpr int kRowsShown = 20;
constexpr qsizetype kMostText = 100'000; // characters of one resource
constexpr char kJson[] = "application/json";

const QString &datasetsRoot()
{
    static const QString root = QStringLiteral("power://datasets/");
    return root;
}
} // namespace

QString datasetUri(const QString &name)
{
    return datasetsRoot() + QString::fromLatin1(QUrl::toPercentEncoding(name));
}

QCoro::Task<Result<QList<ResourceInfo>>> DatasetResources::list(operations::Caller caller)
{
    const QString name = QStringLiteral("list_datasets");
    const QJsonObject arguments{{QStringLiteral("frames"), false}};
    QCoro::Task<Result<Answer>> asking = m_registry.call(name, std::move(caller), arguments);
    const Result<Answer> found = co_await asking;
    QList<ResourceInfo> list;
    // Without them the other resources are still there to be listed.
    if (!found)
        co_return list;
    for (const QJsonValue &dataset : found->data.value(QStringLiteral("datasets")).toArray()) {
        ResourceInfo info;
        info.name = dataset[QLatin1String("name")].toString();
        info.uri = datasetUri(info.name);
        info.title = QStringLiteral("Dataset %1").arg(info.name);
        info.description = QStringLiteral("%1 rows, %2 columns; ask it with query_dataset.")
                               .arg(dataset[QLatin1String("row_count")].toInteger()).arg(dataset[QLatin1String("column_count")].toInteger());
        info.mimeType = QLatin1String(kJson);
        list << info;
    }
    co_return list;
}

QList<ResourceTemplate> DatasetResources::templates() const
{
    ResourceTemplate dataset;
    dataset.uriTemplate = datasetsRoot() + QStringLiteral("{dataset}");
    dataset.name = QStringLiteral("dataset");
    dataset.title = QStringLiteral("Persistent dataset");
    dataset.description = QStringLiteral("Columns, number of rows and first rows of a persistent dataset.");
    dataset.mimeType = QLatin1String(kJson);
    return {dataset};
}

bool DatasetResources::owns(const QString &uri) const
{
    return uri.startsWith(datasetsRoot());
}

QCoro::Task<Result<ResourceRead>> DatasetResources::read(operations::Caller caller, QString uri)
{
    const QString given = QUrl::fromPercentEncoding(uri.mid(datasetsRoot().size()).toUtf8());
    const operations::Caller who = caller;
    const QString facts = QStringLiteral("get_dataset");
    const QJsonObject named{{QStringLiteral("dataset_name"), given}};
    QCoro::Task<Result<Answer>> looking = m_registry.call(facts, std::move(caller), named);
    const Result<Answer> found = co_await looking;
    if (!found && found.error().code == ErrorCode::InvalidArgument) // a name no dataset can have
        co_return fail(ErrorCode::NotFound, found.error().message, found.error().nextStep);
    if (!found)
        co_return Unexpected<Error>{found.error()};
    QJsonObject dataset = found->data;
    // By the table's name: by its own one a session's DataFrame may be meant.
    QString quoted = dataset.value(QStringLiteral("table_name")).toString();
    quoted.replace(u'"', QLatin1String("\"\""));
    const QString query = QStringLiteral("query_dataset");
    const QJsonObject question{{QStringLiteral("query"), QStringLiteral("SELECT * FROM \"%1\"").arg(quoted)}, {QStringLiteral("limit"), kRowsShown}};
    operations::Caller again = who;
    QCoro::Task<Result<Answer>> asking = m_registry.call(query, std::move(again), question);
    const Result<Answer> rows = co_await asking;
    if (rows)
        dataset.insert(QStringLiteral("first_rows"), rows->data.value(QStringLiteral("data")));
    if (!fitJson(dataset, kMostText))
        dataset.remove(QStringLiteral("first_rows"));
    ResourceContent content;
    content.uri = uri;
    content.mimeType = QLatin1String(kJson);
    content.text = QString::fromUtf8(jsonBytes(dataset));
    ResourceRead read;
    read.contents << content;
    co_return read;
}

Result<Done> DatasetResources::watch(const operations::Caller &caller, const QString &uri, bool on)
{
    QSet<QString> &watched = m_watched[caller.principal];
    if (on)
        watched.insert(uri);
    else
        watched.remove(uri);
    if (watched.isEmpty())
        m_watched.remove(caller.principal);
    return Done{};
}

void DatasetResources::changed(const QString &principal)
{
    const QSet<QString> watched = m_watched.value(principal);
    for (const QString &uri : watched)
        m_changes->resourceUpdated(principal, uri);
    m_changes->resourcesChanged(principal);
}

} // namespace power::mcp
