#include "mcp/ToolList.h"
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

QByteArray ToolList::bytes(World world, const ServerFacts &facts) const
{
    auto [it, isNew] = m_bytes.try_emplace(world);
    if (isNew) {
        QJsonArray tools;
        for (const operations::Operation &operation : m_registry.all()) {
            if (operation.inDefaultTools)
                tools.append(describe(operation));
        }
        it->second = finalized({{QStringLiteral("tools"), tools}}, world, facts, Caching::Private);
    }
    return it->second;
}

const operations::Operation *ToolList::find(const QString &name) const
{
    const operations::Operation *operation = m_registry.find(name);
    return operation && operation->inDefaultTools ? operation : nullptr;
}

} // namespace power::mcp
