// tools/list, serialised once per world and selection: a handshake then costs a copy.
#pragma once
#include "mcp/MethodTable.h"
#include "mcp/ToolSelection.h"
#include <map>

namespace power::mcp {

// ToolList: the operations agents see. The registry must be complete before the first call and outlive this.
// Thread: the event loop's.
class ToolList
{
public:
    explicit ToolList(const operations::Registry &registry) : m_registry(registry) {}

    // The finalized result of tools/list, always the same bytes for the same selection.
    QByteArray bytes(World world, const ServerFacts &facts, const ToolSelection &selection) const;
    // Null for names that are no tool (REST-only operations included) or are not shown in this selection.
    const operations::Operation *find(const QString &name, const ToolSelection &selection) const;
    // Why find() gives null, for the agent.
    QString whyNot(const QString &name, const ToolSelection &selection) const;

    // Tools say whether a call of them may become a task (initialize era). Before the first call.
    void setTasks(bool on) { m_tasks = on; }

    static QJsonObject describe(const operations::Operation &operation);

private:
    const operations::Registry &m_registry;
    bool m_tasks = false;
    mutable std::map<std::pair<World, QByteArray>, QByteArray> m_bytes; // the 64 selections that came first
};

} // namespace power::mcp
