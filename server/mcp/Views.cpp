#include "mcp/Views.h"
#include "mcp/StructuredBudget.h"
#include <QFile>
#include <QJsonArray>

namespace power::mcp {

namespace {
constexpr qsizetype kMostFacts = 200'000; // characters of JSON

const QString &viewRoot()
{
    static const QString root = QStringLiteral("ui://power/");
    return root;
}

QString part(const QString &name)
{
    QFile file(QStringLiteral(":/views/") + name);
    return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
}

const QHash<QString, QString> &viewsOfTools()
{
    static const QHash<QString, QString> views{{QStringLiteral("execute_code"), QStringLiteral("run")},
                                               {QStringLiteral("get_job_result"), QStringLiteral("run")},
                                               {QStringLiteral("query_dataset"), QStringLiteral("table")},
                                               {QStringLiteral("fetch_file"), QStringLiteral("file")}};
    return views;
}
} // namespace

bool declaresViews(const QJsonObject &clientCapabilities)
{
    const QJsonValue declared = clientCapabilities[QLatin1String("extensions")][QLatin1String(kViewExtension)];
    const QJsonValue types = declared[QLatin1String("mimeTypes")];
    return declared.isObject() && (types.isUndefined() || types.toArray().contains(QLatin1String(kViewType)));
}

QString viewOfTool(const QString &tool)
{
    const QString name = viewsOfTools().value(tool);
    return name.isEmpty() ? QString() : viewRoot() + name;
}

QJsonObject viewFacts(const QString &tool, const QJsonObject &data)
{
    QJsonObject run = withoutDownloadUrls(data);
    if (viewsOfTools().value(tool) != u"run" || run.isEmpty() || !fitJson(run, kMostFacts))
        return {};
    return {{QStringLiteral("power-interpreter/run"), run}};
}

QString Views::page(const QString &uri)
{
    const QString name = uri.mid(viewRoot().size());
    if (!uri.startsWith(viewRoot()) || !viewsOfTools().values().contains(name))
        return {};
    QString page = part(QStringLiteral("page.html"));
    for (const auto &[place, file] : {std::pair("/*style*/", QStringLiteral("style.css")),
                                      std::pair("/*bridge*/", QStringLiteral("bridge.js")),
                                      std::pair("/*script*/", name + QStringLiteral(".js"))})
        page.replace(QLatin1String(place), part(file));
    return page;
}

QCoro::Task<Result<QList<ResourceInfo>>> Views::list(operations::Caller)
{
    co_return QList<ResourceInfo>();
}

bool Views::owns(const QString &uri) const
{
    return uri.startsWith(viewRoot());
}

QCoro::Task<Result<ResourceRead>> Views::read(operations::Caller, QString uri)
{
    ResourceContent content;
    content.uri = uri;
    content.mimeType = QLatin1String(kViewType);
    content.text = page(uri);
    content.meta = {{QStringLiteral("ui"), QJsonObject{{QStringLiteral("prefersBorder"), true}}}};
    if (content.text.isEmpty())
        co_return fail(ErrorCode::NotFound, QStringLiteral("There is no view %1.").arg(uri.left(200)));
    ResourceRead read;
    read.contents << content;
    co_return read;
}

} // namespace power::mcp
