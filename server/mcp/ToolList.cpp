#include "mcp/ToolList.h"
#include "mcp/Views.h"
#include <QJsonArray>

namespace power::mcp {

QJsonObject ToolList::describe(const operations::Operation &operation)
{
    const QString title = operation.title.isEmpty() ? operation.name : operation.title;
    QJsonObject tool{
        {QStringLiteral("name"), operation.name},
        {QStringLiteral("title"), title},
        {QStringLiteral("description"), operation.description},
        {QStringLiteral("inputSchema"), operations::inputSchema(operation)},
        {QStringLiteral("annotations"),
         QJsonObject{{QStringLiteral("title"), title},
                     {QStringLiteral("readOnlyHint"), operation.hints.readOnly},
                     {QStringLiteral("destructiveHint"), operation.hints.destructive},
                     {QStringLiteral("idempotentHint"), operation.hints.idempotent},
                     {QStringLiteral("openWorldHint"), operation.hints.openWorld}}},
    };
    if (!operation.outputSchema.isEmpty())
        tool.insert(QStringLiteral("outputSchema"), operation.outputSchema);
    if (!operation.meta.isEmpty())
        tool.insert(QStringLiteral("_meta"), operation.meta);
    return tool;
}

QByteArray ToolList::bytes(World world, const ServerFacts &facts, const ToolSelection &selection) const
{
    constexpr std::size_t mostKept = 64;
    const std::pair key(world, selection.key());
    if (const auto it = m_bytes.find(key); it != m_bytes.end())
        return it->second;
    QJsonArray tools;
    for (const operations::Operation &operation : m_registry.all()) {
        if (!selection.shows(operation))
            continue;
        QJsonObject tool = describe(operation);
        if (const QString view = viewOfTool(operation.name); selection.hasViews() && !view.isEmpty()) {
            QJsonObject meta = tool.value(QLatin1String("_meta")).toObject();
            meta.insert(QStringLiteral("ui"), QJsonObject{{QStringLiteral("resourceUri"), view}});
            tool.insert(QStringLiteral("_meta"), meta);
        }
        if (m_tasks && world == Legacy && operation.task != operations::Operation::Task::Never)
            tool.insert(QStringLiteral("execution"),
                        QJsonObject{{QStringLiteral("taskSupport"), operation.task == operations::Operation::Task::Required
                                                                        ? QStringLiteral("required") : QStringLiteral("optional")}});
        tools.append(tool);
    }
    const QByteArray list = finalized({{QStringLiteral("tools"), tools}}, world, facts, Caching::Private);
    if (m_bytes.size() < mostKept)
        m_bytes.emplace(key, list);
    return list;
}

const operations::Operation *ToolList::find(const QString &name, const ToolSelection &selection) const
{
    const operations::Operation *operation = m_registry.find(name);
    return operation && selection.shows(*operation) ? operation : nullptr;
}

QString ToolList::whyNot(const QString &name, const ToolSelection &selection) const
{
    const operations::Operation *operation = m_registry.find(name);
    if (!operation || !operation->isTool)
        return QStringLiteral("Unknown tool: %1. tools/list names those there are.").arg(name.left(80));
    if (selection.isReadOnly() && !operation->hints.readOnly)
        return QStringLiteral("%1 changes something, and this connection is read-only.").arg(name);
    return QStringLiteral("%1 is not among the tools selected for this connection; it is in the toolset \"%2\" (?tools=%2 or the "
                          "header X-MCP-Tools).").arg(name, operation->toolset);
}

} // namespace power::mcp
